//! The frames of a simulated machine.

use alloc::collections::BTreeSet;
use core::cell::{Cell, RefCell};

use super::Sim;
use crate::memory::page::Frame;
use crate::memory::table::TableFrames;

/// The frames of a simulated machine: handed out, taken back, and watched.
pub(crate) struct SimFrames<'a> {
    sim: &'a Sim,
    free: RefCell<BTreeSet<Frame>>,
    zero: Cell<Option<Frame>>,
    /// How many more frames may be taken.
    allowed: Cell<usize>,
}

impl<'a> SimFrames<'a> {
    /// Makes all frames of the machine free.
    pub(crate) fn new(sim: &'a Sim) -> Self {
        Self {
            sim,
            free: RefCell::new(sim.all_frames().collect()),
            zero: Cell::new(None),
            allowed: Cell::new(usize::MAX),
        }
    }

    /// Sets the zero frame aside.
    pub(crate) fn reserve_zero(&self) -> Frame {
        let zero = self.take().expect("there is a frame");
        self.zero.set(Some(zero));
        zero
    }

    /// Makes taking fail after this many times.
    pub(crate) fn allow(&self, count: usize) {
        self.allowed.set(count);
    }

    /// Returns how many frames are free.
    pub(crate) fn count_free(&self) -> usize {
        self.free.borrow().len()
    }

    /// Returns whether a frame is free.
    pub(crate) fn is_free(&self, frame: Frame) -> bool {
        self.free.borrow().contains(&frame)
    }

    /// Takes a frame with whatever it holds.
    pub(crate) fn take_any(&self) -> Option<Frame> {
        self.allowed.set(self.allowed.get().checked_sub(1)?);
        self.free.borrow_mut().pop_first()
    }

    /// Takes a frame back, and spoils it for whoever still uses it.
    pub(crate) fn give_back_any(&self, frame: Frame) {
        self.sim.spoil(frame);
        assert!(
            self.free.borrow_mut().insert(frame),
            "{frame} was freed twice"
        );
    }
}

impl TableFrames for SimFrames<'_> {
    fn take(&self) -> Option<Frame> {
        let frame = self.take_any()?;
        self.sim.fill(frame, 0);
        Some(frame)
    }

    fn give_back(&self, frame: Frame) {
        assert!(
            self.sim.is_zero(frame),
            "a table is given back with zeros only: {frame}"
        );
        self.give_back_any(frame);
    }

    fn zero_frame(&self) -> Option<Frame> {
        self.zero.get()
    }
}
