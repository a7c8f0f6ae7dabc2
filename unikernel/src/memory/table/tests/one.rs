//! The short way for one page does what the long one does.

use super::super::entry::{Change, Half, Marks};
use super::super::source::check_rights;
use super::*;
use crate::memory::page::{MemoryType, PAGE_SIZE};
use crate::memory::sim::Ring;

/// The page that is changed, and one in the same table.
const AT: u64 = LOW + 5 * PAGE_SIZE;
const NEIGHBOUR: u64 = LOW + 6 * PAGE_SIZE;

/// What is there before the page is changed.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    Neighbour,
    Alone,
    Both,
    Withdrawn,
    Large,
}

const BEFORE: [Before; 6] = [
    Before::Nothing,
    Before::Neighbour,
    Before::Alone,
    Before::Both,
    Before::Withdrawn,
    Before::Large,
];

/// Attributes that make sense and that do not.
fn attributes() -> impl Iterator<Item = Attributes> {
    let types = [MemoryType::WriteBack, MemoryType::Uncached];
    types.into_iter().flat_map(|memory_type| {
        (0..16).flat_map(move |rights| {
            (0..4).map(move |marks| {
                Attributes::new(Rights::from_bits_truncate(rights))
                    .with_type(memory_type)
                    .with_marks(Marks::from_bits_truncate(marks))
            })
        })
    })
}

/// Prepares a table, changes it, perhaps by a frame, and says in words what came of it.
fn tell(
    before: Before,
    root_is_active: bool,
    change: impl Fn(&mut Table<'_>, Frame) -> String,
) -> String {
    let sim = Sim::new(40);
    let frames = SimFrames::new(&sim);
    frames.reserve_zero();
    let mut first = kernel(&sim, &frames);
    let mut other = first.create_sharing().expect("there are frames");
    let table = if root_is_active {
        &mut first
    } else {
        &mut other
    };
    let (frame, next) = (frame_with(&sim, &frames, 7), frame_with(&sim, &frames, 8));
    if matches!(before, Before::Alone | Before::Both | Before::Withdrawn) {
        map_one(table, page(AT), frame, READ_WRITE);
    }
    if matches!(before, Before::Neighbour | Before::Both | Before::Withdrawn) {
        map_one(table, page(NEIGHBOUR), next, READ);
    }
    if let Before::Withdrawn = before {
        let withdrawn = table.protect(pages(AT, 1), Rights::empty());
        assert_eq!(withdrawn.expect("it is small").flush(), 1);
    }
    if let Before::Large = before {
        let run = FrameRange::new(Frame::new(FAR), 512);
        let mapped = table.map(page(LOW), run, READ_WRITE, PageSize::Mib2);
        assert_eq!(mapped, Ok(()));
    }
    if root_is_active && matches!(before, Before::Alone | Before::Both) {
        assert_eq!(sim.read(VirtAddr::new(AT), Ring::Kernel), Ok(7));
    }

    let said = change(table, next);

    let tables = check(table, &frames);
    let seen = [AT, NEIGHBOUR].map(|at| {
        let readable = root_is_active && !matches!(before, Before::Large);
        readable.then(|| sim.read(VirtAddr::new(at), Ring::Kernel))
    });
    let leaf = table.query(page(AT));
    let translation = table.translate(VirtAddr::new(AT + 0x123));
    let all = runs(table, pages(LOW, 1024));
    format!("{said} {tables} tables, {seen:?} {leaf:?} {translation:?} {all:?}")
}

/// Proves M17, M23, M24, M33: the same for every root, whatever is there before.
#[test]
fn unmapping_a_page_is_the_same_by_both_ways() {
    for before in BEFORE {
        for active in [true, false] {
            let short = tell(before, active, |table, _| {
                format!("{:?}", table.unmap_and_flush(page(AT)))
            });
            let long = tell(before, active, |table, _| {
                format!("{:?}", table.unmap(page(AT)).map(|stale| stale.flush()))
            });
            assert_eq!(short, long, "{before:?}");
        }
    }
}

/// Proves M17, M18, M20, M21, M23, M33.
#[test]
fn replacing_a_page_is_the_same_by_both_ways() {
    for before in BEFORE {
        for new in attributes() {
            let short = tell(before, true, |table, frame| {
                format!("{:?}", table.replace_and_flush(page(AT), frame, new))
            });
            let long = tell(before, true, |table, frame| {
                let replaced = table.replace(page(AT), frame, new);
                format!("{:?}", replaced.map(|stale| stale.flush()))
            });
            assert_eq!(short, long, "{before:?} {new}");
        }
    }
}

/// Proves M17, M18, M20, M21, M23.
#[test]
fn mapping_a_page_is_the_same_by_both_ways() {
    for before in BEFORE {
        for new in attributes() {
            let [short, long] = [false, true].map(|is_long| {
                tell(before, true, |table, frame| {
                    let mapped = if is_long {
                        table.map_run(page(AT), FrameRange::one(frame), new, PageSize::Kib4)
                    } else {
                        table.map(page(AT), FrameRange::one(frame), new, PageSize::Kib4)
                    };
                    format!("{mapped:?}")
                })
            });
            assert_eq!(short, long, "{before:?} {new}");
        }
    }
}

/// Proves M17, M33, M81.
#[test]
fn changing_a_page_is_the_same_by_both_ways() {
    let rights = (0..16).map(Rights::from_bits_truncate);
    let changes = rights
        .map(Change::rights)
        .chain([Change::share_owned(), Change::read_only()]);
    for change in changes {
        for before in BEFORE {
            let [short, long] = [false, true].map(|is_long| {
                tell(before, true, |table, _| {
                    let rights = change.granted().unwrap_or(Rights::empty());
                    let changed = if is_long && check_rights(rights, Half::Lower).is_ok() {
                        table.change_all(pages(AT, 1), &change)
                    } else {
                        table.change(pages(AT, 1), &change)
                    };
                    format!("{:?}", changed.map(|stale| stale.flush()))
                })
            });
            assert_eq!(short, long, "{before:?} {change:?}");
        }
    }
}
