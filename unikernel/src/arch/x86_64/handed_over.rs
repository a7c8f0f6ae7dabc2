//! What the loader hands over in memory of its own, mapped for good: modules and a framebuffer.
//!
//! Each function finds its place in the address space by itself and looks at whose the frames are, so that what it returns can be
//! used without a word about safety.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::address::{FRAMEBUFFER_BASE, MODULES_BASE, MODULES_MAX, PAGE};
use super::{image, tables};
use crate::boot::{self, BootError, BootInfo, Framebuffer, Part};
use crate::environment::Module;
use crate::memory::address::PhysAddr;
use crate::memory::frame::{EarlyFrames, Use};
use crate::memory::page::FrameRange;
use crate::memory::table::error::MapError;
use crate::memory::{FRAMES, MemoryType, map_device};

/// Why the modules are not all there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ModulesError {
    /// No memory is left for page tables.
    OutOfFrames,
    /// No memory is left for the list of modules, or they are longer than all addresses that are set apart for them.
    Boot(BootError),
}

/// Why there is no framebuffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramebufferError {
    /// The loader says it lies where the machine's own memory is.
    InMemory,
    /// It could not be mapped.
    Map(MapError),
}

/// Maps every module read-only, one after the other, each at the offset within its first page that it has in memory.
///
/// # Panics
///
/// When it is called twice, or `frames` would hand out a frame that holds a module.
pub(crate) fn map_modules(
    info: &BootInfo,
    frames: &mut EarlyFrames,
) -> Result<Vec<Module>, ModulesError> {
    assert!(
        !tables::is_mapped(MODULES_BASE),
        "L1: modules are mapped once"
    );
    let mut mapped = Vec::new();
    mapped
        .try_reserve_exact(info.modules().len())
        .map_err(|_| ModulesError::Boot(BootError::OutOfMemory(Part::ModuleList)))?;
    let mut next_page = MODULES_BASE;
    for (index, module) in info.modules().iter().enumerate() {
        let name =
            boot::copy(module.name(), Part::ModuleName(index)).map_err(ModulesError::Boot)?;
        let pages = pages_of(module);
        // One page stays free behind each module, so that reading past one is a fault, not the next module.
        let end = next_page + (pages + 1) * PAGE;
        if end > MODULES_BASE + MODULES_MAX {
            let error = BootError::OutOfMemory(Part::ModuleContents(index));
            return Err(ModulesError::Boot(error));
        }
        let bytes = map_module(module, next_page, frames)?;
        let name = String::leak(name);
        mapped.push(Module { name, bytes });
        next_page = end;
    }
    Ok(mapped)
}

/// Returns how many pages a module touches.
fn pages_of(module: &boot::Module) -> usize {
    let offset = module.start() as usize % PAGE;
    match module.len_bytes() as usize {
        0 => 0,
        len => (offset + len).div_ceil(PAGE),
    }
}

fn map_module(
    module: &boot::Module,
    first_page: usize,
    frames: &mut EarlyFrames,
) -> Result<&'static [u8], ModulesError> {
    let offset = module.start() as usize % PAGE;
    let pages = pages_of(module);
    let held = FrameRange::covering(PhysAddr::new(module.start()), module.len_bytes())
        .is_none_or(|range| frames.holds_any(range));
    assert!(
        pages == 0 || !held,
        "L2: no frame of a module is handed out"
    );
    for page in 0..pages {
        let frame = module.start() - offset as u64 + (page * PAGE) as u64;
        let mut table = || {
            let frame = frames.allocate(Use::PageTable)?;
            Some(frame.start().as_u64())
        };
        // SAFETY: 1. the slot of the modules is empty at first (L1), and each page in it is taken once; 2. nobody gets the frame (L2),
        // and here it is mapped for reading; 3. the early allocator hands each frame out once.
        unsafe {
            tables::map(
                first_page + page * PAGE,
                frame,
                tables::READ_ONLY,
                &mut table,
            )
        }
        .map_err(|tables::OutOfFrames| ModulesError::OutOfFrames)?;
    }
    let start = core::ptr::with_exposed_provenance::<u8>(first_page + offset);
    // SAFETY: the range was mapped above, for good, onto frames that nobody writes; without bytes nothing has to be there.
    Ok(unsafe { core::slice::from_raw_parts(start, module.len_bytes() as usize) })
}

/// Maps a framebuffer for one owner, write-combining.
///
/// # Errors
///
/// [`FramebufferError`]: it lies in memory of the machine's, there is one already, or no frame is left for a table.
pub(crate) fn map_framebuffer(
    framebuffer: &Framebuffer,
) -> Result<&'static mut [u8], FramebufferError> {
    let (start, len) = (framebuffer.address, framebuffer.len_bytes());
    let image = image::physical();
    let in_image = start < image.end && image.start < start.saturating_add(len);
    let frames = FrameRange::covering(PhysAddr::new(start), len);
    if in_image || frames.is_none_or(|frames| FRAMES.holds_any(frames)) {
        return Err(FramebufferError::InMemory);
    }
    let address = map_device(start, len, FRAMEBUFFER_BASE, MemoryType::WriteCombining)
        .map_err(FramebufferError::Map)?;
    let start = core::ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: the range has just been mapped, for good and for the first time, onto frames that are nobody's; what a device's
    // memory holds is bytes.
    Ok(unsafe { core::slice::from_raw_parts_mut(start, len as usize) })
}

impl fmt::Display for FramebufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InMemory => f.write_str("it lies in memory that is used otherwise"),
            Self::Map(error) => error.fmt(f),
        }
    }
}
