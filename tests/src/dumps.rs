//! What the library tells people about memory: every line of it is true.

use unikernel::memory::{
    Frame, OwnedFrame, OwnedFrames, ZERO_FRAME, describe_frame, describe_frames, describe_pages,
    describe_regions, regions_as_json,
};
use unikernel::prelude::*;
use unikernel::test::probe;

/// A line of the description of all pages.
struct Line<'a> {
    first: usize,
    last: usize,
    /// The number of the first frame; 0 where it has none.
    frame: usize,
    what: &'a str,
}

/// Reads the lines; the heading is none.
fn lines(text: &str) -> Vec<Line<'_>> {
    let number = |word: Option<&str>| usize::from_str_radix(word?.strip_prefix("0x")?, 16).ok();
    let read = |line| {
        let line: &str = line;
        let mut words = line.split_whitespace();
        let (first, last) = (number(words.next())?, number(words.next())?);
        let _kib = words.next();
        let frame = number(words.next()).unwrap_or(0);
        let what = line.rsplit_once("  ")?.1;
        Some(Line {
            first,
            last,
            frame,
            what,
        })
    };
    text.lines().filter_map(read).collect()
}

/// Proves M111, M116. What lies in several parts of memory is told in as many lines.
#[unikernel::test]
fn every_line_lies_in_one_part_of_the_image_and_names_it() {
    let text = describe_pages().to_string();
    let parts = probe::image_parts();
    let (guards, sections): (Vec<_>, Vec<_>) =
        parts.into_iter().partition(|part| part.rights.is_none());

    for line in lines(&text) {
        let stack = guards
            .iter()
            .find(|stack| line.what.ends_with(&format!(": {}", stack.name)));
        for section in &sections {
            let begins = section.range.contains(&line.first);
            assert_eq!(begins, section.range.contains(&line.last), "{}", line.what);
            let named = line.what.ends_with(&format!(": {}", section.name));
            assert!(!begins || named || stack.is_some(), "{}", line.what);
        }
        for guard in &guards {
            let below = line.last < guard.range.start;
            assert!(below || line.first >= guard.range.end, "{}", line.what);
        }
        if let Some(stack) = stack {
            assert_eq!(line.first, stack.range.end, "{}", line.what);
        }
    }
}

/// Proves M116. The interrupt stacks are of one size, so a line that went on into the data behind the last of them would be longer.
#[unikernel::test]
fn a_stack_ends_where_its_line_ends() {
    let text = describe_pages().to_string();
    let lines = lines(&text);
    let len = |name: &str| {
        let line = lines.iter().find(|line| line.what.ends_with(name));
        line.map(|line| line.last - line.first)
    };

    assert!(len("the exception stack").is_some());
    assert_eq!(len("the interrupt stack"), len("the exception stack"));
}

/// Proves M116.
#[unikernel::test]
fn heap_records_tables_and_temporary_mappings_have_names() {
    let grown = vec![1_u8; 4 << 20];
    assert!(probe::take_frames(1) && ZERO_FRAME.frame().is_some());

    let text = describe_pages().to_string();

    let lines = lines(&text);
    let found = |name: &str| lines.iter().find(|line| line.what.ends_with(name));
    for (name, rights) in [
        ("the heap", "rw--"),
        ("the records of frames", "rw--"),
        ("the temporary mappings", "r---"),
    ] {
        let line = found(name).unwrap_or_else(|| panic!("no line says {name}:\n{text}"));
        assert!(line.what.starts_with(rights), "{}", line.what);
    }
    assert!(found("page tables, shown by the root's own entry").is_some());
    let heap = found("the heap").expect("it was found above");
    assert!((heap.first..heap.last).contains(&grown.as_ptr().addr()));
}

/// Proves M36, M116. Lines that touch differ in more than the frame, or their frames do not follow each other.
#[unikernel::test]
fn lines_ascend_do_not_overlap_and_are_as_long_as_can_be() {
    let text = describe_pages().to_string();

    let lines = lines(&text);
    assert!(lines.len() > 10, "{text}");
    assert!(lines.is_sorted_by(|low, high| low.first <= low.last && low.last < high.first));
    for pair in lines.windows(2) {
        let (low, high) = (&pair[0], &pair[1]);
        let pages = (low.last + 1 - low.first) / 4096;
        let follows = low.last + 1 == high.first && low.frame + pages == high.frame;
        assert!(
            !follows || low.what != high.what,
            "{} {}",
            high.first,
            high.what
        );
    }
}

/// Proves M9, M116.
#[unikernel::test]
fn a_frame_is_described_by_its_number() {
    let owned = OwnedFrame::zeroed().expect("there is a frame");
    let frame = owned.frame();
    let zero = ZERO_FRAME.frame().expect("every machine has one");
    let tail = |frame| {
        let text = describe_frame(frame).to_string();
        let (_, tail) = text.split_once(": ").expect("a colon follows the frame");
        String::from(tail)
    };

    let name = format!("frame {:#x} at {frame}: ", frame.number());
    assert!(describe_frame(frame).to_string().starts_with(&name));
    assert_eq!(tail(frame), "allocated for user, not counted as mapped");
    drop(owned);
    assert_eq!(tail(frame), "free, at hand of a CPU");
    assert_eq!(tail(zero), "the zero frame");
    assert_eq!(tail(Frame::new(0)), "no usable memory");
    // The image lies at 2 MiB.
    assert_eq!(tail(Frame::new(0x200)), "reserved, never handed out");
}

/// Proves M116.
#[unikernel::test]
fn a_free_block_is_described_as_a_whole() {
    let run = OwnedFrames::uncleared(64).expect("there are so many side by side");
    let inside = Frame::new(run.frames().start().number() + 5);
    assert!(
        describe_frame(inside)
            .to_string()
            .contains("allocated for user")
    );
    drop(run);

    let text = describe_frame(inside).to_string();

    assert!(text.contains("free, in a block of "), "{text}");
}

/// Proves M116.
#[unikernel::test]
fn the_lists_of_free_frames_are_shown_with_the_totals() {
    assert!(probe::take_frames(1));
    let counts = probe::frame_counts();

    let text = describe_frames().to_string();

    let totals = format!("{} frames: ", counts.total);
    assert!(text.starts_with(&totals), "{text}");
    for part in [
        "free blocks of",
        "at hand of CPU 0",
        "frames of zeros",
        "no record yet",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

/// Proves M116. The table has the same parts as the JSON that tools read.
#[unikernel::test]
fn every_section_of_the_image_is_a_part_of_the_kernels_half() {
    let (json, table) = (
        regions_as_json().to_string(),
        describe_regions().to_string(),
    );

    assert!(json.starts_with("{\"version\":1,"), "{json}");
    let parts = probe::image_parts();
    for section in parts.iter().filter(|part| part.rights.is_some()) {
        let (name, start) = (section.name, section.range.start);
        let told = format!("{{\"name\":\"{name}\",\"start\":\"{start:#x}\",");
        assert!(json.contains(&told), "{told} is not in {json}");
        let line = table
            .lines()
            .find(|line| line.contains(&format!("{start:#x} ")));
        assert!(line.is_some_and(|line| line.ends_with(name)), "{table}");
    }
}

/// Proves M116: it allocates nothing, so it can be asked for when there is nothing left.
#[unikernel::test]
fn telling_regions_takes_no_memory() {
    struct Length(usize);
    impl core::fmt::Write for Length {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let before = (unikernel::heap::stats(), probe::frame_counts());
    let mut length = Length(0);

    let told = core::fmt::write(
        &mut length,
        format_args!("{}{}", regions_as_json(), describe_regions()),
    );

    assert_eq!((told, length.0 > 1000), (Ok(()), true));
    assert_eq!((unikernel::heap::stats(), probe::frame_counts()), before);
}
