//! The image in memory: statics, registries, zeroed data.

use core::sync::atomic::{AtomicUsize, Ordering};

use unikernel::prelude::*;
use unikernel::test::probe::{self, PageRights};

static ZEROED: [AtomicUsize; 1000] = [const { AtomicUsize::new(0) }; 1000];
static INITIALISED: AtomicUsize = AtomicUsize::new(0x5eed);
static POINTER: &AtomicUsize = &INITIALISED;

#[unikernel::test]
fn statics_have_their_initial_values() {
    assert!(ZEROED.iter().all(|word| word.load(Ordering::Relaxed) == 0));
    assert_eq!(POINTER.load(Ordering::Relaxed), 0x5eed);
}

#[unikernel::test]
fn statics_can_be_written() {
    INITIALISED.store(1, Ordering::Relaxed);

    assert_eq!(POINTER.load(Ordering::Relaxed), 1);
    INITIALISED.store(0x5eed, Ordering::Relaxed);
}

/// Proves M20, M31. Every page of every section, through every level of the tables; no guard page is mapped.
#[unikernel::test]
fn every_page_of_the_image_has_exactly_the_rights_of_its_section() {
    let parts = probe::image_parts();
    let guards: Vec<_> = parts.iter().filter(|part| part.rights.is_none()).collect();

    for part in &parts {
        for page in part.range.clone().step_by(4096) {
            let in_guard = guards.iter().any(|guard| guard.range.contains(&page));
            let expected = if in_guard { None } else { part.rights };
            assert_eq!(
                probe::rights_at(page),
                expected,
                "{} at {page:#x}",
                part.name
            );
        }
    }

    assert!(
        guards.len() >= 9,
        "the boot stack, the test stack and seven interrupt stacks have guards"
    );
}

/// Proves M31. Beside the image, its 2 MiB boot pages are gone.
#[unikernel::test]
fn nothing_is_mapped_around_the_image() {
    let parts = probe::image_parts();
    let start = parts
        .iter()
        .map(|part| part.range.start)
        .min()
        .expect("an image has parts");
    let end = parts
        .iter()
        .map(|part| part.range.end)
        .max()
        .expect("an image has parts");

    assert_eq!(probe::rights_at(start - 1), None);
    assert_eq!(probe::rights_at(end), None);
    assert_eq!(probe::rights_at(end + (64 << 20)), None);
}

#[unikernel::test]
fn the_heap_may_be_written_and_not_executed() {
    let block = vec![0u8; 100_000];

    let rights = probe::rights_at(block.as_ptr().addr() + 50_000);

    assert_eq!(
        rights,
        Some(PageRights {
            write: true,
            execute: false,
            user: false
        })
    );
}
