//! What stands in the brackets of the attributes.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Result, Token};

/// Milliseconds a test may take when it does not say.
const DEFAULT_TIMEOUT_MS: u32 = 10_000;

/// What `#[test(…)]` may say.
#[derive(Default)]
pub(crate) struct TestOptions {
    should_panic: Option<LitStr>,
    should_fault: Option<LitStr>,
    timeout_ms: Option<u32>,
    ignore: Option<LitStr>,
}

/// One option: a word, or a word and a text.
struct Setting {
    word: Ident,
    text: Option<LitStr>,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let word = input.parse()?;
        let text = if input.parse::<Option<Token![=]>>()?.is_some() {
            Some(input.parse()?)
        } else {
            None
        };
        Ok(Self { word, text })
    }
}

/// Reads options separated by commas, each of them once.
fn settings(input: ParseStream<'_>) -> Result<Vec<Setting>> {
    let mut settings: Vec<Setting> = Vec::new();
    for setting in Punctuated::<Setting, Token![,]>::parse_terminated(input)? {
        if settings.iter().any(|other| other.word == setting.word) {
            let message = format!("`{}` is given twice", setting.word);
            return Err(syn::Error::new(setting.word.span(), message));
        }
        settings.push(setting);
    }
    Ok(settings)
}

impl Setting {
    /// Returns the text, which may be left out.
    fn text_or_none(self) -> LitStr {
        let span = self.word.span();
        self.text.unwrap_or_else(|| LitStr::new("", span))
    }

    fn required_text(self) -> Result<LitStr> {
        let missing =
            || syn::Error::new(self.word.span(), format!("write `{} = \"…\"`", self.word));
        self.text.ok_or_else(missing)
    }

    fn unknown<T>(&self, known: &str) -> Result<T> {
        Err(syn::Error::new(
            self.word.span(),
            format!("unknown option `{}`; there are {known}", self.word),
        ))
    }
}

impl Parse for TestOptions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        for setting in settings(input)? {
            match setting.word.to_string().as_str() {
                "should_panic" => options.should_panic = Some(setting.text_or_none()),
                "should_fault" => options.should_fault = Some(setting.required_text()?),
                "timeout" => options.timeout_ms = Some(milliseconds(&setting.required_text()?)?),
                "ignore" => options.ignore = Some(setting.text_or_none()),
                _ => {
                    return setting
                        .unknown("`should_panic`, `should_fault`, `timeout` and `ignore`");
                }
            }
        }
        match (&options.should_panic, &options.should_fault) {
            (Some(_), Some(fault)) => Err(syn::Error::new(
                fault.span(),
                "a test ends once: by a panic or by a fault",
            )),
            _ => Ok(options),
        }
    }
}

impl TestOptions {
    /// Returns the call that registers the test `name`.
    pub(crate) fn registration(&self, name: &Ident) -> TokenStream {
        let expectation = match (&self.should_panic, &self.should_fault) {
            (Some(text), _) => quote! { Panic(#text) },
            (None, Some(reason)) => quote! { Fault(#reason) },
            (None, None) => quote! { Success },
        };
        let timeout_ms = self.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
        let ignore = match &self.ignore {
            Some(why) => quote! { ::core::option::Option::Some(#why) },
            None => quote! { ::core::option::Option::None },
        };
        quote! { ::unikernel::__test!(#name, ::unikernel::test::Expectation::#expectation, #timeout_ms, #ignore); }
    }
}

fn milliseconds(text: &LitStr) -> Result<u32> {
    let value = text.value();
    let (number, unit) = match value.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (value.strip_suffix('s').unwrap_or(""), 1000),
    };
    let time = number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|&time| time > 0);
    time.ok_or_else(|| {
        syn::Error::new(
            text.span(),
            "a time is a whole number with a unit, such as \"2s\" or \"500ms\"",
        )
    })
}

/// What `#[bench(…)]` may say.
#[derive(Default)]
pub(crate) struct BenchOptions {
    pub(crate) metric: Option<LitStr>,
    pub(crate) parameter: Option<LitStr>,
}

impl Parse for BenchOptions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        for setting in settings(input)? {
            match setting.word.to_string().as_str() {
                "metric" => options.metric = Some(setting.required_text()?),
                "param" => options.parameter = Some(setting.required_text()?),
                _ => return setting.unknown("`metric` and `param`"),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse::Parser;

    fn parse(options: &str) -> Result<TestOptions> {
        TestOptions::parse.parse_str(options)
    }

    #[test]
    fn every_option_of_a_test_is_understood() {
        let options = parse(r#"should_fault = "null", timeout = "500ms", ignore"#).unwrap();

        assert_eq!(options.should_fault.unwrap().value(), "null");
        assert_eq!(options.timeout_ms, Some(500));
        assert_eq!(options.ignore.unwrap().value(), "");
        let ignored = parse(r#"ignore = "takes an hour""#).unwrap().ignore;
        assert_eq!(ignored.unwrap().value(), "takes an hour");
        assert_eq!(parse(r#"timeout = "2s""#).unwrap().timeout_ms, Some(2000));
        assert_eq!(
            parse("should_panic").unwrap().should_panic.unwrap().value(),
            ""
        );
    }

    #[test]
    fn wrong_options_are_refused_with_the_word_that_is_wrong() {
        let table = [
            ("shold_panic", "unknown option `shold_panic`"),
            ("should_fault", "write `should_fault = "),
            (r#"timeout = "2""#, "whole number with a unit"),
            (r#"timeout = "0s""#, "whole number with a unit"),
            (r#"should_panic, should_fault = "x""#, "ends once"),
            (
                r#"timeout = "2s", ignore, timeout = "3s""#,
                "`timeout` is given twice",
            ),
            ("ignore, ignore", "`ignore` is given twice"),
        ];

        for (options, message) in table {
            let error = parse(options).err().unwrap().to_string();
            assert!(error.contains(message), "{options}: {error}");
        }
    }
}
