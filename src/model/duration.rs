//! Durations as people write and read them.

use std::fmt;
use std::time::Duration;

/// The longest duration that is read: longer than any TTL (RFC 2181 section 8).
pub const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Why text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// `-5s`
    #[error("is negative")]
    Negative,
    /// `1.5s`
    #[error("has a fraction: take a smaller unit, as in \"1500ms\"")]
    Fraction,
    /// `5`
    #[error("has no unit")]
    NoUnit,
    /// `5 parsecs`
    #[error("has a unit that is none of ms, s, m, h, d")]
    BadUnit,
    /// `s`
    #[error("has no number")]
    NoNumber,
    /// Over [`MAX_DURATION`].
    #[error("is longer than 100 years")]
    TooLong,
}

/// Reads `500ms`, `5s`, `1h` or a sum of such, `1h30m`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text.starts_with('-') {
        return Err(DurationError::Negative);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(DurationError::NoUnit),
            _ if unit.starts_with(['.', ',']) => return Err(DurationError::Fraction),
            _ => return Err(DurationError::BadUnit),
        };
        if number.is_empty() {
            return Err(DurationError::NoNumber);
        }
        // What overflows 64 bits has only digits, so it is too long, not ill-formed.
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        let ms = number.checked_mul(unit_ms).ok_or(DurationError::TooLong)?;
        total = total.saturating_add(Duration::from_millis(ms));
        if total > MAX_DURATION {
            return Err(DurationError::TooLong);
        }
        rest = after;
    }
    Ok(total)
}

/// A duration in seconds, as short as it can be: `0.25s`, `30s`, `41.1s`.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = format!("{:03}", self.0.subsec_millis());
        let text = format!("{}.{millis}", self.0.as_secs());
        f.pad(&format!("{}s", text.trim_end_matches('0').trim_end_matches('.')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        let check = |text: &str, want| assert_eq!(parse_duration(text), want, "{text:?}");
        check("500ms", Ok(Duration::from_millis(500)));
        check("5s", Ok(Duration::from_secs(5)));
        check("2m", Ok(Duration::from_secs(120)));
        check("1h30m", Ok(Duration::from_secs(5400)));
        check("7d", Ok(Duration::from_secs(604_800)));
        check("0s", Ok(Duration::ZERO));
        check("", Err(DurationError::Empty));
        check("5", Err(DurationError::NoUnit));
        check("1h30", Err(DurationError::NoUnit));
        check("-5s", Err(DurationError::Negative));
        check("1.5s", Err(DurationError::Fraction));
        check("s", Err(DurationError::NoNumber));
        check("5 s", Err(DurationError::BadUnit));
        check("5S", Err(DurationError::BadUnit));
        check("5sec", Err(DurationError::BadUnit));
        check("40000d", Err(DurationError::TooLong));
        check("99999999999999999999s", Err(DurationError::TooLong));
        check("18446744073709551615d", Err(DurationError::TooLong));
        check(&"9999999999h".repeat(99), Err(DurationError::TooLong));
    }

    #[test]
    fn shows_seconds_without_needless_digits() {
        let check = |ms, want: &str| assert_eq!(Seconds(Duration::from_millis(ms)).to_string(), want);
        check(0, "0s");
        check(100, "0.1s");
        check(250, "0.25s");
        check(1_005, "1.005s");
        check(30_000, "30s");
        check(41_100, "41.1s");
        check(100_000, "100s");
    }
}
