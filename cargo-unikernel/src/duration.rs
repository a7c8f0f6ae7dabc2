//! Spans of time, as people write them: `30s`, `500ms`, `2m`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
];

/// Reads a span of time; a bare number is in seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let refused = || "write a whole number and ms, s, m or h, as in 30s".to_owned();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let count: u64 = digits.parse().map_err(|_| refused())?;
    let unit = match &text[digits.len()..] {
        "" => "s",
        unit => unit,
    };
    let (_, factor) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(refused)?;
    let milliseconds = count
        .checked_mul(*factor)
        .ok_or_else(|| format!("{text} is too long"))?;
    if milliseconds == 0 {
        Err(refused())
    } else {
        Ok(Duration::from_millis(milliseconds))
    }
}

/// Shows a span of time in its largest whole unit.
pub(crate) fn show(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        0 => "0s".to_owned(),
        ms if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        ms if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        ms if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_is_a_span_of_time() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("30", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "5x",
            "0s",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["30s", "1500ms", "2m", "1h", "90s"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
    }
}
