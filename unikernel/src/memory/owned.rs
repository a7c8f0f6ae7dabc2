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
use super::machine::Machine;
use super::page::{Frame, FrameRange, MemoryType};
use super::window::WindowError;
use super::{FRAMES, kernel};
use crate::arch::machine::frames::PoolMemory;
use crate::arch::machine::paging::Paging;
use crate::arch::machine::windows::{self, Window};

/// A frame that belongs to whoever has this value, and is free again when it is dropped.
#[derive(Debug)]
pub struct OwnedFrame {
    // Dropped in this order: hidden first, then free.
    still_shown: StillShown,
    handle: frame::OwnedFrame<'static, PoolMemory>,
}

/// A frame that may be shown by a window that is closed, and is hidden when this is dropped.
#[derive(Debug)]
struct StillShown(Option<Frame>);

impl Drop for StillShown {
    fn drop(&mut self) {
        if let Some(frame) = self.0 {
            windows::hide(frame);
        }
    }
}

impl OwnedFrame {
    /// Takes a frame with any contents.
    ///
    /// # Errors
    ///
    /// [`AllocateError`]: no frame is left.
    pub fn uncleared() -> Result<Self, AllocateError> {
        FRAMES.allocate(Use::User).map(Self::of)
    }

    /// Takes a frame of zeros.
    ///
    /// # Errors
    ///
    /// [`AllocateError`]: no frame is left.
    pub fn zeroed() -> Result<Self, AllocateError> {
        FRAMES.allocate_zeroed(Use::User).map(Self::of)
    }

    /// Returns the frame's name.
    #[must_use]
    pub fn frame(&self) -> Frame {
        self.handle.frame()
    }

    /// Keeps the frame allocated without an owner in Rust: for one that is mapped. [`claim`](Self::claim) takes it back.
    #[must_use = "the frame stays allocated until it is claimed"]
    pub fn into_frame(self) -> Frame {
        self.handle.into_frame()
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
        FRAMES.claim(frame).map(Self::of)
    }

    const fn of(handle: frame::OwnedFrame<'static, PoolMemory>) -> Self {
        Self {
            still_shown: StillShown(None),
            handle,
        }
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
/// It is one of the 16 slots that each CPU has, and whoever has one stays on that CPU meanwhile, so keep it short. Mappings nest, also
/// inside the handling of a fault, and may be dropped in any order. A frame that is shown again soon is still there: that costs
/// nothing but a look.
///
/// A frame is shown as one memory type at a time. The reserved zero frame is refused. Forgetting a mapping costs the CPU its slot for
/// good, and between two tests is found out.
///
/// ```no_run
/// use unikernel::memory::{MemoryType, OwnedFrame, TemporaryMapping};
///
/// let mut frame = OwnedFrame::zeroed()?;
/// TemporaryMapping::of(&mut frame).words_mut().fill(7);
/// let memory = TemporaryMapping::try_of(&mut frame, MemoryType::Uncached)?;
/// assert!(memory.words().iter().all(|&word| word == 7));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TemporaryMapping<'a> {
    window: Window,
    frame: PhantomData<&'a mut OwnedFrame>,
    /// It is not `Send`: another CPU would have to forget what it knows of the page.
    this_cpu: PhantomData<*mut ()>,
}

impl<'a> TemporaryMapping<'a> {
    /// Makes a frame visible as ordinary memory, write-back.
    ///
    /// # Panics
    ///
    /// If all slots are in use, or a mapping of this frame as another memory type was forgotten. Use [`try_of`](Self::try_of) where
    /// that can be.
    #[must_use]
    pub fn of(frame: &'a mut OwnedFrame) -> Self {
        frame.still_shown.0 = Some(frame.frame());
        Self {
            window: Window::open_to_stay(frame.frame()),
            frame: PhantomData,
            this_cpu: PhantomData,
        }
    }

    /// Makes a frame visible as a memory type. What was written to it as another one is in memory by then.
    ///
    /// # Errors
    ///
    /// [`WindowError`]: all slots are in use, or a mapping of this frame as another memory type was forgotten.
    pub fn try_of(frame: &'a mut OwnedFrame, memory_type: MemoryType) -> Result<Self, WindowError> {
        // SAFETY: 1. The frame is borrowed for as long as the mapping lives. 2. Who owns it owns memory.
        unsafe { Self::of_named(frame.frame(), memory_type) }
    }

    /// Makes a frame visible by its name: one that is mapped, or that has no owner in Rust for another reason.
    ///
    /// # Errors
    ///
    /// [`WindowError`]: it is the reserved zero frame, all slots are in use, or the frame is shown as another memory type.
    ///
    /// # Safety
    ///
    /// 1. Nobody else uses the frame while it is visible. 2. There is memory at the frame, or a device that can be read and
    ///    written in words without harm.
    pub unsafe fn of_named(frame: Frame, memory_type: MemoryType) -> Result<Self, WindowError> {
        let window = Window::try_open(frame, Paging.memory_type(memory_type))?;
        Ok(Self {
            window,
            frame: PhantomData,
            this_cpu: PhantomData,
        })
    }

    /// Returns the frame's memory as words.
    #[must_use]
    pub fn words(&self) -> &[u64; 512] {
        // SAFETY: the window is a whole, aligned page of memory that is this value's alone; any bits are words.
        unsafe { &*self.window.pointer() }
    }

    /// Returns the frame's memory as words that can be written.
    #[must_use]
    pub fn words_mut(&mut self) -> &mut [u64; 512] {
        // SAFETY: as above, and this value is borrowed mutably.
        unsafe { &mut *self.window.pointer() }
    }
}
