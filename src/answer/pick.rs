//! Which of a name's variants a client gets.
//!
//! In: a [`Steering`] and the map it names, once, when a changeset is applied; a client, per query. Out:
//! the body to answer from, and the scope of that choice: the prefix under which all clients would have
//! been answered the same (RFC 7871 section 7.2.1).

use std::net::IpAddr;
use std::sync::Arc;

use super::clients::ClientMap;
use super::query::subnet_ip;
use crate::zone::{BUCKETS, Pick, Steering, mix};

/// Clients that share a bucket are those of one network of this size: what resolvers send of an address
/// (RFC 7871 section 11.1).
const BUCKET_PREFIX_V4: u8 = 24;
const BUCKET_PREFIX_V6: u8 = 56;

/// Who asks, as far as answers depend on it.
#[derive(Clone, Copy)]
pub(super) struct Client<'q> {
    /// Where the query came from.
    pub(super) resolver: IpAddr,
    /// Whom the resolver asks for, if it says so: a sound client subnet option.
    pub(super) subnet: Option<&'q [u8]>,
    /// The query's id.
    pub(super) id: u16,
    /// Seconds.
    pub(super) now: u32,
}

impl Client<'_> {
    /// The address answers depend on: that of the resolver where it tells of no client, be it because none
    /// may be told of (a prefix of zero, RFC 7871 section 7.1.2).
    #[inline]
    pub(super) fn ip(&self) -> IpAddr {
        self.subnet.and_then(subnet_ip).unwrap_or(self.resolver)
    }

    /// A number that differs from one query to the next, without anything that workers would have to
    /// share. Ids alone would not do: some clients always use the same one (RFC 9250 section 4.2.1).
    #[inline]
    fn lot(&self) -> u64 {
        let from = match self.resolver {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64 ^ ip.to_bits() as u64,
        };
        from.rotate_left(29) ^ u64::from(self.now) << 16 ^ u64::from(self.id)
    }
}

/// A name whose answer depends on the client, compiled.
#[derive(Debug)]
pub(super) struct Steered {
    /// What transfers carry, and who asks for no answer of its own.
    pub(super) plain: Arc<[u8]>,
    clients: Option<Arc<ClientMap>>,
    /// For each region, its place in `choices`.
    regions: Arc<[u16]>,
    /// The picks, each once.
    choices: Arc<[Choice]>,
    salt: u64,
    pub(super) variants: Box<[Box<[u8]>]>,
    /// Whether what its variant lacks is not known yet, and not missing.
    pub(super) waits: bool,
}

#[derive(Debug)]
enum Choice {
    One(u8),
    PerQuery(Arc<[u8]>),
    PerClient(Arc<[u8]>),
}

/// What a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) region: u16,
    pub(super) variant: u8,
    /// The bits of the client's address that this depends on.
    pub(super) scope: u8,
}

impl Steered {
    /// Compiles what has been checked. `variants` are its variants' bodies; `clients` is the map it names.
    pub(super) fn new(
        steering: &Steering,
        plain: Arc<[u8]>,
        clients: Option<Arc<ClientMap>>,
        variants: Vec<Vec<u8>>,
    ) -> Steered {
        let mut distinct: Vec<&Pick> = Vec::new();
        let mut regions: Vec<u16> = Vec::with_capacity(steering.regions.len());
        for pick in &steering.regions {
            let place = distinct.iter().position(|known| *known == pick).unwrap_or_else(|| {
                distinct.push(pick);
                distinct.len() - 1
            });
            regions.push(place as u16);
        }
        let choice = |pick: &&Pick| match pick {
            Pick::One(variant) => Choice::One(*variant),
            Pick::PerQuery(buckets) => Choice::PerQuery(buckets.to_shared()),
            Pick::PerClient(buckets) => Choice::PerClient(buckets.to_shared()),
        };
        let choices: Arc<[Choice]> = distinct.iter().map(choice).collect();
        // Where all regions get the same, nobody needs to be looked up, and answers are for everybody.
        let clients = clients.filter(|_| choices.len() > 1);
        let variants = variants.into_iter().map(Vec::into_boxed_slice).collect();
        Steered {
            plain,
            clients,
            regions: regions.into(),
            choices,
            salt: steering.salt,
            variants,
            waits: false,
        }
    }

    /// A name of which only `known` may be answered yet, to everybody.
    pub(super) fn waiting(plain: Arc<[u8]>, known: Vec<u8>) -> Steered {
        Steered {
            plain,
            clients: None,
            regions: [0].into(),
            choices: [Choice::One(0)].into(),
            salt: 0,
            variants: [known.into_boxed_slice()].into(),
            waits: true,
        }
    }

    /// The same with other bodies.
    pub(super) fn with_bodies(&self, plain: Arc<[u8]>, variants: Vec<Vec<u8>>) -> Steered {
        Steered {
            plain,
            clients: self.clients.clone(),
            regions: Arc::clone(&self.regions),
            choices: Arc::clone(&self.choices),
            salt: self.salt,
            variants: variants.into_iter().map(Vec::into_boxed_slice).collect(),
            waits: self.waits,
        }
    }

    #[inline]
    pub(super) fn choose(&self, client: &Client<'_>) -> Chosen {
        match &self.clients {
            None => self.choose_in(0, 0, client),
            Some(map) => {
                let found = map.find(client.ip());
                self.choose_in(found.region, found.prefix, client)
            }
        }
    }

    #[inline]
    fn choose_in(&self, region: u16, scope: u8, client: &Client<'_>) -> Chosen {
        // In bounds: a map with more regions than the steering has picks is refused when it is applied.
        match &self.choices[usize::from(self.regions[usize::from(region)])] {
            Choice::One(variant) => Chosen { region, variant: *variant, scope },
            Choice::PerQuery(table) => {
                let variant = table[mix(client.lot() ^ self.salt) as usize % BUCKETS];
                Chosen { region, variant, scope }
            }
            Choice::PerClient(table) => {
                let (network, prefix) = network_of(client.ip());
                let variant = table[mix(network ^ self.salt) as usize % BUCKETS];
                Chosen { region, variant, scope: scope.max(prefix) }
            }
        }
    }

    /// The body of a variant that was chosen.
    #[inline]
    pub(super) fn body(&self, chosen: Chosen) -> &[u8] {
        &self.variants[usize::from(chosen.variant)]
    }

    /// Whether the choice of a region is drawn for each query.
    pub(super) fn is_drawn(&self, region: u16) -> bool {
        matches!(self.choices[usize::from(self.regions[usize::from(region)])], Choice::PerQuery(_))
    }

    /// Bytes held, tables shared with other names left out.
    pub(super) fn size(&self) -> usize {
        let bodies: usize = self.variants.iter().map(|body| body.len() + size_of::<Box<[u8]>>()).sum();
        size_of::<Steered>() + self.plain.len() + bodies + size_of_val(&*self.regions)
    }
}

/// The network whose clients share a bucket, as one number of both families, and its prefix.
#[inline]
fn network_of(ip: IpAddr) -> (u64, u8) {
    match ip {
        IpAddr::V4(ip) => (u64::from(ip.to_bits() >> 8), BUCKET_PREFIX_V4),
        // No IPv4 network has bits up there.
        IpAddr::V6(ip) => ((ip.to_bits() >> 72) as u64 | 1 << 63, BUCKET_PREFIX_V6),
    }
}
