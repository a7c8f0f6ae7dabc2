//! The policy of temporary mappings, on slots that note what they show, with a TLB that forgets only what it is told to.

use core::cell::{Cell, RefCell};

use proptest::prelude::*;

use super::*;

/// One CPU: what its slots map, and what it still believes they map.
struct Host {
    slots: [Cell<Shown>; SLOTS],
    cached: RefCell<[Option<Frame>; SLOTS]>,
    guests: Cell<u32>,
    stores: Cell<usize>,
    flushes: Cell<usize>,
}

const ZERO: Frame = Frame::new(0xffff);

impl Host {
    fn new() -> Self {
        Self {
            slots: [const { Cell::new(Shown::NOTHING) }; SLOTS],
            cached: RefCell::new([None; SLOTS]),
            guests: Cell::new(0),
            stores: Cell::new(0),
            flushes: Cell::new(0),
        }
    }

    /// Returns the frame that an access through a slot meets, and caches that as a processor would.
    fn behind(&self, slot: usize) -> Option<Frame> {
        let shown = self.slots[slot].get();
        let cached = &mut self.cached.borrow_mut()[slot];
        if cached.is_none() && !shown.is_nothing() {
            *cached = Some(shown.frame());
        }
        *cached
    }

    /// Opens a window as a machine does.
    fn try_open(&self, number: u32, memory_type: MemoryType) -> Result<usize, WindowError> {
        let at_home = match memory_type {
            MemoryType::WriteBack => open_at_home(self, Frame::new(number)),
            _ => None,
        };
        at_home.map_or_else(|| open(self, Frame::new(number), memory_type), Ok)
    }

    fn open(&self, number: u32) -> usize {
        let slot = self
            .try_open(number, MemoryType::WriteBack)
            .expect("there is a slot");
        assert_eq!(self.behind(slot), Some(Frame::new(number)));
        slot
    }

    /// Opens and closes a window, and returns how many entries were mapped or unmapped for it, and how many flushed.
    fn look(&self, number: u32) -> (usize, usize) {
        let before = (self.stores.get(), self.flushes.get());
        close(self, self.open(number));
        (self.stores.get() - before.0, self.flushes.get() - before.1)
    }

    fn shows(&self, number: u32) -> bool {
        let shows = |slot: &Cell<Shown>| {
            let shown = slot.get();
            !shown.is_nothing() && shown.frame() == Frame::new(number)
        };
        self.slots.iter().filter(|slot| shows(slot)).count() == 1
    }
}

impl WindowHost for Host {
    fn load(&self, slot: usize) -> Shown {
        self.slots[slot].get()
    }

    fn store(&self, slot: usize, shown: Shown) {
        let before = self.slots[slot].replace(shown);
        if before.is_nothing() || shown.is_nothing() || before.frame() != shown.frame() {
            self.stores.set(self.stores.get() + 1);
        }
    }

    fn forget(&self, slot: usize) {
        self.flushes.set(self.flushes.get() + 1);
        self.cached.borrow_mut()[slot] = None;
    }

    fn guests(&self) -> u32 {
        self.guests.get()
    }

    fn set_guests(&self, guests: u32) {
        self.guests.set(guests);
    }

    fn is_zero_frame(&self, frame: Frame) -> bool {
        frame == ZERO
    }
}

/// Proves M27.
#[test]
fn a_window_shows_its_frame_as_long_as_it_lives() {
    let host = Host::new();

    // All of these have the same home.
    let windows: Vec<_> = (0..SLOTS as u32)
        .map(|number| (number * SLOTS as u32, host.open(number * SLOTS as u32)))
        .collect();

    for (number, slot) in windows {
        assert_eq!(host.behind(slot), Some(Frame::new(number)));
    }
}

/// Proves M28, M123: gopher-os had one page for all.
#[test]
fn windows_nest_without_disturbing_each_other() {
    let host = Host::new();
    let outer = host.open(1);
    for nested in 2..100 {
        host.look(nested);
    }

    assert_eq!(host.behind(outer), Some(Frame::new(1)));
    close(&host, outer);
    assert_eq!(first_used(&host), None);
}

#[test]
fn a_frame_that_is_still_shown_is_neither_mapped_nor_flushed_again() {
    let host = Host::new();

    let costs = [1, 2, 1, 2, 1 + SLOTS as u32, 1].map(|number| host.look(number));

    assert_eq!(costs, [(1, 0), (1, 0), (0, 0), (0, 0), (1, 1), (1, 1)]);
}

#[test]
fn two_windows_of_a_frame_share_a_slot_until_both_are_gone() {
    let host = Host::new();
    let first = host.open(1);
    let second = host.open(1);
    assert_eq!(first, second);

    close(&host, first);
    for number in 2..40 {
        host.look(number);
    }

    assert_eq!(host.behind(second), Some(Frame::new(1)));
}

#[test]
fn a_guest_is_shared_while_it_is_used_and_gone_afterwards() {
    let host = Host::new();
    let (one, guest) = (host.open(1), host.open(1 + SLOTS as u32));

    let again = host.open(1 + SLOTS as u32);
    close(&host, guest);
    let behind = host.behind(again);
    close(&host, again);

    assert_eq!((guest, behind), (again, Some(Frame::new(1 + SLOTS as u32))));
    assert_ne!(guest, one);
    assert!(host.shows(1) && !host.shows(1 + SLOTS as u32));
    assert_eq!(host.guests(), 0);
}

/// Proves M12, M27: writing through a window would change what everybody reads.
#[test]
fn the_zero_frame_is_refused_wherever_it_would_go() {
    let host = Host::new();
    let refusal = Err(WindowError::ZeroFrame(ZERO));
    for memory_type in [MemoryType::WriteBack, MemoryType::Uncached] {
        assert_eq!(host.try_open(ZERO.number(), memory_type), refusal);
    }

    let _its_home = host.open(ZERO.number() - SLOTS as u32);

    assert_eq!(host.try_open(ZERO.number(), MemoryType::WriteBack), refusal);
    assert!(!host.shows(ZERO.number()));
}

#[test]
fn too_many_windows_are_an_error_with_the_frame() {
    let host = Host::new();
    let write_back = |number| host.try_open(number, MemoryType::WriteBack);
    for number in 0..SLOTS as u32 {
        host.open(number);
    }

    let refused = write_back(77);

    assert_eq!(refused, Err(WindowError::NoSlot(Frame::new(77))));
    assert!(write_back(3).is_ok(), "a frame that is shown needs no slot");
}

#[test]
fn more_windows_of_a_frame_than_can_be_counted_are_an_error() {
    let host = Host::new();
    for _ in 0..2047 {
        host.open(5);
    }

    let refused = host.try_open(5, MemoryType::WriteBack);

    assert_eq!(refused, Err(WindowError::NoSlot(Frame::new(5))));
}

/// Proves M112 as far as windows go.
#[test]
fn a_frame_is_never_shown_as_two_memory_types() {
    let host = Host::new();
    let (shown, wanted) = (MemoryType::WriteCombining, MemoryType::WriteBack);
    let frame = Frame::new(5);
    host.look(5);
    let combining = host.try_open(5, shown).expect("nobody uses the frame");

    let refused = host.try_open(5, wanted);

    let conflict = WindowError::TypeConflict {
        frame,
        shown,
        wanted,
    };
    assert_eq!(refused, Err(conflict));
    assert!(host.shows(5));
    close(&host, combining);
    assert!(!host.shows(5), "only write-back memory stays shown");
    assert_eq!(host.look(5), (1, 0));
}

/// Proves "a free frame is mapped nowhere" as far as idle slots go.
#[test]
fn frames_are_hidden_one_by_one_or_all_unless_they_are_used() {
    let host = Host::new();
    for number in 0..8 {
        host.look(number);
    }
    let used = host.open(4);

    for number in [1, 2 + SLOTS as u32, 4] {
        hide(&host, Frame::new(number));
    }

    let numbers: Vec<_> = shown(&host).map(Frame::number).collect();
    assert_eq!(numbers, [0, 2, 3, 4, 5, 6, 7]);
    hide_idle(&host);
    assert!((0..8).all(|number| host.shows(number) == (number == 4)));
    assert_eq!(host.behind(used), Some(Frame::new(4)));
}

#[test]
fn a_forgotten_window_is_named_and_all_can_be_closed() {
    let host = Host::new();
    host.look(1);
    let forgotten = Frame::new(2);
    host.try_open(2, MemoryType::Uncached)
        .expect("there is a slot");

    assert_eq!(first_used(&host), Some((forgotten, MemoryType::Uncached)));
    close_all(&host);

    assert_eq!((first_used(&host), host.guests()), (None, 0));
    assert!((0..SLOTS).all(|slot| host.behind(slot).is_none()));
}

/// What somebody does with windows.
#[derive(Clone, Copy, Debug)]
enum Action {
    Open(u32, MemoryType),
    Close(usize),
    Free(u32),
    HideIdle,
}

fn action() -> impl Strategy<Value = Action> {
    let types = prop_oneof![
        4 => Just(MemoryType::WriteBack),
        1 => Just(MemoryType::WriteCombining)
    ];
    prop_oneof![
        6 => (0..3 * SLOTS as u32, types).prop_map(|(frame, kind)| Action::Open(frame, kind)),
        5 => any::<usize>().prop_map(Action::Close),
        2 => (0..3 * SLOTS as u32).prop_map(Action::Free),
        1 => Just(Action::HideIdle),
    ]
}

proptest! {
    /// Proves M27, M28, M112 as far as windows go: whatever happens in whatever order, a window shows its frame and no frame is
    /// shown twice, or as two types, or free.
    #[test]
    fn windows_show_their_frames_in_every_history(actions in prop::collection::vec(action(), 1..200)) {
        let host = Host::new();
        let mut windows: Vec<(Frame, MemoryType, usize)> = Vec::new();
        for action in actions {
            match action {
                Action::Open(number, kind) => {
                    let frame = Frame::new(number);
                    let shown = windows.iter().find(|window| window.0 == frame);
                    match host.try_open(number, kind) {
                        Ok(slot) => windows.push((frame, kind, slot)),
                        Err(WindowError::TypeConflict { shown: other, .. }) => {
                            prop_assert_eq!(shown.map(|window| window.1), Some(other));
                            prop_assert_ne!(other, kind);
                        }
                        Err(error) => prop_assert_eq!(error, WindowError::NoSlot(frame)),
                    }
                }
                Action::Close(which) if !windows.is_empty() => {
                    let (_, _, slot) = windows.swap_remove(which % windows.len());
                    close(&host, slot);
                }
                Action::Close(_) => {}
                Action::Free(number) => {
                    hide(&host, Frame::new(number));
                    let is_used = windows.iter().any(|window| window.0 == Frame::new(number));
                    prop_assert_eq!(host.shows(number), is_used);
                }
                Action::HideIdle => hide_idle(&host),
            }
            for &(frame, kind, slot) in &windows {
                prop_assert_eq!(host.behind(slot), Some(frame));
                prop_assert_eq!(host.load(slot).memory_type(), kind);
            }
            let frames: Vec<_> = shown(&host).collect();
            prop_assert!((0..frames.len()).all(|index| !frames[..index].contains(&frames[index])), "W2");
        }
        for (_, _, slot) in windows {
            close(&host, slot);
        }
        prop_assert_eq!((first_used(&host), host.guests()), (None, 0));
    }
}
