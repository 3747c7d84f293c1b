//! A zone as it is published, one name after the other in canonical order: what people read and compare.

use std::cmp::Ordering;
use std::sync::Arc;

use super::id::NodeId;
use super::set::Sets;
use super::table::Table;
use crate::dns::{Name, RrSet, RrType};

/// The names of a zone in RFC 4034's order (section 6.1). It holds the table it began with, so what it lists is
/// one state of the zone, whatever is published meanwhile; beside that, four bytes for each name.
#[derive(Debug)]
pub struct Listing {
    table: Arc<Table>,
    names: std::vec::IntoIter<NodeId>,
}

impl Listing {
    /// Of a zone; `None` where the table does not have it. Sorts the names, which takes a second for a million.
    pub fn of(table: Arc<Table>, apex: &Name) -> Option<Listing> {
        let (zone, _) = table.zone(apex)?;
        let mut names = table.holding(zone);
        names.sort_by(|&a, &b| canonical(table.node(a).name(), table.node(b).name()));
        Some(Listing { table, names: names.into_iter() })
    }
}

impl Iterator for Listing {
    /// A name and what is there for everybody, by type; the SOA comes first.
    type Item = (Name, Vec<RrSet>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let node = self.table.node(self.names.next()?);
            let Ok(name) = Name::from_wire(node.name()) else { continue };
            let sets = Sets::of(node.body().plain()).map(|set| set.decode(&name));
            let mut sets: Vec<RrSet> = sets.collect();
            sets.sort_by_key(|set| (set.rtype != RrType::SOA, set.rtype));
            return Some((name, sets));
        }
    }
}

/// The order of two lower-case names in wire form: by labels, from the last to the first.
fn canonical(a: &[u8], b: &[u8]) -> Ordering {
    let (of_a, of_b) = (labels(a), labels(b));
    let mut from_end = of_a.iter().rev().zip(of_b.iter().rev());
    let differing = from_end.find_map(|(&at_a, &at_b)| {
        let order = label(a, at_a).cmp(label(b, at_b));
        (order != Ordering::Equal).then_some(order)
    });
    differing.unwrap_or_else(|| of_a.len().cmp(&of_b.len()))
}

/// Where each label begins.
fn labels(name: &[u8]) -> Vec<u8> {
    let (mut starts, mut at) = (Vec::with_capacity(8), 0);
    while let Some(&len @ 1..) = name.get(at) {
        // A name is at most 255 bytes long.
        starts.push(at as u8);
        at += 1 + usize::from(len);
    }
    starts
}

fn label(name: &[u8], at: u8) -> &[u8] {
    let at = usize::from(at);
    &name[at + 1..at + 1 + usize::from(name[at])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{canonical_lines, parse};

    #[test]
    fn a_listing_is_the_zone_in_canonical_order() {
        let apex: Name = "a.test".parse().unwrap();
        let text = "@ 60 SOA ns h 7 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\nZ 60 TXT z\n*.z 60 TXT star\n\
                    y.a 60 A 192.0.2.2\na 60 TXT a\nzz.a 60 A 192.0.2.3\n\\001.z 60 A 192.0.2.4\n\
                    sub 60 NS ns.sub\nns.sub 60 A 192.0.2.5\n";
        let zone = parse(&apex, "z", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0;
        let expect: Vec<String> = canonical_lines(&zone, false).collect();
        let steered = ["app.a.test".parse().unwrap()];
        let table = Arc::new(Table::compile(vec![zone], &steered, 1));
        let listed = Listing::of(table.clone(), &apex).unwrap();
        let lines: Vec<String> =
            listed.flat_map(|(_, sets)| sets).flat_map(|set| set.to_lines().collect::<Vec<_>>()).collect();
        assert_eq!(lines, expect);
        assert!(Listing::of(table, &"b.test".parse().unwrap()).is_none());
    }
}
