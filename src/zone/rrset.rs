//! Record types and RRsets.

use serde::{Deserialize, Serialize};

use super::name::Name;

/// A record type by number; its mnemonic is in `text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RrType(pub u16);

#[expect(missing_docs, reason = "each is the IANA mnemonic")]
impl RrType {
    pub const A: RrType = RrType(1);
    pub const NS: RrType = RrType(2);
    pub const CNAME: RrType = RrType(5);
    pub const SOA: RrType = RrType(6);
    pub const PTR: RrType = RrType(12);
    pub const MX: RrType = RrType(15);
    pub const TXT: RrType = RrType(16);
    pub const AAAA: RrType = RrType(28);
    pub const SRV: RrType = RrType(33);
    pub const DNAME: RrType = RrType(39);
    pub const OPT: RrType = RrType(41);
    pub const DS: RrType = RrType(43);
    pub const RRSIG: RrType = RrType(46);
    pub const NSEC: RrType = RrType(47);
    pub const SVCB: RrType = RrType(64);
    pub const HTTPS: RrType = RrType(65);
    pub const IXFR: RrType = RrType(251);
    pub const AXFR: RrType = RrType(252);
    pub const ANY: RrType = RrType(255);
}

/// All records of one owner and type: one TTL (RFC 2181 section 5.2), no record twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RrSet {
    /// The owner name.
    pub owner: Name,
    /// The type of every record in the set.
    pub rtype: RrType,
    /// Seconds, at most 2^31 - 1 (RFC 2181 section 8).
    pub ttl: u32,
    /// Each record's RDATA in wire form, names in it uncompressed; never empty, sorted, no duplicate.
    pub rdata: Vec<Box<[u8]>>,
}
