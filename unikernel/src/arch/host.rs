//! The machine's stand-in on the host, where the library is type-checked and its pure parts are tested. Nothing here boots.

pub(crate) mod cpu {
    //! No interrupts to turn off, no locks to count.

    /// Interrupts as they were.
    pub(crate) struct WereOn;

    /// Does nothing.
    pub(crate) fn interrupts_off() -> WereOn {
        WereOn
    }

    /// Does nothing.
    pub(crate) fn interrupts_restore(_before: &WereOn) {}

    /// Does nothing.
    pub(crate) fn lock_taken() {}

    /// Does nothing.
    pub(crate) fn lock_released() {}
}
