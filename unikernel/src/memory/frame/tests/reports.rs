//! What the pool tells people.

use super::*;

fn told(pool: &FramePool, number: u32) -> String {
    let text = pool.describe(frame(number)).to_string();
    let (_, what) = text.split_once(": ").expect("a colon follows the frame");
    what.to_owned()
}

/// Proves M9, M116.
#[test]
fn a_frame_is_told_with_use_count_change_and_owner() {
    let pool = small_pool();
    let shared = pool.allocate(Use::PageCache).unwrap().share();
    let frame = shared.frame();
    let owner = Owner {
        object: 3,
        offset_pages: 7,
    };

    pool.set_owner(frame, owner).unwrap();
    pool.set_contents(frame, Contents::Dirty).unwrap();
    pool.add_mapping(frame).unwrap();

    let number = super::super::number(frame);
    assert_eq!(
        pool.describe(frame).to_string(),
        format!(
            "frame {number:#x} at {frame}: allocated for page cache, mapped 2 times, dirty, page 7 of object 3"
        )
    );
    pool.remove_mapping(frame).unwrap();
    assert!(told(pool, number).contains("mapped once"));
}

/// Proves M116.
#[test]
fn a_frame_that_is_nobodys_is_told_by_where_it_is() {
    let pool = pool_of([0x100..0x1100, 0x4_0000..0x4_1000]);
    let owned = pool.allocate(Use::Heap).unwrap();
    let number = super::super::number(owned.frame());
    assert_eq!(
        told(pool, number),
        "allocated for heap, not counted as mapped"
    );
    drop(owned);
    pool.fill_zeroed(1);
    pool.zero_frame().unwrap();

    assert_eq!(told(pool, number), "free, at hand of a CPU");
    assert_eq!(told(pool, 0x4_0000), "free, has no record yet");
    assert_eq!(told(pool, 0x2_0000), "no usable memory");
    assert_eq!(
        told(pool, 0x901),
        "free, in a block of 2048 frames from 0x800000, order 11"
    );
    let zero = super::super::number(pool.zero_frame().unwrap().frame());
    assert_eq!(told(pool, zero), "the zero frame");
    pool.reserve(super::super::range_of(0x901, 1)).unwrap();
    assert_eq!(told(pool, 0x901), "reserved, never handed out");
}

/// Proves M116.
#[test]
fn frames_that_boot_took_are_told_before_they_have_records() {
    let mut early = early_of(core::iter::once(0x100..0x1100));
    let table = early.allocate(Use::PageTable).unwrap();
    let pool = Box::leak(Box::new(FramePool::new(TestHost::default())));
    pool.take_over(early);

    let number = super::super::number(table);
    assert_eq!(
        told(pool, number),
        "allocated for page tables during boot, has no record yet"
    );
}

/// Proves M14, M116. After any history the lists hold exactly the free frames.
#[test]
fn the_lists_sum_to_the_free_frames() {
    let pool = pool_of([0x100..0x1100, 0x4_0000..0x4_1000]);
    let mut held = Vec::new();
    for round in 0..300 {
        held.push(pool.allocate(Use::User).unwrap());
        if round % 3 == 0 {
            on_cpu(round % 5, || drop(held.swap_remove(round / 3)));
        }
        if round % 50 == 0 {
            pool.fill_zeroed(7);
        }
        assert_eq!(pool.free_lists().sum(), pool.totals().free());
    }

    let text = pool.free_lists().to_string();

    assert!(text.starts_with(&format!("{}\n", pool.totals())), "{text}");
    assert!(
        text.contains("free frames at hand of CPU 3, and 0 of zeros\n"),
        "{text}"
    );
    assert!(
        text.contains("    4096 free frames that have no record yet\n"),
        "{text}"
    );
}
