//! Bytes as text: escapes, base64, base32hex, hex, dates, and bitmaps of types.

use std::fmt::Write as _;

use crate::dns::RrType;
use crate::dns::name::unescape;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32HEX: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// Appends bytes in quotes, escaped (RFC 1035 section 5.1).
pub(super) fn print_quoted(bytes: &[u8], out: &mut String) {
    out.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:03}"); // writing to a String cannot fail
            }
        }
    }
    out.push('"');
}

/// Appends the bytes that escaped text stands for, its quotes already taken off.
pub(crate) fn parse_escaped(mut text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    while let Some(at) = text.iter().position(|&byte| byte == b'\\') {
        out.extend_from_slice(&text[..at]);
        let (byte, len) = unescape(&text[at..])?;
        out.push(byte);
        text = &text[at + len..];
    }
    out.extend_from_slice(text);
    Some(())
}

/// Appends hex digits, two a byte.
pub(super) fn print_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "{byte:02x}"); // writing to a String cannot fail
    }
}

/// Appends the bytes that hex digits stand for; `None` where they are none, or odd in number.
pub(super) fn parse_hex(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    for &[high, low] in pairs {
        out.push((digit(high)? << 4 | digit(low)?) as u8);
    }
    Some(())
}

/// Appends base64 with padding (RFC 4648 section 4).
pub(super) fn print_base64(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte));
        let group = group << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let sextet = (group >> (18 - 6 * at) & 63) as usize;
            out.push(if at <= chunk.len() { char::from(BASE64[sextet]) } else { '=' });
        }
    }
}

/// Appends the bytes that base64 with its padding stands for.
pub(super) fn parse_base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (groups, []) = text.as_chunks::<4>() else { return None };
    for (at, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|&&byte| byte == b'=').count();
        if padding > 2 || padding > 0 && at + 1 < groups.len() {
            return None;
        }
        let mut bits = 0;
        for &byte in &group[..4 - padding] {
            bits = bits << 6 | base64_digit(byte)?;
        }
        let [_, bytes @ ..] = (bits << (6 * padding)).to_be_bytes();
        out.extend_from_slice(&bytes[..3 - padding]);
    }
    Some(())
}

fn base64_digit(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// Appends base32hex without padding, as NSEC3 writes it (RFC 5155 section 3.3).
pub(super) fn print_base32(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(5) {
        let group = chunk.iter().fold(0u64, |group, &byte| group << 8 | u64::from(byte));
        let group = group << (8 * (5 - chunk.len()));
        for at in 0..(chunk.len() * 8).div_ceil(5) {
            out.push(char::from(BASE32HEX[(group >> (35 - 5 * at) & 31) as usize]));
        }
    }
}

/// Appends the bytes that base32hex without padding stands for.
pub(super) fn parse_base32(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut bits, mut count) = (0u32, 0);
    for &byte in text {
        let value = match byte.to_ascii_uppercase() {
            digit @ b'0'..=b'9' => digit - b'0',
            letter @ b'A'..=b'V' => letter - b'A' + 10,
            _ => return None,
        };
        bits = bits << 5 | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    // Five leftover bits or more are a digit too many.
    (count < 5).then_some(())
}

/// Appends the bitmap of the given types (RFC 4034 section 4.1.2).
pub(super) fn pack_types(mut types: Vec<u16>, out: &mut Vec<u8>) {
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0u8; 32];
        let mut len = 0;
        for &number in window {
            let [_, low] = number.to_be_bytes();
            bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
            len = usize::from(low / 8) + 1;
        }
        out.extend_from_slice(&[window[0].to_be_bytes()[0], len as u8]);
        out.extend_from_slice(&bits[..len]);
    }
}

/// The types in a bitmap; `None` where it is not exactly what [`pack_types`] makes.
pub(super) fn unpack_types(mut bitmap: &[u8]) -> Option<Vec<RrType>> {
    let mut types = Vec::new();
    let mut last_window = None;
    while let [window, len @ 1..=32, rest @ ..] = bitmap {
        let (bits, rest) = rest.split_at_checked(usize::from(*len))?;
        if last_window >= Some(*window) || bits.last() == Some(&0) {
            return None;
        }
        for (at, byte) in bits.iter().enumerate() {
            let set = (0..8u16).filter(|bit| byte & 0x80 >> bit != 0);
            types.extend(set.map(|bit| RrType(u16::from(*window) << 8 | (at as u16) << 3 | bit)));
        }
        last_window = Some(*window);
        bitmap = rest;
    }
    bitmap.is_empty().then_some(types)
}

/// Appends `YYYYMMDDHHmmSS` (RFC 4034 section 3.2).
pub(super) fn print_timestamp(secs: u32, out: &mut String) {
    let (mut days, clock) = (secs / 86_400, secs % 86_400);
    let mut year = 1970;
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let _ = write!(out, "{year}{month:02}{:02}{hour:02}{minute:02}{second:02}", days + 1);
}

/// Fourteen digits of a date between 1970 and 2106, or up to ten of seconds since 1970.
pub(super) fn parse_timestamp(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    if text.len() != 14 {
        return text.parse().ok();
    }
    let part = |range| text.get(range).and_then(|digits: &str| digits.parse::<u32>().ok());
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(8..10)?, part(10..12)?, part(12..14)?);
    let is_date = (1970..=2106).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && (hour, minute, second) <= (23, 59, 59)
        && minute <= 59
        && second <= 59;
    if !is_date {
        return None;
    }
    let days = (1970..year).map(days_of).sum::<u32>();
    let days = days + (1..month).map(|month| days_in(year, month)).sum::<u32>() + day - 1;
    days.checked_mul(86_400)?.checked_add(hour * 3600 + minute * 60 + second)
}

fn days_of(year: u32) -> u32 {
    337 + days_in(year, 2)
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        // 2000 was a leap year, 2100 will not be, and 2106 is the last.
        2 if year.is_multiple_of(4) && year != 2100 => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(print: fn(&[u8], &mut String), bytes: &[u8]) -> String {
        let mut out = String::new();
        print(bytes, &mut out);
        out
    }

    fn bytes(parse: fn(&[u8], &mut Vec<u8>) -> Option<()>, text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        parse(text.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn rfc4648_vectors() {
        let check = |plain: &str, base64: &str, base32: &str, hex: &str| {
            let plain = plain.as_bytes();
            assert_eq!(text(print_base64, plain), base64);
            assert_eq!(text(print_base32, plain), base32);
            assert_eq!(text(print_hex, plain), hex);
            assert_eq!(bytes(parse_base64, base64).as_deref(), Some(plain));
            assert_eq!(bytes(parse_base32, &base32.to_lowercase()).as_deref(), Some(plain));
            assert_eq!(bytes(parse_hex, &hex.to_uppercase()).as_deref(), Some(plain));
        };
        check("", "", "", "");
        check("f", "Zg==", "CO", "66");
        check("fo", "Zm8=", "CPNG", "666f");
        check("foo", "Zm9v", "CPNMU", "666f6f");
        check("foob", "Zm9vYg==", "CPNMUOG", "666f6f62");
        check("fooba", "Zm9vYmE=", "CPNMUOJ1", "666f6f6261");
        check("foobar", "Zm9vYmFy", "CPNMUOJ1E8", "666f6f626172");
    }

    #[test]
    fn refuses_broken_encodings() {
        for text in ["Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Z*==", "=g=="] {
            assert_eq!(bytes(parse_base64, text), None, "{text}");
        }
        for text in ["C", "CPN", "CW", "CO======"] {
            assert_eq!(bytes(parse_base32, text), None, "{text}");
        }
        for text in ["0", "0x", "g0"] {
            assert_eq!(bytes(parse_hex, text), None, "{text}");
        }
    }

    #[test]
    fn bitmaps_round_trip() {
        // RFC 4034 section 4.3.
        let mut bitmap = Vec::new();
        pack_types(vec![1, 15, 46, 47, 1234], &mut bitmap);
        assert_eq!(bitmap[..8], [0, 6, 0x40, 1, 0, 0, 0, 3]);
        assert_eq!(bitmap[8..10], [4, 0x1b]);
        assert_eq!((bitmap.len(), bitmap[bitmap.len() - 1]), (37, 0x20));
        assert_eq!(unpack_types(&bitmap), Some([1, 15, 46, 47, 1234].map(RrType).to_vec()));
        assert_eq!(unpack_types(&[]), Some(vec![]));
    }

    #[test]
    fn refuses_broken_bitmaps() {
        for bitmap in
            [&[0][..], &[0, 0], &[0, 1], &[0, 1, 0], &[0, 33], &[1, 1, 1, 0, 1, 1], &[0, 1, 1, 0, 1, 1]]
        {
            assert_eq!(unpack_types(bitmap), None, "{bitmap:?}");
        }
    }

    #[test]
    fn timestamps_round_trip() {
        let check = |secs: u32, want: &str| {
            let mut out = String::new();
            print_timestamp(secs, &mut out);
            assert_eq!(out, want);
            assert_eq!(parse_timestamp(want.as_bytes()), Some(secs));
        };
        check(0, "19700101000000");
        check(1_048_354_263, "20030322173103"); // RFC 4034 section 3.3
        check(951_868_799, "20000229235959");
        check(4_107_542_400, "21000301000000");
        check(u32::MAX, "21060207062815");
        assert_eq!(parse_timestamp(b"1048354263"), Some(1_048_354_263));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in
            ["", "20030229000000", "20031301000000", "20030100000000", "20030101240000", "20030101006000"]
        {
            assert_eq!(parse_timestamp(text.as_bytes()), None, "{text}");
        }
        for text in ["21060207062816", "+1", "4294967296", "200301010000"] {
            assert_eq!(parse_timestamp(text.as_bytes()), None, "{text}");
        }
    }
}
