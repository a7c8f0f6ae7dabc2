//! Every way to die by an exception, each reported by its right name.
//!
//! A test here passes by faulting: the text is part of what the report says.

#![allow(unsafe_code, reason = "each test does one forbidden thing on purpose")]

use core::arch::asm;
use core::hint::black_box;

use unikernel::prelude::*;

static READ_ONLY: [u8; 4] = [1, 2, 3, 4];
static mut WRITABLE: [u8; 16] = [0xc3; 16]; // `ret`, were it executable

fn read(address: usize) -> u8 {
    let pointer = core::ptr::with_exposed_provenance::<u8>(black_box(address));
    // SAFETY: none; the test that calls this is about what happens then.
    unsafe { pointer.read_volatile() }
}

fn write(address: usize) {
    let pointer = core::ptr::with_exposed_provenance_mut::<u8>(black_box(address));
    // SAFETY: none; the test that calls this is about what happens then.
    unsafe { pointer.write_volatile(1) }
}

fn call(address: usize) {
    // SAFETY: none; the test that calls this is about what happens then.
    unsafe { asm!("call {}", in(reg) black_box(address), clobber_abi("sysv64")) }
}

/// Proves M98, M119.
#[unikernel::test(should_fault = "null pointer dereference (read of address 0x8)")]
fn reading_through_null_is_named() {
    read(8);
}

/// Proves M98.
#[unikernel::test(should_fault = "null pointer dereference (write to address 0x0)")]
fn writing_through_null_is_named() {
    write(0);
}

/// Proves M98.
#[unikernel::test(should_fault = "null pointer dereference (execution of address 0x0)")]
fn calling_null_is_named() {
    call(0);
}

/// Proves M19, M31, M98.
#[unikernel::test(should_fault = "write to read-only memory")]
fn writing_to_constants_is_refused() {
    write(READ_ONLY.as_ptr().addr());
}

/// Proves M19, M31, M98.
#[unikernel::test(should_fault = "write to read-only memory")]
fn writing_to_code_is_refused() {
    write(writing_to_code_is_refused as *const () as usize);
}

/// Proves M19, M31.
#[unikernel::test(should_fault = "write to read-only memory")]
fn writing_to_relocated_constants_is_refused() {
    static NAMES: [&str; 2] = ["one", "two"];
    write(NAMES.as_ptr().addr());
}

/// Proves M19, M31, M98.
#[unikernel::test(should_fault = "execution of non-executable memory")]
fn executing_data_is_refused() {
    call((&raw const WRITABLE).addr());
}

/// Proves M19, M98.
#[unikernel::test(should_fault = "execution of non-executable memory")]
fn executing_the_heap_is_refused() {
    let code = Box::new([0xc3u8; 16]);
    call(code.as_ptr().addr());
}

/// Proves M19.
#[unikernel::test(should_fault = "execution of non-executable memory")]
fn executing_constants_is_refused() {
    call(READ_ONLY.as_ptr().addr());
}

/// Proves M98.
#[unikernel::test(should_fault = "read of unmapped address")]
fn reading_where_nothing_is_mapped_is_named() {
    read(0x7000_0000_0000);
}

/// Proves M98. The identity map of boot is gone: memory that surely exists is not to be seen at its physical address.
#[unikernel::test(should_fault = "read of unmapped address")]
fn physical_memory_is_not_mapped_as_it_is() {
    read(0x20_0000);
}

#[unikernel::test(should_fault = "division")]
fn dividing_by_zero_is_named() {
    // SAFETY: none; the divisor is 0 on purpose.
    unsafe {
        asm!("xor edx, edx", "div {0:e}", in(reg) black_box(0u32), inout("eax") 1 => _, out("edx") _)
    }
}

#[unikernel::test(should_panic = "divide by zero")]
fn dividing_by_zero_in_rust_panics() {
    println!("{}", 1 / black_box(0));
}

#[unikernel::test(should_fault = "breakpoint")]
fn a_breakpoint_is_named() {
    // SAFETY: none; nobody handles it.
    unsafe { asm!("int3") }
}

#[unikernel::test(should_fault = "invalid opcode")]
fn an_undefined_instruction_is_named() {
    // SAFETY: none; the instruction is undefined for ever (SDM 2B, UD).
    unsafe { asm!("ud2") }
}

/// Proves M98, M104.
#[unikernel::test(should_fault = "non-canonical address 0x8000000000000000")]
fn reading_a_non_canonical_address_is_named() {
    read(0x8000_0000_0000_0000);
}

/// Proves M104.
#[unikernel::test(should_fault = "non-canonical address 0x1000000000010")]
fn a_non_canonical_address_with_a_displacement_is_computed() {
    let base = black_box(0x1_0000_0000_0000u64);
    // SAFETY: none; the address is not canonical on purpose.
    unsafe { asm!("mov rax, [{} + 16]", in(reg) base, out("rax") _) }
}

/// Proves M104.
#[unikernel::test(should_fault = "GDT")]
fn loading_a_selector_outside_the_table_is_named() {
    // SAFETY: none; there is no such selector.
    unsafe { asm!("mov ds, {0:e}", in(reg) black_box(0x1230u32)) }
}

#[expect(unconditional_recursion, reason = "the test is about what that does")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1)) + 1)
}

/// Proves M101.
#[unikernel::test(should_fault = "stack overflow of the test stack")]
fn running_out_of_stack_is_named() {
    println!("{}", recurse(0));
}

/// Proves M100. All of xmm0 to xmm15 and MXCSR come back from a handler that changes them all as they were.
#[unikernel::test]
fn an_exception_leaves_vector_registers_alone() {
    let (registers, control) = unikernel::test::probe::vector_state_after_a_fault();

    assert!(
        (1..)
            .zip(registers)
            .all(|(value, register)| register == [value; 2]),
        "{registers:?}"
    );
    assert_eq!(
        control & 0x7fc0,
        0x5f80,
        "MXCSR rounds up and masks all exceptions"
    );
}

/// What dies here with the direction flag set copies backwards if the flag outlives it.
#[unikernel::test(should_fault = "invalid opcode")]
fn dying_with_the_direction_reversed_reverses_nobody_elses() {
    // SAFETY: none; nobody handles the exception, and the flag dies with the test.
    unsafe { asm!("std", "ud2") }
}

/// What dies here rounds towards zero, which must not outlive it.
#[unikernel::test(should_panic = "rounding to zero")]
fn dying_while_rounding_to_zero_rounds_nobody_elses() {
    const ROUND_TO_ZERO: u32 = 0x7f80;
    // SAFETY: arithmetic is a little wrong for the rest of this test.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &ROUND_TO_ZERO) }
    panic!("rounding to zero");
}
