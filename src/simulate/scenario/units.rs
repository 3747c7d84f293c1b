//! Numbers and times, as scenarios write them.

use std::time::Duration;

pub(super) fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|e| format!("{text}: {e}"))
}

/// `250ms`, `10.5s`, `1h`, `3m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(|| format!("{text} has no unit"))?;
    let (value, unit) = text.split_at(split);
    let value: f64 = value.parse().map_err(|e| format!("{text}: {e}"))?;
    let secs = match unit {
        "ms" => value / 1000.0,
        "s" => value,
        "m" => value * 60.0,
        "h" => value * 3600.0,
        _ => return Err(format!("{text} has an unknown unit")),
    };
    let exact = Duration::try_from_secs_f64(secs + 0.0005).map_err(|e| format!("{text}: {e}"))?;
    Ok(Duration::from_millis(exact.as_millis() as u64))
}
