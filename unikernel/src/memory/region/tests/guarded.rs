//! Sections with guards on both sides.

use super::super::SectionState;
use super::*;

/// A guarded region at page 100 with `count` sections of 3 pages.
fn stacks(count: u32) -> Region {
    region(100, u64::from(count) * 4 + 1, guarded(3, count))
}

/// Proves M54: sections that cannot be are refused.
#[test]
fn no_sections_and_sections_beyond_all_memory_are_refused() {
    for (section_pages, count) in [
        (0, 1),
        (1, 0),
        (u64::MAX, 1),
        (u64::MAX / 2, 3),
        (1 << 35, 1),
        (1 << 20, 1 << 15),
        (1, u32::MAX),
    ] {
        let refused = Sections::new(section_pages, count).map(|made| made.len_pages());
        let reason = ShapeError::Sections {
            section_pages,
            count,
        };
        assert_eq!(refused, Err(RegionError::Shape(reason)));
    }
}

/// Proves M54, M55: a guard below the first, between any two, and above the last.
#[test]
fn every_section_has_a_guard_on_both_sides() {
    let mut region = stacks(3);

    let taken: Vec<PageRange> = (0..3).map(|_| region.take_section().unwrap()).collect();

    assert_eq!(taken, [range(101, 3), range(105, 3), range(109, 3)]);
    for (index, guard) in [100, 104, 108, 112].into_iter().enumerate() {
        let absence = Absence::SectionGuard(index as u32);
        assert_eq!(region.content(page(guard)), Content::Nothing(absence));
    }
    for section in taken {
        assert_eq!(
            contents(&region, section.start().number(), 3),
            [Content::Zeros; 3]
        );
    }
}

/// Proves M54, M55: what was never taken, and what was given back, cannot be touched.
#[test]
fn a_section_that_is_not_in_use_shows_nothing() {
    let mut region = stacks(2);
    let free = |index| [Content::Nothing(Absence::FreeSection(index)); 3];

    let first = region.take_section().unwrap();
    assert_eq!(contents(&region, 105, 3), free(1));
    assert_eq!(region.give_back_section(first.start()), Ok(first));

    assert_eq!(contents(&region, 101, 3), free(0));
}

/// Proves M54: taken, given back, reused; full is an error, not a panic.
#[test]
fn a_section_that_came_back_goes_out_again() {
    let mut region = stacks(3);
    let all: Vec<PageRange> = (0..3).map(|_| region.take_section().unwrap()).collect();
    let full = RegionError::NoSectionLeft(range(100, 13));

    assert_eq!(region.take_section(), Err(full));
    region.give_back_section(all[1].start()).unwrap();
    region.give_back_section(all[0].start()).unwrap();

    assert_eq!(region.take_section(), Ok(all[0]));
    assert_eq!(region.take_section(), Ok(all[1]));
    assert_eq!(region.take_section(), Err(full));
    region.check_invariants();
}

/// Proves M54: only the first page of a section in use gives it back, and only once.
#[test]
fn only_a_section_in_use_is_given_back() {
    let mut region = stacks(2);
    let taken = region.take_section().unwrap();

    for wrong in [0, 99, 100, 102, 104, 105, 108, 109, 1 << 35] {
        let refused = region.give_back_section(page(wrong));
        assert_eq!(refused, Err(RegionError::NotASection(page(wrong))));
    }
    assert_eq!(region.give_back_section(taken.start()), Ok(taken));

    let again = region.give_back_section(taken.start());
    assert_eq!(again, Err(RegionError::NotASection(taken.start())));
    region.check_invariants();
}

#[test]
fn regions_without_sections_have_none_to_take() {
    let mut region = region(100, 8, LAZY);
    let refused = Err(RegionError::NotGuarded(range(100, 8)));

    assert_eq!(region.take_section(), refused);
    assert_eq!(region.give_back_section(page(101)), refused);
}

/// Proves M54: past the last guard there is nothing, whatever the offset.
#[test]
fn offsets_past_the_last_guard_are_outside() {
    let sections = Sections::new(3, 2).unwrap();

    assert_eq!(sections.len_pages(), 9);
    assert_eq!(sections.at(8), SectionState::Guard(2));
    for offset in [9, 10, 12, 1 << 35, u64::MAX] {
        assert_eq!(sections.at(offset), SectionState::Outside);
    }
}

/// Proves M54: a fork has sections of its own.
#[test]
fn both_sides_of_a_fork_hand_out_sections_by_themselves() {
    let mut parent = stacks(2);
    let first = parent.take_section().unwrap();

    let mut child = parent.fork().unwrap();
    parent.give_back_section(first.start()).unwrap();

    assert_eq!(child.content(first.start()), Content::Zeros);
    assert_eq!(child.take_section(), Ok(range(105, 3)));
    assert_eq!(parent.take_section(), Ok(first));
    child.check_invariants();
}

/// Proves M54: any history of taking and giving back agrees with a list of what is in use.
#[test]
fn sections_agree_with_a_list_of_those_in_use() {
    let mut random = model::Random(0x5eed_0054);
    std::println!("seed 0x5eed0054");
    let mut region = stacks(50);
    let mut used: Vec<PageRange> = Vec::new();

    for _ in 0..20_000 {
        if random.below(2) == 0 {
            match region.take_section() {
                Ok(section) => {
                    assert!(
                        used.iter()
                            .all(|other| other.intersection(section).is_none())
                    );
                    used.push(section);
                }
                Err(_) => assert_eq!(used.len(), 50),
            }
        } else if !used.is_empty() {
            let section = used.swap_remove(random.below(used.len() as u64) as usize);
            assert_eq!(region.give_back_section(section.start()), Ok(section));
        }
        let Kind::Guarded(sections) = region.kind() else {
            unreachable!("it was made so");
        };
        assert_eq!(sections.used() as usize, used.len());
        region.check_invariants();
    }
}
