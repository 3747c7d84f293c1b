//! A zone held against what a table has of it: where few names differ, they alone are changed.

use std::collections::BTreeSet;

use super::node::Node;
use super::set::{self, Sets};
use super::table::Table;
use super::walk::content;
use crate::dns::Name;
use crate::zone::{RrSetRef, Zone};

impl Table {
    /// The names at which a zone would hold something else with these contents, its SOA aside; `None` where they
    /// are more than `max`, or where the table does not have the zone.
    pub fn names_to_change(&self, contents: &Zone, max: usize) -> Option<BTreeSet<Name>> {
        let (zone, apex) = (self.zone(contents.apex())?.0, contents.apex().as_wire());
        let (mut names, mut found, mut body) = (BTreeSet::new(), 0, Vec::new());
        let mut sets = contents.rrsets().peekable();
        while let Some(first) = sets.next() {
            let owner = first.owner;
            body.clear();
            let mut encode = |set: RrSetRef<'_>| {
                set::encode(&mut body, apex, owner, (set.rtype, set.ttl), set.rdata());
            };
            encode(first);
            while let Some(set) = sets.next_if(|set| set.owner == owner) {
                encode(set);
            }
            let held = self.of_zone(zone, owner).map_or(&[][..], |node| node.body().plain());
            found += usize::from(!held.is_empty());
            if !content(held).eq(content(&body)) {
                names.extend(Name::from_wire(owner));
                if names.len() > max {
                    return None;
                }
            }
        }
        // Most often nothing goes, which the count says.
        if self.nodes(zone).filter(|node| !node.body().plain().is_empty()).count() > found {
            let all: BTreeSet<&[u8]> = contents.rrsets().map(|set| set.owner).collect();
            for node in self.nodes(zone).filter(|node| Sets::of(node.body().plain()).next().is_some()) {
                if !all.contains(node.name()) {
                    names.extend(Name::from_wire(node.name()));
                }
            }
        }
        (names.len() <= max).then_some(names)
    }

    /// What a zone holds at a name, also beside another zone.
    fn of_zone(&self, zone: u32, name: &[u8]) -> Option<Node<'_>> {
        self.at(name).filter(|node| node.zone() == zone).or_else(|| self.beside(zone, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::parse;

    #[test]
    fn the_names_that_differ_are_told() {
        let zone = |lines: &str| {
            let text = format!("@ 60 SOA ns h 7 1 1 1 1\n@ 60 NS ns\n{lines}");
            parse(&"a.test".parse().unwrap(), "z", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0
        };
        let base = "ns 60 A 192.0.2.1\nx.y 60 CNAME ns\nsub 60 NS ns.sub\nns.sub 60 A 192.0.2.3\n";
        let below = parse(
            &"sub.a.test".parse().unwrap(),
            "z",
            b"@ 60 SOA ns h 7 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.3\n",
            &mut |_| Err(String::new()),
        );
        let table = Table::compile(vec![zone(base), below.unwrap().0], &[], 1);
        let check = |lines: &str, expect: Option<&[&str]>| {
            let expect = expect.map(|names| names.iter().map(|name| name.parse().unwrap()).collect());
            assert_eq!(table.names_to_change(&zone(lines), 2), expect, "{lines}");
        };
        check(base, Some(&[]));
        check(&base.replace("192.0.2.1", "192.0.2.2"), Some(&["ns.a.test"]));
        check(&base.replace("x.y 60", "x.y 61"), Some(&["x.y.a.test"]));
        check(&base.replace("x.y", "y"), Some(&["x.y.a.test", "y.a.test"]));
        // Beside the zone below.
        check(&base.replace("ns.sub 60", "ns.sub 61"), Some(&["ns.sub.a.test"]));
        check(
            &base.replace("ns.sub 60 A 192.0.2.3\n", "").replace("NS ns.sub", "NS ns"),
            Some(&["ns.sub.a.test", "sub.a.test"]),
        );
        check(&format!("{base}a 1 A 192.0.2.9\nb 1 A 192.0.2.9\nc 1 A 192.0.2.9\n"), None);
        let other = parse(
            &"b.test".parse().unwrap(),
            "z",
            b"@ 60 SOA ns h 7 1 1 1 1\n@ 60 NS ns\nns 1 A 192.0.2.1\n",
            &mut |_| Err(String::new()),
        );
        assert_eq!(table.names_to_change(&other.unwrap().0, 2), None);
    }
}
