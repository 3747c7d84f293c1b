//! What a primary sends as steps, as a property: taken up RRset by RRset it comes to what it comes to as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::dns::RrSet;
use crate::engine::Saved;
use crate::zone::{Edit, EditKey, Steps, parse};

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
state_dir = "state"
[sites.fra]
[probes.port]
type = "tcp"
port = 1
[[zone]]
name = "received.test"
primary = ["127.0.0.1:1"]
[[service]]
name = "app.sub.received.test"
probes = ["port"]
endpoints = [{ site = "fra", addresses = ["127.0.0.1"] }]
"#;
const OWNERS: &[&str] = &["a", "b.a", "*.a", "sub", "app.sub", "x.app.sub", "ns"];

fn apex() -> Name {
    "received.test".parse().unwrap()
}

/// Owner, type and data of records.
type Content = BTreeSet<(usize, &'static str, u8)>;

fn content() -> impl Strategy<Value = Content> {
    let one = (0..OWNERS.len(), prop::sample::select(&["A", "TXT", "MX", "NS", "DNAME"][..]), 1..4u8);
    prop::collection::btree_set(one, 0..10).prop_map(|mut content| {
        // What no zone may hold.
        let all = content.clone();
        let of = |owner: usize, rtype: &str| {
            all.iter().filter(move |(o, t, _)| (*o, *t) == (owner, rtype)).count()
        };
        content
            .retain(|&(owner, rtype, _)| rtype != "DNAME" || of(owner, "NS") == 0 && of(owner, "DNAME") == 1);
        content
    })
}

fn zone(serial: usize, ttl: u32, content: &Content) -> Zone {
    let mut text = format!("$TTL {ttl}\n@ 60 SOA ns h {serial} 60 60 864000 60\n@ 60 NS ns\n");
    for (owner, rtype, byte) in content {
        let data = match *rtype {
            "A" => format!("192.0.2.{byte}"),
            "TXT" => format!("t{byte}"),
            "MX" => format!("{byte} a"),
            _ => format!("n{byte}"),
        };
        writeln!(text, "{} {rtype} {data}", OWNERS[*owner]).unwrap();
    }
    parse(&apex(), "zone", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0
}

fn steps(from: &Zone, to: &Zone) -> Steps {
    let keys: BTreeSet<(Name, RrType)> =
        from.rrsets().chain(to.rrsets()).map(|set| (set.to_rrset().owner, set.rtype)).collect();
    let between = |(owner, rtype): &(Name, RrType)| {
        SetSteps::between(from.rrset(owner, *rtype).as_ref(), to.rrset(owner, *rtype).as_ref())
    };
    Steps { from: from.serial(), to: to.serial(), sets: keys.iter().filter_map(between).collect() }
}

/// Sources that have loaded this zone, with an edit over it.
fn loaded(first: &Zone, edits: &[Saved]) -> (TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("state/transferred/received.test.zone");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    let lines: Vec<String> = crate::zone::canonical_lines(first, false).collect();
    fs::write(&kept, lines.join("\n") + "\n").unwrap();
    fs::write(dir.path().join("detour.toml"), CONFIG).unwrap();
    let mut sources = Sources::new(dir.path().join("detour.toml"), 1);
    sources.recall(&dir.path().join("state"), edits);
    let read = sources.read().unwrap_or_else(|refused| panic!("{}", refused.problems));
    assert!(sources.build_again(read).is_ok());
    sources.confirm();
    (dir, sources)
}

/// Takes a version up, and gives what the core would be handed of it.
fn take_up(sources: &mut Sources, new: NewContent, by_steps: bool) -> (Vec<ZoneBase>, Vec<String>, Table) {
    let received = vec![(apex(), Some(new))];
    let (outcomes, changed) = if by_steps { sources.stepped(received) } else { sources.received(received) };
    assert_eq!(outcomes, [Ok(())]);
    let (changed, pending) = changed.unwrap();
    sources.done(pending);
    let contents = changed.contents.unwrap();
    assert_eq!(matches!(contents.how, How::Edited(_)), by_steps);
    let saves = changed.saves.iter().map(|saved| format!("{saved:?}")).collect();
    (changed.zones, saves, contents.table)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn by_steps_it_comes_to_what_it_comes_to_as_a_whole(
        versions in prop::collection::vec((content(), 60..62u32), 2..6),
    ) {
        let zones: Vec<Zone> = versions.iter().enumerate().map(|(at, (content, ttl))| zone(at + 1, *ttl, content)).collect();
        let edit = |owner: &str, rtype, removed: &[&[u8]], added: &[&[u8]]| {
            let owner = Name::parse(owner.as_bytes(), &apex()).unwrap();
            let boxed = |rdata: &[&[u8]]| rdata.iter().map(|rdata| Box::from(*rdata)).collect();
            let edit = Edit { ttl: None, removed: boxed(removed), added: boxed(added) };
            Saved::Edit(EditKey { zone: apex(), owner, rtype }, Some(edit))
        };
        let edits = [
            edit("a", RrType::A, &[&[192, 0, 2, 1]], &[&[192, 0, 2, 2]]),
            edit("b.a", RrType::TXT, &[], &[b"\x02t1", b"\x02t9"]),
        ];
        let (_one, mut stepped) = loaded(&zones[0], &edits);
        let (_other, mut whole) = loaded(&zones[0], &edits);
        for to in &zones[1..] {
            let from = stepped.zone(&apex()).unwrap().file.clone();
            let steps = steps(&from, to);
            let mut new = Zone::clone(&from);
            prop_assert!(new.go(&steps));
            prop_assert_eq!(new.fingerprint(), to.fingerprint());
            let shapes = |set: &SetSteps| set.rtype == RrType::DNAME || set.rtype == RrType::NS;
            let service: Name = "app.sub.received.test".parse().unwrap();
            let hides = steps.sets.iter().any(|set| shapes(set) && service.is_at_or_below(&set.owner));
            let new = NewContent { zone: Arc::new(new), steps: Some((from, steps)) };
            let ask = TransferredAsk { zone: apex(), new: Some(new.clone()), reply: oneshot::channel().0 };
            prop_assert_eq!(stepped.steps(&ask), !hides);
            let by_steps = take_up(&mut stepped, new, !hides);
            let as_whole = take_up(&mut whole, NewContent { zone: Arc::new(to.clone()), steps: None }, false);
            prop_assert_eq!((&by_steps.0, &by_steps.1), (&as_whole.0, &as_whole.1));
            prop_assert_eq!(by_steps.2.differences(&as_whole.2, &apex(), 1000), Some(BTreeSet::new()));
            prop_assert_eq!(stepped.edits(&apex()), whole.edits(&apex()));
            let held = |sources: &Sources| -> BTreeMap<Name, Vec<RrSet>> {
                let names = OWNERS.iter().map(|owner| Name::parse(owner.as_bytes(), &apex()).unwrap());
                names.map(|name| (name.clone(), sources.compiled.as_ref().unwrap().held(&apex(), &name))).collect()
            };
            prop_assert_eq!(held(&stepped), held(&whole));
        }
    }
}
