//! Random histories of objects and their snapshots, beside a model in which a snapshot is a copy of all words.

use super::*;

const PAGES: u64 = 6;
const MOST_OBJECTS: usize = 6;

/// What an object should hold: its words, and how often it is had.
struct Expected {
    id: ObjectId,
    words: [u64; PAGES as usize],
}

/// A generator that anybody can repeat from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

fn run(seed: u64, steps: u64, check_every: u64) {
    let mut world = World::new(1024);
    let before = world.free();
    let mut random = Random(seed | 1);
    let mut objects: Vec<Expected> = Vec::new();
    for step in 1..=steps {
        one_step(&mut world, &mut random, &mut objects, step);
        if step % check_every == 0 {
            world.objects.check_invariants();
            for expected in &objects {
                for (page, word) in (0..).zip(expected.words) {
                    let seen = world.read(expected.id, page);
                    assert_eq!(seen, Some(word), "seed {seed}, step {step}, page {page}");
                }
            }
        }
    }
    for object in objects {
        world.objects.drop_handle(object.id);
    }
    assert_eq!(world.free(), before, "seed {seed}: frames were lost");
}

fn one_step(world: &mut World, random: &mut Random, objects: &mut Vec<Expected>, step: u64) {
    let page = random.below(PAGES);
    let chosen = random.below(objects.len().max(1) as u64) as usize;
    match random.below(12) {
        0 if objects.len() < MOST_OBJECTS => objects.push(new(world, random)),
        1 | 2 if !objects.is_empty() && objects.len() < MOST_OBJECTS => {
            let Expected { id, words } = objects[chosen];
            let id = world.snapshot(id);
            objects.push(Expected { id, words });
        }
        3 if !objects.is_empty() => {
            let gone = objects.swap_remove(chosen);
            world.objects.drop_handle(gone.id);
        }
        4 => {
            world.page_out(2);
        }
        5 if !objects.is_empty() => {
            if let Some(page) = world.objects.take_dirty(objects[chosen].id, page) {
                let answer = Err(super::super::PagerError::NotYet);
                let _dirty_again = world.objects.written_back(&page, answer);
            }
        }
        _ if !objects.is_empty() => {
            assert!(world.write(objects[chosen].id, page, step));
            objects[chosen].words[page as usize] = step;
        }
        _ => {}
    }
}

fn new(world: &mut World, random: &mut Random) -> Expected {
    static FILE: [u8; PAGES as usize * 4096] = [1; PAGES as usize * 4096];
    let pager: Arc<dyn Pager> = match random.below(3) {
        0 => Arc::new(Zeros),
        1 => Arc::new(Compressed::new(PAGES, 8 << 10).expect("there is heap")),
        _ => Arc::new(Bytes::new(&FILE)),
    };
    let is_constant = pager.name() == "bytes";
    let id = world
        .objects
        .create(PAGES, pager, None)
        .expect("there is heap");
    if !is_constant {
        return Expected { id, words: [0; 6] };
    }
    // The object itself cannot be written, so what the model plays with is a snapshot of it.
    let snapshot = world.snapshot(id);
    world.objects.drop_handle(id);
    Expected {
        id: snapshot,
        words: [0x0101_0101_0101_0101; 6],
    }
}

/// Proves M61, M63, M66, M67, M68, M70, M72, M78; M123: codezero's objects lost pages, or grew without bound, in such histories.
#[test]
fn objects_hold_what_was_written_to_them_whatever_happened_to_others() {
    for seed in [3, 0x5eed, 0xdead_beef, 77] {
        run(seed, 10_000, 1);
        run(seed ^ 0x5555_0000, 90_000, 50);
    }
}
