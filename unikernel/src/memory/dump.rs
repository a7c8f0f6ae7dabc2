//! What is mapped where, as a table a person can read.

use super::kernel::kernel_runs;
use crate::arch::machine::describe_memory;
use crate::println;

/// Prints everything the kernel's root maps: addresses, size, rights, memory type as asked for and as it comes to with what the
/// firmware says of that memory, and whose it is. Pages side by side that are alike make one line.
pub fn dump() {
    println!("{:>18} {:>18} {:>12}  what", "from", "to", "KiB");
    kernel_runs(|run| {
        let start = run.pages.start().start().as_u64();
        let bytes = run.pages.len() * super::PAGE_SIZE;
        let physical = run.leaf.frame.start().as_u64();
        let what = describe_memory(start, physical, run.leaf.attributes.memory_type());
        println!(
            "{start:#18x} {:#18x} {:>12}  {}, {what}",
            start + (bytes - 1),
            bytes >> 10,
            run.leaf.attributes
        );
    });
}
