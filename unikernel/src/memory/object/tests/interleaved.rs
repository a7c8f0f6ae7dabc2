//! What happens to an object while a pager is asked, or while somebody goes from mapping to mapping: no lock is held then.

use super::*;
use crate::memory::object::PagerError;
use crate::memory::object::pager::{Keeping, Supply};

/// A file of ones. Nothing of it is kept by the test.
struct File;

impl Pager for File {
    fn name(&self) -> &'static str {
        "a file of the test"
    }

    fn supply(&self, _offset_pages: u64) -> Supply {
        Supply::PageIn
    }

    fn page_in(&self, _offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
        page.fill(1);
        Ok(())
    }

    fn page_out(&self, _offset_pages: u64, _page: &[u8; 4096]) -> Result<(), PagerError> {
        Ok(())
    }

    fn keeping(&self) -> Keeping {
        Keeping::WrittenBack
    }
}

fn file(world: &mut World, len_pages: u64) -> ObjectId {
    let created = world.objects.create(len_pages, Arc::new(File), None);
    created.expect("there is heap")
}

fn absent(world: &World, id: ObjectId, offset: u64) -> PageIn {
    match world.objects.read(id, offset) {
        Found::Absent(request) => request,
        _ => panic!("it has not been read yet"),
    }
}

/// Proves M71, M78: what a pager brings for a page that is gone meanwhile is given back.
#[test]
fn a_page_that_comes_in_after_the_object_got_smaller_goes_nowhere() {
    for then in [4, 8] {
        let mut world = World::new(64);
        let id = file(&mut world, 8);
        let before = world.free();
        let request = absent(&world, id, 7);

        assert_eq!(world.objects.resize(id, 4), Ok(8));
        assert!(world.objects.resize(id, then).is_ok());
        world.ask(&request);

        assert_eq!(world.free(), before);
        world.objects.check_invariants();
    }
}

/// Proves M70, M73: a change that could not be written back is still one, wherever its page is by then.
#[test]
fn a_change_that_is_refused_after_its_node_was_merged_is_still_to_be_written_back() {
    let mut world = World::new(64);
    let original = file(&mut world, 2);
    assert!(world.write(original, 0, 5));
    let snapshot = world.snapshot(original);
    assert!(world.write(snapshot, 1, 6));
    let page = world.objects.take_dirty(original, 0).expect("it is dirty");

    world.objects.drop_handle(original);
    let refusal = PagerError::Failed("the disk is gone");
    let answer = world.objects.written_back(&page, Err(refusal));

    assert_eq!(answer, Err(refusal));
    assert_eq!(world.objects.next_dirty(snapshot, 0), Some(0));
    world.objects.check_invariants();
}

/// Proves M62: going from mapping to mapping misses none that was there all the time.
#[test]
fn a_mapping_is_met_though_others_end_and_begin_on_the_way() {
    let mut world = World::new(64);
    let id = world.zeros(8);
    for first in [10, 50, 30] {
        let attached = world.objects.attach(id, mapping(first, 4, 0));
        assert_eq!(attached, Ok(()));
    }
    let next = |world: &World, from| {
        let mapping = world.objects.mapping_from(id, from);
        mapping.map(|mapping| (mapping.space, mapping.pages.end_number()))
    };

    let first = next(&world, (0, 0)).expect("there are three");
    assert_eq!(first, (1, 14));
    world.objects.detach(id, mapping(10, 4, 0));
    assert_eq!(world.objects.attach(id, mapping(70, 4, 0)), Ok(()));
    world.objects.detach(id, mapping(31, 1, 1));

    let rest = core::iter::successors(Some(first), |&from| next(&world, from)).skip(1);
    let rest: Vec<_> = rest.collect();
    assert_eq!(rest, [(1, 31), (1, 34), (1, 54), (1, 74)]);
}

/// Proves M71, M78: the pager of a tree learns of its end once, when the last of its nodes has gone.
#[test]
fn a_pager_ends_with_the_last_object_that_it_supplies() {
    struct Ends(File, std::sync::Mutex<u32>);
    impl Pager for Ends {
        fn name(&self) -> &'static str {
            "ends"
        }
        fn supply(&self, offset_pages: u64) -> Supply {
            self.0.supply(offset_pages)
        }
        fn page_in(&self, offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
            self.0.page_in(offset_pages, page)
        }
        fn page_out(&self, offset_pages: u64, page: &[u8; 4096]) -> Result<(), PagerError> {
            self.0.page_out(offset_pages, page)
        }
        fn keeping(&self) -> Keeping {
            Keeping::WrittenBack
        }
        fn release(&self) {
            *self.1.lock().expect("nobody panicked") += 1;
        }
    }
    let mut world = World::new(64);
    let pager = Arc::new(Ends(File, std::sync::Mutex::new(0)));
    let ends = || *pager.1.lock().expect("nobody panicked");
    let original = world.objects.create(1, Arc::<Ends>::clone(&pager), None);
    let original = original.expect("there is heap");
    let snapshot = world.snapshot(original);
    // The snapshot holds all that there is, and looks at nobody else from now on.
    assert!(world.write(snapshot, 0, 5));

    world.objects.drop_handle(original);
    assert_eq!(ends(), 0);
    world.objects.check_invariants();
    world.objects.drop_handle(snapshot);

    assert_eq!(ends(), 1);
}
