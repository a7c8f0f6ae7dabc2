//! What memory costs that comes when it is touched. Under `-icount` a tick is an instruction.
//!
//! Metric names and parameters are those the peers' records use, wherever the operation is one of theirs.

use core::hint::black_box;

use unikernel::memory::{Fork, Object, PAGE_SIZE, Region, Rights, Space};
use unikernel::prelude::*;
use unikernel::test::Bencher;
use unikernel::test::probe;

const PAGE: usize = PAGE_SIZE as usize;

fn lazy(len_pages: u64) -> Region {
    let region = Region::builder().len_pages(len_pages).name("bench").lazy();
    region.expect("there is room")
}

/// Reads a byte of each page, and tells what each read cost.
fn read_each(bencher: &mut Bencher, bytes: &[u8]) {
    for page in bytes.chunks(PAGE) {
        let start = bencher.ticks();
        black_box(unaligned_read(page));
        let end = bencher.ticks();
        bencher.record(end - start);
    }
}

/// Writes a byte of each page, and tells what each write cost.
fn write_each(bencher: &mut Bencher, bytes: &mut [u8]) {
    for page in bytes.chunks_mut(PAGE) {
        let start = bencher.ticks();
        black_box(&mut page[0]).clone_from(&1);
        let end = bencher.ticks();
        bencher.record(end - start);
    }
}

fn unaligned_read(page: &[u8]) -> u8 {
    *black_box(&page[0])
}

fn bytes_of(region: &mut Region) -> &mut [u8] {
    region.as_mut_slice().expect("bytes fit everywhere")
}

fn touch(region: &mut Region) {
    bytes_of(region)
        .iter_mut()
        .step_by(PAGE)
        .for_each(|byte| *byte = 1);
}

/// The first read of a page nobody has written: the zero frame is shown.
#[unikernel::bench(metric = "fault.lazy_read.single", param = "4M")]
fn lazy_read(bencher: &mut Bencher) {
    let mut region = lazy(1024);
    read_each(bencher, bytes_of(&mut region));
}

/// A first write where no frame is zero yet: it is zeroed now.
#[unikernel::bench(metric = "fault.first_write.single", param = "4M")]
fn first_write(bencher: &mut Bencher) {
    let mut region = lazy(1024);
    write_each(bencher, bytes_of(&mut region));
}

/// A first write where idle time has zeroed a frame.
#[unikernel::bench(metric = "fault.first_write.single", param = "4M zeroed")]
fn first_write_with_zeroed_frames(bencher: &mut Bencher) {
    let mut region = lazy(512);
    assert!(probe::fill_zeroed(2048) >= 600);
    write_each(bencher, bytes_of(&mut region));
}

/// A write to a page that was read before: the zero frame goes.
#[unikernel::bench(metric = "fault.write_after_read.single", param = "4M")]
fn write_after_read(bencher: &mut Bencher) {
    let mut region = lazy(1024);
    let bytes = bytes_of(&mut region);
    assert!(bytes.iter().step_by(PAGE).all(|&byte| byte == 0));
    write_each(bencher, bytes);
}

/// A write to a page that a fork shares.
#[unikernel::bench(metric = "fault.copy_on_write.single", param = "4M")]
fn copy_on_write(bencher: &mut Bencher) {
    let mut region = lazy(1024);
    touch(&mut region);
    let child = Space::kernel().and_then(|kernel| fork(&kernel));
    write_each(bencher, bytes_of(&mut region));
    drop(child);
}

/// A write to a page that a fork shared, and that nobody else shows any more.
#[unikernel::bench(metric = "fault.last_owner.single", param = "4M")]
fn last_owner(bencher: &mut Bencher) {
    let mut region = lazy(1024);
    touch(&mut region);
    drop(Space::kernel().and_then(|kernel| fork(&kernel)));
    write_each(bencher, bytes_of(&mut region));
}

/// A first read of a page of a module: its pager copies it.
#[unikernel::bench(metric = "fault.object_page_in.single", param = "256K")]
fn page_in(bencher: &mut Bencher) {
    static MODULE: [u8; 64 * PAGE] = [7; 64 * PAGE];
    let object = Object::bytes(&MODULE).expect("there is heap");
    let region = Region::builder().private(&object).expect("there is room");
    read_each(bencher, region.as_slice().expect("bytes fit everywhere"));
}

fn fork(space: &Space) -> Result<Space, unikernel::memory::SpaceError> {
    Ok(space.fork(Fork::CopyOnWrite).expect("there are frames"))
}

#[unikernel::bench(metric = "region.reserve+release", param = "4K")]
fn reserve_and_release_a_page(bencher: &mut Bencher) {
    bencher.iter(|| drop(lazy(1)));
}

#[unikernel::bench(metric = "region.reserve+release", param = "1G")]
fn reserve_and_release_a_gigabyte(bencher: &mut Bencher) {
    bencher.iter(|| drop(lazy(1 << 18)));
}

#[unikernel::bench(metric = "region.release.per_page", param = "64M touched")]
fn release_touched_pages(bencher: &mut Bencher) {
    const PAGES: u32 = 64 << 8;
    for _ in 0..3 {
        let mut region = lazy(PAGES.into());
        touch(&mut region);
        let start = bencher.ticks();
        drop(region);
        let end = bencher.ticks();
        bencher.record_shared(end - start, PAGES);
    }
}

#[unikernel::bench(metric = "region.protect.per_page", param = "64M touched")]
fn protect_touched_pages(bencher: &mut Bencher) {
    const PAGES: u32 = 64 << 8;
    let mut region = lazy(PAGES.into());
    touch(&mut region);
    for rights in [Rights::READ, Rights::READ_WRITE]
        .into_iter()
        .cycle()
        .take(4)
    {
        let start = bencher.ticks();
        let protected = region.protect(.., rights);
        let end = bencher.ticks();
        protected.expect("there is heap");
        bencher.record_shared(end - start, PAGES);
    }
}

/// Forks a space with so much touched, and destroys the child.
fn fork_and_destroy(bencher: &mut Bencher, touched_pages: u64) {
    let parent = Space::new().expect("there are frames");
    let memory = Region::builder()
        .len_pages(touched_pages.max(1))
        .user_owned(&parent);
    let mut memory = memory.expect("there is room");
    for page in 0..touched_pages {
        memory
            .copy_in(page * PAGE_SIZE, &[1])
            .expect("there are frames");
    }
    for _ in 0..3 {
        let start = bencher.ticks();
        drop(parent.fork(Fork::CopyOnWrite));
        let end = bencher.ticks();
        bencher.record_shared(end - start, touched_pages.max(1) as u32);
    }
}

#[unikernel::bench(metric = "fork+destroy", param = "0")]
fn fork_nothing(bencher: &mut Bencher) {
    fork_and_destroy(bencher, 0);
}

#[unikernel::bench(metric = "fork+destroy.per_page", param = "16M")]
fn fork_16_mib(bencher: &mut Bencher) {
    fork_and_destroy(bencher, 16 << 8);
}

#[unikernel::bench(metric = "fork+destroy.per_page", param = "64M")]
fn fork_64_mib(bencher: &mut Bencher) {
    fork_and_destroy(bencher, 64 << 8);
}

/// Looks a region up among so many.
fn look_up(bencher: &mut Bencher, count: u64) {
    let alternating = |index: u64| {
        if index.is_multiple_of(2) {
            Rights::READ
        } else {
            Rights::READ_WRITE
        }
    };
    let regions: Vec<_> = (0..count)
        .map(|index| {
            let region = Region::builder().len_pages(1).rights(alternating(index));
            region.lazy().expect("there is room")
        })
        .collect();
    let middle = &regions[regions.len() / 3];
    bencher.iter_batch(10, || black_box(middle).name());
}

#[unikernel::bench(metric = "region.lookup", param = "10")]
fn look_up_among_ten(bencher: &mut Bencher) {
    look_up(bencher, 10);
}

#[unikernel::bench(metric = "region.lookup", param = "10000")]
fn look_up_among_ten_thousand(bencher: &mut Bencher) {
    look_up(bencher, 10_000);
}
