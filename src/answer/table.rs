//! The published table: what answers are made from.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::clients::ClientMap;
use super::hash::Keys;
use super::index::Index;
use super::names::{Sought, parent};
use super::node::{Arena, Body, IS_APEX, Kind, Node, NodeId};
use super::pick::{Client, Steered};
use super::set::{Set, Sets};
use super::slots::{SlotBody, Slots};
use crate::dns::{Name, RrSet, RrType};
use crate::zone::ClientsId;

/// Every name of every zone, compiled. A clone is cheap and shares all but what is then changed in it:
/// to publish is to clone, [`Table::apply`] and swap one pointer.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) base: Arc<Base>,
    pub(super) slots: Slots,
    pub(super) clients: Arc<BTreeMap<ClientsId, Arc<ClientMap>>>,
    /// For each zone with names that wait for their first answer, how many those are.
    pub(super) waiting: Arc<BTreeMap<u32, usize>>,
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

/// What stays as compiled from the zone files.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) keys: Keys,
    pub(super) index: Index,
    pub(super) arena: Arena,
    pub(super) zones: Vec<ZoneEntry>,
    /// Where the steered names that are in no file begin and end.
    pub(super) steered: (NodeId, NodeId),
    /// The labels of the longest name: nothing deeper needs to be looked for.
    pub(super) deepest: usize,
}

/// One zone. Zone `z` has its apex in slot `2z` and the SOA for its negative answers in slot `2z + 1`.
#[derive(Debug)]
pub(super) struct ZoneEntry {
    pub(super) apex: Name,
    /// Where the owners of its file begin and end; those beside another zone are among them, in no index.
    pub(super) nodes: (NodeId, NodeId),
    /// Where the zone above this one is served too: its delegation of this one. DS records are answered
    /// from there (RFC 4035 section 3.1.4.1), all else from this zone.
    pub(super) parent_side: Option<NodeId>,
}

impl ZoneEntry {
    /// A zone without a name yet.
    pub(super) fn new(apex: &Name) -> ZoneEntry {
        ZoneEntry { apex: apex.clone(), nodes: (NodeId(0), NodeId(0)), parent_side: None }
    }
}

/// The slot of a zone's apex.
pub(super) fn apex_slot(zone: u32) -> u32 {
    zone * 2
}

/// The slot of the SOA with the TTL of negative answers.
pub(super) fn negative_slot(zone: u32) -> u32 {
    zone * 2 + 1
}

impl Base {
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<NodeId> {
        self.index.find(self.keys.hash(name), |node| self.arena.name(node) == name)
    }
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
        let node = self.node(self.base.find(name.as_wire())?);
        let steered = self.steered(&node).filter(|steered| !steered.waits)?;
        let chosen = steered.choose(&Client { resolver: ip, subnet: None, id: 0, now: 0 });
        Some(ChoiceFor {
            region: chosen.region,
            variant: (!steered.is_drawn(chosen.region)).then_some(chosen.variant),
            scope: chosen.scope,
            rrsets: Sets::of(steered.body(chosen)).map(|set| set.decode(name)).collect(),
        })
    }

    fn steered<'t>(&'t self, node: &Node<'t>) -> Option<&'t Steered> {
        match node.body {
            Body::Slot(slot) => match self.slots.get(slot) {
                SlotBody::Steered(steered) => Some(steered),
                SlotBody::Plain(_) => None,
            },
            Body::Fixed(_) => None,
        }
    }

    /// The apexes of all zones.
    pub fn zones(&self) -> impl Iterator<Item = &Name> {
        self.base.zones.iter().map(|zone| &zone.apex)
    }

    /// The SOA a zone answers with, if the table has the zone.
    pub fn soa(&self, apex: &Name) -> Option<RrSet> {
        let (zone, _) = self.zone(apex)?;
        let mut sets = Sets::of(self.slots.get(apex_slot(zone)).plain());
        sets.find(|set| set.rtype == RrType::SOA).map(|set| set.decode(apex))
    }

    /// A zone's number and the node of its apex.
    pub(super) fn zone(&self, apex: &Name) -> Option<(u32, NodeId)> {
        let node = self.node(self.base.find(apex.as_wire())?);
        match node.kind() {
            Kind::Authoritative(zone) | Kind::Private(zone) if node.has(IS_APEX) => Some((zone, node.id)),
            _ => None,
        }
    }

    /// What the table holds at a name for everybody, by type; glue and other data that no answer comes from included.
    pub fn rrsets_at(&self, name: &Name) -> Vec<RrSet> {
        let Some(node) = self.base.find(name.as_wire()) else { return Vec::new() };
        Sets::of(self.body(&self.node(node))).map(|set| set.decode(name)).collect()
    }

    /// What is answered to everybody about a name's addresses and aliases, be it by a wildcard.
    pub fn answered_at(&self, name: &Name) -> Vec<RrSet> {
        let wildcard = || {
            let mut above = std::iter::successors(name.parent(), Name::parent);
            let encloser = above.find_map(|above| self.base.find(above.as_wire()))?;
            self.wildcard(&self.node(encloser))
        };
        let node = self.base.find(name.as_wire()).map(|id| self.node(id));
        let node = node.or_else(wildcard).filter(|node| matches!(node.kind(), Kind::Authoritative(_)));
        let Some((node, owner)) = node.and_then(|node| Some((node, Name::from_wire(node.name).ok()?))) else {
            return Vec::new();
        };
        Sets::of(self.body(&node))
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

    /// Whether what a node lacks is not known yet.
    pub(super) fn waits_at(&self, node: &Node<'_>) -> bool {
        self.steered(node).is_some_and(|steered| steered.waits)
    }

    /// The bytes of memory held, of which successors share all but what they change.
    pub fn size(&self) -> usize {
        self.base.index.size() + self.base.arena.size() + self.slots.size()
    }

    #[inline]
    pub(super) fn node(&self, id: NodeId) -> Node<'_> {
        self.base.arena.get(id)
    }

    /// What everybody may be told of a node.
    #[inline]
    pub(super) fn body<'t>(&'t self, node: &Node<'t>) -> &'t [u8] {
        match node.body {
            Body::Fixed(body) => body,
            Body::Slot(slot) => match self.slots.get(slot) {
                SlotBody::Steered(steered) if steered.waits => &steered.variants[0],
                held => held.plain(),
            },
        }
    }

    /// The body a client is answered from, and the scope of that: how many bits of the client's address it
    /// depends on.
    #[inline]
    pub(super) fn body_for<'t>(&'t self, node: &Node<'t>, client: &Client<'_>) -> (&'t [u8], u8) {
        let slot = match node.body {
            Body::Fixed(body) => return (body, 0),
            Body::Slot(slot) => slot,
        };
        match self.slots.get(slot) {
            SlotBody::Plain(body) => (body, 0),
            SlotBody::Steered(steered) => {
                let chosen = steered.choose(client);
                (steered.body(chosen), chosen.scope)
            }
        }
    }

    /// The SOA for a zone's negative answers.
    pub(super) fn negative(&self, zone: u32) -> Option<Set<'_>> {
        Sets::of(self.slots.get(negative_slot(zone)).plain()).next()
    }

    #[inline]
    pub(super) fn find(&self, sought: &Sought) -> Option<Node<'_>> {
        if sought.labels() > self.base.deepest {
            return None;
        }
        self.base.find(sought.name()).map(|id| self.node(id))
    }

    /// The longest name above one that is not there (RFC 4592 section 3.3.1). Names at most as deep as the
    /// deepest are looked up, so an endless question costs no more than the zones are deep.
    pub(super) fn closest_encloser(&self, sought: &Sought) -> Option<Node<'_>> {
        let mut name = sought.name();
        for labels in (0..sought.labels()).rev() {
            name = parent(name)?;
            if labels <= self.base.deepest
                && let Some(id) = self.base.find(name)
            {
                return Some(self.node(id));
            }
        }
        None
    }

    /// The wildcard below a closest encloser that is known to have one.
    pub(super) fn wildcard(&self, encloser: &Node<'_>) -> Option<Node<'_>> {
        let mut name = [0; 257];
        let len = 2 + encloser.name.len();
        name[..2].copy_from_slice(b"\x01*");
        name[2..len].copy_from_slice(encloser.name);
        self.base.find(&name[..len]).map(|id| self.node(id))
    }
}
