//! Temporary mappings: pages through which a CPU reaches a frame that is mapped nowhere.
//!
//! Each CPU has a few *slots*, pages side by side whose tables it alone edits, so nobody else is told to forget them. A
//! [`Window`] is the right to use one of them; it ends when dropped. What a slot maps stays there until the slot is needed for
//! another frame: asking for the same frame again is a *hit* and costs no table access.
//!
//! ```text
//!   idle, empty --show--> used --drop of the last window--> idle, still mapped --hit--> used
//!                                                             |
//!                                                             +--show another frame--> used
//! ```
//!
//! Windows nest: a fault in the middle of one use takes other slots. Whoever forgets a window loses its slot for good, and
//! [`Windows::check_idle`] says so.
//!
//! Here is the policy, for one CPU, without hardware. Who maps is a [`WindowHost`].
//!
//! Invariants:
//!
//! - W1: the zero frame is in no window, so it cannot be written through one.
//! - W2: a frame is in one slot at most, so its windows agree about the memory type.
//! - W3: the frame of a used slot stays; each window is counted.

use core::cell::Cell;
use core::error::Error;
use core::fmt;
use core::marker::PhantomData;

use super::page::{Frame, MemoryType, Page};

/// Slots of each CPU. Editing tables uses two at a time, and faults may nest in between.
pub(crate) const SLOTS: usize = 8;

/// Where the slots of a CPU are, and who maps frames there.
pub(crate) trait WindowHost {
    /// Returns the state of the slots of this CPU.
    fn windows(&self) -> &Windows;

    /// Returns the page of the first slot of this CPU, whose number is a multiple of [`SLOTS`].
    fn first_page(&self) -> Page;

    /// Maps a frame at a slot of this CPU, readable and writable, and makes this CPU forget what was there.
    fn show(&self, slot: usize, frame: Frame, memory_type: MemoryType);

    /// Unmaps what is at a slot of this CPU, and makes this CPU forget it.
    fn hide(&self, slot: usize);
}

/// Why a frame was not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowError {
    /// It is the reserved zero frame.
    ZeroFrame(Frame),
    /// All slots of this CPU are in use.
    NoSlot(Frame),
    /// A window in use shows the frame as another memory type.
    TypeConflict {
        /// The frame.
        frame: Frame,
        /// How it is shown.
        shown: MemoryType,
        /// How it was to be shown.
        wanted: MemoryType,
    },
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroFrame(frame) => write!(f, "window: {frame} is the zero frame"),
            Self::NoSlot(frame) => write!(f, "window: no slot left for frame {frame}"),
            Self::TypeConflict {
                frame,
                shown,
                wanted,
            } => {
                write!(
                    f,
                    "window: frame {frame} is shown as {shown}, so not as {wanted}"
                )
            }
        }
    }
}

impl Error for WindowError {}

/// What one slot shows.
#[derive(Clone, Copy)]
struct Slot {
    shown: Option<(Frame, MemoryType)>,
    windows: u32,
    /// When it was chosen last, in turns.
    chosen: u32,
}

/// What has to be done to use a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// It shows the frame already.
    Hit(usize),
    /// The frame has to be shown there.
    Show(usize),
}

/// The slots of one CPU. Not `Sync`: only that CPU uses them, and not from interrupts.
pub(crate) struct Windows {
    slots: [Cell<Slot>; SLOTS],
    /// The slot that was chosen last, where the next hit is likely.
    last: Cell<usize>,
    turn: Cell<u32>,
}

impl Windows {
    /// Makes slots that show nothing.
    #[must_use]
    pub(crate) const fn new() -> Self {
        const EMPTY: Slot = Slot {
            shown: None,
            windows: 0,
            chosen: 0,
        };
        Self {
            slots: [const { Cell::new(EMPTY) }; SLOTS],
            last: Cell::new(0),
            turn: Cell::new(0),
        }
    }

    /// Chooses a slot for a frame, and counts a window there.
    fn choose(
        &self,
        frame: Frame,
        wanted: MemoryType,
        avoid: Option<Page>,
    ) -> Result<Choice, WindowError> {
        let choice = match self.slot_of(frame) {
            None => {
                let slot = self.idle_slot(avoid).ok_or(WindowError::NoSlot(frame))?;
                Choice::Show(slot)
            }
            Some((slot, shown)) if shown == wanted => Choice::Hit(slot),
            Some((slot, _)) if self.slots[slot].get().windows == 0 => Choice::Show(slot),
            Some((_, shown)) => {
                return Err(WindowError::TypeConflict {
                    frame,
                    shown,
                    wanted,
                });
            }
        };
        let (Choice::Hit(number) | Choice::Show(number)) = choice;
        self.turn.set(self.turn.get().wrapping_add(1));
        self.last.set(number);
        let slot = &self.slots[number];
        slot.set(Slot {
            shown: Some((frame, wanted)),
            windows: slot.get().windows + 1,
            chosen: self.turn.get(),
        });
        Ok(choice)
    }

    /// Returns the slot that shows a frame, and how.
    fn slot_of(&self, frame: Frame) -> Option<(usize, MemoryType)> {
        let shown = |number: usize| match self.slots[number].get().shown {
            Some((other, memory_type)) if other == frame => Some((number, memory_type)),
            _ => None,
        };
        shown(self.last.get()).or_else(|| (0..SLOTS).find_map(shown))
    }

    /// Returns the idle slot that was not chosen for the longest time. The one with the same lowest bits as `avoid` is the last
    /// resort: emulators keep translations in a table by these bits, and copying between two pages that meet there is slow.
    fn idle_slot(&self, avoid: Option<Page>) -> Option<usize> {
        let avoided = avoid.map(|page| page.number() as usize % SLOTS);
        (0..SLOTS)
            .filter(|&number| self.slots[number].get().windows == 0)
            .max_by_key(|&number| {
                let slot = self.slots[number].get();
                let age = self.turn.get().wrapping_sub(slot.chosen);
                (Some(number) != avoided, slot.shown.is_none(), age)
            })
    }

    fn release(&self, number: usize) {
        let slot = &self.slots[number];
        let windows = slot
            .get()
            .windows
            .checked_sub(1)
            .expect("W3: a window is counted");
        slot.set(Slot {
            windows,
            ..slot.get()
        });
    }

    /// Checks that no window is in use, as between two tests.
    ///
    /// # Panics
    ///
    /// If one is, with its frame: it was forgotten.
    pub(crate) fn check_idle(&self) {
        for slot in &self.slots {
            let Slot { shown, windows, .. } = slot.get();
            assert_eq!(windows, 0, "W3: windows of {shown:?} were forgotten");
        }
    }
}

/// The right of this CPU to use a frame through one of its slots.
///
/// Not `Send`: on another CPU the page shows another frame.
#[must_use = "the frame is shown only as long as this value lives"]
pub(crate) struct Window<'a, H: WindowHost> {
    host: &'a H,
    slot: usize,
    _this_cpu: PhantomData<*const ()>,
}

impl<'a, H: WindowHost> Window<'a, H> {
    /// Shows a frame. `zero` is the reserved zero frame, which is refused. `avoid` is a page that will be used together with
    /// this one, if there is such a page.
    pub(crate) fn open(
        host: &'a H,
        frame: Frame,
        memory_type: MemoryType,
        zero: Option<Frame>,
        avoid: Option<Page>,
    ) -> Result<Self, WindowError> {
        if zero == Some(frame) {
            return Err(WindowError::ZeroFrame(frame));
        }
        let slot = match host.windows().choose(frame, memory_type, avoid)? {
            Choice::Hit(slot) => slot,
            Choice::Show(slot) => {
                host.show(slot, frame, memory_type);
                slot
            }
        };
        Ok(Self {
            host,
            slot,
            _this_cpu: PhantomData,
        })
    }

    /// Returns the page that shows the frame.
    #[must_use]
    pub(crate) fn page(&self) -> Page {
        let page = self.host.first_page().checked_add(self.slot as u64);
        page.expect("all slots lie in one half")
    }
}

impl<H: WindowHost> Drop for Window<'_, H> {
    fn drop(&mut self) {
        self.host.windows().release(self.slot);
    }
}

/// Unmaps whatever idle slots of this CPU still show, so that a frame that is free is mapped nowhere.
pub(crate) fn hide_idle<H: WindowHost>(host: &H) {
    for (number, slot) in host.windows().slots.iter().enumerate() {
        let state = slot.get();
        if state.windows == 0 && state.shown.is_some() {
            host.hide(number);
            slot.set(Slot {
                shown: None,
                ..state
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::memory::address::VirtAddr;

    /// One CPU, and what its slots map.
    struct Host {
        windows: Windows,
        mapped: RefCell<[Option<(Frame, MemoryType)>; SLOTS]>,
        shows: Cell<usize>,
    }

    impl Host {
        fn new() -> Self {
            Self {
                windows: Windows::new(),
                mapped: RefCell::new([None; SLOTS]),
                shows: Cell::new(0),
            }
        }

        /// Returns the frame behind the page of a window.
        fn behind(&self, window: &Window<'_, Self>) -> Option<Frame> {
            let slot = window.page().number() - self.first_page().number();
            self.mapped.borrow()[slot as usize].map(|(frame, _)| frame)
        }
    }

    impl WindowHost for Host {
        fn windows(&self) -> &Windows {
            &self.windows
        }

        fn first_page(&self) -> Page {
            Page::containing(VirtAddr::new(0xffff_ffff_ffe0_0000))
        }

        fn show(&self, slot: usize, frame: Frame, memory_type: MemoryType) {
            self.shows.set(self.shows.get() + 1);
            self.mapped.borrow_mut()[slot] = Some((frame, memory_type));
        }

        fn hide(&self, slot: usize) {
            self.mapped.borrow_mut()[slot] = None;
        }
    }

    const ZERO: Frame = Frame::new(0xffff);

    fn open(host: &Host, number: u32) -> Result<Window<'_, Host>, WindowError> {
        Window::open(
            host,
            Frame::new(number),
            MemoryType::WriteBack,
            Some(ZERO),
            None,
        )
    }

    fn must_open(host: &Host, number: u32) -> Window<'_, Host> {
        open(host, number).expect("there is a slot")
    }

    /// Proves M27.
    #[test]
    fn a_window_shows_its_frame_as_long_as_it_lives() {
        let host = Host::new();

        let windows: Vec<_> = (0..SLOTS as u32)
            .map(|number| must_open(&host, number))
            .collect();

        for (number, window) in (0..).zip(&windows) {
            assert_eq!(host.behind(window), Some(Frame::new(number)));
        }
    }

    /// Proves M28, M123: gopher-os had one page for all.
    #[test]
    fn windows_nest_without_disturbing_each_other() {
        let host = Host::new();
        let outer = must_open(&host, 1);
        for nested in 2..100 {
            let inner = must_open(&host, nested);
            assert_eq!(host.behind(&inner), Some(Frame::new(nested)));
        }

        assert_eq!(host.behind(&outer), Some(Frame::new(1)));
        drop(outer);
        host.windows.check_idle();
    }

    #[test]
    fn a_frame_that_is_still_shown_is_not_mapped_again() {
        let host = Host::new();
        let shown = |number| {
            drop(must_open(&host, number));
            host.shows.get()
        };

        let counts = [1, 2, 1, 1, 2, 3].map(shown);

        assert_eq!(counts, [1, 2, 2, 2, 2, 3]);
    }

    #[test]
    fn two_windows_of_a_frame_share_a_slot_until_both_are_gone() {
        let host = Host::new();
        let first = must_open(&host, 1);
        let second = must_open(&host, 1);
        assert_eq!(first.page(), second.page());

        drop(first);
        for number in 2..20 {
            drop(must_open(&host, number));
        }

        assert_eq!(host.behind(&second), Some(Frame::new(1)));
    }

    #[test]
    fn the_slot_used_least_recently_is_reused_first() {
        let host = Host::new();
        for number in 0..SLOTS as u32 {
            drop(must_open(&host, number));
        }
        drop(must_open(&host, 0));

        drop(must_open(&host, 100));

        let shown: Vec<_> = host
            .mapped
            .borrow()
            .iter()
            .flatten()
            .map(|(frame, _)| frame.number())
            .collect();
        assert!(shown.contains(&0) && !shown.contains(&1), "{shown:?}");
    }

    /// Proves M12, M27: writing through a window would change what everybody reads.
    #[test]
    fn the_zero_frame_is_refused() {
        let host = Host::new();

        assert_eq!(
            open(&host, ZERO.number()).err(),
            Some(WindowError::ZeroFrame(ZERO))
        );
        assert_eq!(host.shows.get(), 0);
    }

    #[test]
    fn too_many_windows_are_an_error_with_the_frame() {
        let host = Host::new();
        let _windows: Vec<_> = (0..SLOTS as u32)
            .map(|number| must_open(&host, number))
            .collect();

        let refused = open(&host, 77).err();

        assert_eq!(refused, Some(WindowError::NoSlot(Frame::new(77))));
        assert!(
            open(&host, 3).is_ok(),
            "a frame that is shown needs no slot"
        );
    }

    /// Proves M112 as far as windows go.
    #[test]
    fn a_frame_is_never_shown_as_two_memory_types() {
        let host = Host::new();
        let frame = Frame::new(5);
        let of = |memory_type| Window::open(&host, frame, memory_type, None, None);
        let combining = of(MemoryType::WriteCombining).expect("there is a slot");

        let refused = of(MemoryType::WriteBack).err();

        let (shown, wanted) = (MemoryType::WriteCombining, MemoryType::WriteBack);
        assert_eq!(
            refused,
            Some(WindowError::TypeConflict {
                frame,
                shown,
                wanted
            })
        );
        drop(combining);
        assert!(of(MemoryType::WriteBack).is_ok());
        let mapped = host.mapped.borrow();
        let of_frame: Vec<_> = mapped
            .iter()
            .flatten()
            .filter(|(shown, _)| *shown == frame)
            .collect();
        assert_eq!(of_frame, [&(frame, MemoryType::WriteBack)]);
    }

    #[test]
    fn a_slot_that_meets_the_other_page_in_an_emulator_is_avoided() {
        let host = Host::new();
        for number in 0..40 {
            let other = Page::containing(VirtAddr::new(u64::from(number) << 12));

            let window = Window::open(
                &host,
                Frame::new(number),
                MemoryType::WriteBack,
                None,
                Some(other),
            )
            .expect("there is a slot");

            assert_ne!(
                window.page().number() % SLOTS as u64,
                other.number() % SLOTS as u64
            );
        }
    }

    #[test]
    fn idle_slots_can_be_emptied() {
        let host = Host::new();
        drop(must_open(&host, 1));
        let used = must_open(&host, 2);

        hide_idle(&host);

        let mapped: Vec<_> = host
            .mapped
            .borrow()
            .iter()
            .flatten()
            .map(|(frame, _)| *frame)
            .collect();
        assert_eq!(mapped, [Frame::new(2)]);
        drop(must_open(&host, 1));
        assert_eq!(host.behind(&used), Some(Frame::new(2)));
        assert_eq!(host.shows.get(), 3);
    }

    /// Whatever is not `Send` here is counted as one, so `Send` would make two.
    trait Ambiguous<Kind> {
        fn only_one() {}
    }
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + Send> Ambiguous<u8> for T {}

    #[test]
    fn a_window_stays_on_its_cpu() {
        <Window<'static, Host> as Ambiguous<_>>::only_one();
    }

    #[test]
    #[should_panic(expected = "W3: windows of Some((Frame(0x1000), WriteBack)) were forgotten")]
    fn a_forgotten_window_is_noticed() {
        let host = Host::new();

        std::mem::forget(must_open(&host, 1));

        host.windows.check_idle();
    }
}
