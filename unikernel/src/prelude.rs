//! What an application wants at hand: printing, and the types of `alloc` that `std` programs have without asking.

pub use alloc::borrow::ToOwned;
pub use alloc::boxed::Box;
pub use alloc::string::{String, ToString};
pub use alloc::vec::Vec;
pub use alloc::{format, vec};

pub use crate::{ExitCode, print, println};
