//! Several CPUs at once, each a thread of the host.

use std::thread;
use std::vec::Vec;

use super::super::{MOST_CPUS, Use};
use super::{CPU, on_cpu, pool_over, small_pool};

/// Proves M15.
#[test]
fn cpus_that_allocate_and_free_at_once_lose_nothing() {
    let pool = small_pool();
    drop(pool.allocate(Use::User));
    let before = pool.totals();

    thread::scope(|scope| {
        for cpu in 0..4 {
            scope.spawn(move || {
                CPU.set(cpu);
                let mut held = Vec::new();
                for round in 0..2000_usize {
                    held.extend(pool.allocate(Use::User));
                    held.extend(pool.allocate_run(3, Use::Kernel).into_iter().flatten());
                    if round % 7 == cpu {
                        held.clear();
                    }
                }
            });
        }
    });

    assert_eq!(pool.totals(), before);
    pool.check_invariants();
}

/// Proves M10, M15.
#[test]
fn of_many_cpus_that_unmap_a_frame_exactly_one_frees_it() {
    let pool = pool_over(0x100..0x110);
    for _ in 0..200 {
        let frame = pool.allocate(Use::User).unwrap().into_entry();
        for _ in 1..4 {
            pool.add_mapping(frame).unwrap();
        }

        let mut left = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|cpu| scope.spawn(move || on_cpu(cpu, || pool.remove_mapping(frame).unwrap())))
                .collect();
            let left = threads.into_iter().map(|thread| thread.join().unwrap());
            left.collect::<Vec<_>>()
        });

        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3]);
    }
    pool.check_invariants();
}

/// Proves M14, M15.
#[test]
fn totals_sum_while_other_cpus_allocate() {
    let pool = small_pool();
    drop(pool.allocate(Use::User));
    let total = pool.totals().total();

    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            CPU.set(MOST_CPUS - 1);
            for _ in 0..5000 {
                let frame = pool.allocate(Use::User).unwrap();
                on_cpu(1, || drop(frame));
            }
        });
        while !worker.is_finished() {
            let totals = pool.totals();
            let sum: u64 = Use::ALL
                .iter()
                .map(|&purpose| totals.used_for(purpose))
                .sum();
            assert_eq!(totals.free() + totals.reserved() + sum, total);
        }
    });
}
