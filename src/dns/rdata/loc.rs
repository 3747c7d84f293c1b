//! LOC: where on earth (RFC 1876).

use std::fmt::Write as _;

/// Version, three sizes, then latitude, longitude and altitude (RFC 1876 section 2).
const LEN: usize = 16;
/// The equator and the prime meridian.
const ORIGIN: u32 = 1 << 31;
/// 100 km below the reference spheroid, in centimetres: where altitudes count from.
const ALTITUDE_BASE_CM: i64 = 10_000_000;
/// Thousandths of a second of arc in a degree.
const DEGREE: u32 = 3_600_000;
/// Size, horizontal and vertical precision where text leaves them out (RFC 1876 section 3), in
/// centimetres: 1 m, 10 km, 10 m.
const DEFAULT_SIZES_CM: [u64; 3] = [100, 1_000_000, 1_000];

/// The text of LOC's RDATA; `None` where the bytes say nothing RFC 1876 allows.
pub(super) fn print(rdata: &[u8]) -> Option<String> {
    let &[version, size, horizontal, vertical, ref places @ ..] = <&[u8; LEN]>::try_from(rdata).ok()?;
    if version != 0 {
        return None;
    }
    let place = |at: usize| places[at..].first_chunk().map(|four| u32::from_be_bytes(*four));
    let mut out = String::new();
    print_angle(place(0)?, 90, ['N', 'S'], &mut out)?;
    print_angle(place(4)?, 180, ['E', 'W'], &mut out)?;
    let altitude = i64::from(place(8)?) - ALTITUDE_BASE_CM;
    let sign = if altitude < 0 { "-" } else { "" };
    let _ = write!(out, "{sign}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100);
    for size in [size, horizontal, vertical] {
        let (mantissa, exponent) = (size >> 4, size & 15);
        if mantissa > 9 || exponent > 9 || mantissa == 0 && exponent > 0 {
            return None;
        }
        let cm = u64::from(mantissa) * 10u64.pow(u32::from(exponent));
        let _ = write!(out, " {}.{:02}m", cm / 100, cm % 100);
    }
    Some(out)
}

fn print_angle(
    value: u32,
    max_degrees: u32,
    [positive, negative]: [char; 2],
    out: &mut String,
) -> Option<()> {
    let (angle, side) = (value.abs_diff(ORIGIN), if value >= ORIGIN { positive } else { negative });
    if angle > max_degrees * DEGREE {
        return None;
    }
    let (degrees, minutes) = (angle / DEGREE, angle / 60_000 % 60);
    let _ = write!(out, "{degrees} {minutes} {}.{:03} {side} ", angle / 1000 % 60, angle % 1000);
    Some(())
}

/// Appends the RDATA for the tokens of a LOC record; `None` where they are none.
pub(super) fn parse(tokens: &[&[u8]], out: &mut Vec<u8>) -> Option<()> {
    let (latitude, tokens) = parse_angle(tokens, 90, [b'N', b'S'])?;
    let (longitude, tokens) = parse_angle(tokens, 180, [b'E', b'W'])?;
    let (altitude, sizes) = tokens.split_first()?;
    let altitude = u32::try_from(parse_cm(altitude)? + ALTITUDE_BASE_CM).ok()?;
    if sizes.len() > DEFAULT_SIZES_CM.len() {
        return None;
    }
    out.push(0);
    for (at, default) in DEFAULT_SIZES_CM.into_iter().enumerate() {
        let cm = match sizes.get(at) {
            Some(size) => u64::try_from(parse_cm(size)?).ok()?,
            None => default,
        };
        out.push(pack_size(cm)?);
    }
    for place in [latitude, longitude, altitude] {
        out.extend_from_slice(&place.to_be_bytes());
    }
    Some(())
}

/// One digit and a power of ten, in centimetres, rounded down (RFC 1876 section 2).
fn pack_size(mut cm: u64) -> Option<u8> {
    let mut exponent = 0;
    while cm >= 10 {
        cm /= 10;
        exponent += 1;
    }
    (exponent <= 9).then_some((cm as u8) << 4 | exponent)
}

/// Degrees, perhaps minutes, perhaps seconds, and the side; then the tokens that follow.
fn parse_angle<'t, 'a>(
    tokens: &'t [&'a [u8]],
    max_degrees: u32,
    [positive, negative]: [u8; 2],
) -> Option<(u32, &'t [&'a [u8]])> {
    let end =
        tokens.iter().take(4).position(|token| matches!(token, [letter] if letter.is_ascii_alphabetic()))?;
    let side = tokens[end][0].to_ascii_uppercase();
    let whole = |at: usize, max: u32| match tokens[..end].get(at) {
        None => Some(0),
        Some(digits) => u32::try_from(parse_decimal::<0>(digits, 3)?).ok().filter(|&value| value <= max),
    };
    let seconds = match tokens[..end].get(2) {
        None => 0,
        Some(digits) => u32::try_from(parse_decimal::<3>(digits, 2)?).ok().filter(|&value| value < 60_000)?,
    };
    let angle = whole(0, max_degrees).filter(|_| end > 0)? * DEGREE + whole(1, 59)? * 60_000 + seconds;
    let value = match side {
        _ if angle > max_degrees * DEGREE => return None,
        _ if side == positive => ORIGIN + angle,
        _ if side == negative => ORIGIN - angle,
        _ => return None,
    };
    Some((value, &tokens[end + 1..]))
}

/// Metres with up to two decimals and perhaps an `m`, in centimetres.
fn parse_cm(text: &[u8]) -> Option<i64> {
    let text = text.strip_suffix(b"m").unwrap_or(text);
    let (sign, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    Some(sign * parse_decimal::<2>(digits, 8)?)
}

/// A number of at most `max_digits` digits and `DECIMALS` after the point, in units of the last of these.
fn parse_decimal<const DECIMALS: usize>(text: &[u8], max_digits: usize) -> Option<i64> {
    let (whole, decimals) = match text.iter().position(|&byte| byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &text[..0]),
    };
    if whole.is_empty() || whole.len() > max_digits || decimals.len() > DECIMALS {
        return None;
    }
    let zeros = std::iter::repeat_n(&b'0', DECIMALS - decimals.len());
    whole
        .iter()
        .chain(decimals)
        .chain(zeros)
        .try_fold(0i64, |value, &digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Vec<u8>> {
        let tokens: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        let mut out = Vec::new();
        parse(&tokens, &mut out).map(|()| out)
    }

    #[test]
    fn rfc1876_examples() {
        let check = |text: &str, want: &str| {
            let rdata = parsed(text).expect(text);
            assert_eq!(print(&rdata).as_deref(), Some(want));
            assert_eq!(parsed(want).as_ref(), Some(&rdata));
        };
        check(
            "42 21 54 N 71 06 18 W -24m 30m",
            "42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m",
        );
        check(
            "42 21 43.952 N 71 5 6.344 W -24m 1m 200m",
            "42 21 43.952 N 71 5 6.344 W -24.00m 1.00m 200.00m 10.00m",
        );
        check("52 14 05 N 00 08 50 E 10m", "52 14 5.000 N 0 8 50.000 E 10.00m 1.00m 10000.00m 10.00m");
        check("32 7 19 S 116 2 25 E 10m", "32 7 19.000 S 116 2 25.000 E 10.00m 1.00m 10000.00m 10.00m");
    }

    #[test]
    fn refuses_what_is_nowhere() {
        for text in [
            "",
            "N E 0m",
            "91 N 0 E 0m",
            "90 0 0.001 N 0 E 0m",
            "0 60 N 0 E 0m",
            "0 0 60 N 0 E 0m",
            "0 E 0 N 0m",
            "0 N 0 E",
            "0 N 0 E -100000.01m",
            "0 N 0 E 0m 1 1 1 1",
            "0 N 0 E 0m -1m",
            "0 N 0 E 1.234",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn odd_bytes_have_no_text() {
        let mut rdata = parsed("0 N 0 E 0m").unwrap();
        assert!(print(&rdata).is_some() && print(&rdata[1..]).is_none());
        rdata[1] = 0x0a;
        assert_eq!(print(&rdata), None);
        rdata[1] = 0xa0;
        assert_eq!(print(&rdata), None);
        rdata[1] = 0;
        rdata[4] = 0xff;
        assert_eq!(print(&rdata), None);
    }
}
