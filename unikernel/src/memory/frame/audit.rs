//! Counting and checking the whole pool, with all of it locked.

use super::cache::Cache;
use super::host::PoolHost;
use super::pool::FramePool;
use super::record::State;
use super::store::Store;
use super::totals::{Totals, Use};

impl<H: PoolHost> FramePool<H> {
    /// Returns how many frames there are.
    pub(crate) fn totals(&self) -> Totals {
        self.with_all(|caches, store| sum(caches, store))
    }

    /// Returns how many frames there are, unless somebody is taking or giving some right now.
    pub(crate) fn try_totals(&self) -> Option<Totals> {
        self.try_with_all(|caches, store| sum(caches, store))
    }

    /// Returns how many free frames are zero already.
    pub(crate) fn zeroed_frames(&self) -> u64 {
        self.with_all(|caches, store| {
            let at_hand = caches.iter().map(|cache| cache.zeroed.frames().len());
            store.zeroed() + at_hand.sum::<usize>() as u64
        })
    }

    /// Panics unless F1 to F4 hold. Looks at every frame: for tests, between operations.
    pub(crate) fn check_invariants(&self) {
        let totals = self.totals();
        self.with_all(|caches, store| {
            let mut at_hand = 0;
            for cache in caches.iter() {
                let stacks = [
                    (&cache.plain, State::Cached),
                    (&cache.zeroed, State::Zeroed),
                ];
                for (stack, state) in stacks {
                    at_hand += stack.frames().len() as u64;
                    for frame in stack.frames() {
                        let record = self.zones.record(frame.number);
                        assert!(core::ptr::eq(record, frame.record), "F4: {frame:?}");
                        assert_eq!(record.state(), state, "F4: {frame:?}");
                    }
                }
            }
            let free = at_hand + store.check_invariants(&self.zones) + store.early.free_frames();
            assert_eq!(totals.free(), free, "F2: {totals}");
            self.check_records(store, &totals);
        });
    }

    fn check_records(&self, store: &Store, totals: &Totals) {
        let mut used = store.early.used();
        let mut free = store.early.free_frames();
        for number in self.zones.opened().flatten() {
            let info = self.zones.record(number).info();
            match (info.state, info.purpose) {
                (State::Allocated | State::Zero, Some(purpose)) => used.add(purpose, 1),
                (State::Reserved, None) => {}
                (State::Inside | State::Free | State::Cached | State::Zeroed, None) => free += 1,
                _ => panic!("F2: {info:?}"),
            }
            let counted = info.map_count != 0;
            assert!(!counted || info.state == State::Allocated, "F3: {info:?}");
        }
        assert_eq!(totals.free(), free, "F2");
        for purpose in Use::ALL {
            assert_eq!(totals.used_for(purpose), used.of(purpose), "F2: {purpose}");
        }
    }
}

fn sum(caches: &[&mut Cache], store: &Store) -> Totals {
    let mut used = store.used;
    used.add_all(&store.early.used());
    for cache in caches {
        used.add_all(&cache.used);
    }
    let total = store.early.total_frames();
    Totals::new(total, total - store.managed(), used)
}
