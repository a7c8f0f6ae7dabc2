//! What precompiled `core` and `alloc` expect to find at link time besides the memory functions.
//!
//! Both are compiled to unwind, and name the two functions that unwinding would need; the image is built to abort on a
//! panic, so nothing ever calls them.

use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    crate::panic::report(info)
}

// The name is the one the language reserves for this.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    unreachable!("R1: an image never unwinds")
}

// And this.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    unreachable!("R1: an image never unwinds")
}
