//! From when to when a certificate is valid: what the TLS library judges and does not tell.

use crate::time::HostTime;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The `notBefore` and `notAfter` of a certificate (RFC 5280, section 4.1); nothing where they cannot be read.
pub fn validity(certificate: &[u8]) -> Option<(HostTime, HostTime)> {
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut fields, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    // The version is there in all but the oldest.
    if let (VERSION, _, rest) = element(fields)? {
        fields = rest;
    }
    // serialNumber, signature, issuer
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (from_tag, from, rest) = element(validity)?;
    let (until_tag, until, _) = element(rest)?;
    // What began before 1970 began long ago.
    Some((time(from_tag, from).unwrap_or_default(), time(until_tag, until)?))
}

/// The first element of DER: its tag, its content, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // No certificate takes 4 GB.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, section 4.1.2.5).
fn time(tag: u8, text: &[u8]) -> Option<HostTime> {
    let digits = text.strip_suffix(b"Z")?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = number(&digits[..2])?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (number(&digits[..4])?, &digits[4..]),
        _ => return None,
    };
    let mut parts = rest.chunks(2).map(number);
    let mut part = |from: u64, to: u64| parts.next()?.filter(|n| (from..=to).contains(n));
    let (month, day) = (part(1, 12)?, part(1, 31)?);
    let (hour, minute, second) = (part(0, 23)?, part(0, 59)?, part(0, 60)?);
    let seconds = (days(year, month, day)? * 24 + hour) * 3_600 + minute * 60 + second;
    Some(HostTime(seconds * 1_000))
}

fn number(digits: &[u8]) -> Option<u64> {
    let fits = digits.iter().all(u8::is_ascii_digit);
    fits.then(|| digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}

/// Days from 1970-01-01; nothing before it.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years that begin in March have their leap day last; 719,468 days before 1970 is 0000-03-01.
    let year = if month > 2 { year } else { year.checked_sub(1)? };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (365 * year + year / 4 - year / 100 + year / 400 + of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_certificate_library_writes() {
        let check = |(year, month, day): (i32, u8, u8), want: &str| {
            let mut params = rcgen::CertificateParams::new(vec!["app.example.com".into()]).unwrap();
            params.not_before = rcgen::date_time_ymd(1975, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let (from, until) = validity(certificate.der()).unwrap();
            assert_eq!(
                (from.to_string(), until.to_string()),
                ("1975-01-01T00:00:00.000Z".to_owned(), want.to_owned())
            );
        };
        check((2026, 11, 21), "2026-11-21T00:00:00.000Z");
        check((2024, 2, 29), "2024-02-29T00:00:00.000Z");
        check((1999, 12, 31), "1999-12-31T00:00:00.000Z");
        check((2050, 1, 1), "2050-01-01T00:00:00.000Z");
        check((2100, 3, 1), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_cut_short_or_odd_is_not_read() {
        let params = rcgen::CertificateParams::new(vec!["app.example.com".into()]).unwrap();
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der();
        assert!((0..der.len()).all(|end| validity(&der[..end]).is_none()));
        assert_eq!(validity(&[0x30, 0x85, 1, 1, 1, 1, 1]), None);
        for (tag, text) in [(UTC_TIME, "269921000000Z"), (UTC_TIME, "261121000000"), (0x16, "261121000000Z")]
        {
            assert_eq!(time(tag, text.as_bytes()), None, "{text}");
        }
    }
}
