//! RDATA whose text is none of a few plain fields: types that few zones hold, and digests whose length follows from
//! the number before them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{parse_hex, print_hex};
use crate::dns::RrType;

/// The numbers of IP protocols that WKS calls by name (RFC 1010).
const PROTOCOLS: [(&str, u8); 2] = [("tcp", 6), ("udp", 17)];
/// The ports that WKS calls by name (RFC 1010); all others are numbers.
const SERVICES: [(&str, u16); 18] = [
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("domain", 53),
    ("tftp", 69),
    ("gopher", 70),
    ("finger", 79),
    ("http", 80),
    ("pop3", 110),
    ("sunrpc", 111),
    ("nntp", 119),
    ("ntp", 123),
    ("imap", 143),
    ("snmp", 161),
    ("https", 443),
];
/// Address families of APL (RFC 3123 section 4).
const V4: u16 = 1;
const V6: u16 = 2;
/// The highest type that NXT's bitmap has a bit for (RFC 2535 section 5.2).
pub(super) const MAX_NXT_TYPE: u16 = 127;
/// The shortest digest of a ZONEMD whose hash is unknown (RFC 8976 section 2.2.4).
const MIN_ZONEMD: usize = 12;

/// How many bytes a digest of this DS digest type has (IANA, "Digest Algorithms"); `None` for unknown ones.
/// 0 is the lone zero that asks for no DS at all (RFC 8078 section 4).
pub(super) fn ds_digest_len(digest_type: u8) -> Option<usize> {
    match digest_type {
        0 => Some(1),
        1 => Some(20),
        2 | 3 | 5 | 6 => Some(32),
        4 => Some(48),
        _ => None,
    }
}

/// Whether a ZONEMD of this hash algorithm may have a digest of `len` bytes (RFC 8976 section 2.2.4).
pub(super) fn fits_zonemd(hash: u8, len: usize) -> bool {
    match hash {
        1 => len == 48,
        2 => len == 64,
        _ => len >= MIN_ZONEMD,
    }
}

/// Whether a DS of this digest type may have a digest of `len` bytes.
pub(super) fn fits_ds(digest_type: u8, len: usize) -> bool {
    ds_digest_len(digest_type).map_or(len > 0, |wanted| len == wanted)
}

/// NSAP: `0x` and hex digits, with dots between them as one likes (RFC 1706 section 7).
pub(super) fn parse_nsap(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    let digits: Vec<u8> = digits.iter().copied().filter(|&byte| byte != b'.').collect();
    if digits.is_empty() { None } else { parse_hex(&digits, out) }
}

pub(super) fn print_nsap(bytes: &[u8], out: &mut String) {
    out.push_str("0x");
    print_hex(bytes, out);
}

/// Eight bytes as four groups of hex digits: `0014:4fff:ff20:ee64` (RFC 6742 section 2.1.2).
pub(super) fn parse_id64(text: &[u8]) -> Option<[u8; 8]> {
    let mut groups = text.split(|&byte| byte == b':');
    let mut out = [0; 8];
    for bytes in out.chunks_exact_mut(2) {
        let group = groups.next().filter(|group| (1..=4).contains(&group.len()))?;
        let group = group.iter().try_fold(0u16, |all, &digit| {
            Some(all << 4 | u16::try_from(char::from(digit).to_digit(16)?).ok()?)
        })?;
        bytes.copy_from_slice(&group.to_be_bytes());
    }
    groups.next().is_none().then_some(out)
}

pub(super) fn print_id64(bytes: [u8; 8], out: &mut String) {
    for (at, group) in bytes.chunks_exact(2).enumerate() {
        let colon = if at > 0 { ":" } else { "" };
        let _ = write!(out, "{colon}{:02x}{:02x}", group[0], group[1]); // writing to a String cannot fail
    }
}

/// One item of APL: `[!]AFI:ADDRESS/PREFIX`, its trailing zero bytes left out on the wire (RFC 3123 sections 4 and 5).
pub(super) fn parse_apl_item(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = std::str::from_utf8(text).ok()?;
    let (not, text) = text.strip_prefix('!').map_or((false, text), |text| (true, text));
    let (family, rest) = text.split_once(':')?;
    let (address, prefix) = rest.split_once('/')?;
    let prefix: u8 = prefix.parse().ok()?;
    let family: u16 = family.parse().ok()?;
    let bytes = match family {
        V4 => address.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
        V6 => address.parse::<Ipv6Addr>().ok()?.octets().to_vec(),
        _ => return None,
    };
    if usize::from(prefix) > bytes.len() * 8 {
        return None;
    }
    let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    out.extend_from_slice(&family.to_be_bytes());
    out.extend_from_slice(&[prefix, u8::from(not) << 7 | len as u8]);
    out.extend_from_slice(&bytes[..len]);
    Some(())
}

/// All items of an APL, each after a space but the first; `None` where they are not as [`parse_apl_item`] makes them.
pub(super) fn print_apl(mut wire: &[u8], out: &mut String) -> Option<()> {
    let mut first = true;
    while let [high, low, prefix, len, rest @ ..] = wire {
        let (bytes, rest) = rest.split_at_checked(usize::from(len & 0x7f))?;
        if bytes.last() == Some(&0) {
            return None;
        }
        let mut full = [0; 16];
        full.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let not = if len & 0x80 == 0 { "" } else { "!" };
        let space = if std::mem::take(&mut first) { "" } else { " " };
        match u16::from_be_bytes([*high, *low]) {
            V4 if bytes.len() <= 4 && *prefix <= 32 => {
                let address = Ipv4Addr::new(full[0], full[1], full[2], full[3]);
                write!(out, "{space}{not}{V4}:{address}/{prefix}").ok()?;
            }
            V6 if *prefix <= 128 => {
                write!(out, "{space}{not}{V6}:{}/{prefix}", Ipv6Addr::from(full)).ok()?;
            }
            _ => return None,
        }
        wire = rest;
    }
    wire.is_empty().then_some(())
}

/// What follows WKS's address: a protocol and services, by number or by name (RFC 1035 section 3.4.2).
pub(super) fn parse_wks(words: &[&[u8]], out: &mut Vec<u8>) -> Option<()> {
    let named = |word: &[u8]| std::str::from_utf8(word).ok().map(str::to_ascii_lowercase);
    let (protocol, services) = words.split_first()?;
    let protocol = named(protocol)?;
    let by_name = PROTOCOLS.iter().find(|(name, _)| *name == protocol).map(|&(_, number)| number);
    out.push(by_name.or_else(|| protocol.parse().ok())?);
    let mut bits = Vec::new();
    for service in services {
        let service = named(service)?;
        let by_name = SERVICES.iter().find(|(name, _)| *name == service).map(|&(_, port)| port);
        set_bit(&mut bits, by_name.or_else(|| service.parse().ok())?);
    }
    out.append(&mut bits);
    Some(())
}

/// The same as numbers; `None` where the map ends with a zero byte, or is longer than there are ports.
pub(super) fn print_wks(wire: &[u8], out: &mut String) -> Option<()> {
    let (protocol, bits) = wire.split_first()?;
    if bits.last() == Some(&0) || bits.len() > (1 << 16) / 8 {
        return None;
    }
    write!(out, "{protocol}").ok()?;
    set_bits(bits).try_for_each(|port| write!(out, " {port}")).ok()
}

/// NXT's bitmap (RFC 2535 section 5.2) of types up to [`MAX_NXT_TYPE`].
pub(super) fn pack_nxt(types: &[RrType], out: &mut Vec<u8>) {
    let mut bits = Vec::new();
    for rtype in types {
        set_bit(&mut bits, rtype.0);
    }
    out.append(&mut bits);
}

/// Each type after a space; `None` where the map is not exactly what [`pack_nxt`] makes.
pub(super) fn print_nxt(bits: &[u8], out: &mut String) -> Option<()> {
    // The first bit being set means another format, which nobody has defined.
    let whole = bits.len() <= usize::from(MAX_NXT_TYPE).div_ceil(8)
        && bits.last() != Some(&0)
        && bits.first().is_none_or(|first| first & 0x80 == 0);
    if !whole {
        return None;
    }
    set_bits(bits).try_for_each(|number| write!(out, " {}", RrType(number))).ok()
}

fn set_bit(bits: &mut Vec<u8>, number: u16) {
    let at = usize::from(number / 8);
    if bits.len() <= at {
        bits.resize(at + 1, 0);
    }
    bits[at] |= 0x80 >> (number % 8);
}

fn set_bits(bits: &[u8]) -> impl Iterator<Item = u16> {
    let of = |(at, &byte): (usize, &u8)| {
        (0..8u16).filter(move |bit| byte & 0x80 >> bit != 0).map(move |bit| (at as u16) << 3 | bit)
    };
    bits.iter().enumerate().flat_map(of)
}
