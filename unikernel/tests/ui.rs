//! Wrong programs, each with what the compiler says to it.
//!
//! After a change of the words: `TRYBUILD=overwrite cargo test -p unikernel --test ui`, and read the difference.

/// Proves M50, M54, M89, T11 as far as types go: what makes no sense for a kind of memory does not compile.
#[test]
fn wrong_programs_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
