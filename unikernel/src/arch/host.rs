//! The machine's stand-in on the host, where the library is type-checked and its pure parts are tested. Nothing here boots.

use crate::memory::page::Frame;

pub(crate) mod cpu {
    //! No interrupts to turn off, no locks to count.

    /// Does nothing.
    pub(crate) fn lock_taken() {}

    /// Does nothing.
    pub(crate) fn lock_released() {}
}

pub(crate) mod frames {
    //! A pool that never has a frame.

    use crate::memory::frame::{FrameRecord, PoolHost, SpareFrames};
    use crate::memory::page::{Frame, FrameRange};

    /// No memory.
    pub(crate) struct PoolMemory;

    impl PoolHost for PoolMemory {
        fn cpu(&self) -> usize {
            0
        }

        fn zero(&self, frame: Frame) {
            unreachable!("H1: there is no frame such as {frame:?} on the host")
        }

        fn open(
            &self,
            _frames: FrameRange,
            _spare: &mut SpareFrames<'_>,
        ) -> Option<&'static [FrameRecord]> {
            None
        }
    }
}

impl crate::memory::frame::FrameMemory for frames::PoolMemory {
    fn copy(&self, from: Frame, _to: Frame) {
        no_frame(from)
    }

    fn edit(&self, frame: Frame, _edit: &mut dyn FnMut(&mut [u8; 4096])) {
        no_frame(frame)
    }

    fn read(&self, frame: Frame, _offset: usize, _to: &mut [u8]) {
        no_frame(frame)
    }

    fn write(&self, frame: Frame, _offset: usize, _from: &[u8]) {
        no_frame(frame)
    }

    fn copy_bytes(&self, from: (Frame, usize), _to: (Frame, usize), _len: usize) {
        no_frame(from.0)
    }
}

fn no_frame(frame: Frame) -> ! {
    unreachable!("H1: there is no frame such as {frame:?} on the host")
}

pub(crate) mod paging {
    //! No tables. What asks for one ends with a message, as any use of the machine on the host.

    use crate::memory::machine::{Entries, Invalidation, Machine, Place};
    use crate::memory::page::{Frame, PageSize};

    /// No processor to translate.
    pub(crate) struct Paging;

    /// No table.
    pub(crate) enum View {}

    impl Entries for View {
        fn load(&self, _index: usize) -> u64 {
            match *self {}
        }

        fn store(&self, _index: usize, _value: u64) {
            match *self {}
        }

        fn exchange(&self, _index: usize, _current: u64, _new: u64) -> Result<(), u64> {
            match *self {}
        }
    }

    impl Machine for Paging {
        type Table<'a> = View;

        const SELF_SLOT: Option<usize> = None;

        fn largest_leaf(&self) -> PageSize {
            PageSize::Kib4
        }

        unsafe fn open(&self, _place: Place) -> View {
            panic!("page tables exist in a machine only: boot with `cargo unikernel run`")
        }

        unsafe fn zero(&self, _frame: Frame) {
            unreachable!("H1: there is no frame on the host")
        }

        unsafe fn copy(&self, _from: Frame, _to: Frame) {
            unreachable!("H1: there is no frame on the host")
        }

        unsafe fn activate(&self, _root: Frame) {
            panic!("page tables exist in a machine only: boot with `cargo unikernel run`")
        }

        fn active(&self) -> Frame {
            kernel_root()
        }

        fn invalidate(&self, _stale: &Invalidation) {}
    }

    /// Returns a root that is never opened.
    pub(crate) fn kernel_root() -> Frame {
        Frame::new(0)
    }
}

pub(crate) mod places {
    //! No address space of a kernel, and no part of one.

    use core::ops::Range;

    use crate::memory::MemoryType;
    use crate::memory::table::memory_type::RangeType;

    /// Returns that all is the host's.
    pub(crate) fn name_at(_address: u64) -> (&'static str, u64) {
        ("the host's", u64::MAX)
    }

    /// Returns no pages.
    pub(crate) fn self_shown() -> Range<u64> {
        0..0
    }

    /// No registers.
    pub(crate) struct InEffect;

    impl InEffect {
        /// Reads nothing.
        pub(crate) fn read() -> Self {
            Self
        }

        /// Returns that nothing is known.
        pub(crate) fn of(&self, _physical: u64, _asked: MemoryType) -> Option<RangeType> {
            None
        }
    }
}

pub(crate) mod windows {
    //! No frame to show.

    use crate::memory::page::{Frame, MemoryType};
    use crate::memory::window::WindowError;

    /// There is nothing to show.
    pub(crate) fn show_zero_frame(_frame: u64) {}

    /// There is nothing shown.
    pub(crate) fn hide(_frame: Frame) {}

    /// There is nothing shown.
    pub(crate) fn hide_idle() {}

    /// No window.
    #[derive(Debug)]
    pub(crate) enum Window {}

    impl Window {
        /// There is no frame on the host to open one for.
        pub(crate) fn open_to_stay(_frame: Frame) -> Self {
            unreachable!("H1: there is no frame on the host")
        }

        /// There is no frame on the host to open one for.
        pub(crate) fn try_open(_frame: Frame, _type: MemoryType) -> Result<Self, WindowError> {
            unreachable!("H1: there is no frame on the host")
        }

        /// Returns where the frame is seen.
        pub(crate) fn pointer<T>(&self) -> *mut T {
            match *self {}
        }
    }

    impl Drop for Window {
        fn drop(&mut self) {
            match *self {}
        }
    }
}
