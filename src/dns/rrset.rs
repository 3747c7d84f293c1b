//! RRsets.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::name::Name;
use super::rdata::rdata_text;
use super::rtype::RrType;
use super::ttl::MAX_TTL;

/// What a record takes in an answer beside its RDATA: a pointer to its owner, type, class, TTL and the RDATA's length.
pub(crate) const RECORD_HEAD: usize = 12;
/// The largest [`RrSet::size`] there can be: the rest of the largest message is for header, type and class of the
/// question, and an OPT with a cookie (RFC 7873).
pub const MAX_RRSET_BYTES: usize = 65_535 - 12 - 4 - 39;

/// The TTL of one record of an RRset. RRSIGs that cover different types are no RRset, though owner and type are the same,
/// and have the TTLs of what they cover (RFC 4034 section 3): each says its own, after the type, the algorithm and
/// the labels (section 3.1.4). [`RrSet::ttl`] is the lowest of them.
pub fn record_ttl(rtype: RrType, ttl: u32, rdata: &[u8]) -> u32 {
    match (rtype, rdata) {
        (RrType::RRSIG, &[_, _, _, _, a, b, c, d, ..]) => u32::from_be_bytes([a, b, c, d]).min(MAX_TTL),
        _ => ttl,
    }
}

/// All records of one owner and type: one TTL (RFC 2181 section 5.2), no record twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RrSet {
    /// The owner name.
    pub owner: Name,
    /// The type of every record in the set.
    pub rtype: RrType,
    /// Seconds, at most 2^31 - 1 (RFC 2181 section 8).
    pub ttl: u32,
    /// Each record's RDATA in wire form, names in it uncompressed; never empty, sorted, no duplicate.
    #[schema(value_type = Vec<Vec<u8>>)]
    pub rdata: Vec<Box<[u8]>>,
}

impl RrSet {
    /// An RRset of the given RDATA, which it sorts and rids of duplicates; the caller gives at least one
    /// and at most 2^31 - 1 seconds.
    pub fn new<R>(owner: Name, rtype: RrType, ttl: u32, rdata: impl IntoIterator<Item = R>) -> RrSet
    where
        R: Into<Box<[u8]>>,
    {
        let mut rdata: Vec<Box<[u8]>> = rdata.into_iter().map(Into::into).collect();
        rdata.sort_unstable();
        rdata.dedup();
        let lowest = rdata.iter().map(|rdata| record_ttl(rtype, ttl, rdata)).min();
        RrSet { owner, rtype, ttl: lowest.unwrap_or(ttl), rdata }
    }

    /// An A RRset.
    pub fn a(owner: Name, ttl: u32, addresses: impl IntoIterator<Item = Ipv4Addr>) -> RrSet {
        RrSet::new(owner, RrType::A, ttl, addresses.into_iter().map(|address| address.octets()))
    }

    /// An AAAA RRset.
    pub fn aaaa(owner: Name, ttl: u32, addresses: impl IntoIterator<Item = Ipv6Addr>) -> RrSet {
        RrSet::new(owner, RrType::AAAA, ttl, addresses.into_iter().map(|address| address.octets()))
    }

    /// A CNAME RRset: always one record (RFC 2181 section 10.1).
    pub fn cname(owner: Name, ttl: u32, target: &Name) -> RrSet {
        RrSet::new(owner, RrType::CNAME, ttl, [target.as_wire()])
    }

    /// The bytes that its name, which the question has, and its records take in an answer.
    pub fn size(&self) -> usize {
        let records = self.rdata.iter().map(|rdata| RECORD_HEAD + rdata.len());
        self.owner.as_wire().len() + records.sum::<usize>()
    }

    /// Its records that another RRset of the same owner and type does not have.
    pub fn beyond<'a>(&'a self, other: Option<&'a RrSet>) -> impl Iterator<Item = &'a [u8]> {
        // With another TTL each record is another one; of RRSIGs the RDATA says it.
        let other = other.filter(|other| other.ttl == self.ttl || self.rtype == RrType::RRSIG);
        let is_in =
            |rdata: &[u8], other: &RrSet| other.rdata.binary_search_by(|have| (**have).cmp(rdata)).is_ok();
        let own = self.rdata.iter().map(|rdata| &**rdata);
        own.filter(move |rdata| other.is_none_or(|other| !is_in(rdata, other)))
    }

    /// The RRsets that this is in the sense of RFC 4034 section 3: RRSIGs by the type they cover, and all else as it is.
    pub fn by_covered(&self) -> Vec<RrSet> {
        if self.rtype != RrType::RRSIG {
            return vec![self.clone()];
        }
        let of_one = self.rdata.chunk_by(|a, b| a.get(..2) == b.get(..2));
        of_one
            .map(|of_one| RrSet::new(self.owner.clone(), self.rtype, self.ttl, of_one.iter().cloned()))
            .collect()
    }

    /// A master file's line for a record of this RDATA.
    pub fn line(&self, rdata: &[u8]) -> String {
        let ttl = record_ttl(self.rtype, self.ttl, rdata);
        format!("{} {ttl} IN {} {}", self.owner, self.rtype, rdata_text(self.rtype, rdata))
    }

    /// A master file's line for each record, all names absolute: `app.example.com. 30 IN A 192.0.2.10`.
    pub fn to_lines(&self) -> impl Iterator<Item = String> {
        self.rdata.iter().map(|rdata| self.line(rdata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_and_holds_no_record_twice() {
        let owner: Name = "app.example.com".parse().unwrap();
        let addresses = [[192, 0, 2, 20], [192, 0, 2, 10], [192, 0, 2, 20]].map(Ipv4Addr::from);
        let lines: Vec<String> = RrSet::a(owner, 30, addresses).to_lines().collect();
        assert_eq!(lines, ["app.example.com. 30 IN A 192.0.2.10", "app.example.com. 30 IN A 192.0.2.20"]);
    }

    #[test]
    fn signatures_have_the_ttls_of_what_they_cover() {
        let owner: Name = "example".parse().unwrap();
        let covering = |rtype: RrType, ttl: u32| {
            [&rtype.0.to_be_bytes()[..], &[13, 1], &ttl.to_be_bytes(), &[0; 10], b"\0sig"].concat()
        };
        let set = RrSet::new(
            owner,
            RrType::RRSIG,
            60,
            [covering(RrType::NS, 172_800), covering(RrType::AAAA, 3600), covering(RrType::NS, 172_800)],
        );
        assert_eq!((set.ttl, set.rdata.len()), (3600, 2));
        let ttls =
            |set: &RrSet| set.to_lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
        let all: Vec<String> = ttls(&set);
        assert_eq!(all, ["172800", "3600"]);
        let parts: Vec<(u32, Vec<String>)> =
            set.by_covered().iter().map(|set| (set.ttl, ttls(set))).collect();
        assert_eq!(parts, [(172_800, vec!["172800".to_owned()]), (3600, vec!["3600".to_owned()])]);
        let fewer = RrSet { ttl: 172_800, rdata: set.rdata[..1].to_vec(), ..set.clone() };
        assert_eq!((set.beyond(Some(&fewer)).count(), fewer.beyond(Some(&set)).count()), (1, 0));
    }

    #[test]
    fn sets_print_as_a_master_file_has_them() {
        let owner: Name = "app.example.com".parse().unwrap();
        let check = |set: RrSet, want: &str| assert_eq!(set.to_lines().collect::<Vec<_>>(), [want]);
        check(
            RrSet::aaaa(owner.clone(), 5, ["2001:db8::1".parse().unwrap()]),
            "app.example.com. 5 IN AAAA 2001:db8::1",
        );
        check(
            RrSet::cname(owner.clone(), 5, &"www.example.net".parse().unwrap()),
            "app.example.com. 5 IN CNAME www.example.net.",
        );
        check(RrSet::new(owner, RrType(65280), 5, [[1, 2]]), "app.example.com. 5 IN TYPE65280 \\# 2 0102");
    }
}
