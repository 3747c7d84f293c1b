//! A table that was changed name by name, held against one that was compiled from what it holds by then.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::node::{HAS_DNAME, HAS_WILDCARD, IS_APEX, Kind};
use super::set::Sets;
use super::*;
use crate::dns::{Name, RrSet, RrType, Serial};
use crate::zone::Zone;

const APEX: &str = "test";
/// A zone below it, which is served too, and one below that.
const CHILD: &str = "child.sub.test";

/// Few names, many of them below others.
const NAMES: &[&str] = &[
    "test",
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "d.c.b.a.test",
    "*.a.test",
    "*.test",
    "x.*.test",
    "ns.b.a.test",
    "sub.test",
    "x.sub.test",
    "child.sub.test",
    "ns.child.sub.test",
    "y.x.child.sub.test",
    "z.test",
];
const PINNED: &[&str] = &["b.a.test", "steered.deep.z.test"];
const TYPES: &[RrType] =
    &[RrType::A, RrType::NS, RrType::DNAME, RrType::CNAME, RrType::TXT, RrType::MX, RrType::DS, RrType::SRV];

type Content = BTreeMap<(Name, RrType), RrSet>;
type Change = (Name, RrType, Option<RrSet>);

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn soa(apex: &str) -> RrSet {
    let (ns, mail) = (name("ns.test"), name("h.test"));
    let rdata = [ns.as_wire(), mail.as_wire(), &[0, 0, 0, 9], &[0, 0, 0, 60].repeat(4)].concat();
    RrSet::new(name(apex), RrType::SOA, 300, [rdata])
}

/// A change of one RRset: gone, or this. SOA and NS of the apex stay.
fn change() -> impl Strategy<Value = Change> {
    let (names, types) = (prop::sample::select(NAMES), prop::sample::select(TYPES));
    let targets = prop::collection::btree_set(prop::sample::select(NAMES), 1..3);
    let large = prop::bool::weighted(0.1);
    (names, types, targets, prop::bool::weighted(0.4), large).prop_map(
        |(owner, rtype, targets, goes, large)| {
            let owner = name(owner);
            let rdata = |target: &&str| -> Vec<u8> {
                let target = name(target);
                match rtype {
                    RrType::A => vec![192, 0, 2, target.as_wire().len() as u8],
                    RrType::TXT if large => [&[255], &[b't'; 255][..]].concat().repeat(4),
                    RrType::TXT => vec![1, target.as_wire().len() as u8],
                    RrType::MX => [&[0, 5], target.as_wire()].concat(),
                    RrType::SRV => [&[0, 5, 0, 5, 0, 80], target.as_wire()].concat(),
                    RrType::DS => vec![0, 1, 13, 2, 9],
                    _ => target.as_wire().to_vec(),
                }
            };
            let single = matches!(rtype, RrType::CNAME | RrType::DNAME);
            let rdata: Vec<Vec<u8>> = targets.iter().take(if single { 1 } else { 9 }).map(rdata).collect();
            let stays = owner == name(APEX) && rtype == RrType::NS;
            let set = RrSet::new(owner.clone(), rtype, 60, rdata);
            (owner, rtype, (!goes || stays).then_some(set))
        },
    )
}

fn compile(parent: &Content, with_child: bool, seed: u64) -> Table {
    let zone = |apex: &str, sets: Vec<RrSet>| Zone::from_rrsets(name(apex), Serial(9), sets);
    let ns = |apex: &str| RrSet::new(name(apex), RrType::NS, 60, [name("ns.test").as_wire()]);
    let mut zones = vec![zone(APEX, parent.values().cloned().collect())];
    if with_child {
        let deep = RrSet::a(name("ns.child.sub.test"), 60, [[192, 0, 2, 200].into()]);
        zones.push(zone(CHILD, vec![soa(CHILD), ns(CHILD), deep]));
    }
    Table::compile(zones, &PINNED.iter().map(|text| name(text)).collect::<Vec<_>>(), seed)
}

fn take(content: &mut Content, (owner, rtype, set): &Change) {
    match set {
        Some(set) => drop(content.insert((owner.clone(), *rtype), set.clone())),
        None => drop(content.remove(&(owner.clone(), *rtype))),
    }
}

fn first() -> Content {
    let ns = RrSet::new(name(APEX), RrType::NS, 60, [name("ns.test").as_wire()]);
    [soa(APEX), ns].into_iter().map(|set| ((set.owner.clone(), set.rtype), set)).collect()
}

/// All that is known of every node of a zone, but for its number.
fn picture(table: &Table, apex: &str) -> BTreeSet<String> {
    let (zone, _) = table.zone(&name(apex)).expect("a zone");
    let of = |node: node::Node<'_>| {
        let owner = Name::from_wire(node.name()).expect("a name");
        let is_own = table.at(node.name()).is_some_and(|found| found.id == node.id);
        let kind = match node.kind() {
            Kind::Hidden(by) if is_own => format!("hidden by {}", Name::from_wire(table.name(by)).unwrap()),
            Kind::Hidden(_) => "beside".to_owned(),
            other => format!("{other:?}"),
        };
        let flags = [HAS_DNAME, HAS_WILDCARD, IS_APEX].map(|flag| node.has(flag));
        let (chunk, place) = (table.chunk(node.id), node.id.place());
        let more = chunk.more(place);
        let sets: Vec<RrSet> = Sets::of(node.body().plain()).map(|set| set.decode(&owner)).collect();
        let leads = Sets::of(node.body().plain())
            .flat_map(|set| set.links())
            .map(|link| link.node.some().map(|to| table.name(to).to_vec()));
        format!(
            "{owner} {is_own} {kind} {flags:?} {} {} {} {sets:?} {:?}",
            chunk.is_pinned(place),
            more.children,
            more.links,
            leads.collect::<Vec<_>>()
        )
    };
    table.nodes(zone).map(of).collect()
}

fn ask(table: &Table, owner: &[u8], rtype: RrType) -> Vec<u8> {
    let tail = [&rtype.0.to_be_bytes()[..], &[0, 1]].concat();
    let query = [b"\xab\xcd\0\0\0\x01\0\0\0\0\0\0", owner, &tail].concat();
    let mut out = vec![0; MAX_MESSAGE_LEN];
    let asker = Asker { transport: Transport::Tcp, ip: [192, 0, 2, 1].into(), now: 0 };
    let answered = answer(table, &Settings::default(), &asker, &query, &mut out);
    out.truncate(answered.len);
    out
}

fn same_answers(one: &Table, two: &Table) -> Result<(), TestCaseError> {
    let below = |text: &&str| [name(text), name(&format!("q.{text}"))];
    for owner in NAMES.iter().chain(PINNED).flat_map(below) {
        for rtype in TYPES.iter().copied().chain([RrType::ANY, RrType::AAAA]) {
            let (got, want) = (ask(one, owner.as_wire(), rtype), ask(two, owner.as_wire(), rtype));
            prop_assert_eq!(got, want, "{} {}", owner, rtype);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// However a table came to be, it is the table its contents compile to.
    #[test]
    fn changes_lead_where_compiling_leads(
        begin in prop::collection::vec(change(), 0..20),
        steps in prop::collection::vec(prop::collection::vec(change(), 1..5), 1..8),
        with_child: bool,
    ) {
        let mut content = first();
        for change in &begin {
            take(&mut content, change);
        }
        let mut table = compile(&content, with_child, 1);
        for step in &steps {
            let before = table.clone();
            let (was, pictured) = (ask(&before, name("b.a.test").as_wire(), RrType::A), picture(&before, APEX));
            for change in step {
                take(&mut content, change);
            }
            // The last of those that are of one RRset counts.
            let changes = step.iter().map(|(owner, rtype, set)| (owner, *rtype, set.as_ref()));
            table.change(&name(APEX), changes).expect("its own names");
            prop_assert_eq!(ask(&before, name("b.a.test").as_wire(), RrType::A), was);
            prop_assert_eq!(picture(&before, APEX), pictured, "a clone stays as it was");
        }
        let fresh = compile(&content, with_child, 2);
        prop_assert_eq!(picture(&table, APEX), picture(&fresh, APEX));
        same_answers(&table, &fresh)?;
        let lines = |table: &Table| -> BTreeSet<String> {
            table.rrsets(&name(APEX)).iter().flat_map(|set| set.to_lines().collect::<Vec<_>>()).collect()
        };
        prop_assert_eq!(lines(&table), content.values().flat_map(|set| set.to_lines().collect::<Vec<_>>()).collect());
        prop_assert_eq!(table.differences(&fresh, &name(APEX), 1000), Some(BTreeSet::new()));
        // What steps of the journal are made of.
        for owner in NAMES.iter().map(|text| name(text)) {
            let held: BTreeMap<RrType, RrSet> =
                table.held(&name(APEX), &owner).into_iter().map(|set| (set.rtype, set)).collect();
            let want = content.iter().filter(|((of, _), _)| *of == owner);
            prop_assert_eq!(held, want.map(|((_, rtype), set)| (*rtype, set.clone())).collect());
        }

        // And all of it the way back, and once more as a whole.
        let back: Vec<Change> = content.keys().map(|(owner, rtype)| {
            (owner.clone(), *rtype, first().get(&(owner.clone(), *rtype)).cloned())
        }).collect();
        let mut empty = table.clone();
        empty.change(&name(APEX), back.iter().map(|(owner, rtype, set)| (owner, *rtype, set.as_ref()))).unwrap();
        prop_assert_eq!(picture(&empty, APEX), picture(&compile(&first(), with_child, 3), APEX));
        let zone = Zone::from_rrsets(name(APEX), Serial(9), content.values().cloned().collect());
        let pinned: Vec<Name> = PINNED.iter().map(|text| name(text)).collect();
        prop_assert!(empty.replace(zone, &pinned));
        prop_assert_eq!(picture(&empty, APEX), picture(&fresh, APEX));
        same_answers(&empty, &fresh)?;
    }
}

/// Names that come and go leave nothing behind.
#[test]
fn what_goes_is_gone() {
    let mut table = compile(&first(), false, 1);
    let size = |table: &Table| (table.used as usize - table.free.len(), picture(table, APEX).len());
    let apex = name(APEX);
    let before = size(&table);
    for round in 0..3 {
        let owners: Vec<Name> = (0..1000).map(|i| name(&format!("h{i}.r{round}.test"))).collect();
        let set = |owner: &Name| {
            let target = format!("m{}.mail.test", owner.as_wire().len());
            RrSet::new(owner.clone(), RrType::MX, 60, [[&[0, 1], name(&target).as_wire()].concat()])
        };
        for owner in &owners {
            table.change(&apex, [(owner, RrType::MX, Some(&set(owner)))]).unwrap();
        }
        assert!(size(&table).1 > 1000);
        for owner in &owners {
            table.change(&apex, [(owner, RrType::MX, None)]).unwrap();
        }
        assert_eq!(size(&table), before, "round {round}");
    }
}

/// A zone that expired is answered SERVFAIL, and as before once it is had again.
#[test]
fn a_zone_may_be_forgotten_and_had_again() {
    let content = first();
    let (mut table, fresh) = (compile(&content, false, 1), compile(&content, false, 2));
    assert!(table.replace(Zone::hollow(name(APEX)), &[]));
    let rcode = |table: &Table, owner: &str| ask(table, name(owner).as_wire(), RrType::A)[3];
    assert_eq!([rcode(&table, "test"), rcode(&table, "a.test")], [2, 2]);
    assert!(table.soa(&name(APEX)).is_none() && table.rrsets(&name(APEX)).is_empty());
    let pinned: Vec<Name> = PINNED.iter().map(|text| name(text)).collect();
    assert!(
        table.replace(Zone::from_rrsets(name(APEX), Serial(9), content.into_values().collect()), &pinned)
    );
    assert_eq!(picture(&table, APEX), picture(&fresh, APEX));
    assert!(!table.replace(Zone::hollow(name("other")), &[]));
}
