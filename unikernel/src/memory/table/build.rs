//! Mapping: the visitor that puts leaves in, and makes the tables on the way.

use super::TableFrames;
use super::cursor::{At, Step, Visitor};
use super::entry::{Attributes, Entry, Leaf};
use super::error::{AttributesError, MapError};
use super::source::{Source, Supply};
use crate::memory::page::{Level, Page, Rights};

/// What to do where something is mapped already.
pub(super) enum Existing {
    /// It is an error.
    Refuse,
    /// It is displaced, and kept here.
    Displace(Option<Leaf>),
}

/// Puts leaves in that a source supplies.
pub(super) struct Build<'a, F, S> {
    pub(super) frames: &'a F,
    pub(super) source: &'a mut S,
    pub(super) existing: Existing,
    /// Whether an entry that processors may have cached now lets more through.
    pub(super) widened: bool,
    pub(super) failure: Option<Failure>,
}

/// Why and where mapping stopped.
#[derive(Clone, Copy)]
pub(super) struct Failure {
    pub(super) page: Page,
    pub(super) cause: Cause,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    AlreadyMapped,
    OutOfFrames,
    UnpreparedSlot,
    ZeroFrame,
}

impl<'a, F, S> Build<'a, F, S> {
    pub(super) const fn new(frames: &'a F, source: &'a mut S, existing: Existing) -> Self {
        Self {
            frames,
            source,
            existing,
            widened: false,
            failure: None,
        }
    }

    #[cold]
    fn stop(&mut self, at: At, cause: Cause) -> Step {
        self.failure = Some(Failure {
            page: at.page(),
            cause,
        });
        Step::Stop
    }
}

impl<F: TableFrames, S: Source> Build<'_, F, S> {
    /// Decides about an entry above level 1.
    fn visit_above(&mut self, at: At, entry: Entry) -> Step {
        match self.source.at(at) {
            Supply::Leaf(leaf) if entry.is_absent() => Step::Put(leaf),
            Supply::Leaf(_) => self.stop(at, Cause::AlreadyMapped),
            Supply::Nothing => Step::Keep,
            Supply::OutOfFrames => self.stop(at, Cause::OutOfFrames),
            Supply::ZeroFrame => self.stop(at, Cause::ZeroFrame),
            Supply::Below(rights) => self.table(at, entry, rights),
        }
    }

    /// Finds or makes the table below an entry.
    fn table(&mut self, at: At, entry: Entry, rights: Rights) -> Step {
        if entry.is_absent() {
            if at.is_shared() {
                return self.stop(at, Cause::UnpreparedSlot);
            }
            return match self.frames.take() {
                Some(frame) => Step::Through(Entry::table(frame).widened(rights)),
                None => self.stop(at, Cause::OutOfFrames),
            };
        }
        if at.is_shared() {
            return Step::Through(entry);
        }
        if !entry.is_table(at.level) {
            return self.stop(at, Cause::AlreadyMapped);
        }
        let wide = entry.widened(rights);
        self.widened |= wide != entry;
        Step::Through(wide)
    }
}

impl Failure {
    /// Returns the error, knowing the attributes that were asked for.
    pub(super) const fn error(self, attributes: Attributes) -> MapError {
        match self.cause {
            Cause::AlreadyMapped => MapError::AlreadyMapped(self.page),
            Cause::OutOfFrames => MapError::OutOfFrames(self.page),
            Cause::UnpreparedSlot => MapError::UnpreparedSlot(self.page),
            Cause::ZeroFrame => {
                MapError::Attributes(self.page, AttributesError::ZeroFrame(attributes))
            }
        }
    }
}

impl<F: TableFrames, S: Source> Visitor for Build<'_, F, S> {
    #[inline(always)]
    fn visit(&mut self, at: At, entry: Entry) -> Step {
        if at.level != Level::One {
            return self.visit_above(at, entry);
        }
        if !entry.is_absent() && matches!(self.existing, Existing::Refuse) {
            return self.stop(at, Cause::AlreadyMapped);
        }
        match self.source.at(at) {
            Supply::Leaf(leaf) if entry.is_absent() => Step::Put(leaf),
            Supply::Leaf(leaf) => Step::Change(leaf),
            Supply::Nothing => Step::Keep,
            Supply::ZeroFrame => self.stop(at, Cause::ZeroFrame),
            Supply::OutOfFrames | Supply::Below(_) => self.stop(at, Cause::OutOfFrames),
        }
    }

    #[inline]
    fn replaced(&mut self, at: At, old: Entry) {
        if let Existing::Displace(displaced) = &mut self.existing
            && old.is_used()
        {
            *displaced = at.level.leaf_size().map(|size| old.leaf(size));
        }
    }
}
