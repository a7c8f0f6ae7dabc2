//! What a page fault deserves: a repair, or the end of whoever caused it. Pure; the whole policy is this file.
//!
//! ```text
//!   Fault --> the region there, and what its page shows now --decide--> Repair      carried out by `space`
//!                                                                   \-> Violation   told in a report
//! ```
//!
//! What the processor said about the entry (present or not) is not asked: the entry is looked at under the lock of its space,
//! and another CPU may have repaired it meanwhile. Then there is nothing left to do.
//!
//! | the page shows | read, execute | write |
//! |---|---|---|
//! | what allows the access | nothing to do | nothing to do |
//! | less than the region promises | grant | grant |
//! | less than that, of a shared object | grant, except to write | what the object says |
//! | nothing, of zeros | the zero frame, read-only | a zeroed frame |
//! | nothing, of frames of a device | that frame | that frame |
//! | nothing, of a ring | the frame of the twin page | the same |
//! | nothing, of an object | what the object holds | the same, for writing |
//! | the zero frame | nothing to do | a zeroed frame |
//! | a frame others use as well | nothing to do | a copy |
//! | a frame nobody else uses any more | nothing to do | that frame, without a copy |
//! | a frame of a shared object | nothing to do | what the object says |

use core::error::Error;
use core::fmt;

use super::address::VirtAddr;
use super::frame::AllocateError;
use super::object::ObjectId;
use super::page::{Access, Frame, MemoryType, Page, Rights};
use super::region::{Absence, Content, Kind, Region, Sharing};
use super::table::entry::Marks;

/// An access that the processor refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What was accessed.
    pub(crate) address: VirtAddr,
    /// How.
    pub(crate) access: Access,
    /// By whom.
    pub(crate) by: Ring,
}

/// Who accesses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ring {
    /// Ring 0: the kernel and trusted code.
    Kernel,
    /// Ring 3.
    User,
}

/// What a page shows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The frame.
    pub(crate) frame: Frame,
    /// What the entry allows.
    pub(crate) rights: Rights,
    /// What is noted about it.
    pub(crate) marks: Marks,
    /// Who else uses the frame.
    pub(crate) users: Users,
}

/// Who uses a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    /// Everybody: it is the reserved zero frame.
    Zero,
    /// This page only.
    One,
    /// Others as well.
    Several,
}

/// What makes the access possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    /// Nothing: it is possible already.
    Nothing,
    /// The entry gets the rights of the region.
    Grant,
    /// The entry gets the rights of the region, except that to write: an object says what may be written.
    GrantReading,
    /// The page shows the zero frame, read-only.
    ShowZeros,
    /// The page gets a zeroed frame of its own.
    ZeroFill,
    /// The frame is the page's own from now on, and writable.
    KeepFrame(Frame),
    /// The page gets a copy of the frame.
    Copy(Frame),
    /// The page shows a frame of a device.
    ShowDevice(Frame, MemoryType),
    /// The page shows the same frame as its twin.
    ShowTwin(Page),
    /// The object is asked for what it holds at this offset, in pages.
    ReadObject(ObjectId, u64),
    /// The object is asked for a page of it that may be written.
    WriteObject(ObjectId, u64),
    /// The object is asked for what it holds, and the page gets a copy of it.
    CopyObject(ObjectId, u64),
}

/// Why an access is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Nothing was promised there.
    Unmapped,
    /// A guard is there.
    Guard,
    /// The guard below a stack is there.
    StackOverflow,
    /// The region does not allow this kind of access.
    Forbidden(Access),
    /// The region is not for ring 3.
    Supervisor,
    /// The object ends before.
    BeyondObject,
    /// The object's contents cannot be had, for the reason that its pager gives.
    Pager(&'static str),
    /// No frame is left.
    OutOfFrames(AllocateError),
    /// Repairs were made, and the access still is not possible.
    NoProgress,
}

/// Decides about an access to `page`, which lies in `region` and shows `shown`.
pub(crate) fn decide(
    fault: Fault,
    page: Page,
    region: &Region,
    shown: Option<Shown>,
) -> Result<Repair, Violation> {
    let content = region.content(page);
    refuse_guards(&content)?;
    let rights = region.rights();
    if !rights.allow(fault.access) {
        return Err(Violation::Forbidden(fault.access));
    }
    if fault.by == Ring::User && !rights.contains(Rights::USER) {
        return Err(Violation::Supervisor);
    }
    Ok(match shown {
        None => repair_absent(fault.access, region.sharing(), content),
        Some(shown) if shown.rights.allow(fault.access) => Repair::Nothing,
        Some(shown) if fault.access == Access::Write => {
            repair_write(shown, region.sharing(), content)
        }
        Some(_) if is_shared_object(region) => Repair::GrantReading,
        Some(_) => Repair::Grant,
    })
}

fn is_shared_object(region: &Region) -> bool {
    matches!(region.kind(), Kind::Object { .. }) && region.sharing() == Sharing::Shared
}

fn refuse_guards(content: &Content) -> Result<(), Violation> {
    match content {
        Content::Nothing(Absence::StackGuard) => Err(Violation::StackOverflow),
        Content::Nothing(Absence::SectionGuard(_) | Absence::FreeSection(_)) => {
            Err(Violation::Guard)
        }
        Content::Nothing(Absence::Outside) => Err(Violation::Unmapped),
        _ => Ok(()),
    }
}

fn repair_absent(access: Access, sharing: Sharing, content: Content) -> Repair {
    let is_write = access == Access::Write;
    match content {
        Content::Zeros if is_write => Repair::ZeroFill,
        Content::Zeros => Repair::ShowZeros,
        Content::Frame(frame, memory_type) => Repair::ShowDevice(frame, memory_type),
        Content::Twin(twin) => Repair::ShowTwin(twin),
        Content::Object(object, offset) if !is_write => Repair::ReadObject(object, offset),
        Content::Object(object, offset) if sharing == Sharing::Shared => {
            Repair::WriteObject(object, offset)
        }
        Content::Object(object, offset) => Repair::CopyObject(object, offset),
        Content::Nothing(_) => unreachable!("guards were refused before"),
    }
}

/// The page shows something that may not be written, though the region allows it.
fn repair_write(shown: Shown, sharing: Sharing, content: Content) -> Repair {
    if let (Content::Object(object, offset), Sharing::Shared) = (content, sharing) {
        return Repair::WriteObject(object, offset);
    }
    if !shown.marks.contains(Marks::COPY_ON_WRITE) {
        return Repair::Grant;
    }
    match shown.users {
        Users::Zero => Repair::ZeroFill,
        Users::One if shown.marks.contains(Marks::OWNED) => Repair::KeepFrame(shown.frame),
        Users::One | Users::Several => Repair::Copy(shown.frame),
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmapped => f.write_str("nothing is mapped there"),
            Self::Guard => f.write_str("a guard is there"),
            Self::StackOverflow => f.write_str("stack overflow"),
            Self::Forbidden(Access::Read) => f.write_str("the region forbids reading"),
            Self::Forbidden(Access::Write) => f.write_str("the region is read-only"),
            Self::Forbidden(Access::Execute) => f.write_str("the region forbids execution"),
            Self::Supervisor => f.write_str("the region is not for ring 3"),
            Self::BeyondObject => f.write_str("the object ends before"),
            Self::Pager(reason) => write!(f, "its contents could not be had: {reason}"),
            Self::OutOfFrames(error) => write!(f, "{error}"),
            Self::NoProgress => f.write_str("it was repaired again and again without effect"),
        }
    }
}

impl Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::page::PageRange;
    use crate::memory::region::{Commitment, Name};

    const FRAME: Frame = Frame::new(77);
    const LAZY: Kind = Kind::Anonymous {
        commitment: Commitment::Lazy,
    };
    const READ_WRITE: Rights = Rights::READ_WRITE;
    const OBJECT: ObjectId = ObjectId::new(3, 1);

    fn object() -> Kind {
        Kind::Object {
            object: OBJECT,
            offset_pages: 10,
        }
    }

    fn page(number: u64) -> Page {
        Page::from_number(number).expect("tests use small numbers")
    }

    fn region(kind: Kind, rights: Rights, sharing: Sharing) -> Region {
        let range = PageRange::new(page(0x100), 8);
        Region::new(range, rights, kind, sharing, Name::new("test")).expect("it makes sense")
    }

    fn decide_at(
        number: u64,
        access: Access,
        region: &Region,
        shown: Option<Shown>,
    ) -> Result<Repair, Violation> {
        let fault = Fault {
            address: page(number).start(),
            access,
            by: Ring::Kernel,
        };
        decide(fault, page(number), region, shown)
    }

    fn shows(rights: Rights, marks: Marks, users: Users) -> Option<Shown> {
        Some(Shown {
            frame: FRAME,
            rights,
            marks,
            users,
        })
    }

    const COW: Marks = Marks::COPY_ON_WRITE;
    const OWNED: Marks = Marks::OWNED;

    /// Proves M97: the whole table of the head, for private zeros.
    #[test]
    fn private_zeros_are_shown_filled_copied_or_kept() {
        use Access::{Execute, Read, Write};
        let region = region(LAZY, READ_WRITE | Rights::EXECUTE, Sharing::Private);
        let shared = OWNED | COW;
        let table = [
            (Read, None, Repair::ShowZeros),
            (Execute, None, Repair::ShowZeros),
            (Write, None, Repair::ZeroFill),
            (Read, shows(Rights::READ, COW, Users::Zero), Repair::Nothing),
            (
                Write,
                shows(Rights::READ, COW, Users::Zero),
                Repair::ZeroFill,
            ),
            (
                Write,
                shows(Rights::READ, shared, Users::Several),
                Repair::Copy(FRAME),
            ),
            (
                Write,
                shows(Rights::READ, shared, Users::One),
                Repair::KeepFrame(FRAME),
            ),
            (Write, shows(READ_WRITE, OWNED, Users::One), Repair::Nothing),
            (Write, shows(Rights::READ, OWNED, Users::One), Repair::Grant),
            (
                Read,
                shows(Rights::empty(), OWNED, Users::One),
                Repair::Grant,
            ),
            (Execute, shows(READ_WRITE, OWNED, Users::One), Repair::Grant),
        ];
        for (access, shown, expected) in table {
            let repair = decide_at(0x103, access, &region, shown);
            assert_eq!(repair, Ok(expected), "{access:?} {shown:?}");
        }
    }

    /// Proves M97, M60, M123: MOS took a shared page that had become writable for copy-on-write, and silently unshared it.
    #[test]
    fn objects_are_asked_and_only_private_regions_copy() {
        use Access::{Read, Write};
        let at = 10 + 3;
        let table = [
            (Sharing::Private, Read, None, Repair::ReadObject(OBJECT, at)),
            (
                Sharing::Private,
                Write,
                None,
                Repair::CopyObject(OBJECT, at),
            ),
            (Sharing::Shared, Read, None, Repair::ReadObject(OBJECT, at)),
            (
                Sharing::Shared,
                Write,
                None,
                Repair::WriteObject(OBJECT, at),
            ),
            (
                Sharing::Private,
                Write,
                shows(Rights::READ, COW, Users::One),
                Repair::Copy(FRAME),
            ),
            (
                Sharing::Shared,
                Write,
                shows(Rights::READ, Marks::empty(), Users::One),
                Repair::WriteObject(OBJECT, at),
            ),
            (
                Sharing::Shared,
                Write,
                shows(Rights::READ, COW, Users::Zero),
                Repair::WriteObject(OBJECT, at),
            ),
        ];
        let nothing = shows(Rights::empty(), Marks::empty(), Users::One);
        let rights_come_back = [
            (Sharing::Private, Read, nothing, Repair::Grant),
            (Sharing::Shared, Read, nothing, Repair::GrantReading),
        ];
        for (sharing, access, shown, expected) in table.into_iter().chain(rights_come_back) {
            let region = region(object(), READ_WRITE, sharing);
            let repair = decide_at(0x103, access, &region, shown);
            assert_eq!(repair, Ok(expected), "{sharing:?} {access:?} {shown:?}");
        }
    }

    /// Proves M97, M51, M53.
    #[test]
    fn devices_and_rings_show_what_they_are_made_of() {
        let device = Kind::Fixed {
            first: Frame::new(1000),
            memory_type: MemoryType::Uncached,
        };
        let device = region(device, READ_WRITE, Sharing::Shared);
        let ring = region(Kind::Ring, READ_WRITE, Sharing::Shared);

        let shown = decide_at(0x102, Access::Write, &device, None);
        let twin = decide_at(0x101, Access::Read, &ring, None);

        let third = Repair::ShowDevice(Frame::new(1002), MemoryType::Uncached);
        assert_eq!(shown, Ok(third));
        assert_eq!(twin, Ok(Repair::ShowTwin(page(0x105))));
    }

    /// Proves M98, M101: whatever a page shows, the region's rights and guards come first.
    #[test]
    fn what_a_region_does_not_allow_is_a_violation() {
        let shown = shows(READ_WRITE, OWNED, Users::One);
        let read_only = region(LAZY, Rights::READ, Sharing::Private);
        let stack = region(Kind::Stack, READ_WRITE, Sharing::Private);

        for shown in [None, shown] {
            for access in [Access::Write, Access::Execute] {
                let decided = decide_at(0x101, access, &read_only, shown);
                assert_eq!(decided, Err(Violation::Forbidden(access)));
            }
            let decided = decide_at(0x100, Access::Read, &stack, shown);
            assert_eq!(decided, Err(Violation::StackOverflow));
        }
        let fault = Fault {
            address: page(0x101).start(),
            access: Access::Read,
            by: Ring::User,
        };
        let decided = decide(fault, page(0x101), &read_only, None);
        assert_eq!(decided, Err(Violation::Supervisor));
    }
}
