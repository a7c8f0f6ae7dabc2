//! Where the heap's memory comes from, and the global allocator on top of it.

#![allow(
    unsafe_code,
    reason = "the GlobalAlloc contract, and handing raw memory to talc"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::NonNull;

use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::source::Source;

use super::HeapStats;
use crate::arch::machine::address::{HEAP_BASE, HEAP_MAX, PAGE};
use crate::arch::machine::tables;
use crate::memory::FRAMES;
use crate::memory::frame::Use;
use crate::memory::page::Frame;
use crate::sync::SpinLock;

/// Bytes the heap starts with, inside the image: enough for boot information of any size that is believed.
const BOOTSTRAP: usize = 512 << 10;
/// The heap grows by at least so many bytes at a time.
const STEP: usize = 256 << 10;
/// What an allocation costs besides its own size and alignment, rounded up generously.
const OVERHEAD: usize = 256;

#[repr(C, align(4096))]
struct Bootstrap(UnsafeCell<[u8; BOOTSTRAP]>);

// SAFETY: handed to the allocator once, under its lock; nothing else names it.
unsafe impl Sync for Bootstrap {}

static BOOTSTRAP_ARENA: Bootstrap = Bootstrap(UnsafeCell::new([0; BOOTSTRAP]));

#[global_allocator]
static HEAP: Heap = Heap(SpinLock::new(Inner {
    talc: Talc::new(Arena::new()),
    peak: 0,
}));

struct Heap(SpinLock<Inner>);

struct Inner {
    talc: Talc<Arena, DefaultBinning>,
    peak: usize,
}

// SAFETY: the pointers inside lead to memory that only this allocator owns; the lock around it keeps it on one CPU at a time.
unsafe impl Send for Inner {}

/// The part of the address space the heap has grown into: `[HEAP_BASE, mapped)` has frames, and the allocator knows it up to
/// `end`.
#[derive(Debug)]
struct Arena {
    bootstrap_given: bool,
    mapped: usize,
    end: Option<NonNull<u8>>,
}

impl Arena {
    const fn new() -> Self {
        Self {
            bootstrap_given: false,
            mapped: HEAP_BASE,
            end: None,
        }
    }

    /// Maps frames until `target`. What could be mapped stays so, for the next attempt.
    fn map_until(&mut self, target: usize) -> Result<(), ()> {
        // All or nothing: a wish that cannot be met must not cost the others their frames.
        let pages = (target.saturating_sub(self.mapped) / PAGE) as u64;
        let tables = pages / 512 + 4;
        if pages + tables > FRAMES.totals().free() {
            return Err(());
        }
        let mut table = || {
            Some(physical(
                FRAMES.allocate_zeroed(Use::PageTable).ok()?.into_frame(),
            ))
        };
        while self.mapped < target {
            let frame = FRAMES.allocate(Use::Heap).map_err(|_| ())?;
            // SAFETY: 1. the heap's slot is mapped by the heap alone, upwards, under its lock; 2. and 3. the frames have just been
            // handed out.
            unsafe {
                tables::map(
                    self.mapped,
                    physical(frame.frame()),
                    tables::READ_WRITE,
                    &mut table,
                )
            }
            .map_err(|_| ())?;
            // It is the heap's for good; only now, so that a failure above gives it back.
            frame.into_frame();
            self.mapped += PAGE;
        }
        Ok(())
    }
}

fn physical(frame: Frame) -> u64 {
    frame.start().as_u64()
}

// SAFETY: `acquire` allocates nothing from the heap and does not print; it touches the allocator it is given only.
unsafe impl Source for Arena {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if !talc.source.bootstrap_given {
            talc.source.bootstrap_given = true;
            // SAFETY: the static arena, handed over once.
            return unsafe { talc.claim(BOOTSTRAP_ARENA.0.get().cast(), BOOTSTRAP) }
                .map(|_| ())
                .ok_or(());
        }
        let wanted = layout
            .size()
            .checked_add(layout.align())
            .and_then(|size| size.checked_add(OVERHEAD))
            .ok_or(())?;
        let growth = wanted.max(STEP).checked_next_multiple_of(PAGE).ok_or(())?;
        let old_end = talc.source.end.map_or(HEAP_BASE, |end| end.addr().get());
        let target = old_end
            .checked_add(growth)
            .filter(|target| target - HEAP_BASE <= HEAP_MAX)
            .ok_or(())?;
        talc.source.map_until(target.next_multiple_of(PAGE))?;
        let target = core::ptr::with_exposed_provenance_mut::<u8>(talc.source.mapped);
        talc.source.end = match talc.source.end {
            // SAFETY: `[end, target)` has just been mapped for the heap alone and follows what `end` ended.
            Some(end) => Some(unsafe { talc.extend(end, target) }),
            // SAFETY: `[HEAP_BASE, target)` has just been mapped for the heap alone.
            None => unsafe {
                talc.claim(
                    core::ptr::with_exposed_provenance_mut(HEAP_BASE),
                    target.addr() - HEAP_BASE,
                )
            },
        };
        talc.source.end.map(|_| ()).ok_or(())
    }
}

pub(super) fn stats() -> HeapStats {
    let inner = HEAP.0.lock();
    let counters = inner.talc.counters();
    HeapStats {
        allocated: counters.allocated_bytes,
        peak: inner.peak,
        reserved: counters.claimed_bytes,
    }
}

impl Inner {
    fn note_peak(&mut self) {
        self.peak = self.peak.max(self.talc.counters().allocated_bytes);
    }

    /// # Safety
    ///
    /// 1. `block` is a live allocation of `layout`. 2. `new_size` is not 0.
    unsafe fn resize_in_place(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> bool {
        // SAFETY: 1 and 2 are the caller's.
        let resized = unsafe { self.talc.try_realloc_in_place(block, layout, new_size) };
        self.note_peak();
        resized
    }
}

// SAFETY: `talc` serves memory of the layout asked for, to one owner, until it is given back; the lock serialises it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut inner = self.0.lock();
        // SAFETY: the size is not 0, by the caller's contract.
        let block = unsafe { inner.talc.allocate(layout) };
        inner.note_peak();
        block.map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let mut inner = self.0.lock();
        // SAFETY: `block` came from `alloc` with this layout, by the caller's contract.
        unsafe { inner.talc.deallocate(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `block` came from `alloc` with this layout and `new_size` is not 0, by the caller's contract.
        if unsafe { self.0.lock().resize_in_place(block, layout, new_size) } {
            return block;
        }
        // SAFETY: the caller vouches that `new_size` rounded up to the alignment does not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the size is not 0, by the caller's contract.
        let moved = unsafe { self.alloc(new_layout) };
        if moved.is_null() {
            return moved;
        }
        // SAFETY: both blocks are live, distinct, and at least the smaller size long.
        unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(new_size)) };
        // SAFETY: by the caller's contract for `block`, which nobody uses any more.
        unsafe { self.dealloc(block, layout) };
        moved
    }
}
