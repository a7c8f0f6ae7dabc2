//! Memory, bottom up. `memory` names no architecture; what it needs of a machine it asks through seams.

#![cfg_attr(
    unikernel,
    allow(
        dead_code,
        unused_imports,
        reason = "the layers above, which use all of it, are not part of the image yet; host tests do"
    )
)]

pub(crate) mod address;
pub(crate) mod frame;
pub(crate) mod page;

#[cfg(unikernel)]
use self::frame::FramePool;
#[cfg(unikernel)]
use crate::arch::machine::frames::PoolMemory;

/// The machine's frames, from the moment boot hands them over; before, there are none.
#[cfg(unikernel)]
pub(crate) static FRAMES: FramePool<PoolMemory> = FramePool::new(PoolMemory);
