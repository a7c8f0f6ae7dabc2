//! The words of a command line for the guest, quoted the way GRUB quotes them.
//!
//! Words are divided by spaces. A word with spaces stands between double quotes; a backslash makes the next quote or
//! backslash an ordinary character, inside and outside of double quotes.

/// Returns one command line for the given words.
pub(crate) fn joined(words: &[String]) -> String {
    words
        .iter()
        .map(|word| quoted(word))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let mut escaped = String::new();
    for character in word.chars() {
        if matches!(character, '\\' | '\'' | '"') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    if word.is_empty() || word.contains(' ') {
        format!("\"{escaped}\"")
    } else {
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_they_must_be() {
        let words = [
            "--top",
            "5",
            "two words",
            "a\"b",
            "it's",
            r"back\slash",
            "",
            "$x;",
        ]
        .map(str::to_owned);

        assert_eq!(
            joined(&words),
            r#"--top 5 "two words" a\"b it\'s back\\slash "" $x;"#
        );
    }
}
