//! The published table: what answers are made from.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::clients::ClientMap;
use super::hash::Keys;
use super::id::NodeId;
use super::index::Index;
use super::names::{Sought, parent, up};
use super::node::{Chunk, IS_APEX, Kind, Node, name_at};
use super::pick::Client;
use super::set::{Set, Sets};
use super::spread::Spread;
use crate::dns::{Name, RrSet, RrType};
use crate::zone::ClientsId;

/// Every name of every zone, compiled. A clone is cheap and shares all but what is then changed in it: to
/// publish is to clone, change and swap one pointer.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) keys: Keys,
    pub(super) index: Index,
    pub(super) chunks: Spread<Arc<Chunk>>,
    /// Chunks that no zone has any more.
    pub(super) free: Arc<Vec<u32>>,
    /// How many chunks there ever were.
    pub(super) used: u32,
    pub(super) zones: Spread<Arc<ZoneEntry>>,
    pub(super) zone_count: u32,
    /// The labels of the longest name there ever was: nothing deeper needs to be looked for.
    pub(super) deepest: usize,
    pub(super) clients: Arc<BTreeMap<ClientsId, Arc<ClientMap>>>,
    /// For each zone with names that wait for their first answer, how many those are.
    pub(super) waiting: Arc<BTreeMap<u32, usize>>,
    /// What changes where contents do, but not with what changesets lay over them.
    pub(super) contents: Arc<()>,
}

/// What a name that depends on the client answers one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceFor {
    /// The client's region.
    pub region: u16,
    /// The variant it gets; `None` where every query draws one.
    pub variant: Option<u8>,
    /// How many bits of its address this depends on.
    pub scope: u8,
    /// What it is answered, by type; where every query draws, one draw.
    pub rrsets: Vec<RrSet>,
}

/// One zone.
#[derive(Clone, Debug)]
pub(super) struct ZoneEntry {
    pub(super) apex: Name,
    pub(super) node: NodeId,
    /// Where its names are.
    pub(super) chunks: Arc<[u32]>,
    /// The SOA with the TTL of negative answers; of a zone of which nothing is known, nothing.
    pub(super) negative: Arc<[u8]>,
    /// Whether it is answered to those alone who may have it.
    pub(super) private: bool,
    /// Whether another zone lies below it.
    pub(super) has_zones_below: bool,
}

impl Table {
    /// The same table with the maps of clients that changesets may name from now on. Names that are steered
    /// by an earlier map keep that one until a changeset says otherwise: their picks were made for its
    /// regions.
    #[must_use]
    pub fn with_clients(self, clients: BTreeMap<ClientsId, Arc<ClientMap>>) -> Table {
        Table { clients: Arc::new(clients), ..self }
    }

    /// What a client at `ip` is answered at a name whose answers depend on the client; `None` for all
    /// other names.
    pub fn choice_for(&self, name: &Name, ip: IpAddr) -> Option<ChoiceFor> {
        let node = self.at(name.as_wire())?;
        let steered = node.steered().filter(|steered| !steered.waits)?;
        let chosen = steered.choose(&Client { resolver: ip, subnet: None, id: 0, now: 0 });
        Some(ChoiceFor {
            region: chosen.region,
            variant: (!steered.is_drawn(chosen.region)).then_some(chosen.variant),
            scope: chosen.scope,
            rrsets: Sets::of(steered.body(chosen)).map(|set| set.decode(name)).collect(),
        })
    }

    /// The apexes of all zones.
    pub fn zones(&self) -> impl Iterator<Item = &Name> {
        (0..self.zone_count).map(|zone| &self.entry(zone).apex)
    }

    /// The SOA a zone answers with, if the table has the zone.
    pub fn soa(&self, apex: &Name) -> Option<RrSet> {
        let (_, apex_node) = self.zone(apex)?;
        let mut sets = Sets::of(self.node(apex_node).body().plain());
        sets.find(|set| set.rtype == RrType::SOA).map(|set| set.decode(apex))
    }

    /// A zone's number and the node of its apex.
    pub(super) fn zone(&self, apex: &Name) -> Option<(u32, NodeId)> {
        let node = self.at(apex.as_wire())?;
        match node.kind() {
            Kind::Authoritative(zone) | Kind::Private(zone) if node.has(IS_APEX) => Some((zone, node.id)),
            _ => None,
        }
    }

    /// What the table holds at a name for everybody, by type; glue and other data that no answer comes from included.
    pub fn rrsets_at(&self, name: &Name) -> Vec<RrSet> {
        let Some(node) = self.at(name.as_wire()) else { return Vec::new() };
        Sets::of(node.told()).map(|set| set.decode(name)).collect()
    }

    /// What is answered to everybody about a name's addresses and aliases, be it by a wildcard.
    pub fn answered_at(&self, name: &Name) -> Vec<RrSet> {
        let wildcard = || {
            let mut above = std::iter::successors(name.parent(), Name::parent);
            let encloser = above.find_map(|above| self.existing(above.as_wire()))?;
            self.wildcard(&encloser)
        };
        let node = self.existing(name.as_wire());
        let node = node.or_else(wildcard).filter(|node| matches!(node.kind(), Kind::Authoritative(_)));
        let Some((node, owner)) = node.and_then(|node| Some((node, Name::from_wire(node.name()).ok()?)))
        else {
            return Vec::new();
        };
        Sets::of(node.told())
            .filter(|set| matches!(set.rtype, RrType::A | RrType::AAAA | RrType::CNAME))
            .map(|set| RrSet { owner: name.clone(), ..set.decode(&owner) })
            .collect()
    }

    /// Whether a zone has names that wait for their first answer.
    pub fn waits_in(&self, apex: &Name) -> bool {
        !self.waiting.is_empty() && self.zone(apex).is_some_and(|(zone, _)| self.waiting.contains_key(&zone))
    }

    /// Whether any zone has such names.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The bytes of memory held, of which successors share all but what they change.
    pub fn size(&self) -> usize {
        let chunks = (0..self.used as usize).map(|chunk| self.chunks.get(chunk).size()).sum::<usize>();
        self.index.size() + chunks + self.chunks.len() * size_of::<Arc<Chunk>>()
    }

    #[inline]
    pub(super) fn node(&self, id: NodeId) -> Node<'_> {
        self.chunk(id).node(id)
    }

    #[inline]
    pub(super) fn chunk(&self, id: NodeId) -> &Chunk {
        self.chunks.get(id.chunk() as usize)
    }

    pub(super) fn entry(&self, zone: u32) -> &ZoneEntry {
        self.zones.get(zone as usize)
    }

    pub(super) fn name(&self, id: NodeId) -> &[u8] {
        name_at(self.chunk(id), id)
    }

    /// The node of a name in lower case, also of one that is only linked to.
    pub(super) fn at(&self, name: &[u8]) -> Option<Node<'_>> {
        self.look_up(name)
    }

    /// [`Table::at`], for where every query comes by.
    #[expect(
        clippy::inline_always,
        reason = "a node is spared the way through memory, a twentieth of a query"
    )]
    #[inline(always)]
    fn look_up(&self, name: &[u8]) -> Option<Node<'_>> {
        let first = self.index.find(self.keys.hash(name)).next()?;
        let node = self.node(first);
        if node.name() == name { Some(node) } else { self.at_further(name) }
    }

    /// The node of a name, after a stranger whose hash is the same in part.
    #[cold]
    #[inline(never)]
    fn at_further(&self, name: &[u8]) -> Option<Node<'_>> {
        self.index.find(self.keys.hash(name)).skip(1).map(|id| self.node(id)).find(|node| node.name() == name)
    }

    /// The node of a name that exists.
    #[inline]
    pub(super) fn existing(&self, name: &[u8]) -> Option<Node<'_>> {
        self.at(name).filter(|node| !node.is_absent())
    }

    /// The zone that a name belongs to: whatever of it or above it there is belongs to that.
    pub(super) fn zone_of(&self, name: &[u8]) -> Option<u32> {
        up(name).find_map(|above| self.at(above)).map(|node| node.zone())
    }

    /// What the zone above says of a zone that is served too: its delegation. DS records are answered from there
    /// (RFC 4035 section 3.1.4.1), all else from the zone itself.
    #[cold]
    pub(super) fn parent_side(&self, apex: &[u8]) -> Option<Node<'_>> {
        let above = self.zone_of(parent(apex)?)?;
        let node = self.beside(above, apex)?;
        matches!(node.kind(), Kind::Cut(_)).then_some(node)
    }

    /// The SOA for a zone's negative answers.
    pub(super) fn negative(&self, zone: u32) -> Option<Set<'_>> {
        Sets::of(&self.entry(zone).negative).next()
    }

    #[inline]
    pub(super) fn find(&self, sought: &Sought) -> Option<Node<'_>> {
        if sought.labels() > self.deepest {
            return None;
        }
        self.at(sought.name())
    }

    /// The name itself where it exists, or else the longest name above it that does (RFC 4592 section 3.3.1).
    /// Names at most as deep as the deepest are looked up, so an endless question costs no more than the
    /// zones are deep.
    #[inline]
    pub(super) fn closest(&self, sought: &Sought) -> Option<Node<'_>> {
        let (mut name, mut labels) = (sought.name(), sought.labels());
        loop {
            if labels <= self.deepest
                && let Some(node) = self.look_up(name)
                && !node.is_absent()
            {
                return Some(node);
            }
            name = parent(name)?;
            labels -= 1;
        }
    }

    /// The wildcard below a closest encloser that is known to have one.
    pub(super) fn wildcard(&self, encloser: &Node<'_>) -> Option<Node<'_>> {
        let mut name = [0; 257];
        let len = 2 + encloser.name_len();
        name[..2].copy_from_slice(b"\x01*");
        name[2..len].copy_from_slice(encloser.name());
        self.at(&name[..len])
    }
}
