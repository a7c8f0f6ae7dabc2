//! The attributes of the `unikernel` crate: `#[main]`, `#[test]`, `#[bench]`.
//!
//! Each leaves the function as it is and adds one call of a macro of the library behind it. What that expands to depends on
//! how the library is being built: for an image, for an image with tests, or for the host; so a user's crate needs no `cfg`.

mod options;

use proc_macro::TokenStream;
use proc_macro2::Span;
use quote::quote;
use syn::parse::{Parse, Parser};
use syn::{ItemFn, LitStr, Result, parse_macro_input};

use self::options::{BenchOptions, TestOptions};

/// Makes a function the program's entry.
///
/// The function takes nothing and returns anything that is a `unikernel::Termination`: nothing, an `ExitCode`, or a `Result`.
/// The file needs `#![no_std]` and `#![no_main]`.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let name = &function.sig.ident;
    let checked = refuse_arguments(&arguments.into(), "main").and_then(|()| plain(&function, 0));
    finish(
        &function,
        checked.map(|()| quote! { ::unikernel::__main!(#name); }),
    )
}

/// Makes a function an in-kernel test.
///
/// - `#[unikernel::test]`: passes if it returns, with `Ok` if it returns a `Result`;
/// - `should_panic` or `should_panic = "text"`: passes if it panics, with a message that contains the text;
/// - `should_fault = "reason"`: passes if it causes a CPU exception whose reported cause contains the reason;
/// - `timeout = "2s"` (or `"500ms"`): how long it may take, 10 seconds if it does not say;
/// - `ignore` or `ignore = "why"`: runs only when ignored tests are asked for.
///
/// Each of them once.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let options = TestOptions::parse.parse(arguments);
    let checked = options.and_then(|options| plain(&function, 0).map(|()| options));
    finish(
        &function,
        checked.map(|options| options.registration(&function.sig.ident)),
    )
}

/// Makes a function an in-kernel bench; it takes a `&mut Bencher`.
///
/// `metric = "…"` names what is measured (the function's name if left out), `param = "…"` its size or variant (`-` if left out).
#[proc_macro_attribute]
pub fn bench(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let name = &function.sig.ident;
    let options = BenchOptions::parse
        .parse(arguments)
        .and_then(|options| plain(&function, 1).map(|()| options));
    let registration = options.map(|BenchOptions { metric, parameter }| {
        let metric = metric.unwrap_or_else(|| LitStr::new(&name.to_string(), name.span()));
        let parameter = parameter.unwrap_or_else(|| LitStr::new("-", Span::call_site()));
        quote! { ::unikernel::__bench!(#name, #metric, #parameter); }
    });
    finish(&function, registration)
}

/// The function, followed by its registration or by the compile error that says why there is none.
fn finish(function: &ItemFn, registration: Result<proc_macro2::TokenStream>) -> TokenStream {
    let registration = registration.unwrap_or_else(|error| error.to_compile_error());
    quote! { #function #registration }.into()
}

fn refuse_arguments(arguments: &proc_macro2::TokenStream, name: &str) -> Result<()> {
    if arguments.is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(
        Span::call_site(),
        format!("#[unikernel::{name}] takes no arguments"),
    ))
}

/// Accepts a function that can be called with so many arguments and nothing else.
fn plain(function: &ItemFn, arguments: usize) -> Result<()> {
    let signature = &function.sig;
    let complaint = if signature.asyncness.is_some() {
        Some("must not be async: tasks block, they do not await")
    } else if !signature.generics.params.is_empty() {
        Some("must not be generic")
    } else if signature.inputs.len() != arguments {
        Some(if arguments == 0 {
            "takes no arguments"
        } else {
            "takes one argument, `&mut Bencher`"
        })
    } else {
        None
    };
    complaint.map_or(Ok(()), |complaint| {
        Err(syn::Error::new_spanned(
            signature,
            format!("this function {complaint}"),
        ))
    })
}
