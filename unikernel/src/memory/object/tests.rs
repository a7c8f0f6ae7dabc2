//! Objects over simulated memory, where contents can be compared.

mod interleaved;
mod model;
mod rules;

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::pager::{Bytes, Compressed, Zeros};
use super::{Found, InPlace, Mapping, ObjectError, ObjectId, Others, PageIn, Pager, Written};
use crate::memory::frame::{FrameMemory, FramePool, Use};
use crate::memory::page::{Page, PageRange};
use crate::memory::sim::Sim;
use crate::memory::sim::pool::{SimMemory, pool_over};

/// Objects, and the memory that they are in.
struct World {
    sim: &'static Sim,
    pool: &'static FramePool<SimMemory>,
    objects: super::Objects<SimMemory>,
}

impl World {
    fn new(frames: u32) -> Self {
        let sim: &'static Sim = Box::leak(Box::new(Sim::new(frames)));
        let pool = pool_over(sim);
        // The first allocation of all takes frames for records.
        drop(pool.allocate(Use::User));
        Self {
            sim,
            pool,
            objects: super::Objects::new(pool),
        }
    }

    fn zeros(&mut self, len_pages: u64) -> ObjectId {
        self.objects
            .create(len_pages, Arc::new(Zeros), None)
            .expect("there is heap")
    }

    fn free(&self) -> u64 {
        self.pool.totals().free()
    }

    /// Writes the first word of a page, as the fault handler and a writer do it together.
    fn write(&mut self, id: ObjectId, offset: u64, value: u64) -> bool {
        loop {
            let new = match self.objects.write(id, offset) {
                Written::InPlace(frame) | Written::Elsewhere { frame, .. } => {
                    self.sim.set_word(frame, 0, value);
                    return true;
                }
                Written::Copy { from } => self.pool.allocate_copy(from, Use::User),
                Written::Zero => self.pool.allocate_zeroed(Use::User),
                Written::Absent(request) => {
                    self.ask(&request);
                    continue;
                }
                Written::OutOfRange | Written::Refused => return false,
            };
            let frame = new.expect("there are frames").share();
            let inserted = self.objects.insert(id, offset, frame);
            assert!(inserted.is_ok());
        }
    }

    /// Reads the first word of a page.
    fn read(&mut self, id: ObjectId, offset: u64) -> Option<u64> {
        loop {
            match self.objects.read(id, offset) {
                Found::Frame { frame, .. } | Found::Elsewhere { frame, .. } => {
                    return Some(self.sim.word(frame, 0));
                }
                Found::Zero => return Some(0),
                Found::Absent(request) => self.ask(&request),
                Found::OutOfRange => return None,
            }
        }
    }

    fn ask(&mut self, request: &PageIn) {
        let frame = self
            .pool
            .allocate(Use::PageCache)
            .expect("there are frames");
        self.pool.host().edit(frame.frame(), &mut |page| {
            let answer = request.pager().page_in(request.offset_pages(), page);
            assert_eq!(answer, Ok(()));
        });
        assert_eq!(self.objects.fill(request, frame), Ok(()));
    }

    /// Pages out what can go, and returns how many frames are free because of it.
    fn page_out(&mut self, most: usize) -> usize {
        let mut freed = 0;
        for _ in 0..most {
            let Some((id, offset)) = self.objects.choose_victim() else {
                break;
            };
            let page = self.objects.evict(id, offset).expect("it was chosen");
            let mut answer = Ok(());
            self.pool.host().edit(page.frame(), &mut |contents| {
                answer = page.pager().page_out(page.offset_pages(), contents);
            });
            freed += usize::from(self.objects.paged_out(&page, answer));
        }
        freed
    }

    fn snapshot(&mut self, id: ObjectId) -> ObjectId {
        self.objects.snapshot(id).expect("there is heap")
    }
}

fn pages(first: u64, len: u64) -> PageRange {
    PageRange::new(
        Page::from_number(first).expect("tests use small numbers"),
        len,
    )
}

fn mapping(first: u64, len: u64, offset_pages: u64) -> Mapping {
    Mapping {
        space: 1,
        pages: pages(first, len),
        offset_pages,
    }
}
