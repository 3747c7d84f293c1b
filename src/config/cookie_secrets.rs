//! The file of secrets that DNS cookies are made with (RFC 9018 section 5).

use std::path::Path;

use super::files::read_bounded;
use crate::model::CookieSecrets;

/// The longest file, in bytes: two secrets and room for comments.
const MAX_BYTES: u64 = 4_096;
/// A secret's length in hexadecimal digits.
const DIGITS: usize = 32;

/// Reads a file with one secret a line, the current one first, at most one more after it. Errors: why it
/// is not one.
pub(super) fn read(path: &Path) -> Result<CookieSecrets, String> {
    let bytes = read_bounded(path, MAX_BYTES).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut secrets = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if !line.is_empty() && !line.starts_with('#') {
            // The line itself is a secret, and not for a message.
            secrets.push(secret(line).ok_or(format!("line {number} is not {DIGITS} hexadecimal digits"))?);
        }
    }
    match secrets[..] {
        [current] => Ok(CookieSecrets { current, other: None }),
        [current, other] => Ok(CookieSecrets { current, other: Some(other) }),
        _ => Err(format!("it holds {} secrets, not one or two", secrets.len())),
    }
}

fn secret(line: &str) -> Option<[u8; 16]> {
    if line.len() != DIGITS || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(line, 16).ok().map(u128::to_be_bytes)
}
