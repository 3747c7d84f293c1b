//! Zones in, a table out.
//!
//! 1. Every apex becomes a node, so that it is known which zone a name belongs to: the one whose apex is closest
//!    above it.
//! 2. Every owner of a zone becomes a node, chunk by chunk. What lies at or below another zone's apex is kept
//!    beside that.
//! 3. With all nodes of a zone in place, each learns what depends on others: names between it and the apex come to
//!    exist, cuts and DNAMEs hide what is below, enclosers learn of their wildcards, links of where they lead.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::grow::is_cut;
use super::hash::Keys;
use super::id::{NodeId, PLACES};
use super::index::Index;
use super::names::{parent, up};
use super::node::{Chunk, ChunkBuilder, HAS_DNAME, HAS_WILDCARD, IS_APEX, Kind, name_at};
use super::set::{self, Sets};
use super::slots::SlotBody;
use super::spread::Spread;
use super::table::{Table, ZoneEntry};
use crate::dns::{Name, RrType};
use crate::zone::{RrSetRef, Zone};

/// Zone files are the operator's own, and a map without random keys keeps the room pure.
type Hasher = BuildHasherDefault<DefaultHasher>;

impl Table {
    /// Compiles zones, which are checked or hollow, and no apex twice. What lies in a hollow one is answered
    /// SERVFAIL. Those that are given away give back their memory
    /// while the table grows; of those that are lent a copy is made. `steered` names exist even
    /// where the zone file has nothing there; those in no zone are passed over. `seed` keys the hash: a
    /// number nobody outside can know.
    pub fn compile<'z>(zones: impl Into<Cow<'z, [Zone]>>, steered: &[Name], seed: u64) -> Table {
        let zones = zones.into().into_owned();
        let names = zones.iter().map(|zone| zone.owners_len() + 1).sum::<usize>() + steered.len();
        let mut table = Table::with_room_for(names, seed);
        let numbers = table.add_apexes(&zones);
        let steered: HashSet<&[u8], Hasher> = steered.iter().map(Name::as_wire).collect();
        for (zone, number) in zones.into_iter().zip(numbers) {
            // A second zone of the same apex is a mistake that `detour check` reports; the first one counts.
            if let Some(number) = number {
                Loading::new(&mut table, number, &steered).load(zone);
            }
        }
        let mut pins: BTreeMap<&[u8], u32> = BTreeMap::new();
        pins.extend(steered.iter().filter_map(|name| Some((*name, table.zone_of(name)?))));
        for (name, zone) in pins {
            table.pin(zone, name);
        }
        table
    }

    /// Puts other contents in the place of a zone's, whole. Those of other zones stay, and what was laid over this
    /// one goes. `steered` are its names that exist whatever the zone has there. False where the table
    /// does not have the zone.
    pub fn replace(&mut self, zone: Zone, steered: &[Name]) -> bool {
        let Some((number, _)) = self.zone(zone.apex()) else { return false };
        self.contents = Arc::new(());
        self.clear(number);
        let entry = self.entry_mut(number);
        (entry.private, entry.negative) = (zone.is_private(), Arc::default());
        self.add_apex(number);
        let names: HashSet<&[u8], Hasher> = steered.iter().map(Name::as_wire).collect();
        Loading::new(self, number, &names).load(zone);
        for name in steered {
            self.pin(number, name.as_wire());
        }
        true
    }

    /// A table without zones.
    fn with_room_for(names: usize, seed: u64) -> Table {
        let nobody = ZoneEntry {
            apex: Name::root(),
            node: NodeId::NONE,
            chunks: Arc::default(),
            negative: Arc::default(),
            private: false,
            has_zones_below: false,
        };
        Table {
            keys: Keys::new(seed),
            index: Index::with_room_for(names),
            chunks: Spread::new(names / PLACES, &Arc::new(Chunk::empty(0))),
            free: Arc::default(),
            used: 0,
            zones: Spread::new(1, &Arc::new(nobody)),
            zone_count: 0,
            deepest: 0,
            clients: Arc::default(),
            waiting: Arc::default(),
            contents: Arc::new(()),
        }
    }

    /// Numbers zones, `None` for one whose apex another has, and makes nodes of their apexes.
    fn add_apexes(&mut self, zones: &[Zone]) -> Vec<Option<u32>> {
        let mut apexes: HashMap<&[u8], u32, Hasher> = HashMap::with_hasher(Hasher::default());
        let mut numbers = Vec::with_capacity(zones.len());
        for zone in zones {
            let number = apexes.len() as u32;
            let is_new = !apexes.contains_key(zone.apex().as_wire());
            numbers.push(is_new.then_some(number));
            if is_new {
                apexes.insert(zone.apex().as_wire(), number);
            }
        }
        let above = |zone: &Zone| {
            let above = up(zone.apex().as_wire()).skip(1).filter_map(|above| apexes.get(above)).copied();
            above.collect::<Vec<u32>>()
        };
        let with_zones_below: BTreeSet<u32> = zones.iter().flat_map(above).collect();
        for (zone, number) in zones.iter().zip(&numbers) {
            let Some(number) = *number else { continue };
            let entry = Arc::new(ZoneEntry {
                apex: zone.apex().clone(),
                node: NodeId::NONE,
                chunks: Arc::default(),
                negative: Arc::default(),
                private: zone.is_private(),
                has_zones_below: with_zones_below.contains(&number),
            });
            self.zones.grow(number as usize + 1, &entry);
            *self.zones.get_mut(number as usize) = entry;
            self.zone_count += 1;
            self.add_apex(number);
        }
        numbers
    }

    /// Makes the node of a zone's apex, the first of the zone.
    fn add_apex(&mut self, zone: u32) {
        let apex = self.entry(zone).apex.clone();
        let chunk = self.new_chunk(zone);
        let id = NodeId::of(chunk, 0);
        let mut builder = ChunkBuilder::new(zone);
        push_apex(&mut builder, &apex, self.entry(zone).private);
        *self.chunks.get_mut(chunk as usize) = Arc::new(builder.take());
        self.entry_mut(zone).node = id;
        self.enter(&mut vec![(self.keys.hash(apex.as_wire()), id)]);
        self.deepest = self.deepest.max(up(apex.as_wire()).count() - 1);
    }

    /// Puts nodes into the index.
    fn enter(&mut self, batch: &mut Vec<(u64, NodeId)>) {
        let Table { keys, index, chunks, .. } = self;
        index.insert_all(batch, |id| keys.hash(name_at(chunks.get(id.chunk() as usize), id)));
    }
}

fn push_apex(builder: &mut ChunkBuilder, apex: &Name, private: bool) {
    builder.push(apex.as_wire(), kind_of(builder.zone(), private), IS_APEX, false, &[]);
}

fn kind_of(zone: u32, private: bool) -> Kind {
    if private { Kind::Private(zone) } else { Kind::Authoritative(zone) }
}

/// A zone on its way into a table that has its apex.
struct Loading<'t> {
    table: &'t mut Table,
    number: u32,
    apex: Name,
    private: bool,
    steered: &'t HashSet<&'t [u8], Hasher>,
    /// The chunk that is being filled, and its number.
    builder: ChunkBuilder,
    chunk: u32,
    /// All chunks so far.
    chunks: Vec<u32>,
    /// Its nodes by their hashes, which are not in the index yet.
    waiting: Vec<(u64, NodeId)>,
    /// Where bodies are laid out: one room for all, as there are millions of them.
    scratch: Vec<u8>,
    apex_body: Vec<u8>,
    /// How many names are right below the apex; and those further down.
    shallow: u32,
    deep: Vec<NodeId>,
    /// Nodes with links, and those that begin with `*`.
    linked: Vec<NodeId>,
    stars: Vec<NodeId>,
    /// Whether it has cuts or DNAMEs.
    hides: bool,
    /// What it holds at and below other zones' apexes.
    beside: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<'t> Loading<'t> {
    fn new(table: &'t mut Table, number: u32, steered: &'t HashSet<&'t [u8], Hasher>) -> Loading<'t> {
        let entry = table.entry(number);
        let (apex, private, chunk) = (entry.apex.clone(), entry.private, entry.node.chunk());
        let mut builder = ChunkBuilder::new(number);
        push_apex(&mut builder, &apex, private);
        Loading {
            table,
            number,
            apex,
            private,
            steered,
            builder,
            chunk,
            chunks: vec![chunk],
            waiting: Vec::with_capacity(PLACES),
            scratch: Vec::new(),
            apex_body: Vec::new(),
            shallow: 0,
            deep: Vec::new(),
            linked: Vec::new(),
            stars: Vec::new(),
            hides: false,
            beside: Vec::new(),
        }
    }

    fn load(mut self, zone: Zone) {
        zone.consume(|sets| self.add_owner(sets[0].owner, sets));
        self.flush();
        self.table.entry_mut(self.number).chunks = self.chunks.as_slice().into();
        self.finish_apex();
        self.join();
    }

    fn add_owner(&mut self, owner: &[u8], sets: &[RrSetRef<'_>]) {
        if self.builder.len() == PLACES {
            self.flush();
            self.chunk = self.table.used;
            self.table.used += 1;
            self.table.chunks.grow(self.table.used as usize, &Arc::new(Chunk::empty(self.number)));
            self.chunks.push(self.chunk);
        }
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        for set in sets {
            set::encode(&mut body, self.apex.as_wire(), owner, (set.rtype, set.ttl), set.rdata());
        }
        if owner.len() == self.apex.as_wire().len() {
            self.table.entry_mut(self.number).negative = negative(owner, sets).into();
            self.apex_body = body;
            return;
        }
        let below = self.table.entry(self.number).has_zones_below;
        if below && self.table.zone_of(owner) != Some(self.number) {
            self.beside.push((owner.to_vec(), body));
            return;
        }
        let has = |rtype| sets.iter().any(|set| set.rtype == rtype);
        let kind = if has(RrType::NS) && is_cut(owner, &body) && !self.private {
            Kind::Cut(self.number)
        } else {
            kind_of(self.number, self.private)
        };
        let flags = if has(RrType::DNAME) { HAS_DNAME } else { 0 };
        self.hides |= matches!(kind, Kind::Cut(_)) || flags != 0;
        let id = NodeId::of(self.chunk, self.builder.len());
        if owner.len() - 1 - usize::from(owner[0]) == self.apex.as_wire().len() {
            self.shallow += 1;
        } else {
            self.deep.push(id);
        }
        if owner.starts_with(b"\x01*") {
            self.stars.push(id);
        }
        if Sets::of(&body).any(|set| set.has_links()) {
            self.linked.push(id);
        }
        self.table.deepest = self.table.deepest.max(up(owner).count() - 1);
        self.waiting.push((self.table.keys.hash(owner), id));
        self.builder.push(owner, kind, flags, self.steered.contains(owner), &body);
        self.scratch = body;
    }

    /// Puts the chunk that is full, or the last, into the table, and its nodes into the index.
    fn flush(&mut self) {
        *self.table.chunks.get_mut(self.chunk as usize) = Arc::new(self.builder.take());
        self.table.enter(&mut self.waiting);
    }

    fn finish_apex(&mut self) {
        let (id, body) = (self.table.entry(self.number).node, std::mem::take(&mut self.apex_body));
        let has = |rtype| Sets::of(&body).any(|set| set.rtype == rtype);
        let has_dname = has(RrType::DNAME);
        self.hides |= has_dname;
        if Sets::of(&body).any(|set| set.has_links()) {
            self.linked.push(id);
        }
        let shallow = self.shallow;
        let chunk = self.table.chunk_mut(id);
        chunk.set_slot(id.place(), SlotBody::Plain(body.into()));
        chunk.set_flag(id.place(), HAS_DNAME, has_dname);
        chunk.change_more(id.place(), |more| more.children = shallow);
    }

    /// See above, 3.
    fn join(mut self) {
        for (name, body) in std::mem::take(&mut self.beside) {
            self.table.hold_beside(self.number, &name, body);
        }
        for id in std::mem::take(&mut self.deep) {
            let Some(above) = parent(self.table.name(id)).map(<[u8]>::to_vec) else { continue };
            let above = self.table.ensure(self.number, &above);
            self.table.change_more(above, |more| more.children += 1);
        }
        for id in std::mem::take(&mut self.stars) {
            let name = self.table.name(id);
            if let Some(above) = parent(name).and_then(|above| self.table.at(above)).map(|node| node.id) {
                self.table.chunk_mut(above).set_flag(above.place(), HAS_WILDCARD, true);
            }
        }
        if self.hides && !self.private {
            self.hide();
        }
        for id in std::mem::take(&mut self.linked) {
            let node = self.table.node(id);
            let (name, mut body) = (node.name().to_vec(), node.body().plain().to_vec());
            self.table.link(self.number, &name, &mut body);
            self.table.chunk_mut(id).body_mut(id.place(), |held| held.copy_from_slice(&body));
            for to in Sets::of(&body).flat_map(|set| set.links()).filter_map(|link| link.node.some()) {
                self.table.change_more(to, |more| more.links += 1);
            }
        }
    }

    /// Tells each name below a cut or a DNAME what hides it: the topmost of them.
    fn hide(&mut self) {
        let own = |id: NodeId, name: &[u8]| self.table.at(name).is_some_and(|node| node.id == id);
        let nodes = self.table.nodes(self.number).filter(|node| own(node.id, node.name()));
        let hidden: Vec<(NodeId, NodeId)> =
            nodes.filter_map(|node| Some((node.id, self.hidden_by(node.name())?))).collect();
        for (id, by) in hidden {
            self.table.chunk_mut(id).set_kind(id.place(), Kind::Hidden(by));
        }
    }

    /// The topmost cut or DNAME strictly above a name, within the zone.
    fn hidden_by(&self, name: &[u8]) -> Option<NodeId> {
        let apex = self.apex.as_wire().len();
        let above = up(name).skip(1).take_while(|above| above.len() >= apex);
        let above = above.filter_map(|above| self.table.at(above));
        above
            .filter(|node| matches!(node.kind(), Kind::Cut(_)) || node.has(HAS_DNAME))
            .last()
            .map(|node| node.id)
    }
}

/// The SOA of negative answers: its TTL is the smaller of its own and its last field (RFC 2308 section 3).
fn negative(owner: &[u8], sets: &[RrSetRef<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for set in sets.iter().filter(|set| set.rtype == RrType::SOA) {
        for rdata in set.rdata() {
            encode_negative(&mut body, owner, set.ttl, rdata);
        }
    }
    body
}

/// Appends the SOA for negative answers to a body.
pub(super) fn encode_negative(body: &mut Vec<u8>, apex: &[u8], ttl: u32, rdata: &[u8]) {
    let minimum = rdata.last_chunk().map_or(ttl, |last| u32::from_be_bytes(*last));
    set::encode(body, apex, apex, (RrType::SOA, ttl.min(minimum)), std::iter::once(rdata));
}
