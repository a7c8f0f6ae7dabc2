//! Sizes and places of the x86-64 address space that boot needs. The layers of `memory` bring their own types.

/// Bytes of a page and of a frame.
pub(crate) const PAGE: usize = 4096;

/// Where the image's physical address 0 would be seen: the image is linked at this distance from where it is loaded.
pub(crate) const IMAGE_BASE: usize = 0xffff_ffff_8000_0000;

/// The physical address that the image is loaded at, as `linker.ld` says. [`tables`](super::tables) checks it.
pub(super) const LOADED_AT: usize = 0x20_0000;

/// The entries of the root that the kernel half uses, from its start: 16 slots of 512 GiB, named below. The image's own, the last,
/// exists from the first instruction on.
pub(super) const KERNEL_SLOTS: core::ops::Range<usize> = 256..272;

/// Bytes that one entry of the root covers: a slot.
pub(super) const SLOT: usize = 1 << 39;

/// Where the managed heap starts and how far it may grow: one slot of the root, 512 GiB.
pub(crate) const HEAP_BASE: usize = 0xffff_8000_0000_0000;
/// Bytes of the heap's slot.
pub(crate) const HEAP_MAX: usize = SLOT;

/// Where boot modules are mapped read-only: the next slot of the root.
pub(crate) const MODULES_BASE: usize = HEAP_BASE + HEAP_MAX;
/// Bytes of the modules' slot.
pub(crate) const MODULES_MAX: usize = SLOT;

/// Where the records of frames are mapped, the record of frame 0 first: the slot after the modules'.
pub(crate) const RECORDS_BASE: usize = MODULES_BASE + MODULES_MAX;

/// Where the framebuffer is mapped: the slot after the records'.
pub(crate) const FRAMEBUFFER_BASE: usize = RECORDS_BASE + SLOT;

/// The entry of each root that points at the root itself.
pub(super) const RECURSIVE_SLOT: usize = 510;
/// The first address that the recursive slot translates: the tables of the lowest level start here.
pub(super) const RECURSIVE_BASE: usize = 0xffff_0000_0000_0000 | RECURSIVE_SLOT << 39;

/// The temporary mappings: the last 2 MiB but for the very last page, which no object ends behind.
pub(super) const WINDOWS: core::ops::Range<usize> =
    0usize.wrapping_sub(1 << 21)..0usize.wrapping_sub(PAGE);

// The slots of the kernel half are where `KERNEL_SLOTS` says.
const _: () = assert!(HEAP_BASE >> 39 & 511 == KERNEL_SLOTS.start);
const _: () = assert!((FRAMEBUFFER_BASE + SLOT - 1) >> 39 & 511 < KERNEL_SLOTS.end);
const _: () =
    assert!(KERNEL_SLOTS.end <= RECURSIVE_SLOT && IMAGE_BASE >> 39 & 511 == RECURSIVE_SLOT + 1);
