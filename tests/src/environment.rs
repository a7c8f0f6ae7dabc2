//! What a test image was started with.

/// Library options are not the application's arguments.
#[unikernel::test]
fn options_of_the_library_are_not_arguments() {
    assert!(unikernel::args().all(|argument| !argument.starts_with("unikernel.")));
}

#[unikernel::test]
fn a_module_nobody_gave_is_not_there() {
    assert_eq!(unikernel::module("no such module"), None);
}
