//! All that a zone holds, one RRset after the other: what a transfer carries, and how two tables differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::id::NodeId;
use super::node::Node;
use super::set::Sets;
use super::table::Table;
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial};

/// How far a walk through a zone has come: which of its chunks, and which place there. It borrows nothing, so
/// that whoever walks may pause.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    chunk: usize,
    place: usize,
}

impl Table {
    /// The next node of a zone, glue and what is occluded included.
    fn step(&self, zone: u32, walk: &mut Walk) -> Option<Node<'_>> {
        loop {
            let &number = self.entry(zone).chunks.get(walk.chunk)?;
            let chunk = self.chunks.get(number as usize);
            match chunk.taken().find(|&place| place >= walk.place) {
                Some(place) => {
                    walk.place = place + 1;
                    return Some(chunk.node(NodeId::of(number, place)));
                }
                None => *walk = Walk { chunk: walk.chunk + 1, place: 0 },
            }
        }
    }

    /// The next name of a zone and what it holds, the apex's SOA included.
    pub(super) fn walk(&self, zone: u32, walk: &mut Walk) -> Option<(&[u8], &[u8])> {
        let node = self.step(zone, walk)?;
        Some((node.name(), node.body().plain()))
    }

    /// The nodes of a zone that hold something, in no order.
    pub(super) fn holding(&self, zone: u32) -> Vec<NodeId> {
        self.nodes(zone).filter(|node| !node.body().plain().is_empty()).map(|node| node.id).collect()
    }

    /// The serial a zone publishes, if the table has the zone.
    pub fn serial(&self, apex: &Name) -> Option<Serial> {
        self.soa(apex).map(|soa| soa_serial(&soa))
    }

    /// What a zone holds at a name, also beside another zone whose name that is.
    pub fn held(&self, apex: &Name, name: &Name) -> Vec<RrSet> {
        let Some((zone, _)) = self.zone(apex) else { return Vec::new() };
        let own = self.at(name.as_wire()).filter(|node| node.zone() == zone);
        let Some(node) = own.or_else(|| self.beside(zone, name.as_wire())) else { return Vec::new() };
        Sets::of(node.body().plain()).map(|set| set.decode(name)).collect()
    }

    /// Every RRset of a zone, in no order; none where the table does not have it.
    pub fn rrsets(&self, apex: &Name) -> Vec<RrSet> {
        let mut all = Vec::new();
        let Some((zone, _)) = self.zone(apex) else { return all };
        for node in self.nodes(zone) {
            let Ok(name) = Name::from_wire(node.name()) else { continue };
            all.extend(Sets::of(node.body().plain()).map(|set| set.decode(&name)));
        }
        all
    }

    /// Gives each RRset of a zone: its owner in wire form, its type, and how many records it has.
    pub fn count_records(&self, apex: &Name, mut each: impl FnMut(&[u8], RrType, usize)) {
        let Some((zone, _)) = self.zone(apex) else { return };
        for node in self.nodes(zone) {
            Sets::of(node.body().plain())
                .for_each(|set| each(node.name(), set.rtype, usize::from(set.count)));
        }
    }

    /// The names at which a zone's RRsets differ between two tables, its serial aside; `None` where they are
    /// more than `max`, where a table does not have the zone, or where what lies beside other zones differs.
    pub fn differences(&self, other: &Table, apex: &Name, max: usize) -> Option<BTreeSet<Name>> {
        let (zones, tables) = ([self.zone(apex)?.0, other.zone(apex)?.0], [self, other]);
        let mut names = BTreeSet::new();
        let mut beside = [BTreeMap::new(), BTreeMap::new()];
        for at in [0, 1] {
            let (this, that) = (tables[at], tables[1 - at]);
            // What two tables share is the same in both.
            let is_shared = |number: u32| {
                let here = this.chunks.get(number as usize);
                zones[0] == zones[1]
                    && (number as usize) < that.chunks.len()
                    && Arc::ptr_eq(here, that.chunks.get(number as usize))
            };
            for node in this.nodes(zones[at]).filter(|node| !is_shared(node.id.chunk())) {
                let held = content(node.body().plain());
                if this.at(node.name()).is_none_or(|found| found.id != node.id) {
                    beside[at].entry(node.name()).or_insert_with(Vec::new).extend(held);
                    continue;
                }
                let found = that.at(node.name()).filter(|found| found.zone() == zones[1 - at]);
                let same = match &found {
                    Some(found) => held.eq(content(found.body().plain())),
                    None => held.count() == 0,
                };
                if !same {
                    names.extend(Name::from_wire(node.name()));
                    if names.len() > max {
                        return None;
                    }
                }
            }
        }
        (beside[0] == beside[1]).then_some(names)
    }

    /// The same table, told to have the contents of another one.
    #[must_use]
    pub fn with_contents_of(self, other: &Table) -> Table {
        Table { contents: Arc::clone(&other.contents), ..self }
    }

    /// Whether two tables have the same contents: they differ in what was laid over them since at most.
    pub fn has_same_contents(&self, other: &Table) -> bool {
        Arc::ptr_eq(&self.contents, &other.contents)
    }
}

/// What a body holds, but for the SOA and the places other names have in the table.
pub(super) fn content(body: &[u8]) -> impl Iterator<Item = (RrType, &[u8])> {
    Sets::of(body).filter(|set| set.rtype != RrType::SOA).map(|set| (set.rtype, set.wire))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone;

    fn parsed(apex: &str, lines: &str) -> zone::Zone {
        let text = format!("@ 60 SOA ns.{apex}. h 7 1 1 1 1\n@ 60 NS ns.{apex}.\n{lines}");
        let parsed =
            zone::parse(&apex.parse().unwrap(), "z", text.as_bytes(), &mut |_| Err("none".to_owned()));
        parsed.unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    /// Every record of a zone, as lines.
    fn lines(sets: impl IntoIterator<Item = RrSet>) -> BTreeSet<String> {
        sets.into_iter().flat_map(|set| set.to_lines().collect::<Vec<_>>()).collect()
    }

    const PARENT: &str = "ns 60 A 192.0.2.1
www 60 A 192.0.2.2
sub 60 NS ns.sub
sub 60 A 192.0.2.9
ns.sub 60 A 192.0.2.3
*.sub 60 A 192.0.2.4
other 60 NS ns.other
ns.other 60 A 192.0.2.5
old 60 DNAME new
below.old 60 TXT \"occluded\"
";

    #[test]
    fn a_walk_gives_back_each_zone_whole() {
        let (parent, child) = (parsed("a.test", PARENT), parsed("sub.a.test", "ns 60 A 192.0.2.3\n"));
        let all = |zone: &zone::Zone| lines(zone.rrsets().map(|set| set.to_rrset()));
        let expect = [all(&parent), all(&child)];
        let steered = ["app.a.test".parse().unwrap(), "app.sub.a.test".parse().unwrap()];
        let table = Table::compile(vec![parent, child], &steered, 1);
        assert_eq!(lines(table.rrsets(&"a.test".parse().unwrap())), expect[0]);
        assert_eq!(lines(table.rrsets(&"sub.a.test".parse().unwrap())), expect[1]);
        assert!(table.rrsets(&"test".parse().unwrap()).is_empty());
    }

    #[test]
    fn what_lies_beside_a_zone_is_answered_by_nobody() {
        let (parent, child) = (parsed("a.test", PARENT), parsed("sub.a.test", "ns 60 A 192.0.2.3\n"));
        let table = Table::compile(vec![parent, child], &[], 1);
        let apex: Name = "sub.a.test".parse().unwrap();
        let at = |name: &str| lines(table.held(&apex, &name.parse().unwrap())).len();
        assert_eq!((at("sub.a.test"), at("ns.sub.a.test"), at("*.sub.a.test")), (2, 1, 0));
    }

    #[test]
    fn tables_differ_where_their_zones_do() {
        let apex: Name = "a.test".parse().unwrap();
        let table = |lines: &str| Table::compile(vec![parsed("a.test", lines)], &[], 1);
        let check = |before: &str, after: &str, expect: Option<&[&str]>| {
            let (before, after) = (table(before), table(after));
            let names = expect.map(|names| names.iter().map(|name| name.parse().unwrap()).collect());
            assert_eq!(before.differences(&after, &apex, 2), names);
            assert_eq!(after.differences(&before, &apex, 2), names);
        };
        let base = "ns 60 A 192.0.2.1\nx.y 60 A 192.0.2.2\n";
        check(base, base, Some(&[]));
        check(base, "ns 60 A 192.0.2.1\nx.y 61 A 192.0.2.2\n", Some(&["x.y.a.test"]));
        check(base, "ns 60 A 192.0.2.1\ny 60 A 192.0.2.2\n", Some(&["x.y.a.test", "y.a.test"]));
        check(base, "ns 60 A 192.0.2.1\nx.y 60 A 192.0.2.2\ny 60 TXT t\n", Some(&["y.a.test"]));
        check(base, &format!("{base}a 60 A 192.0.2.3\nb 60 A 192.0.2.3\nc 60 A 192.0.2.3\n"), None);
    }

    #[test]
    fn a_zone_below_that_comes_is_told_of() {
        let apex: Name = "a.test".parse().unwrap();
        let child = || parsed("sub.a.test", "ns 60 A 192.0.2.3\n");
        let one = Table::compile(vec![parsed("a.test", PARENT)], &[], 1);
        let two = Table::compile(vec![parsed("a.test", PARENT), child()], &[], 1);
        assert_eq!(one.differences(&two, &apex, 100), None);
        let changed = PARENT.replace("*.sub 60 A 192.0.2.4", "*.sub 60 A 192.0.2.44");
        let three = Table::compile(vec![parsed("a.test", &changed), child()], &[], 1);
        assert_eq!(two.differences(&three, &apex, 100), None);
    }
}
