//! Every type by number, mnemonic and shape: the one table that parsing and printing follow.

use std::fmt;
use std::str::FromStr;

use crate::dns::RrType;

/// One field of a type's RDATA. Those that take "the rest" come last in a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A decimal number of one byte.
    U8,
    /// A decimal number of two bytes.
    U16,
    /// A decimal number of four bytes.
    U32,
    /// Four bytes of seconds; text may use the units of a TTL.
    Seconds,
    /// Four bytes of seconds since 1970, as `YYYYMMDDHHmmSS` (RFC 4034 section 3.2).
    Timestamp,
    /// A type by mnemonic, two bytes.
    Type,
    /// A DNSSEC algorithm, one byte; text may use its mnemonic (RFC 4034 appendix A.1).
    Algorithm,
    /// A certificate type, two bytes; text may use its mnemonic (RFC 4398 section 2.1).
    CertType,
    /// An IPv4 address.
    V4,
    /// An IPv6 address.
    V6,
    /// A domain name of a type whose canonical form is lower case (RFC 4034 section 6.2).
    Name,
    /// A domain name whose case is kept: a signature covers it (RFC 3597 section 7, RFC 6840 section 5.1).
    CasedName,
    /// One character-string: a length byte and up to 255 bytes.
    Text,
    /// The rest: one character-string or more.
    Texts,
    /// One character-string of letters and digits (CAA's tag, RFC 8659 section 4.1).
    Tag,
    /// The rest: one string without a length byte (CAA's value, URI's target).
    Bare,
    /// The rest, in base64, white space allowed; at least one byte.
    Base64,
    /// The rest, in hex, white space allowed; at least one byte.
    Hex,
    /// A length byte and that many bytes in hex without white space; `-` when empty (RFC 5155 section 3.3).
    Salt,
    /// A length byte and that many bytes in base32hex without padding (RFC 5155 section 3.3).
    Base32,
    /// The rest: a bitmap of types (RFC 4034 section 4.1.2), which may be empty.
    Types,
    /// Six bytes as `00-00-5e-00-53-2a` (RFC 7043 section 3.2).
    Eui48,
    /// Eight bytes in the same way.
    Eui64,
    /// All of LOC (RFC 1876).
    Loc,
    /// All of IPSECKEY: its gateway's form depends on a byte before it (RFC 4025).
    Ipseckey,
    /// The rest: SvcParams (RFC 9460 section 2).
    SvcParams,
    /// The rest: a DS's digest type, and a digest as long as it says.
    DsDigest,
    /// The rest: a ZONEMD's scheme and hash, and a digest as long as that says (RFC 8976 section 2.2).
    ZoneDigest,
    /// Eight bytes as `0014:4fff:ff20:ee64` (RFC 6742 section 2.1.2).
    Id64,
    /// All of NSAP: `0x` and hex (RFC 1706 section 7).
    Nsap,
    /// All of APL: a list of prefixes, which may be empty (RFC 3123).
    Apl,
    /// The rest: WKS's protocol and services (RFC 1035 section 3.4.2).
    Wks,
    /// The rest: NXT's bitmap of types, which may be empty (RFC 2535 section 5.2).
    NxtTypes,
}

struct Entry {
    number: u16,
    mnemonic: &'static str,
    /// `mnemonic`, packed for a comparison in one instruction or two.
    key: u128,
    /// `None`: the mnemonic is known, but RDATA is read and written in RFC 3597's form alone.
    shape: Option<&'static [Field]>,
}

const fn known(number: u16, mnemonic: &'static str, shape: &'static [Field]) -> Entry {
    Entry { number, mnemonic, key: pack(mnemonic.as_bytes()), shape: Some(shape) }
}

const fn opaque(number: u16, mnemonic: &'static str) -> Entry {
    Entry { number, mnemonic, key: pack(mnemonic.as_bytes()), shape: None }
}

/// The longest mnemonic [`pack`] tells from all others.
const MAX_MNEMONIC_LEN: usize = 16;

/// Upper-cased bytes as one number; the caller keeps to [`MAX_MNEMONIC_LEN`].
const fn pack(text: &[u8]) -> u128 {
    let (mut key, mut at) = (0, 0);
    while at < text.len() {
        key = key << 8 | text[at].to_ascii_uppercase() as u128;
        at += 1;
    }
    key
}

use Field::{
    Algorithm, Apl, Bare, Base32, Base64, CasedName, CertType, DsDigest, Eui48, Eui64, Hex, Id64, Ipseckey,
    Loc, Name, Nsap, NxtTypes, Salt, Seconds, SvcParams, Tag, Text, Texts, Timestamp, Type, Types, U8, U16,
    U32, V4, V6, Wks, ZoneDigest,
};

/// By number (IANA, "Resource Record (RR) TYPEs").
static TABLE: &[Entry] = &[
    known(1, "A", &[V4]),
    known(2, "NS", &[Name]),
    known(3, "MD", &[Name]),
    known(4, "MF", &[Name]),
    known(5, "CNAME", &[Name]),
    known(6, "SOA", &[Name, Name, U32, Seconds, Seconds, Seconds, Seconds]),
    known(7, "MB", &[Name]),
    known(8, "MG", &[Name]),
    known(9, "MR", &[Name]),
    opaque(10, "NULL"),
    known(11, "WKS", &[V4, Wks]),
    known(12, "PTR", &[Name]),
    known(13, "HINFO", &[Text, Text]),
    known(14, "MINFO", &[Name, Name]),
    known(15, "MX", &[U16, Name]),
    known(16, "TXT", &[Texts]),
    known(17, "RP", &[Name, Name]),
    known(18, "AFSDB", &[U16, Name]),
    known(19, "X25", &[Text]),
    known(20, "ISDN", &[Texts]),
    known(21, "RT", &[U16, Name]),
    known(22, "NSAP", &[Nsap]),
    known(23, "NSAP-PTR", &[Name]),
    known(24, "SIG", &[Type, Algorithm, U8, Seconds, Timestamp, Timestamp, U16, Name, Base64]),
    known(25, "KEY", &[U16, U8, Algorithm, Base64]),
    known(26, "PX", &[U16, Name, Name]),
    known(28, "AAAA", &[V6]),
    known(29, "LOC", &[Loc]),
    known(30, "NXT", &[Name, NxtTypes]),
    known(33, "SRV", &[U16, U16, U16, Name]),
    known(35, "NAPTR", &[U16, U16, Text, Text, Text, Name]),
    known(36, "KX", &[U16, Name]),
    known(37, "CERT", &[CertType, U16, Algorithm, Base64]),
    known(39, "DNAME", &[Name]),
    opaque(41, "OPT"),
    known(42, "APL", &[Apl]),
    known(43, "DS", &[U16, Algorithm, DsDigest]),
    known(44, "SSHFP", &[U8, U8, Hex]),
    known(45, "IPSECKEY", &[Ipseckey]),
    known(46, "RRSIG", &[Type, Algorithm, U8, Seconds, Timestamp, Timestamp, U16, Name, Base64]),
    known(47, "NSEC", &[CasedName, Types]),
    known(48, "DNSKEY", &[U16, U8, Algorithm, Base64]),
    known(49, "DHCID", &[Base64]),
    known(50, "NSEC3", &[U8, U8, U16, Salt, Base32, Types]),
    known(51, "NSEC3PARAM", &[U8, U8, U16, Salt]),
    known(52, "TLSA", &[U8, U8, U8, Hex]),
    known(53, "SMIMEA", &[U8, U8, U8, Hex]),
    opaque(55, "HIP"),
    known(59, "CDS", &[U16, Algorithm, DsDigest]),
    known(60, "CDNSKEY", &[U16, U8, Algorithm, Base64]),
    known(61, "OPENPGPKEY", &[Base64]),
    known(62, "CSYNC", &[U32, U16, Types]),
    known(63, "ZONEMD", &[U32, ZoneDigest]),
    known(64, "SVCB", &[U16, CasedName, SvcParams]),
    known(65, "HTTPS", &[U16, CasedName, SvcParams]),
    known(99, "SPF", &[Texts]),
    known(104, "NID", &[U16, Id64]),
    known(105, "L32", &[U16, V4]),
    known(106, "L64", &[U16, Id64]),
    known(107, "LP", &[U16, CasedName]),
    known(108, "EUI48", &[Eui48]),
    known(109, "EUI64", &[Eui64]),
    opaque(249, "TKEY"),
    opaque(250, "TSIG"),
    opaque(251, "IXFR"),
    opaque(252, "AXFR"),
    opaque(253, "MAILB"),
    opaque(254, "MAILA"),
    opaque(255, "ANY"),
    known(256, "URI", &[U16, U16, Bare]),
    known(257, "CAA", &[U8, Tag, Bare]),
    known(258, "AVC", &[Texts]),
    known(261, "RESINFO", &[Texts]),
    opaque(32768, "TA"),
    known(32769, "DLV", &[U16, Algorithm, DsDigest]),
];

/// IANA, "DNS Security Algorithm Numbers".
const ALGORITHMS: [(u16, &str); 16] = [
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (5, "RSASHA1"),
    (6, "DSA-NSEC3-SHA1"),
    (7, "RSASHA1-NSEC3-SHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECC-GOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

/// IANA, "CERT RR Certificate Types".
const CERT_TYPES: [(u16, &str); 10] = [
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];

/// The number that a mnemonic stands for in a field that takes them.
pub(super) fn mnemonic(field: Field, text: &[u8]) -> Option<u16> {
    let table: &[(u16, &str)] = match field {
        Algorithm => &ALGORITHMS,
        CertType => &CERT_TYPES,
        _ => &[],
    };
    table.iter().find(|(_, name)| name.as_bytes().eq_ignore_ascii_case(text)).map(|&(number, _)| number)
}

fn entry(rtype: RrType) -> Option<&'static Entry> {
    TABLE.binary_search_by_key(&rtype.0, |entry| entry.number).ok().map(|at| &TABLE[at])
}

/// The fields of a type's RDATA; `None` when it is known by number alone.
pub(super) fn shape(rtype: RrType) -> Option<&'static [Field]> {
    entry(rtype)?.shape
}

/// Whether other servers send RDATA of this type that its text cannot say: a digest of an odd length, a map that ends with
/// zeros. It is then taken as it is, and written in RFC 3597's form.
pub(super) fn may_be_odd(rtype: RrType) -> bool {
    let odd = |field: &Field| matches!(field, DsDigest | ZoneDigest | Apl | Wks | NxtTypes);
    shape(rtype).is_some_and(|fields| fields.iter().any(odd))
}

impl RrType {
    /// A mnemonic or `TYPEnnn` (RFC 3597 section 5), in any case.
    pub fn from_text(text: &[u8]) -> Option<RrType> {
        if text.len() > MAX_MNEMONIC_LEN {
            return None;
        }
        let key = pack(text);
        if let Some(entry) = TABLE.iter().find(|entry| entry.key == key) {
            return Some(RrType(entry.number));
        }
        let (prefix, number) = text.split_at_checked(4)?;
        if !prefix.eq_ignore_ascii_case(b"TYPE") || !number.first()?.is_ascii_digit() {
            return None;
        }
        std::str::from_utf8(number).ok()?.parse().ok().map(RrType)
    }

    /// Whether records of this type only exist in messages, never in a zone (RFC 6895 section 3.1).
    pub fn is_meta(self) -> bool {
        self.0 == 0 || self == RrType::OPT || (128..=255).contains(&self.0)
    }
}

/// The mnemonic, or `TYPEnnn` (RFC 3597 section 5).
impl fmt::Display for RrType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match entry(*self) {
            Some(entry) => f.pad(entry.mnemonic),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

/// Text that names no record type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a record type; write a mnemonic like AAAA, or TYPEnnn (RFC 3597)")]
pub struct UnknownType(pub String);

impl FromStr for RrType {
    type Err = UnknownType;
    fn from_str(text: &str) -> Result<RrType, UnknownType> {
        RrType::from_text(text.as_bytes()).ok_or_else(|| UnknownType(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_mnemonics_fit() {
        assert!(TABLE.windows(2).all(|pair| pair[0].number < pair[1].number));
        assert!(TABLE.iter().all(|entry| entry.mnemonic.len() <= MAX_MNEMONIC_LEN));
    }

    #[test]
    fn types_round_trip() {
        for number in 0..=u16::MAX {
            let rtype = RrType(number);
            assert_eq!(rtype.to_string().parse(), Ok(rtype));
            assert_eq!(format!("TYPE{number}").parse(), Ok(rtype));
        }
        assert_eq!("aAaA".parse(), Ok(RrType::AAAA));
        assert_eq!("type65280".parse(), Ok(RrType(65280)));
    }

    #[test]
    fn refuses_what_is_no_type() {
        for text in ["", "TYPE", "TYPE65536", "TYPE+1", "AA", "A ", "TYPEA", "NSEC3PARAMNSEC3PARAM"] {
            assert_eq!(text.parse::<RrType>(), Err(UnknownType(text.to_owned())));
        }
    }
}
