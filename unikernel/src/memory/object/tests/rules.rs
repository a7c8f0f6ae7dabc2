//! The rules of the tree, one by one, and the ends of objects.

use super::*;

/// Proves M64, M65, M63: what is written after a snapshot, the other side does not see.
#[test]
fn a_snapshot_shows_what_was_there_when_it_was_made() {
    let mut world = World::new(256);
    let object = world.zeros(4);
    world.write(object, 0, 1);
    world.write(object, 1, 2);

    let snapshot = world.snapshot(object);
    world.write(object, 0, 10);
    world.write(snapshot, 1, 20);
    world.write(snapshot, 3, 40);

    let seen = |world: &mut World, id| [0, 1, 2, 3].map(|page| world.read(id, page).unwrap_or(99));
    assert_eq!(seen(&mut world, object), [10, 2, 0, 0]);
    assert_eq!(seen(&mut world, snapshot), [1, 20, 0, 40]);
    world.objects.check_invariants();
}

/// Proves M66, M123: codezero compared how many pages there were, not which, and lost the first.
#[test]
fn a_page_that_only_the_parent_has_survives_a_write_to_another() {
    let mut world = World::new(256);
    let object = world.zeros(4);
    world.write(object, 0, 7);
    let snapshot = world.snapshot(object);

    world.write(object, 1, 8);

    assert_eq!(world.read(object, 0), Some(7));
    assert_eq!(world.read(snapshot, 0), Some(7));
    world.objects.check_invariants();
}

/// Proves M66, M123: codezero let go of a file whose resident pages were covered; those read later had no source.
#[test]
fn contents_that_were_never_read_are_not_forgotten() {
    static FILE: [u8; 3 * 4096] = [1; 3 * 4096];
    let mut world = World::new(256);
    let file = Arc::new(Bytes::new(&FILE));
    let file = world.objects.create(3, file, None).expect("there is heap");
    assert!(world.read(file, 0).is_some());
    let snapshot = world.snapshot(file);
    world.objects.drop_handle(file);

    world.write(snapshot, 0, 5);

    assert_eq!(world.read(snapshot, 2), Some(0x0101_0101_0101_0101));
    world.objects.check_invariants();
}

/// Proves M69: the sole owner of what was frozen writes without a copy.
#[test]
fn when_the_snapshot_is_gone_writing_copies_nothing() {
    let mut world = World::new(256);
    let object = world.zeros(4);
    world.write(object, 0, 1);
    let snapshot = world.snapshot(object);
    world.objects.drop_handle(snapshot);
    let before = world.free();

    world.write(object, 0, 2);

    assert_eq!(world.free(), before);
    assert_eq!(world.read(object, 0), Some(2));
}

/// Proves M67, M70: pages that only the middle had move to the one in front, as they are.
#[test]
fn what_is_seen_by_one_child_only_is_merged_into_it() {
    let mut world = World::new(256);
    let object = world.zeros(4);
    for page in 0..4 {
        world.write(object, page, page + 1);
    }
    let snapshot = world.snapshot(object);
    world.write(object, 0, 100);
    let before = world.free();

    world.objects.drop_handle(snapshot);

    assert_eq!(world.free(), before + 1, "the page that was hidden");
    let seen = [0, 1, 2, 3].map(|page| world.read(object, page));
    assert_eq!(seen, [Some(100), Some(2), Some(3), Some(4)]);
    assert_eq!(
        world.objects.describe().map(|object| object.depth).max(),
        Some(1)
    );
    assert_eq!(
        world
            .objects
            .describe()
            .next()
            .map(|object| object.dirty_pages),
        Some(4)
    );
    world.objects.check_invariants();
}

/// Proves M66, M68: a top that has all pages of its parent lets go of it.
#[test]
fn a_parent_whose_pages_are_all_hidden_is_let_go() {
    let mut world = World::new(256);
    let object = world.zeros(2);
    world.write(object, 0, 1);
    let snapshot = world.snapshot(object);
    world.write(object, 0, 2);

    let depths = |world: &World| world.objects.describe().map(|object| object.depth).max();

    assert_eq!(depths(&world), Some(1));
    assert_eq!(world.read(snapshot, 0), Some(1));
    assert_eq!(world.read(object, 1), Some(0));
    world.objects.check_invariants();
}

/// Proves M61, M77, M78: an object lives as long as a handle or a mapping, and its end frees exactly its frames.
#[test]
fn an_object_ends_with_its_last_handle_and_mapping() {
    let mut world = World::new(256);
    let before = world.free();
    let object = world.zeros(8);
    world
        .objects
        .attach(object, mapping(100, 8, 0))
        .expect("it fits");
    for page in 0..8 {
        world.write(object, page, page);
    }

    world.objects.detach(object, mapping(100, 8, 0));
    assert_eq!(world.read(object, 5), Some(5));
    world
        .objects
        .attach(object, mapping(300, 2, 4))
        .expect("it fits");
    world.objects.drop_handle(object);
    assert_eq!(
        world.free(),
        before - 2,
        "only pages 4 and 5 can still be seen"
    );
    assert_eq!(world.read(object, 5), Some(5));
    world.objects.detach(object, mapping(300, 2, 4));

    assert_eq!(world.free(), before);
    assert_eq!(world.read(object, 5), None);
    assert_eq!(world.objects.len_pages(object), None);
}

/// Proves M79: when a part of the only window goes, so do its pages.
#[test]
fn a_partial_unmapping_by_the_only_mapper_frees_the_pages_outside() {
    let mut world = World::new(256);
    let object = world.zeros(8);
    world
        .objects
        .attach(object, mapping(100, 8, 0))
        .expect("it fits");
    world.objects.drop_handle(object);
    for page in 0..8 {
        world.write(object, page, page);
    }
    let before = world.free();

    world.objects.prepare_split(object).expect("there is heap");
    world.objects.detach(object, mapping(102, 3, 2));

    assert_eq!(world.free(), before + 3);
    assert_eq!(world.objects.mappings(object).count(), 2);
    assert_eq!(world.read(object, 5), Some(5));
    world.objects.check_invariants();
}

/// Proves M74.
#[test]
fn what_lies_beyond_the_end_is_refused() {
    let mut world = World::new(64);
    let object = world.zeros(4);

    assert_eq!(world.read(object, 4), None);
    assert!(!world.write(object, u64::MAX, 1));
    let refused = world.objects.attach(object, mapping(10, 4, 1));
    assert!(matches!(refused, Err(ObjectError::BeyondEnd { .. })));
    assert_eq!(
        world.objects.create(0, Arc::new(Zeros), None),
        Err(ObjectError::Size(0))
    );
}

/// Proves M76.
#[test]
fn a_named_object_is_made_once_and_found_until_it_ends() {
    let mut world = World::new(64);
    let zeros = || Arc::new(Zeros);
    let object = world
        .objects
        .create(2, zeros(), Some("ring"))
        .expect("there is heap");
    world.write(object, 0, 5);

    let again = world.objects.create(2, zeros(), Some("ring"));
    assert!(matches!(again, Err(ObjectError::NameTaken(_))));
    assert_eq!(world.objects.open("ring"), Ok(object));
    world.objects.drop_handle(object);
    assert_eq!(world.read(object, 0), Some(5));
    world.objects.drop_handle(object);

    assert!(matches!(
        world.objects.open("ring"),
        Err(ObjectError::NoName(_))
    ));
}

/// Proves M49, M64: a constant object is not written; a snapshot of it is, and shows the rest.
#[test]
fn a_constant_object_refuses_and_its_snapshot_does_not() {
    static FILE: [u8; 2 * 4096] = [3; 2 * 4096];
    let mut world = World::new(64);
    let pager = Arc::new(Bytes::new(&FILE));
    let file = world.objects.create(2, pager, None).expect("there is heap");

    assert!(!world.write(file, 0, 1));
    assert_eq!(
        world.objects.check_writable(file),
        Err(ObjectError::ReadOnly(file))
    );
    let snapshot = world.snapshot(file);
    assert!(world.write(snapshot, 0, 1));

    assert_eq!(world.read(file, 0), Some(0x0303_0303_0303_0303));
    assert_eq!(world.read(snapshot, 0), Some(1));
    assert_eq!(world.read(snapshot, 1), Some(0x0303_0303_0303_0303));
}

/// Proves M72, M16: pages go out when there is no frame left at all, and come back.
#[test]
fn pages_go_out_when_the_last_frame_is_taken() {
    let mut world = World::new(40);
    let swap = Compressed::new(64, 64 << 10).expect("there is heap");
    let object = world
        .objects
        .create(64, Arc::new(swap), None)
        .expect("there is heap");
    let mut written = 0;
    while world.free() > 0 {
        world.write(object, written, written + 1);
        written += 1;
    }

    assert_eq!(world.page_out(8), 8);

    assert_eq!(world.free(), 8);
    for page in 0..8 {
        assert_eq!(world.read(object, page), Some(page + 1));
    }
    world.objects.check_invariants();
}

/// Proves M73: what goes out is what was changed, and nothing else.
#[test]
fn a_page_is_dirty_from_its_first_write_until_it_is_taken() {
    let mut world = World::new(64);
    let object = world.zeros(8);
    world.write(object, 2, 1);
    world.write(object, 6, 1);
    let dirty = |world: &World| {
        let next = |from: &u64| world.objects.next_dirty(object, from + 1);
        let first = world.objects.next_dirty(object, 0);
        core::iter::successors(first, next).collect::<Vec<_>>()
    };
    assert_eq!(dirty(&world), [2, 6]);

    let page = world.objects.take_dirty(object, 2).expect("it is dirty");
    assert_eq!(world.objects.written_back(&page, Ok(())), Ok(()));
    let page = world.objects.take_dirty(object, 6).expect("it is dirty");
    let failed = Err(super::super::PagerError::OutOfMemory);
    assert_eq!(world.objects.written_back(&page, failed), failed);

    assert_eq!(dirty(&world), [6]);
    world.write(object, 2, 2);
    assert_eq!(dirty(&world), [2, 6]);
}

/// Proves M47 for objects.
#[test]
fn an_object_that_shares_nothing_grows_and_shrinks() {
    let mut world = World::new(64);
    let object = world.zeros(4);
    world.write(object, 3, 3);
    let before = world.free();

    assert_eq!(world.objects.resize(object, 8), Ok(4));
    assert!(world.write(object, 7, 7));
    assert_eq!(world.objects.resize(object, 2), Ok(8));
    assert_eq!(world.free(), before + 1);
    assert_eq!(world.read(object, 3), None);
    let snapshot = world.snapshot(object);
    assert_eq!(
        world.objects.resize(object, 4),
        Err(ObjectError::Shared(object))
    );

    world.objects.drop_handle(snapshot);
    assert_eq!(world.objects.resize(object, 4), Ok(2));
    assert_eq!(world.read(object, 3), Some(0));
}

/// Proves M63: a reader is told whether a writer has been there before.
#[test]
fn a_page_may_be_written_in_place_only_after_a_write() {
    let mut world = World::new(64);
    let object = world.zeros(1);
    let is_in_place = |world: &World| match world.objects.read(object, 0) {
        Found::Frame { writable, .. } => writable == InPlace::Yes,
        _ => false,
    };
    assert!(!is_in_place(&world));

    world.write(object, 0, 1);
    assert!(is_in_place(&world));
    let snapshot = world.snapshot(object);

    assert!(!is_in_place(&world));
    world.objects.drop_handle(snapshot);
    assert!(is_in_place(&world));
    let page = world.objects.take_dirty(object, 0).expect("it is dirty");
    assert_eq!(world.objects.written_back(&page, Ok(())), Ok(()));
    assert!(!is_in_place(&world), "its next change has to be noticed");
}

/// Proves M62.
#[test]
fn whoever_else_maps_an_object_is_known_when_a_page_changes() {
    let mut world = World::new(64);
    let object = world.zeros(2);
    world
        .objects
        .attach(object, mapping(10, 2, 0))
        .expect("it fits");
    let insert = |world: &mut World, offset| {
        assert!(matches!(world.objects.write(object, offset), Written::Zero));
        let frame = world
            .pool
            .allocate_zeroed(Use::User)
            .expect("there are frames");
        world.objects.insert(object, offset, frame.share())
    };

    assert_eq!(insert(&mut world, 0), Ok(Others::Nobody));
    world
        .objects
        .attach(object, mapping(50, 1, 1))
        .expect("it fits");

    assert_eq!(insert(&mut world, 1), Ok(Others::MayShowIt));
}
