//! RDATA from wire to text.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{print_base32, print_base64, print_hex, print_quoted, print_timestamp, unpack_types};
use super::types::{Field, shape};
use super::{loc, rare, svcb};
use crate::dns::RrType;
use crate::dns::name::{print_wire, split_wire};

/// One record's RDATA as a master file has it, names absolute. Bytes of a type without a known shape, or
/// not of that shape, are printed in RFC 3597's form: `\# 2 0102`. Parsing the text gives the same bytes,
/// if names in them are in lower case as parsing leaves them.
pub fn rdata_text(rtype: RrType, rdata: &[u8]) -> String {
    known_text(rtype, rdata).unwrap_or_else(|| {
        let mut out = format!("\\# {}", rdata.len());
        out.push_str(if rdata.is_empty() { "" } else { " " });
        print_hex(rdata, &mut out);
        out
    })
}

/// The text by the type's shape; `None` where the bytes do not have it.
pub(super) fn known_text(rtype: RrType, rdata: &[u8]) -> Option<String> {
    let mut wire = Wire(rdata);
    let mut out = String::new();
    for field in shape(rtype)? {
        // The fields that may be empty bring their own space.
        if !out.is_empty() && !matches!(field, Field::Types | Field::SvcParams | Field::NxtTypes) {
            out.push(' ');
        }
        print_field(*field, &mut wire, &mut out)?;
    }
    wire.0.is_empty().then_some(out)
}

/// What is left of an RDATA.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn take<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    /// A length byte and that many bytes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let [len] = self.take()?;
        let (string, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(string)
    }

    fn name(&mut self) -> Option<&'a [u8]> {
        let (name, rest) = split_wire(self.0)?;
        self.0 = rest;
        Some(name)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn some_rest(&mut self) -> Option<&'a [u8]> {
        Some(self.rest()).filter(|rest| !rest.is_empty())
    }
}

fn print_field(field: Field, wire: &mut Wire<'_>, out: &mut String) -> Option<()> {
    match field {
        Field::U8 | Field::Algorithm => write!(out, "{}", wire.take::<1>()?[0]).ok()?,
        Field::U16 | Field::CertType => write!(out, "{}", wire.u16()?).ok()?,
        Field::U32 | Field::Seconds => write!(out, "{}", wire.u32()?).ok()?,
        Field::Timestamp => print_timestamp(wire.u32()?, out),
        Field::Type => write!(out, "{}", RrType(wire.u16()?)).ok()?,
        Field::V4 => write!(out, "{}", Ipv4Addr::from(wire.take::<4>()?)).ok()?,
        Field::V6 => write!(out, "{}", Ipv6Addr::from(wire.take::<16>()?)).ok()?,
        Field::Name | Field::CasedName => print_wire(wire.name()?, out).ok()?,
        Field::Text => print_quoted(wire.string()?, out),
        Field::Texts => {
            print_quoted(wire.string()?, out);
            while !wire.0.is_empty() {
                out.push(' ');
                print_quoted(wire.string()?, out);
            }
        }
        Field::Tag => {
            let tag = wire.string().filter(|tag| is_tag(tag))?;
            out.extend(tag.iter().copied().map(char::from));
        }
        Field::Bare => print_quoted(wire.rest(), out),
        Field::Base64 => print_base64(wire.some_rest()?, out),
        Field::Hex => print_hex(wire.some_rest()?, out),
        Field::Salt => match wire.string()? {
            [] => out.push('-'),
            salt => print_hex(salt, out),
        },
        Field::Base32 => print_base32(wire.string().filter(|hash| !hash.is_empty())?, out),
        Field::Types => {
            for rtype in unpack_types(wire.rest())? {
                write!(out, " {rtype}").ok()?;
            }
        }
        Field::Eui48 => print_eui(&wire.take::<6>()?, out),
        Field::Eui64 => print_eui(&wire.take::<8>()?, out),
        Field::Loc => out.push_str(&loc::print(wire.rest())?),
        Field::Ipseckey => print_ipseckey(wire, out)?,
        Field::SvcParams => svcb::print(wire.rest(), out)?,
        Field::DsDigest => {
            let [digest_type] = wire.take()?;
            let digest = Some(wire.rest()).filter(|digest| rare::fits_ds(digest_type, digest.len()))?;
            write!(out, "{digest_type} ").ok()?;
            print_hex(digest, out);
        }
        Field::ZoneDigest => {
            let [scheme, hash] = wire.take()?;
            let digest = Some(wire.rest()).filter(|digest| rare::fits_zonemd(hash, digest.len()))?;
            write!(out, "{scheme} {hash} ").ok()?;
            print_hex(digest, out);
        }
        Field::Id64 => rare::print_id64(wire.take()?, out),
        Field::Nsap => rare::print_nsap(wire.some_rest()?, out),
        Field::Apl => rare::print_apl(wire.rest(), out)?,
        Field::Wks => rare::print_wks(wire.rest(), out)?,
        Field::NxtTypes => rare::print_nxt(wire.rest(), out)?,
    }
    Some(())
}

/// Letters and digits, at least one (RFC 8659 section 4.1).
pub(super) fn is_tag(tag: &[u8]) -> bool {
    !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric)
}

fn print_eui(bytes: &[u8], out: &mut String) {
    for (at, byte) in bytes.iter().enumerate() {
        let dash = if at > 0 { "-" } else { "" };
        let _ = write!(out, "{dash}{byte:02x}"); // writing to a String cannot fail
    }
}

/// Precedence, gateway type, algorithm, gateway, key (RFC 4025 section 3.1).
fn print_ipseckey(wire: &mut Wire<'_>, out: &mut String) -> Option<()> {
    let [precedence, gateway_type, algorithm] = wire.take()?;
    write!(out, "{precedence} {gateway_type} {algorithm} ").ok()?;
    match gateway_type {
        0 => out.push('.'),
        1 => print_field(Field::V4, wire, out)?,
        2 => print_field(Field::V6, wire, out)?,
        3 => print_field(Field::CasedName, wire, out)?,
        _ => return None,
    }
    if algorithm == 0 {
        return Some(());
    }
    out.push(' ');
    print_field(Field::Base64, wire, out)
}
