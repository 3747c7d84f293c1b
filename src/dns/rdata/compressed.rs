//! Names and RDATA of other servers' messages, where names may be compressed (RFC 1035 section 4.1.4).
//!
//! What comes out is what parsing the text of the same record gives, so that the two can be compared.

use std::ops::Range;

use super::hints;
use super::parse::parse_rdata;
use super::print::known_text;
use super::types::{Field, may_be_odd, shape};
use crate::dns::lex::Lexer;
use crate::dns::name::MAX_NAME_LEN;
use crate::dns::{Name, RrType};

/// The most pointers one name may hold. Each must lead backwards, so there is no circle; this bounds what
/// a message full of pointers costs.
const MAX_POINTERS: usize = 64;

/// The name at `at` in a message, in lower case, and where what follows it begins; `None` where there is
/// none.
pub fn name_in_message(message: &[u8], at: usize) -> Option<(Name, usize)> {
    let (wire, end) = expand(message, at)?;
    Name::from_wire(&wire).ok().map(|name| (name, end))
}

/// The RDATA of a record of `rtype` that stands at `at` in a message: names expanded, and in lower case
/// where they compare without case. `None` where the bytes do not have the type's shape.
pub fn rdata_in_message(rtype: RrType, message: &[u8], at: Range<usize>) -> Option<Box<[u8]>> {
    let rdata = message.get(at.clone())?;
    let fields = shape(rtype).unwrap_or_default();
    let Some(last) = fields.iter().rposition(|field| matches!(field, Field::Name)) else {
        return Some(rdata.into());
    };
    let (mut out, mut here) = (Vec::with_capacity(rdata.len()), at.start);
    for field in &fields[..=last] {
        let len = match field {
            Field::Name => {
                let start = out.len();
                let (wire, end) = expand(message, here)?;
                out.extend_from_slice(&wire);
                out[start..].make_ascii_lowercase();
                here = end;
                continue;
            }
            Field::U8 | Field::Algorithm => 1,
            Field::U16 | Field::Type => 2,
            Field::U32 | Field::Seconds | Field::Timestamp => 4,
            Field::Text => 1 + usize::from(*message.get(here)?),
            // No type has another field before a name that is expanded.
            _ => return None,
        };
        out.extend_from_slice(message.get(here..here + len)?);
        here += len;
    }
    out.extend_from_slice(message.get(here..at.end)?);
    Some(out.into())
}

/// The same, and `None` too where the RDATA is anything that no master file could say of its type.
pub fn checked_rdata(rtype: RrType, message: &[u8], at: Range<usize>) -> Option<Box<[u8]>> {
    let rdata = rdata_in_message(rtype, message, at)?;
    if shape(rtype).is_none() {
        return Some(rdata);
    }
    let Some(text) = known_text(rtype, &rdata) else { return may_be_odd(rtype).then_some(rdata) };
    let mut out = Vec::with_capacity(rdata.len());
    parse_rdata(&mut Lexer::new(text.as_bytes()), rtype, &[0], &mut out).ok()?;
    Some(out.into())
}

/// The RDATA that text as in a master file stands for, names in it absolute. The error says what is wrong
/// with the text.
pub fn rdata_from_text(rtype: RrType, text: &str) -> Result<Box<[u8]>, String> {
    if text.contains('\n') {
        return Err("it is more than one line".to_owned());
    }
    let mut out = Vec::new();
    parse_rdata(&mut Lexer::new(text.as_bytes()), rtype, &[0], &mut out).map_err(|fault| fault.message)?;
    Ok(out.into())
}

/// [`rdata_from_text`] of a record at a steered name, whose address hints may be `auto`: they are left open for
/// [`close_hints`](super::close_hints).
pub fn steered_rdata_from_text(rtype: RrType, text: &str) -> Result<Box<[u8]>, String> {
    if !hints::has_hints(rtype) {
        return rdata_from_text(rtype, text);
    }
    let (rest, open) = hints::take_auto(text);
    if open.is_empty() {
        // As it was written, quotes and all.
        return rdata_from_text(rtype, text);
    }
    hints::open(&rdata_from_text(rtype, &rest)?, &open)
}

/// The labels of a name without its pointers, and where the name ends.
fn expand(message: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let (mut wire, mut here, mut end, mut pointers) = (Vec::new(), at, None, 0);
    loop {
        let len = *message.get(here)?;
        match len {
            0 => {
                wire.push(0);
                return (wire.len() <= MAX_NAME_LEN).then_some((wire, end.unwrap_or(here + 1)));
            }
            1..=63 => {
                let label = message.get(here..=here + usize::from(len))?;
                wire.extend_from_slice(label);
                here += label.len();
                if wire.len() >= MAX_NAME_LEN {
                    return None;
                }
            }
            0xc0.. => {
                let to = usize::from(len & 0x3f) << 8 | usize::from(*message.get(here + 1)?);
                end.get_or_insert(here + 2);
                pointers += 1;
                if to >= here || pointers > MAX_POINTERS {
                    return None;
                }
                here = to;
            }
            // RFC 6891 section 5: these label types are no more.
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rdata(rtype: RrType, text: &str) -> Box<[u8]> {
        rdata_from_text(rtype, text).unwrap()
    }

    #[test]
    fn pointers_are_followed_backwards_alone() {
        // 0: example.com, 13: www + pointer to 0, 19: a pointer to itself, 21: one forwards
        let message = b"\x07EXAMPLE\x03com\0\x03www\xc0\x00\xc0\x13\xc0\x20\x40\xc0";
        let (name, end) = name_in_message(message, 13).unwrap();
        assert_eq!((name.to_string().as_str(), end), ("www.example.com.", 19));
        assert_eq!(name_in_message(message, 0).unwrap().1, 13);
        for bad in [19, 21, 23, 24, 25, 1000] {
            assert_eq!(name_in_message(message, bad), None, "at {bad}");
        }
        // Each byte pair points to the pair before it: a chain, and a bound on it.
        let chain: Vec<u8> = [0, 0].into_iter().chain((0..100u8).flat_map(|n| [0xc0, n * 2])).collect();
        assert!(name_in_message(&chain, 2 * MAX_POINTERS).is_some());
        assert_eq!(name_in_message(&chain, 2 * MAX_POINTERS + 2), None);
    }

    #[test]
    fn what_was_compressed_equals_its_text() {
        let message = b"\x07example\x03com\0\x00\x0a\x04MAIL\xc0\x00";
        let mx = rdata_in_message(RrType::MX, message, 13..message.len()).unwrap();
        assert_eq!(mx, rdata(RrType::MX, "10 mail.example.com."));
        assert_eq!(rdata_in_message(RrType::MX, message, 13..14), None);
        assert_eq!(rdata_in_message(RrType::MX, message, 13..99), None);
        let a = rdata_in_message(RrType::A, &[192, 0, 2, 1], 0..4).unwrap();
        assert_eq!(a, rdata(RrType::A, "192.0.2.1"));
        let soa = rdata(RrType::SOA, "NS1.example. root.example. 1 2 3 4 5");
        assert_eq!(rdata_in_message(RrType::SOA, &soa, 0..soa.len()), Some(soa));
    }

    #[test]
    fn text_is_one_record() {
        assert_eq!(&*rdata(RrType::TXT, "\"a b\" c"), b"\x03a b\x01c");
        let fault = |rtype, text: &str| rdata_from_text(rtype, text).unwrap_err();
        assert!(fault(RrType::A, "192.0.2").contains("an IPv4 address"));
        assert!(fault(RrType::A, "192.0.2.1 192.0.2.2").contains("192.0.2.2"));
        assert_eq!(fault(RrType::A, "192.0.2.1\n192.0.2.2"), "it is more than one line");
        assert!(!fault(RrType::A, "").is_empty());
    }
}
