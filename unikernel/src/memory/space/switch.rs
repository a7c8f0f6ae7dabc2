//! Which space a CPU is in.
//!
//! Choosing a space and loading its root are two steps: who is about to leave for ring 3 chooses early and loads last.

#![allow(
    unsafe_code,
    reason = "to switch is to change what every address of the lower half means; the functions say what is owed"
)]

use alloc::sync::Arc;

use super::{AddressSpace, Memory, SpaceError};
use crate::memory::fault::{Fault, Violation};
use crate::memory::frame::{FrameMemory, MOST_CPUS};
use crate::memory::machine::Machine;
use crate::memory::page::Page;
use crate::memory::region::Name;

/// Where a CPU is to go.
pub(crate) enum Target<'a, M: Machine + 'static, H: FrameMemory + 'static> {
    /// To this space.
    Space(&'a Arc<AddressSpace<M, H>>),
    /// To the one before.
    Previous,
    /// To the kernel's.
    Kernel,
}

/// Where a CPU is, and where it was before. Nothing stands for the kernel's space.
pub(super) struct Current<M: Machine + 'static, H: FrameMemory + 'static> {
    space: Option<Arc<AddressSpace<M, H>>>,
    previous: Option<Arc<AddressSpace<M, H>>>,
    /// By which it translates, whatever was chosen since.
    loaded: Option<Arc<AddressSpace<M, H>>>,
    /// The last fault for which there was nothing to repair, and how often it came in a row.
    idle: Option<(Fault, u32)>,
}

impl<M: Machine, H: FrameMemory> Current<M, H> {
    pub(super) const NONE: Self = Self {
        space: None,
        previous: None,
        loaded: None,
        idle: None,
    };
}

/// What is asked of the space that a CPU has chosen. It is there once some CPU has chosen one: before, all are in the kernel's, and
/// nobody holds or ends another.
pub(super) struct Elsewhere<M: Machine + 'static, H: FrameMemory + 'static> {
    resolve: fn(&Memory<M, H>, Fault) -> Result<(), Violation>,
    name_at: fn(&Memory<M, H>, Page) -> Option<Name>,
}

impl<M: Machine, H: FrameMemory> Memory<M, H> {
    /// Makes an access possible that the processor refused in the space that this CPU is in, or says why it is not.
    ///
    /// # Errors
    ///
    /// The violation; nothing has changed.
    #[inline]
    pub(crate) fn resolve(&self, fault: Fault) -> Result<(), Violation> {
        match (self.elsewhere.get(), self.kernel()) {
            (None, Some(kernel)) => kernel.resolve(fault),
            (Some(elsewhere), _) => (elsewhere.resolve)(self, fault),
            (None, None) => Err(Violation::Unmapped),
        }
    }

    /// Returns the name of the region at a page in the space that this CPU is in, unless somebody changes the regions right now.
    pub(crate) fn name_at(&self, page: Page) -> Option<Name> {
        match self.elsewhere.get() {
            None => self.kernel()?.name_at(page),
            Some(elsewhere) => (elsewhere.name_at)(self, page),
        }
    }

    /// Returns the space that this CPU is in, or has chosen; nothing before there is one.
    pub(crate) fn current(&self) -> Option<Arc<AddressSpace<M, H>>> {
        let chosen = self.this_cpu().lock().space.clone();
        chosen.or_else(|| self.kernel().map(Arc::clone))
    }

    /// Chooses a space for this CPU. Returns the one that was chosen before; choosing that again changes nothing.
    pub(crate) fn choose(&self, target: &Target<'_, M, H>) -> Option<Arc<AddressSpace<M, H>>> {
        self.elsewhere.call_once(|| Elsewhere {
            resolve: |memory, fault| match memory.current() {
                Some(space) => space.resolve(fault),
                None => Err(Violation::Unmapped),
            },
            name_at: |memory, page| memory.current()?.name_at(page),
        });
        let before = self.current();
        let mut current = self.this_cpu().lock();
        let next = match target {
            Target::Space(space) => Some(Arc::clone(space)),
            Target::Previous => current.previous.clone(),
            Target::Kernel => None,
        };
        let next = next.filter(|space| !space.is_kernel());
        let is_same = match (&next, &current.space) {
            (Some(next), Some(now)) => Arc::ptr_eq(next, now),
            (next, now) => next.is_none() && now.is_none(),
        };
        if is_same {
            return before;
        }
        let left = core::mem::replace(&mut current.space, next);
        let forgotten = core::mem::replace(&mut current.previous, left);
        drop(current);
        // Perhaps the last that held a space: it ends here, with no lock held, and no CPU in it.
        drop(forgotten);
        before
    }

    /// Makes this CPU translate by the space it has chosen, unless it does already.
    ///
    /// # Safety
    ///
    /// 1. Nothing in the lower half is in use on this CPU that the chosen space does not show alike.
    pub(crate) unsafe fn load(&self) {
        let chosen = self.this_cpu().lock().space.clone();
        let root = chosen.as_ref().or(self.kernel()).map(|space| space.root());
        if let Some(root) = root.filter(|&root| root != self.machine.active()) {
            // SAFETY: 1. the upper half is the same in all spaces, and the rest is the caller's 1; 2. the space is held by `chosen`,
            // and from the next line on by `loaded`, until another one is active.
            unsafe { self.machine.activate(root) };
        }
        let left = core::mem::replace(&mut self.this_cpu().lock().loaded, chosen);
        // As in `choose`.
        drop(left);
    }

    /// Chooses and loads. Returns the space that this CPU was in.
    ///
    /// # Safety
    ///
    /// As [`load`](Self::load).
    pub(crate) unsafe fn switch(
        &self,
        target: &Target<'_, M, H>,
    ) -> Option<Arc<AddressSpace<M, H>>> {
        let before = self.choose(target);
        // SAFETY: as the caller promised.
        unsafe { self.load() };
        before
    }

    /// Lets go of a space: where it is the space this CPU is in, the CPU goes to the kernel's first. Its frames are free once
    /// nobody else holds it.
    ///
    /// # Errors
    ///
    /// When it is the kernel's.
    ///
    /// # Safety
    ///
    /// As [`load`](Self::load), with the kernel's space chosen.
    pub(crate) unsafe fn destroy(&self, space: Arc<AddressSpace<M, H>>) -> Result<(), SpaceError> {
        if space.is_kernel() {
            return Err(SpaceError::Kernel);
        }
        let is_here = self
            .current()
            .is_some_and(|current| Arc::ptr_eq(&current, &space));
        if is_here {
            // SAFETY: as the caller promised.
            unsafe { self.switch(&Target::Kernel) };
        }
        let mut current = self.this_cpu().lock();
        let was_before = current
            .previous
            .take_if(|previous| Arc::ptr_eq(previous, &space));
        drop(current);
        drop((was_before, space));
        Ok(())
    }

    /// Notes a fault for which there was nothing to repair: because another CPU has done it, or because the processor refuses for a
    /// reason that no region knows. Then it would go on for ever.
    pub(super) fn note_idle(&self, fault: Fault) -> Result<(), Violation> {
        const MOST: u32 = 1000;
        let mut current = self.this_cpu().lock();
        let times = match current.idle {
            Some((last, times)) if last == fault => times + 1,
            _ => 1,
        };
        current.idle = Some((fault, times));
        if times < MOST {
            return Ok(());
        }
        current.idle = None;
        Err(Violation::NoProgress)
    }

    /// Puts a new space, which `build` fills, in the place of one. If that fails, the old one is as before, and the new one is gone.
    ///
    /// # Errors
    ///
    /// What `build` says, or that there is no memory for a space.
    pub(crate) fn replace<E: From<SpaceError>>(
        &'static self,
        space: &mut Arc<AddressSpace<M, H>>,
        build: impl FnOnce(&AddressSpace<M, H>) -> Result<(), E>,
    ) -> Result<(), E> {
        let new = self.create(space)?;
        build(&new)?;
        *space = new;
        Ok(())
    }

    fn this_cpu(&self) -> &crate::sync::SpinLock<Current<M, H>> {
        &self.current[self.pool.host().cpu() % MOST_CPUS]
    }
}

#[cfg(test)]
impl<M: Machine, H: FrameMemory> Memory<M, H> {
    /// Lets go of the space that this CPU was in before, so that it can end.
    pub(super) fn forget_previous(&self) {
        let previous = self.this_cpu().lock().previous.take();
        drop(previous);
    }
}
