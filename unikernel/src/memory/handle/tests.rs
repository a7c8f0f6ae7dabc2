//! What handles decide before any memory is there. What they do with it is tried on the machine.

use super::counters::PageCounts;
use super::reserved::{bytes_of, whole_pages};
use super::view::part_of;
use super::*;
use crate::memory::page::{Access, Frame, MemoryType, Page, PageRange, PageSize};
use crate::memory::space::{ReserveError, SpaceError};
use crate::memory::table::entry::{Attributes, Leaf, Marks, Touched};
use crate::memory::table::runs::Run;
use crate::memory::{Name, Rights};

fn pages(len: u64) -> PageRange {
    PageRange::new(Page::from_number(0x100).expect("it is low"), len)
}

/// Proves M41: a part is within the memory, or it is refused with where it ends.
#[test]
fn parts_are_within_the_memory() {
    assert_eq!(bytes_of(.., 10), Ok(0..10));
    assert_eq!(bytes_of(3.., 10), Ok(3..10));
    assert_eq!(bytes_of(..=3, 10), Ok(0..4));
    assert_eq!(bytes_of(10.., 10), Ok(10..10));
    assert_eq!(bytes_of(..11, 10), Err(11));
    assert_eq!(bytes_of(11.., 10), Err(10));
    assert_eq!(bytes_of(..=u64::MAX, 10), Err(u64::MAX));
}

/// Proves M44 as far as handles go: what is not whole pages is refused, never widened to what was not meant.
#[test]
fn whole_pages_are_never_widened() {
    let len = 4 * 4096;
    let middle = PageRange::new(Page::from_number(0x101).expect("it is low"), 2);

    assert_eq!(whole_pages(pages(4), 4096..3 * 4096), Ok(middle));
    assert_eq!(whole_pages(pages(4), ..), Ok(pages(4)));
    assert_eq!(whole_pages(pages(4), len..).map(PageRange::len), Ok(0));
    assert_eq!(
        whole_pages(pages(4), 1..),
        Err(AlterError::NotWholePages(1))
    );
    assert_eq!(
        whole_pages(pages(4), ..4097),
        Err(AlterError::NotWholePages(4097))
    );
    assert_eq!(
        whole_pages(pages(4), ..len + 1),
        Err(AlterError::OutOfBounds { end: len + 1, len })
    );
}

/// Proves M41.
#[test]
fn values_fill_a_part_and_lie_where_they_can() {
    #[repr(align(8192))]
    struct Wide;

    assert_eq!(part_of::<u64>(pages(1), 8..24), Ok(8..24));
    assert_eq!(
        part_of::<u64>(pages(1), 8..23),
        Err(ViewError::Uneven { len: 15, item: 8 })
    );
    assert_eq!(
        part_of::<u64>(pages(1), 4..12),
        Err(ViewError::Misaligned {
            offset: 4,
            align: 8
        })
    );
    assert_eq!(
        part_of::<Wide>(pages(2), ..),
        Err(ViewError::Uneven { len: 8192, item: 0 })
    );
}

fn run(marks: Marks, size: PageSize) -> Run {
    let attributes = Attributes::new(Rights::READ).with_marks(marks);
    Run {
        pages: pages(size.pages()),
        leaf: Leaf {
            frame: Frame::new(0),
            size,
            attributes,
            touched: Touched::empty(),
        },
    }
}

/// Proves M45: each page is counted once, by what it shows.
#[test]
fn pages_are_counted_by_what_they_show() {
    let mut counts = PageCounts::default();

    for marks in [
        Marks::OWNED,
        Marks::OWNED | Marks::COPY_ON_WRITE,
        Marks::COPY_ON_WRITE,
        Marks::empty(),
    ] {
        counts.add(&run(marks, PageSize::Kib4));
    }
    counts.add(&run(Marks::OWNED, PageSize::Mib2));

    assert_eq!((counts.shown(), counts.large), (4 + 512, 512));
    assert_eq!(
        counts.to_string(),
        "513 own, 1 copy-on-write, 1 borrowed, 1 direct"
    );
}

#[test]
fn the_host_has_no_memory_to_give() {
    let builder = Region::builder().len_pages(1);

    let kinds = [
        builder.lazy().map(drop),
        builder.committed().map(drop),
        builder.heap().map(drop),
        builder.stack().map(drop),
        builder.ring().map(drop),
        Region::builder().guarded(1, 1).map(drop),
        runtime::reserve(1).map(drop),
    ];

    assert_eq!(kinds, [Err(ReserveError::Unmanaged); 7]);
    let dma = builder.dma(MemoryType::WriteBack).map(drop);
    assert_eq!(dma, Err(ReserveError::OutOfFrames));
    assert_eq!(Space::new().map(drop), Err(SpaceError::Unmanaged));
    assert_eq!(runtime::statistics(), runtime::Statistics::default());
}

#[test]
fn errors_say_what_was_asked() {
    let page = pages(1).start();
    let texts = [
        ViewError::OutOfBounds { end: 9, len: 8 }.to_string(),
        ViewError::Misaligned {
            offset: 4,
            align: 8,
        }
        .to_string(),
        ViewError::Uneven { len: 15, item: 8 }.to_string(),
        ViewError::Forbidden {
            access: Access::Write,
            page,
        }
        .to_string(),
        AlterError::NotWholePages(1).to_string(),
        AlterError::Space(SpaceError::OutOfFrames).to_string(),
    ];

    assert_eq!(
        texts,
        [
            "memory: no part of 8 bytes ends at 9",
            "memory: 4 is no multiple of 8",
            "memory: 15 bytes are not whole values of 8 bytes",
            &format!("memory: {page} must not be written"),
            "memory: 1 is no multiple of 4096",
            "space: no frame is left",
        ]
    );
    assert_eq!(Name::new("table").as_str(), "table");
}
