//! RDATA from the words of a master file to wire.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{pack_types, parse_base32, parse_base64, parse_escaped, parse_hex, parse_timestamp};
use super::print::{is_tag, known_text};
use super::types::{Field, may_be_odd, mnemonic, shape};
use super::{loc, rare, svcb};
use crate::dns::RrType;
use crate::dns::lex::{Fault, Lexer, Token, shown};
use crate::dns::name::push_wire;
use crate::dns::ttl::parse_ttl;

/// The longest RDATA: its length is two bytes on the wire (RFC 1035 section 3.2.1).
const MAX_RDATA_LEN: usize = u16::MAX as usize;

/// Appends the RDATA of one record of `rtype`, whose words are all the rest of the entry. Relative names
/// take `origin`, in wire form. What it leaves in `out` after a fault is for the caller to cut off.
pub(crate) fn parse_rdata(
    lexer: &mut Lexer<'_>,
    rtype: RrType,
    origin: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let start = out.len();
    let start_at = lexer.offset();
    if lexer.at_generic() {
        parse_generic(lexer, rtype, out)?;
    } else {
        let Some(shape) = shape(rtype) else {
            let message = format!("{rtype} has no text form here; write \\# LENGTH HEX (RFC 3597)");
            return Err(Fault::new(lexer.offset(), message));
        };
        let mut fields = Fields { lexer, origin, out };
        for &field in shape {
            fields.parse(field)?;
        }
        lexer.want_end(|| format!("the {rtype} record"))?;
    }
    match out.len() - start {
        0..=MAX_RDATA_LEN => Ok(()),
        len => Err(Fault::new(start_at, format!("RDATA of {len} bytes; a record holds at most 65535"))),
    }
}

/// `\# LENGTH HEX` (RFC 3597 section 5). Bytes of a type whose shape is known must have that shape.
fn parse_generic(lexer: &mut Lexer<'_>, rtype: RrType, out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    let mark = lexer.want("\\#")?;
    let len_token = lexer.want("the length of the RDATA")?;
    let len: u16 = number(&len_token, "a length up to 65535")?;
    let digits = rest(lexer)?;
    let wanted = usize::from(len) * 2;
    if digits.len() != wanted {
        let message = format!("\\# {len} wants {wanted} hex digits, but {} follow", digits.len());
        return Err(Fault::new(len_token.at, message));
    }
    let not_hex = || Fault::new(len_token.at, format!("{} is not hex", shown(&digits)));
    parse_hex(&digits, out).ok_or_else(not_hex)?;
    if shape(rtype).is_none() {
        return Ok(());
    }
    // By way of their text, so that whatever holds for text holds for these bytes.
    let wire = out.split_off(start);
    let broken = || Fault::new(mark.at, format!("these bytes are not RDATA of type {rtype}"));
    let Some(text) = known_text(rtype, &wire) else {
        out.extend_from_slice(&wire);
        return if may_be_odd(rtype) { Ok(()) } else { Err(broken()) };
    };
    parse_rdata(&mut Lexer::new(text.as_bytes()), rtype, &[0], out).map_err(|_| broken())
}

/// The rest of an entry's words as one.
fn rest(lexer: &mut Lexer<'_>) -> Result<Vec<u8>, Fault> {
    let mut joined = Vec::new();
    while let Some(token) = lexer.next()? {
        joined.extend_from_slice(token.text);
    }
    Ok(joined)
}

/// A plain decimal number.
fn number<N: std::str::FromStr>(token: &Token<'_>, expected: &str) -> Result<N, Fault> {
    // FromStr takes a leading plus sign, which no master file has.
    let digits = token.text.first().filter(|byte| byte.is_ascii_digit()).map(|_| token.text);
    parsed(digits.unwrap_or_default()).ok_or_else(|| token.is_not(expected))
}

fn parsed<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What a message calls a field.
fn expected(field: Field) -> &'static str {
    match field {
        Field::U8 => "a number up to 255",
        Field::U16 => "a number up to 65535",
        Field::U32 => "a number up to 4294967295",
        Field::Seconds => "a time in seconds or like 1h30m",
        Field::Timestamp => "a time as YYYYMMDDHHmmSS",
        Field::Type => "a record type",
        Field::Algorithm => "a DNSSEC algorithm's number or mnemonic",
        Field::CertType => "a certificate type's number or mnemonic",
        Field::V4 => "an IPv4 address like 192.0.2.1",
        Field::V6 => "an IPv6 address like 2001:db8::1",
        Field::Name | Field::CasedName => "a domain name",
        Field::Text | Field::Texts | Field::Bare => "a string",
        Field::Tag => "a tag of 1 to 255 letters and digits",
        Field::Base64 => "base64",
        Field::Hex => "hex",
        Field::Salt => "a salt of up to 255 bytes in hex, or -",
        Field::Base32 => "a hash in base32hex",
        Field::Types => "a list of record types",
        Field::Eui48 => "an EUI-48 address like 00-00-5e-00-53-2a",
        Field::Eui64 => "an EUI-64 address like 00-00-5e-ef-10-00-00-2a",
        Field::Loc => "a location like 51 30 12 N 0 7 39 W 10m",
        Field::Ipseckey => "a gateway",
        Field::SvcParams => "a list of SvcParams",
        Field::DsDigest => "a digest type up to 255 and its digest in hex",
        Field::ZoneDigest => "a scheme, a hash and its digest in hex",
        Field::Id64 => "four groups of hex digits like 0014:4fff:ff20:ee64",
        Field::Nsap => "an NSAP address like 0x47000580",
        Field::Apl => "a prefix like 1:192.0.2.0/24 or !2:2001:db8::/32",
        Field::Wks => "a protocol and its services, by number or name",
        Field::NxtTypes => "a record type up to 127",
    }
}

/// One record's fields as they are read.
struct Fields<'l, 'a> {
    lexer: &'l mut Lexer<'a>,
    origin: &'l [u8],
    out: &'l mut Vec<u8>,
}

impl Fields<'_, '_> {
    fn parse(&mut self, field: Field) -> Result<(), Fault> {
        let expected = expected(field);
        match field {
            Field::Texts => self.texts(expected),
            Field::Base64 => self.joined(expected, parse_base64),
            Field::Hex => self.joined(expected, parse_hex),
            Field::Types => self.types(),
            Field::Loc => self.loc(expected),
            Field::Ipseckey => self.ipseckey(),
            Field::SvcParams => self.svc_params(),
            Field::DsDigest => self.ds_digest(),
            Field::ZoneDigest => self.zone_digest(),
            Field::Apl => self.apl(expected),
            Field::Wks => self.wks(expected),
            Field::NxtTypes => self.nxt_types(expected),
            _ => {
                let token = self.lexer.want(expected)?;
                self.word(field, &token, expected)
            }
        }
    }

    /// A field of one word.
    fn word(&mut self, field: Field, token: &Token<'_>, expected: &str) -> Result<(), Fault> {
        let text = token.text;
        match field {
            Field::V4 => self.bytes(parsed(text).map(|address: Ipv4Addr| address.octets()), token, expected),
            Field::V6 => self.bytes(parsed(text).map(|address: Ipv6Addr| address.octets()), token, expected),
            Field::Name => self.name(token, true),
            Field::CasedName => self.name(token, false),
            Field::U8 => self.bytes(Some(number::<u8>(token, expected)?.to_be_bytes()), token, expected),
            Field::U16 => self.bytes(Some(number::<u16>(token, expected)?.to_be_bytes()), token, expected),
            Field::U32 => self.bytes(Some(number::<u32>(token, expected)?.to_be_bytes()), token, expected),
            Field::Seconds => self.bytes(parse_ttl(text).map(u32::to_be_bytes), token, expected),
            Field::Timestamp => self.bytes(parse_timestamp(text).map(u32::to_be_bytes), token, expected),
            Field::Type => {
                let number = RrType::from_text(text).map(|rtype| rtype.0.to_be_bytes());
                self.bytes(number, token, expected)
            }
            Field::Algorithm => {
                let by_name = mnemonic(field, text).map(|number| number as u8);
                let number = by_name.map_or_else(|| number(token, expected), Ok)?;
                self.bytes(Some([number]), token, expected)
            }
            Field::CertType => {
                let number: u16 = mnemonic(field, text).map_or_else(|| number(token, expected), Ok)?;
                self.bytes(Some(number.to_be_bytes()), token, expected)
            }
            Field::Text => self.string(token, |_| true, expected),
            Field::Tag => self.string(token, is_tag, expected),
            Field::Bare => parse_escaped(text, self.out).ok_or_else(|| bad_escape(token)),
            Field::Salt if text == b"-" => self.bytes(Some([0]), token, expected),
            Field::Salt => self.counted(token, parse_hex, expected),
            Field::Base32 => self.counted(token, parse_base32, expected),
            Field::Eui48 => self.eui(token, 6, expected),
            Field::Eui64 => self.eui(token, 8, expected),
            Field::Id64 => self.bytes(rare::parse_id64(text), token, expected),
            Field::Nsap => rare::parse_nsap(text, self.out).ok_or_else(|| token.is_not(expected)),
            // `parse` takes these itself.
            Field::Texts
            | Field::Base64
            | Field::Hex
            | Field::Types
            | Field::Loc
            | Field::Ipseckey
            | Field::SvcParams
            | Field::DsDigest
            | Field::ZoneDigest
            | Field::Apl
            | Field::Wks
            | Field::NxtTypes => Err(token.is_not(expected)),
        }
    }

    fn bytes<const LEN: usize>(
        &mut self,
        bytes: Option<[u8; LEN]>,
        token: &Token<'_>,
        expected: &str,
    ) -> Result<(), Fault> {
        self.out.extend_from_slice(&bytes.ok_or_else(|| token.is_not(expected))?);
        Ok(())
    }

    fn name(&mut self, token: &Token<'_>, fold: bool) -> Result<(), Fault> {
        let start = self.out.len();
        push_wire(token.text, self.origin, self.out)
            .map_err(|why| Fault::new(token.at, format!("name {} {why}", token.shown())))?;
        if fold {
            self.out[start..].make_ascii_lowercase();
        }
        Ok(())
    }

    /// A character-string: a length byte, then what `fits`.
    fn string(
        &mut self,
        token: &Token<'_>,
        fits: impl Fn(&[u8]) -> bool,
        expected: &str,
    ) -> Result<(), Fault> {
        let start = self.out.len();
        self.out.push(0);
        parse_escaped(token.text, self.out).ok_or_else(|| bad_escape(token))?;
        let string = &self.out[start + 1..];
        let Ok(len) = u8::try_from(string.len()) else {
            let message = format!(
                "a string of {} bytes; one holds at most 255: split it into several, each in quotes",
                string.len()
            );
            return Err(Fault::new(token.at, message));
        };
        if !fits(string) {
            return Err(token.is_not(expected));
        }
        self.out[start] = len;
        Ok(())
    }

    fn texts(&mut self, expected: &str) -> Result<(), Fault> {
        let mut next = Some(self.lexer.want(expected)?);
        while let Some(token) = next {
            self.string(&token, |_| true, expected)?;
            next = self.lexer.next()?;
        }
        Ok(())
    }

    /// A length byte and at least one byte decoded from one word.
    fn counted(&mut self, token: &Token<'_>, decode: Decode, expected: &str) -> Result<(), Fault> {
        let start = self.out.len();
        self.out.push(0);
        let decoded = decode(token.text, self.out);
        let len = decoded.and_then(|()| u8::try_from(self.out.len() - start - 1).ok());
        self.out[start] = len.filter(|&len| len > 0).ok_or_else(|| token.is_not(expected))?;
        Ok(())
    }

    /// At least one byte decoded from all the rest.
    fn joined(&mut self, expected: &str, decode: Decode) -> Result<(), Fault> {
        let first = self.lexer.want(expected)?;
        let mut text = first.text.to_vec();
        text.append(&mut rest(self.lexer)?);
        let start = self.out.len();
        decode(&text, self.out)
            .filter(|()| self.out.len() > start)
            .ok_or_else(|| Token { text: &text, ..first }.is_not(expected))
    }

    fn types(&mut self) -> Result<(), Fault> {
        let mut types = Vec::new();
        while let Some(token) = self.lexer.next()? {
            types.push(RrType::from_text(token.text).ok_or_else(|| token.is_not("a record type"))?.0);
        }
        pack_types(types, self.out);
        Ok(())
    }

    fn ds_digest(&mut self) -> Result<(), Fault> {
        self.parse(Field::U8)?;
        let digest_type = self.out[self.out.len() - 1];
        let (len, at) = self.digest()?;
        if rare::fits_ds(digest_type, len) {
            return Ok(());
        }
        let wanted = rare::ds_digest_len(digest_type).unwrap_or(1);
        let message = format!("a digest of {len} bytes; one of digest type {digest_type} has {wanted}");
        Err(Fault::new(at, message))
    }

    fn zone_digest(&mut self) -> Result<(), Fault> {
        self.parse(Field::U8)?;
        self.parse(Field::U8)?;
        let hash = self.out[self.out.len() - 1];
        let (len, at) = self.digest()?;
        if rare::fits_zonemd(hash, len) {
            return Ok(());
        }
        let message = format!(
            "a digest of {len} bytes; hash 1 (SHA-384) has 48, hash 2 (SHA-512) has 64, any other at least 12"
        );
        Err(Fault::new(at, message))
    }

    /// The rest in hex: how many bytes that is, and where it stands.
    fn digest(&mut self) -> Result<(usize, usize), Fault> {
        let start = self.out.len();
        let at = self.lexer.clone().next()?.map_or(self.lexer.offset(), |token| token.at);
        self.parse(Field::Hex)?;
        Ok((self.out.len() - start, at))
    }

    fn apl(&mut self, expected: &str) -> Result<(), Fault> {
        while let Some(token) = self.lexer.next()? {
            rare::parse_apl_item(token.text, self.out).ok_or_else(|| token.is_not(expected))?;
        }
        Ok(())
    }

    fn wks(&mut self, expected: &str) -> Result<(), Fault> {
        let first = self.lexer.want(expected)?;
        let mut words = vec![first.text];
        while let Some(token) = self.lexer.next()? {
            words.push(token.text);
        }
        let all = words.join(&b' ');
        rare::parse_wks(&words, self.out).ok_or_else(|| Token { text: &all, ..first }.is_not(expected))
    }

    fn nxt_types(&mut self, expected: &str) -> Result<(), Fault> {
        let mut types = Vec::new();
        while let Some(token) = self.lexer.next()? {
            let rtype = RrType::from_text(token.text);
            let rtype = rtype.filter(|rtype| (1..=rare::MAX_NXT_TYPE).contains(&rtype.0));
            types.push(rtype.ok_or_else(|| token.is_not(expected))?);
        }
        rare::pack_nxt(&types, self.out);
        Ok(())
    }

    fn eui(&mut self, token: &Token<'_>, len: usize, expected: &str) -> Result<(), Fault> {
        let start = self.out.len();
        let mut pairs = token.text.split(|&byte| byte == b'-');
        pairs
            .try_for_each(|pair| parse_hex(pair, self.out).filter(|()| pair.len() == 2))
            .filter(|()| self.out.len() - start == len)
            .ok_or_else(|| token.is_not(expected))
    }

    fn loc(&mut self, expected: &str) -> Result<(), Fault> {
        let first = self.lexer.want(expected)?;
        let mut words = vec![first.text];
        while let Some(token) = self.lexer.next()? {
            words.push(token.text);
        }
        let all = words.join(&b' ');
        loc::parse(&words, self.out).ok_or_else(|| Token { text: &all, ..first }.is_not(expected))
    }

    /// Precedence, gateway type, algorithm, gateway, and a key unless the algorithm is 0 (RFC 4025
    /// section 3.1).
    fn ipseckey(&mut self) -> Result<(), Fault> {
        let start = self.out.len();
        for _ in 0..3 {
            self.parse(Field::U8)?;
        }
        let (gateway_type, algorithm) = (self.out[start + 1], self.out[start + 2]);
        let token = self.lexer.want(expected(Field::Ipseckey))?;
        match gateway_type {
            0 if token.text == b"." => {}
            0 => return Err(token.is_not("a dot, which gateway type 0 wants")),
            1 => self.word(Field::V4, &token, expected(Field::V4))?,
            2 => self.word(Field::V6, &token, expected(Field::V6))?,
            3 => self.word(Field::CasedName, &token, expected(Field::CasedName))?,
            _ => {
                let message = format!("gateway type {gateway_type} is unknown; write one up to 3");
                return Err(Fault::new(token.at, message));
            }
        }
        if algorithm == 0 { Ok(()) } else { self.parse(Field::Base64) }
    }

    fn svc_params(&mut self) -> Result<(), Fault> {
        let mut params = Vec::new();
        let mut first = None;
        while let Some(token) = self.lexer.next()? {
            let fault = |why| Fault::new(token.at, format!("{} {why}", token.shown()));
            params.push(svcb::parse_param(token.text).map_err(fault)?);
            first.get_or_insert(token.at);
        }
        params.sort_by_key(|&(key, _)| key);
        let borrowed: Vec<(u16, &[u8])> = params.iter().map(|(key, value)| (*key, &value[..])).collect();
        svcb::check(&borrowed)
            .map_err(|why| Fault::new(first.unwrap_or_default(), format!("the list of SvcParams {why}")))?;
        for (key, value) in params {
            self.out.extend_from_slice(&key.to_be_bytes());
            self.out.extend_from_slice(&(value.len() as u16).to_be_bytes());
            self.out.extend_from_slice(&value);
        }
        Ok(())
    }
}

/// Text to bytes, appended.
type Decode = fn(&[u8], &mut Vec<u8>) -> Option<()>;

fn bad_escape(token: &Token<'_>) -> Fault {
    let why = "has a bad escape: write \\DDD with a number up to 255, or \\ before one character";
    Fault::new(token.at, format!("{} {why}", token.shown()))
}
