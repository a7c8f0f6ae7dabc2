//! The real machine as a stage for the stories of `memory::scenario`.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

use super::cpu;
use super::frames::PoolMemory;
use super::paging::Paging;
use super::trap::Frame as TrapFrame;
use crate::memory::FRAMES;
use crate::memory::address::VirtAddr;
use crate::memory::frame::{FramePool, Use};
use crate::memory::machine::Machine;
use crate::memory::page::{Frame, Page};
use crate::memory::scenario::{self, Refused, Stage};
use crate::memory::table::PageTable;

/// The machine this runs on.
struct Metal;

impl Stage for Metal {
    type M = Paging;
    type F = FramePool<PoolMemory>;

    fn machine(&self) -> &Paging {
        &Paging
    }

    fn frames(&self) -> &FramePool<PoolMemory> {
        &FRAMES
    }

    fn unused(&self) -> Page {
        Page::containing(VirtAddr::new(0x40_0000_0000))
    }

    fn take_frame(&self) -> Frame {
        FRAMES
            .allocate(Use::User)
            .expect("a machine for tests has frames")
            .into_frame()
    }

    fn give_back_frame(&self, frame: Frame) {
        FRAMES
            .give_back(frame)
            .expect("a story gives back what it took");
    }

    fn count_free(&self) -> usize {
        FRAMES.totals().free() as usize
    }

    fn activate(&self, table: &PageTable<'_, Paging, FramePool<PoolMemory>>) {
        // SAFETY: the root shares the upper half, where everything in use lies.
        unsafe { Paging.activate(table.root()) }
    }

    fn read(&self, address: VirtAddr) -> Result<u64, Refused> {
        let mut value = 0;
        guarded(|| {
            // SAFETY: reads a page of the story, or faults and goes on behind; RAX tells where.
            unsafe {
                asm!("lea rax, [rip + 2f]", "mov {0}, [{1}]", "2:", inout(reg) value, in(reg) address.as_u64(), out("rax") _);
            }
        })?;
        Ok(value)
    }

    fn write(&self, address: VirtAddr, value: u64) -> Result<(), Refused> {
        guarded(|| {
            // SAFETY: writes a page of the story, or faults and goes on behind; RAX tells where.
            unsafe {
                asm!("lea rax, [rip + 2f]", "mov [{1}], {0}", "2:", in(reg) value, in(reg) address.as_u64(), out("rax") _);
            }
        })
    }
}

static REFUSED: AtomicBool = AtomicBool::new(false);

/// Does something that may fault, and goes on where RAX points if it does.
fn guarded(access: impl FnOnce()) -> Result<(), Refused> {
    REFUSED.store(false, Ordering::Relaxed);
    cpu::current().set_hook(Some(refuse));
    access();
    cpu::current().set_hook(None);
    if REFUSED.load(Ordering::Relaxed) {
        Err(Refused)
    } else {
        Ok(())
    }
}

fn refuse(frame: &mut TrapFrame) -> bool {
    REFUSED.store(true, Ordering::Relaxed);
    frame.rip = frame.rax;
    true
}

/// Tells every story of `memory::scenario` to this machine; returns how many there are.
#[must_use]
pub fn tell_all_stories() -> usize {
    let stories = scenario::all::<Metal>();
    let count = stories.len();
    for story in stories {
        scenario::tell(&Metal, story);
    }
    count
}
