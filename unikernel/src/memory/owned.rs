//! Frames that an application holds, the reserved zero frame, and frames made visible for a moment.
//!
//! ```no_run
//! use unikernel::memory::{OwnedFrame, TemporaryMapping};
//!
//! let mut frame = OwnedFrame::zeroed()?;
//! let mut window = TemporaryMapping::of(&mut frame);
//! window.words_mut()[0] = 7;
//! # Ok::<(), unikernel::memory::AllocateError>(())
//! ```

#![allow(
    unsafe_code,
    reason = "memory of frames is reached by address; the types here say whose it is"
)]

use core::marker::PhantomData;

use super::frame::{self, AllocateError, FreeError, Use};
use super::page::{Frame, FrameRange};
use super::{FRAMES, kernel};
use crate::arch::machine::frames::PoolMemory;
use crate::arch::machine::windows::Window;

/// A frame that belongs to whoever has this value, and is free again when it is dropped.
#[derive(Debug)]
pub struct OwnedFrame(frame::OwnedFrame<'static, PoolMemory>);

impl OwnedFrame {
    /// Takes a frame with any contents.
    ///
    /// # Errors
    ///
    /// [`AllocateError`]: no frame is left.
    pub fn uncleared() -> Result<Self, AllocateError> {
        FRAMES.allocate(Use::User).map(Self)
    }

    /// Takes a frame of zeros.
    ///
    /// # Errors
    ///
    /// [`AllocateError`]: no frame is left.
    pub fn zeroed() -> Result<Self, AllocateError> {
        FRAMES.allocate_zeroed(Use::User).map(Self)
    }

    /// Returns the frame's name.
    #[must_use]
    pub fn frame(&self) -> Frame {
        self.0.frame()
    }

    /// Keeps the frame allocated without an owner in Rust: for one that is mapped. [`claim`](Self::claim) takes it back.
    #[must_use = "the frame stays allocated until it is claimed"]
    pub fn into_frame(self) -> Frame {
        self.0.into_frame()
    }

    /// Takes ownership of an allocated frame by its name.
    ///
    /// # Errors
    ///
    /// [`FreeError`]: the frame is free, reserved, or no memory of this machine.
    ///
    /// # Safety
    ///
    /// 1. The frame came from [`into_frame`](Self::into_frame) and has no owner yet. 2. Nobody uses it any more.
    pub unsafe fn claim(frame: Frame) -> Result<Self, FreeError> {
        FRAMES.claim(frame).map(Self)
    }
}

/// Frames side by side that belong to whoever has this value, and are free again when it is dropped.
#[derive(Debug)]
pub struct OwnedFrames(frame::OwnedRun<'static, PoolMemory>);

impl OwnedFrames {
    /// Takes `len` frames side by side, with any contents.
    ///
    /// # Errors
    ///
    /// [`AllocateError`]: there are not so many free frames side by side.
    pub fn uncleared(len: u32) -> Result<Self, AllocateError> {
        FRAMES.allocate_run(len, Use::User).map(Self)
    }

    /// Returns the frames' names.
    #[must_use]
    pub fn frames(&self) -> FrameRange {
        self.0.frames()
    }
}

/// The reserved zero frame.
///
/// One frame is set aside when it is first asked for, holds zeros for good, and is never mapped writable, at any layer. To reserve memory on demand,
/// map it at every page of a range, read-only and marked copy-on-write: reading gives zeros and costs nothing, and the first write to
/// a page gives it a frame of its own. [`Root::reserve`](super::Root::reserve) does just that.
///
/// ```no_run
/// use unikernel::memory::{PageRange, Rights, Root, VirtAddr, ZERO_FRAME};
///
/// let pages = PageRange::covering(VirtAddr::new(0x10_0000_0000), 1 << 20).expect("the range is canonical");
/// let mut root = Root::kernel();
/// // SAFETY: nobody else uses these pages.
/// unsafe { root.reserve(pages, Rights::READ | Rights::WRITE) }?;
/// assert_eq!(root.query(pages.start()).map(|leaf| leaf.frame), ZERO_FRAME.frame());
/// # Ok::<(), unikernel::memory::MapError>(())
/// ```
pub static ZERO_FRAME: ZeroFrame = ZeroFrame(());

/// The type of [`ZERO_FRAME`].
#[derive(Debug)]
pub struct ZeroFrame(());

impl ZeroFrame {
    /// Returns its name; nothing if no frame was left to set aside.
    #[must_use]
    pub fn frame(&self) -> Option<Frame> {
        kernel::zero_frame()
    }
}

/// A frame made visible and writable for as long as this value lives, on this CPU only.
///
/// It is one of a few windows that each CPU has, used like a stack. Interrupts are off meanwhile, so keep it short. The reserved zero
/// frame is refused: it is nobody's to own, and only what is owned can be shown. Forgetting a window costs the CPU that window, and
/// its interrupts, for good.
#[derive(Debug)]
pub struct TemporaryMapping<'a> {
    window: Window,
    frame: PhantomData<&'a mut OwnedFrame>,
}

impl<'a> TemporaryMapping<'a> {
    /// Makes a frame visible.
    #[must_use]
    pub fn of(frame: &'a mut OwnedFrame) -> Self {
        Self {
            window: Window::open(frame.frame().start().as_u64()),
            frame: PhantomData,
        }
    }

    /// Returns the frame's memory as words.
    #[must_use]
    pub fn words(&self) -> &[u64; 512] {
        // SAFETY: the window is a whole, aligned page of memory that the borrowed frame owns; any bits are words.
        unsafe { &*self.window.pointer() }
    }

    /// Returns the frame's memory as words that can be written.
    #[must_use]
    pub fn words_mut(&mut self) -> &mut [u64; 512] {
        // SAFETY: as above, and this value is borrowed mutably.
        unsafe { &mut *self.window.pointer() }
    }
}
