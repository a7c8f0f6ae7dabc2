//! The assembly against naive results: every size, alignment and distance that takes another path.
//!
//! Buffers lie between two inaccessible pages, so a read or write past either end is a crash of the test.

use super::{PageBytes, START, Strategy, clear_page, contains, copy_page};
use super::{select_for_this_cpu, use_strategy};
use core::ops::Range;
use core::ptr::addr_of;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

const PAGE: usize = size_of::<PageBytes>();
const LARGEST_SMALL: usize = 600;

type Move = unsafe extern "C" fn(*mut u8, *const u8, usize) -> *mut u8;
type Compare = unsafe extern "C" fn(*const u8, *const u8, usize) -> i32;

unsafe extern "C" {
    #[link_name = "unikernel_memcpy"]
    fn memcpy(destination: *mut u8, source: *const u8, size: usize) -> *mut u8;
    #[link_name = "unikernel_memmove"]
    fn memmove(destination: *mut u8, source: *const u8, size: usize) -> *mut u8;
    #[link_name = "unikernel_memset"]
    fn memset(destination: *mut u8, byte: i32, size: usize) -> *mut u8;
    #[link_name = "unikernel_memcmp"]
    fn memcmp(left: *const u8, right: *const u8, size: usize) -> i32;
    #[link_name = "unikernel_bcmp"]
    fn bcmp(left: *const u8, right: *const u8, size: usize) -> i32;
    #[link_name = "unikernel_strlen"]
    fn strlen(string: *const u8) -> usize;

    fn mmap(
        address: *mut u8,
        size: usize,
        rights: i32,
        flags: i32,
        file: i32,
        offset: i64,
    ) -> *mut u8;
    fn mprotect(address: *mut u8, size: usize, rights: i32) -> i32;
    fn munmap(address: *mut u8, size: usize) -> i32;
}

/// Pages between two pages that cannot be accessed.
struct Guarded {
    first: *mut u8,
    size: usize,
}

impl Guarded {
    fn with_pages(pages: usize) -> Self {
        const NO_RIGHTS: i32 = 0;
        const READ_WRITE: i32 = 3;
        const PRIVATE_ANONYMOUS: i32 = 0x22;
        let size = pages * PAGE;
        // SAFETY: a new private mapping at an address of the system's choice touches nothing else.
        let start = unsafe {
            mmap(
                core::ptr::null_mut(),
                size + 2 * PAGE,
                NO_RIGHTS,
                PRIVATE_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start.addr(), usize::MAX, "mmap failed");
        let first = start.wrapping_add(PAGE);
        // SAFETY: the range lies inside the mapping made above, and nothing refers to it yet.
        assert_eq!(unsafe { mprotect(first, size, READ_WRITE) }, 0);
        Self { first, size }
    }

    /// Pages filled with bytes that repeat at no multiple of a block size.
    fn with_pattern(pages: usize) -> Self {
        let mut guarded = Self::with_pages(pages);
        for (index, byte) in guarded.bytes().iter_mut().enumerate() {
            *byte = (index % 251) as u8;
        }
        guarded
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `first` and the `size` bytes after it are mapped, zeroed by the system and owned by `self`.
        unsafe { core::slice::from_raw_parts_mut(self.first, self.size) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping of `with_pages`, and no borrow of it outlives `self`.
        unsafe { munmap(self.first.wrapping_sub(PAGE), self.size + 2 * PAGE) };
    }
}

/// Runs `check` with every strategy, and with what this CPU would choose.
fn with_each_strategy(check: impl Fn()) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    select_for_this_cpu();
    check();
    for strategy in [Strategy::FastStrings, Strategy::Emulator, Strategy::Vector] {
        use_strategy(strategy);
        check();
    }
}

/// Moves inside `memory` by `routine`, which is expected to do what `copy_within` does, and nothing else.
fn assert_moves(routine: Move, memory: &mut [u8], source: Range<usize>, destination: usize) {
    let mut expected = Vec::from(&*memory);
    expected.copy_within(source.clone(), destination);
    let size = source.len();
    let from = memory[source].as_ptr();
    let to = memory[destination..destination + size].as_mut_ptr();

    // SAFETY: both ranges were just checked to lie inside `memory`, which is borrowed mutably.
    let returned = unsafe { routine(to, from.cast_mut(), size) };

    assert_eq!(returned, to);
    assert!(memory == expected, "size {size} from {from:p} to {to:p}");
}

/// Fills a range of `memory` by `memset`, which is expected to do what `fill` does, and nothing else.
fn assert_fills(memory: &mut [u8], range: Range<usize>, byte: u8) {
    let mut expected = Vec::from(&*memory);
    expected[range.clone()].fill(byte);
    let size = range.len();
    let to = memory[range].as_mut_ptr();

    // SAFETY: the range was just checked to lie inside `memory`, which is borrowed mutably. The
    // bits above the lowest eight are there to be ignored.
    let returned = unsafe { memset(to, i32::from(byte) | 0x5a00, size) };

    assert_eq!(returned, to);
    assert!(memory == expected, "size {size} at {to:p} with {byte:#x}");
}

/// Returns the sign of `routine`'s verdict on two slices of one length.
fn compare(routine: Compare, left: &[u8], right: &[u8]) -> i32 {
    assert_eq!(left.len(), right.len());
    // SAFETY: both pointers are good for the one length.
    unsafe { routine(left.as_ptr(), right.as_ptr(), left.len()) }.signum()
}

#[test]
fn copies_every_small_size_at_every_alignment() {
    with_each_strategy(|| {
        let mut guarded = Guarded::with_pattern(1);
        for size in 0..=LARGEST_SMALL {
            for alignments in 0..256 {
                let source = 16 + alignments / 16;
                let destination = source + size + 16 + alignments % 16;
                let memory = &mut guarded.bytes()[..2 * LARGEST_SMALL + 96];
                memory[source] = size as u8;

                assert_moves(memcpy, memory, source..source + size, destination);
            }
        }
    });
}

#[test]
fn moves_over_every_distance_in_both_directions() {
    with_each_strategy(|| {
        let mut guarded = Guarded::with_pattern(1);
        for size in (0..=300).chain([511, 512, 513, 600, 1023]) {
            for distance in 0..=size + 1 {
                let low = 16 + size % 16;
                let high = low + distance;
                let memory = &mut guarded.bytes()[..high + size + 32];
                memory[high] = distance as u8;

                assert_moves(memmove, memory, low..low + size, high);
                assert_moves(memmove, memory, high..high + size, low);
            }
        }
    });
}

#[test]
fn moves_large_overlapping_ranges() {
    with_each_strategy(|| {
        let mut guarded = Guarded::with_pattern(4);
        for size in [2047, 2048, 2049, 8191] {
            for distance in [1, 15, 16, 63, 64, 65, 255, 256, 4096] {
                let memory = guarded.bytes();
                assert_moves(memmove, memory, 5..5 + size, 5 + distance);
                assert_moves(memmove, memory, 5 + distance..5 + distance + size, 5);
            }
        }
    });
}

#[test]
fn copies_large_sizes() {
    with_each_strategy(|| {
        let mut guarded = Guarded::with_pattern(600);
        for size in [1 << 20, (1 << 20) - 1, (1 << 20) + 333] {
            assert_moves(memcpy, guarded.bytes(), 7..7 + size, (1 << 20) + 1003);
        }
    });
}

#[test]
fn copies_up_to_both_edges_of_a_mapping() {
    with_each_strategy(|| {
        let (mut left, mut right) = (Guarded::with_pattern(1), Guarded::with_pages(1));
        for size in (0..=LARGEST_SMALL).chain([2048, PAGE]) {
            for source in [0, PAGE - size] {
                for destination in [0, PAGE - size] {
                    right.bytes().fill(0xee);
                    let from = left.bytes()[source..].as_ptr();
                    let to = right.bytes()[destination..].as_mut_ptr();

                    // SAFETY: `size` bytes lie in either mapping from there on, and the mappings are distinct.
                    unsafe { memcpy(to, from, size) };

                    let copied = destination..destination + size;
                    assert!(right.bytes()[copied.clone()] == left.bytes()[source..source + size]);
                    assert!(
                        right.bytes()[..copied.start]
                            .iter()
                            .all(|byte| *byte == 0xee)
                    );
                    assert!(right.bytes()[copied.end..].iter().all(|byte| *byte == 0xee));
                }
            }
        }
    });
}

#[test]
fn fills_every_small_size_at_every_alignment() {
    with_each_strategy(|| {
        let mut guarded = Guarded::with_pattern(1);
        for size in 0..=LARGEST_SMALL {
            for alignment in 0..16 {
                let memory = &mut guarded.bytes()[..LARGEST_SMALL + 64];
                assert_fills(
                    memory,
                    16 + alignment..16 + alignment + size,
                    size as u8 ^ 0x80,
                );
            }
        }
    });
}

#[test]
fn fills_up_to_both_edges_of_a_mapping() {
    with_each_strategy(|| {
        let mut guarded = Guarded::with_pages(1);
        for size in (0..=LARGEST_SMALL).chain([2048, PAGE]) {
            assert_fills(guarded.bytes(), 0..size, size as u8);
            assert_fills(guarded.bytes(), PAGE - size..PAGE, size as u8 ^ 0xff);
        }
    });
}

#[test]
fn fills_large_sizes() {
    with_each_strategy(|| {
        let mut guarded = Guarded::with_pattern(300);
        for size in [2047, 2048, 4096, 1 << 20, (1 << 20) + 333] {
            for byte in [0, 0xa5] {
                assert_fills(guarded.bytes(), 9..9 + size, byte);
            }
        }
    });
}

#[test]
fn comparing_is_decided_by_the_first_difference() {
    with_each_strategy(|| {
        let (mut left, mut right) = (Guarded::with_pattern(1), Guarded::with_pattern(1));
        for size in 0..=200 {
            for first in 0..size {
                let (left, right) = (
                    &mut left.bytes()[first % 16..],
                    &mut right.bytes()[size % 16..],
                );
                right[..size].copy_from_slice(&left[..size]);
                (left[first], right[first]) = (0x7f, 0x80);
                (left[size - 1], right[size - 1]) = if first == size - 1 {
                    (0x7f, 0x80)
                } else {
                    (1, 0)
                };

                assert_eq!(compare(memcmp, &left[..size], &right[..size]), -1);
                assert_eq!(compare(memcmp, &right[..size], &left[..size]), 1);
                assert_ne!(compare(bcmp, &left[..size], &right[..size]), 0);
            }
        }
    });
}

#[test]
fn equal_ranges_compare_equal_at_every_alignment() {
    with_each_strategy(|| {
        let (mut left, mut right) = (Guarded::with_pattern(1), Guarded::with_pages(1));
        for size in 0..=LARGEST_SMALL {
            for alignments in 0..256 {
                let left = &left.bytes()[alignments / 16..][..size];
                let right = &mut right.bytes()[alignments % 16..][..=size];
                right[..size].copy_from_slice(left);
                right[size] = !right[size];

                assert_eq!(
                    compare(memcmp, left, &right[..size]),
                    0,
                    "size {size}, {alignments:#x}"
                );
            }
        }
    });
}

#[test]
fn comparing_reads_up_to_both_edges_of_a_mapping() {
    with_each_strategy(|| {
        let (mut left, mut right) = (Guarded::with_pages(1), Guarded::with_pages(1));
        for size in (0..=LARGEST_SMALL).chain([PAGE]) {
            for (at_left, at_right) in [
                (0, PAGE - size),
                (PAGE - size, 0),
                (PAGE - size, PAGE - size),
            ] {
                let left = &left.bytes()[at_left..][..size];
                let right = &right.bytes()[at_right..][..size];

                assert_eq!(compare(memcmp, left, right), 0);
                assert_eq!(compare(bcmp, left, right), 0);
            }
        }
    });
}

#[test]
fn a_string_ends_at_its_first_zero() {
    let mut guarded = Guarded::with_pages(1);
    for length in 0..=200 {
        for alignment in 0..16 {
            let memory = guarded.bytes();
            memory[..16 + alignment].fill(0);
            memory[16 + alignment..][..length].fill(0x80);
            memory[16 + alignment + length..].fill(0);

            // SAFETY: a zero byte follows within the mapping.
            let found = unsafe { strlen(memory[16 + alignment..].as_ptr()) };

            assert_eq!(found, length);
        }
    }
}

#[test]
fn a_string_may_end_with_its_mapping() {
    let mut guarded = Guarded::with_pages(1);
    let memory = guarded.bytes();
    memory[..PAGE - 1].fill(b'x');
    for start in 0..PAGE {
        // SAFETY: the last byte of the mapping is zero.
        let length = unsafe { strlen(memory[start..].as_ptr()) };

        assert_eq!(length, PAGE - 1 - start);
    }
}

#[test]
fn clearing_a_page_clears_that_page_alone() {
    with_each_strategy(|| {
        let mut guarded = Guarded::with_pages(3);
        guarded.bytes().fill(0xee);
        for start in [PAGE, PAGE - 16, 0, 2 * PAGE] {
            let mut expected = Vec::from(&*guarded.bytes());
            expected[start..start + PAGE].fill(0);

            // SAFETY:
            // 1. The page lies inside the mapping, which nothing else refers to.
            // 2. Every start is a multiple of 16.
            unsafe { clear_page(guarded.bytes()[start..].as_mut_ptr().cast()) };

            assert!(guarded.bytes() == expected);
        }
    });
}

#[test]
fn copying_a_page_changes_its_destination_alone() {
    with_each_strategy(|| {
        let mut guarded = Guarded::with_pattern(4);
        for (source, destination) in [(0, 3 * PAGE), (2 * PAGE, 0), (16, PAGE + 32)] {
            let mut expected = Vec::from(&*guarded.bytes());
            expected.copy_within(source..source + PAGE, destination);
            let from = guarded.bytes()[source..].as_ptr();
            let to = guarded.bytes()[destination..].as_mut_ptr();

            // SAFETY:
            // 1. and 2. Both pages lie inside the mapping, which nothing else refers to.
            // 3. Both starts are multiples of 16 and at least a page apart.
            unsafe { copy_page(to.cast(), from.cast()) };

            assert!(guarded.bytes() == expected);
        }
    });
}

#[test]
fn only_memory_functions_are_contained() {
    assert!(contains(memcpy as *const () as u64));
    assert!(contains(copy_page as *const () as u64));
    assert!(!contains(
        only_memory_functions_are_contained as *const () as u64
    ));
}

#[test]
fn all_memory_functions_share_one_page() {
    let start = addr_of!(START).addr();

    assert_eq!(start % PAGE, 0);
    assert!(!contains((start + PAGE) as u64));
}
