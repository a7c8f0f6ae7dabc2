//! The one per-CPU structure, reached through the GS base, and the control bits each CPU starts with.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use x86_64::VirtAddr;
use x86_64::instructions::interrupts;
use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::model_specific::GsBase;
use x86_64::registers::rflags::{self, RFlags};

use super::context::Recovery;
use super::tables;
use super::trap::Hook;

/// What each CPU has for itself. Only its own CPU touches it, possibly from a trap in the middle of anything, hence the
/// atomics: all `Relaxed`, there is no other thread to order against.
#[repr(C)]
pub(crate) struct PerCpu {
    /// Its own address, first, so that one `mov` from `gs:0` finds it.
    this: AtomicPtr<PerCpu>,
    /// Its number, from 0 in the order of start.
    pub(crate) id: AtomicU32,
    /// How many spin locks it holds. Interrupts are off while this is not 0, and a fault then is fatal.
    pub(crate) locks_held: AtomicU32,
    /// The flags when it took the first of them, of which the one for interrupts comes back with the last.
    flags_before_locks: AtomicU64,
    /// How many traps it is inside of, counting none that returned or were abandoned.
    pub(crate) trap_depth: AtomicU32,
    /// The root that it translates by, as a frame's number: as in CR3, and cheaper to read.
    pub(super) root: AtomicU32,
    /// Where the task state names the stack that page faults start on.
    pub(super) page_fault_stack: AtomicUsize,
    /// How many times page faults may occur within a page fault right now.
    pub(super) nested_faults: AtomicU32,
    /// How many windows it has open. While this is not 0, what runs here is not moved to another CPU, nor is another task run.
    windows: AtomicU32,
    /// How many slots of its windows hold a guest (`memory::window`).
    pub(super) guests: AtomicU32,
    /// How many panics it is inside of; a second one means the report itself failed.
    pub(crate) panics: AtomicU32,
    /// Where to go when what runs now dies: set while an in-kernel test runs.
    pub(crate) recovery: AtomicPtr<Recovery>,
    /// Who sees an exception before it is a failure: set by benches and tests. A [`Hook`] as an address, 0 for none.
    hook: AtomicUsize,
}

static BOOT_CPU: PerCpu = PerCpu {
    this: AtomicPtr::new(core::ptr::null_mut()),
    id: AtomicU32::new(0),
    locks_held: AtomicU32::new(0),
    flags_before_locks: AtomicU64::new(0),
    trap_depth: AtomicU32::new(0),
    root: AtomicU32::new(0),
    page_fault_stack: AtomicUsize::new(0),
    nested_faults: AtomicU32::new(0),
    windows: AtomicU32::new(0),
    guests: AtomicU32::new(0),
    panics: AtomicU32::new(0),
    recovery: AtomicPtr::new(core::ptr::null_mut()),
    hook: AtomicUsize::new(0),
};

impl PerCpu {
    /// Takes back one call of [`stay`].
    #[inline(always)]
    pub(super) fn may_go(&self) {
        let windows = self.windows.load(Ordering::Relaxed) - 1;
        self.windows.store(windows, Ordering::Relaxed);
    }

    /// Takes back all calls of [`stay`], of code that was given up.
    pub(super) fn forget_stays(&self) {
        self.windows.store(0, Ordering::Relaxed);
    }

    /// Returns who sees an exception first.
    pub(super) fn hook(&self) -> Option<Hook> {
        let address = self.hook.load(Ordering::Relaxed);
        // SAFETY: only `set_hook` stores here, and it stores 0 or a `Hook`; a null function pointer is `None`.
        unsafe { core::mem::transmute::<usize, Option<Hook>>(address) }
    }

    /// Lets `hook` see every exception first, or nobody.
    pub(crate) fn set_hook(&self, hook: Option<Hook>) {
        self.hook
            .store(hook.map_or(0, |hook| hook as usize), Ordering::Relaxed);
    }
}

/// Makes the boot CPU's structure reachable. Before this no lock can be taken.
pub(crate) fn init_boot_cpu() {
    let this = core::ptr::from_ref(&BOOT_CPU).cast_mut();
    BOOT_CPU.this.store(this, Ordering::Relaxed);
    BOOT_CPU
        .root
        .store(tables::boot_root().number(), Ordering::Relaxed);
    GsBase::write(VirtAddr::from_ptr(this));
}

/// Returns the structure of the CPU this runs on.
#[inline(always)]
pub(crate) fn current() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: the GS base holds the address of this CPU's structure from `init_boot_cpu` on, whose first word is that address.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) this, options(nostack, readonly, preserves_flags, pure))
    };
    // SAFETY: the structure is a static.
    unsafe { &*this }
}

/// Keeps what runs here on its CPU, until it [may go](PerCpu::may_go) as often as this was called, and returns the CPU's
/// structure.
#[inline(always)]
pub(super) fn stay() -> &'static PerCpu {
    // SAFETY: counts in this CPU's structure, in one instruction: before it, any CPU would do, and after it, only this one.
    unsafe {
        asm!("inc dword ptr gs:[{}]", const offset_of!(PerCpu, windows), options(nostack));
    }
    current()
}

/// Turns on what the CPU has to defend the kernel from its own mistakes: no execution (SMEP) and no unintended access (SMAP)
/// of user pages in ring 0, no descriptor table reads in ring 3 (UMIP). No-execute and write protection are on since entry.
pub(crate) fn enable_defences() {
    if __cpuid(0).eax < 7 {
        return;
    }
    let features = __cpuid_count(7, 0);
    let wanted = [
        (
            features.ebx >> 7,
            Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION,
        ),
        (
            features.ebx >> 20,
            Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION,
        ),
        (
            features.ecx >> 2,
            Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION,
        ),
    ];
    let flags = wanted
        .iter()
        .filter(|(bit, _)| bit & 1 == 1)
        .fold(Cr4::read(), |all, (_, flag)| all | *flag);
    // SAFETY: the three bits only forbid accesses that no kernel code makes, and the CPU has announced each.
    unsafe { Cr4::write(flags) };
}

/// Turns interrupts off and counts a spin lock taken by this CPU.
#[inline(always)]
pub(crate) fn lock_taken() {
    let flags = rflags::read_raw();
    interrupts::disable();
    let cpu = current();
    let held = cpu.locks_held.load(Ordering::Relaxed);
    if held == 0 {
        cpu.flags_before_locks.store(flags, Ordering::Relaxed);
    }
    cpu.locks_held.store(held + 1, Ordering::Relaxed);
}

/// Counts a spin lock given back by this CPU. With the last one, in whatever order they are given back, interrupts are as they
/// were before the first.
#[inline(always)]
pub(crate) fn lock_released() {
    let cpu = current();
    let held = cpu.locks_held.load(Ordering::Relaxed) - 1;
    cpu.locks_held.store(held, Ordering::Relaxed);
    if held == 0 {
        let flags = RFlags::from_bits_retain(cpu.flags_before_locks.load(Ordering::Relaxed));
        if flags.contains(RFlags::INTERRUPT_FLAG) {
            interrupts::enable();
        }
    }
}

/// Returns whether this CPU holds a spin lock.
#[cfg(any(unikernel_map, unikernel_test))]
pub(crate) fn holds_locks() -> bool {
    current().locks_held.load(Ordering::Relaxed) != 0
}

/// Does something as if a lock were held: nothing interrupts it, and a fault in it is fatal.
///
/// An interrupt that nothing masks may come while a lock is being counted. So the count is raised here without a look at whether
/// interrupts were on, and is what it was afterwards.
#[cfg(any(unikernel_map, unikernel_test))]
pub(crate) fn as_if_locked<T>(act: impl FnOnce() -> T) -> T {
    interrupts::without_interrupts(|| {
        let held = &current().locks_held;
        let count = held.load(Ordering::Relaxed);
        held.store(count + 1, Ordering::Relaxed);
        let result = act();
        held.store(count, Ordering::Relaxed);
        result
    })
}

/// Stops this CPU for good.
pub(crate) fn halt() -> ! {
    interrupts::disable();
    loop {
        x86_64::instructions::hlt();
    }
}
