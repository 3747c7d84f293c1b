//! All that a zone holds, one RRset after the other: what a transfer carries, and how two tables differ.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Body, Kind, Node, NodeId};
use super::set::Sets;
use super::table::{Base, Table};
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial};

/// How far a walk through a zone has come. It borrows nothing, so that whoever walks may pause.
#[derive(Clone, Debug, Default)]
pub(super) struct Walk {
    last: Option<NodeId>,
    /// In the names that are steered and in no file, which come last.
    beside: bool,
}

impl Base {
    /// The next node of a zone that may hold RRsets, glue and what is occluded included.
    fn step(&self, zone: u32, walk: &mut Walk) -> Option<Node<'_>> {
        loop {
            let span = if walk.beside { self.steered } else { self.zones[zone as usize].nodes };
            let next = match walk.last {
                Some(last) => self.arena.after(Some(last)),
                None => Some(span.0),
            };
            match next.filter(|next| next.0 < span.1.0) {
                Some(next) => {
                    walk.last = Some(next);
                    let node = self.arena.get(next);
                    if !walk.beside || self.zone_of(&node) == Some(zone) {
                        return Some(node);
                    }
                }
                None if walk.beside => return None,
                None => *walk = Walk { last: None, beside: true },
            }
        }
    }

    /// The zone a node belongs to.
    fn zone_of(&self, node: &Node<'_>) -> Option<u32> {
        match node.kind() {
            Kind::Authoritative(zone) | Kind::Cut(zone) | Kind::Private(zone) => Some(zone),
            Kind::Hidden(by) => match self.arena.get(by).kind() {
                Kind::Authoritative(zone) | Kind::Cut(zone) => Some(zone),
                Kind::Hidden(_) | Kind::Absent(_) | Kind::Private(_) => None,
            },
            Kind::Absent(_) => None,
        }
    }

    /// Whether a node is found by its name, which those beside another zone's are not.
    fn is_indexed(&self, node: &Node<'_>) -> bool {
        self.find(node.name) == Some(node.id)
    }
}

impl Table {
    /// The next name of a zone and what it holds, the apex's SOA included.
    pub(super) fn walk(&self, zone: u32, walk: &mut Walk) -> Option<(&[u8], &[u8])> {
        let node = self.base.step(zone, walk)?;
        Some((node.name, self.body_of(&node)))
    }

    pub(super) fn body_of<'t>(&'t self, node: &Node<'t>) -> &'t [u8] {
        match node.body {
            Body::Fixed(body) => body,
            Body::Slot(slot) => self.slots.get(slot).plain(),
        }
    }

    /// The nodes of a zone that hold something, in no order.
    pub(super) fn nodes(&self, zone: u32) -> Vec<NodeId> {
        let (mut nodes, mut walk) = (Vec::new(), Walk::default());
        while let Some(node) = self.base.step(zone, &mut walk) {
            if !self.body_of(&node).is_empty() {
                nodes.push(node.id);
            }
        }
        nodes
    }

    /// The serial a zone publishes, if the table has the zone.
    pub fn serial(&self, apex: &Name) -> Option<Serial> {
        self.soa(apex).map(|soa| soa_serial(&soa))
    }

    /// What a zone holds at a name; nothing where the name is another zone's.
    pub fn held(&self, apex: &Name, name: &Name) -> Vec<RrSet> {
        let Some((zone, _)) = self.zone(apex) else { return Vec::new() };
        let node = self.base.find(name.as_wire()).map(|id| self.node(id));
        let Some(node) = node.filter(|node| self.base.zone_of(node) == Some(zone)) else { return Vec::new() };
        Sets::of(self.body_of(&node)).map(|set| set.decode(name)).collect()
    }

    /// Every RRset of a zone, in no order; none where the table does not have it.
    pub fn rrsets(&self, apex: &Name) -> Vec<RrSet> {
        let (mut all, mut walk) = (Vec::new(), Walk::default());
        let Some((zone, _)) = self.zone(apex) else { return all };
        while let Some((name, body)) = self.walk(zone, &mut walk) {
            let Ok(name) = Name::from_wire(name) else { continue };
            all.extend(Sets::of(body).map(|set| set.decode(&name)));
        }
        all
    }

    /// Gives each RRset of a zone: its owner in wire form, its type, and how many records it has.
    pub fn count_records(&self, apex: &Name, mut each: impl FnMut(&[u8], RrType, usize)) {
        let Some((zone, _)) = self.zone(apex) else { return };
        let mut walk = Walk::default();
        while let Some((name, body)) = self.walk(zone, &mut walk) {
            Sets::of(body).for_each(|set| each(name, set.rtype, usize::from(set.count)));
        }
    }

    /// The names at which a zone's RRsets differ between two tables, its serial aside; `None` where they are
    /// more than `max`, where a table does not have the zone, or where what lies beside other zones differs.
    pub fn differences(&self, other: &Table, apex: &Name, max: usize) -> Option<BTreeSet<Name>> {
        let (zones, tables) = ([self.zone(apex)?.0, other.zone(apex)?.0], [self, other]);
        let mut names = BTreeSet::new();
        let mut beside = [BTreeMap::new(), BTreeMap::new()];
        for at in [0, 1] {
            let (this, that, mut walk) = (tables[at], tables[1 - at], Walk::default());
            while let Some(node) = this.base.step(zones[at], &mut walk) {
                let held = content(this.body_of(&node));
                if !this.base.is_indexed(&node) {
                    beside[at].entry(node.name).or_insert_with(Vec::new).extend(held);
                    continue;
                }
                let found = that.base.find(node.name).map(|id| that.node(id));
                let found = found.filter(|found| that.base.zone_of(found) == Some(zones[1 - at]));
                let same = match &found {
                    Some(found) => held.eq(content(that.body_of(found))),
                    None => held.count() == 0,
                };
                if !same {
                    names.extend(Name::from_wire(node.name));
                    if names.len() > max {
                        return None;
                    }
                }
            }
        }
        (beside[0] == beside[1]).then_some(names)
    }

    /// Whether two tables were compiled from the same load: they differ in what was published since at most.
    pub fn has_same_base(&self, other: &Table) -> bool {
        std::sync::Arc::ptr_eq(&self.base, &other.base)
    }
}

/// What a body holds, but for the SOA and the places other names have in the table.
fn content(body: &[u8]) -> impl Iterator<Item = (RrType, &[u8])> {
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
