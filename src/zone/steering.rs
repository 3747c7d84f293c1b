//! Answers that depend on who asks, as decided: what one name can answer with, and who gets which.
//!
//! ```text
//! client ──map of clients──► region ──pick──► variant: the RRsets that are answered
//! ```
//!
//! The map from clients to regions is made from configuration and databases, not from decisions; a
//! [`Steering`] names the one it was made for, and whoever publishes it has that map at hand.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Buckets;
use crate::dns::{Name, RrSet, RrType};

/// The most variants a name can have: one byte tells them apart.
pub const MAX_VARIANTS: usize = 256;
/// The most regions clients can be sorted into.
pub const MAX_REGIONS: usize = 1024;

/// How one owner name answers, where that depends on the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steering {
    /// What can be answered; at least one. Each is all RRsets of the owner, but for those that shape the
    /// zone (SOA, NS, DNAME): those stay as they are.
    pub variants: Vec<Vec<RrSet>>,
    /// Which map sorts clients into regions; without one, all are of region 0.
    pub clients: Option<ClientsId>,
    /// For each region, which variant its clients get; at least one. What a transfer carries is what the
    /// changeset adds beside this, which is to be the variant of region 0.
    pub regions: Vec<Pick>,
    /// Enters into which bucket a client is in: names of one salt have a client in the same bucket, so
    /// that the names of one service move together.
    pub salt: u64,
}

/// What identifies a map of clients: differs whenever the map's regions do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct ClientsId(pub Arc<str>);

/// Which variant the clients of a region get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// This one.
    One(u8),
    /// Any, drawn anew for every query.
    PerQuery(Buckets),
    /// By the client's network (/24 in IPv4, /56 in IPv6), which finds itself in the same bucket on every
    /// node and after every restart.
    PerClient(Buckets),
}

/// Why a [`Steering`] cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SteeringError {
    /// No variant, or more than there can be.
    #[error("{0} variants: there must be 1 to {MAX_VARIANTS}")]
    Variants(usize),
    /// No region, or more than there can be; or several, and nothing that sorts clients into them.
    #[error("{0} regions: there must be 1 to {MAX_REGIONS}, and 1 alone without a map of clients")]
    Regions(usize),
    /// A pick leads to a variant that is not there.
    #[error("region {region} leads to variant {variant}, but there are {variants}")]
    NoVariant {
        /// The region's number.
        region: usize,
        /// The variant's.
        variant: u8,
        /// How many there are.
        variants: usize,
    },
    /// A variant holds what is not its owner's to hold.
    #[error(
        "variant {variant} holds {rtype} of {found}: it may hold what {owner} answers alone, without SOA, NS and DNAME"
    )]
    Foreign {
        /// The variant's number.
        variant: usize,
        /// The steered name.
        owner: Name,
        /// Whose RRset it is.
        found: Name,
        /// Of which type.
        rtype: RrType,
    },
}

impl Steering {
    /// Whether all that it says of itself holds, for this owner.
    pub fn check(&self, owner: &Name) -> Result<(), SteeringError> {
        let (variants, regions) = (self.variants.len(), self.regions.len());
        if !(1..=MAX_VARIANTS).contains(&variants) {
            return Err(SteeringError::Variants(variants));
        }
        if !(1..=MAX_REGIONS).contains(&regions) || regions > 1 && self.clients.is_none() {
            return Err(SteeringError::Regions(regions));
        }
        for (region, pick) in self.regions.iter().enumerate() {
            let variant = pick.highest();
            if usize::from(variant) >= variants {
                return Err(SteeringError::NoVariant { region, variant, variants });
            }
        }
        for (variant, set) in
            self.variants.iter().enumerate().flat_map(|(i, v)| v.iter().map(move |s| (i, s)))
        {
            if set.owner != *owner || matches!(set.rtype, RrType::SOA | RrType::NS | RrType::DNAME) {
                let (owner, found, rtype) = (owner.clone(), set.owner.clone(), set.rtype);
                return Err(SteeringError::Foreign { variant, owner, found, rtype });
            }
        }
        Ok(())
    }

    /// What a client of `region` is answered that is in no bucket of its own: the first of its variants.
    pub fn first_of(&self, region: usize) -> &[RrSet] {
        let first = self.regions.get(region).map_or(0, Pick::first);
        self.variants.get(usize::from(first)).map_or(&[], Vec::as_slice)
    }
}

impl Pick {
    /// The highest variant it can lead to.
    pub fn highest(&self) -> u8 {
        match self {
            Pick::One(variant) => *variant,
            Pick::PerQuery(buckets) | Pick::PerClient(buckets) => {
                buckets.as_slice().iter().copied().max().unwrap_or(0)
            }
        }
    }

    /// The one that a bucket gets.
    pub fn at(&self, bucket: usize) -> u8 {
        match self {
            Pick::One(variant) => *variant,
            Pick::PerQuery(buckets) | Pick::PerClient(buckets) => buckets.as_slice()[bucket],
        }
    }

    fn first(&self) -> u8 {
        match self {
            Pick::One(variant) => *variant,
            Pick::PerQuery(buckets) | Pick::PerClient(buckets) => buckets.most(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn steering() -> Steering {
        let a = |last| vec![RrSet::a(name("app.example"), 30, [[192, 0, 2, last].into()])];
        Steering {
            variants: vec![a(1), a(2)],
            clients: Some(ClientsId("sites".into())),
            regions: vec![Pick::One(1), Pick::PerClient(Buckets::share(1, 0, 1000))],
            salt: 7,
        }
    }

    #[test]
    fn what_cannot_be_followed_is_told() {
        let check = |change: fn(&mut Steering), want: Option<&str>| {
            let mut steering = steering();
            change(&mut steering);
            let got = steering.check(&name("app.example")).err().map(|e| e.to_string());
            match (&got, want) {
                (None, None) => {}
                (Some(got), Some(want)) if got.contains(want) => {}
                _ => panic!("{got:?}, not {want:?}"),
            }
        };
        check(|_| {}, None);
        check(|s| s.variants.clear(), Some("0 variants"));
        check(|s| s.variants = vec![vec![]; 257], Some("257 variants"));
        check(|s| s.regions.clear(), Some("0 regions"));
        check(|s| s.clients = None, Some("1 alone without a map"));
        check(|s| s.variants.truncate(1), Some("region 0 leads to variant 1, but there are 1"));
        check(|s| s.regions[0] = Pick::One(9), Some("region 0 leads to variant 9"));
        check(|s| s.variants[1][0].owner = name("else.example"), Some("variant 1 holds A of else.example."));
        check(|s| s.variants[0][0].rtype = RrType::NS, Some("variant 0 holds NS"));
    }

    #[test]
    fn it_goes_to_disk_and_back() {
        let steering = steering();
        let text = serde_json::to_string(&steering).unwrap();
        assert_eq!(serde_json::from_str::<Steering>(&text).unwrap(), steering);
        assert!(text.len() < 10_000, "{}", text.len());
    }

    #[test]
    fn a_region_has_a_variant_for_who_is_in_no_bucket() {
        let steering = steering();
        assert_eq!(steering.first_of(0), &*steering.variants[1]);
        assert_eq!(steering.first_of(1), &*steering.variants[0], "the one with the larger share");
    }
}
