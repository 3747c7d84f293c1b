//! Times in master files.

/// The longest TTL (RFC 2181 section 8).
pub(crate) const MAX_TTL: u32 = (1 << 31) - 1;

/// Seconds as a number, or as numbers with the units s, m, h, d and w: `1h30m`.
pub(crate) fn parse_ttl(text: &[u8]) -> Option<u32> {
    let (mut sum, mut number, mut digits) = (0u64, 0u64, 0);
    for &byte in text {
        if byte.is_ascii_digit() {
            number = number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
            digits += 1;
            continue;
        }
        let unit = match byte.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        if digits == 0 {
            return None;
        }
        sum = sum.checked_add(number.checked_mul(unit)?)?;
        (number, digits) = (0, 0);
    }
    // A number without a unit stands alone: in 1h30, what is the 30?
    if text.is_empty() || digits > 0 && digits < text.len() {
        return None;
    }
    u32::try_from(sum.checked_add(number)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_units() {
        let check = |text: &str, want| assert_eq!(parse_ttl(text.as_bytes()), want, "{text}");
        check("0", Some(0));
        check("3600", Some(3600));
        check("1h30m", Some(5400));
        check("1W2D3H4M5S", Some(604_800 + 2 * 86_400 + 3 * 3600 + 245));
        check("4294967295", Some(u32::MAX));
        for text in ["", "h", "1h30", "1x", "-1", "4294967296", "99999999999999999999", "7102w", "1hh"] {
            check(text, None);
        }
    }
}
