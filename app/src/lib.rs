//! Word counting without the machine: the pure half of the application, tested on the host.
//!
//! ```text
//! arguments -> options::parse -> Request
//! modules   -> words::Words::count -> TextCounts      one pass per text
//!                     |
//!                     into_most_frequent -> Frequent  the table
//!                                              |
//!                                       report::Report  what is printed
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod block;
pub mod options;
pub mod report;
pub mod text;
pub mod word;
pub mod words;
