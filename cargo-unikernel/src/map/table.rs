//! The same as a short table, for the terminal.

use super::snapshot::{Snapshot, shown_address, size};

/// Returns a line for each region and each object, and one for frames.
pub(crate) fn table(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for space in &snapshot.spaces {
        let whose = if space.is_kernel {
            ", the kernel's"
        } else {
            ""
        };
        text += &format!("space {}{whose}: ", space.number);
        text += &match space.regions.len() {
            0 => "no region\n".to_owned(),
            1 => "1 region\n".to_owned(),
            count => format!("{count} regions\n"),
        };
        for region in &space.regions {
            text += &format!(
                "{:>20} {:>10} {} {:<9} {:>8} mapped  {}\n",
                shown_address(region.start),
                size(region.pages),
                region.rights,
                region.kind.word(),
                size(region.mapped()),
                region.name.escape_debug()
            );
        }
    }
    for object in &snapshot.objects {
        let name = object.name.as_deref().unwrap_or("unnamed");
        text += &format!(
            "object {:<13} {:>10}      {:<9} {:>8} filled  {}, mapped {}\n",
            object.id,
            size(object.pages),
            object.pager.escape_debug(),
            size(object.resident),
            name.escape_debug(),
            times(object.mappings)
        );
    }
    let (free, total) = (snapshot.frames.free, snapshot.frames.total);
    text + &format!("memory: {} of {} free\n", size(free), size(total))
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::tests::EXAMPLE;
    use super::*;

    #[test]
    fn each_region_has_a_line_and_spaces_without_any_are_named() {
        let table = table(&Snapshot::parse(EXAMPLE).unwrap());

        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0].join(" "), "space 0, the kernel's: 3 regions");
        assert_eq!(
            lines[1].join(" "),
            "0x10000 256 KiB rw-- stack 16 KiB mapped stack of main"
        );
        assert_eq!(lines[4].join(" "), "space 1: no region");
        assert_eq!(
            lines[5].join(" "),
            "object 3.1 80 KiB bytes 64 KiB filled book, mapped once"
        );
        assert_eq!(
            lines[6].join(" "),
            "object 4.0 4 KiB zeros 0 KiB filled unnamed, mapped 0 times"
        );
        assert_eq!(lines[7].join(" "), "memory: 2.3 MiB of 3.9 MiB free");
    }
}
