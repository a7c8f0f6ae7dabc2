//! Ending the machine: the emulator's exit device, else ACPI power-off, else the keyboard controller's reset line.

use core::sync::atomic::{AtomicU32, Ordering};

use x86_64::instructions::port::Port;

use super::{console, cpu};
use crate::boot::acpi::PowerOff;

/// QEMU's `isa-debug-exit` as the tool places it: a write of n ends the emulator with status 2n + 1.
pub(super) const EXIT_PORT: u16 = 0xf4;
/// Codes start here, so that no status of ours is 1, which QEMU gives when it failed itself.
pub(super) const FIRST_CODE: u8 = 0x10;
/// The largest code that fits into the seven bits that arrive.
const LARGEST_CODE: u8 = 110;
/// "The code is in the last line."
const CODE_PRINTED: u8 = 0x7f;

/// The ACPI power-off register and value, port in the upper half; 0 for unknown.
static POWER_OFF: AtomicU32 = AtomicU32::new(0);

/// Remembers how this machine is powered off.
pub(crate) fn set_power_off(register: PowerOff) {
    POWER_OFF.store(
        u32::from(register.port) << 16 | u32::from(register.value),
        Ordering::Relaxed,
    );
}

/// Ends the machine with an exit code.
pub(crate) fn exit(code: u8) -> ! {
    crate::test::capture::release();
    #[cfg(any(unikernel_map, unikernel_test))]
    crate::memory::show::answer::answer();
    let value = if code <= LARGEST_CODE {
        code + FIRST_CODE
    } else {
        crate::console::report(format_args!("unikernel: exit code {code}\n"));
        CODE_PRINTED
    };
    // What has been said is said before the machine is gone.
    console::drain();
    // SAFETY: the exit device, where there is one; no PC has another device at this port.
    unsafe { Port::new(EXIT_PORT).write(u32::from(value)) };
    let register = POWER_OFF.load(Ordering::Relaxed);
    if register != 0 {
        // SAFETY: the control register that the machine's own ACPI tables name, with the value they give for "soft off".
        unsafe { Port::new((register >> 16) as u16).write(register as u16) };
    }
    // SAFETY: pulses the reset line through the keyboard controller, on machines that have one.
    unsafe { Port::<u8>::new(0x64).write(0xfe) };
    cpu::halt()
}
