//! The state file under use, damage and failure.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use redb::{Database, TableDefinition};

use super::tables::{META, SAVED};
use super::{
    Durable, Entry, FILE, MAX_ENTRIES, MAX_SAMPLES, MAX_TEXT, Newer, Opened, Query, Store, StoreError,
};
use crate::dns::{Name, RrSet, RrType, Serial};
use crate::engine::{Action, Bearing, Cause, Command, Happened, Saved, SavedCheck, SavedService, SavedZone};
use crate::health::{Detail, Failure, Health, Outcome, Sample, Vantage, Warning};
use crate::model::{CheckKey, Whereto};
use crate::policy::{Decision, FamilyMemories, Marks, Memories, Override, OverrideKind, Reason, Rule, Scope};
use crate::recording::{Bounds, Recorder};
use crate::time::{HostTime, Time};
use crate::zone::{Edit, EditKey};

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn check_key() -> CheckKey {
    let addr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
    CheckKey { probe: "web".into(), whereto: Whereto::Addr(addr), host: Some("app.example.com".into()) }
}

pub(super) fn decision(id: u64) -> Decision {
    Decision {
        id,
        at: Time(id),
        service: name("app.example.com"),
        sites: vec!["fra".into()],
        records: vec![RrSet::a(name("app.example.com"), 30, [Ipv4Addr::new(192, 0, 2, 10)])],
        ttl: 30,
        reason: reason(),
        steer: None,
        rto_ms: None,
        partial: None,
        families: vec![],
    }
}

pub(super) fn sample(at: u64) -> Sample {
    Sample {
        check: check_key(),
        vantage: Vantage::local(),
        at: Time(at),
        latency: Duration::from_millis(12),
        outcome: Outcome::Failed(Failure::Refused),
        detail: Detail::default(),
    }
}

fn drain() -> Override {
    Override {
        scope: Scope::Endpoint(name("app.example.com"), "fra".into()),
        kind: OverrideKind::Drain,
        reason: "disk swap".into(),
        who: "ana".into(),
        at: Time(5),
        until: Some(Time(9)),
    }
}

fn reason() -> Reason {
    Reason { serving: Some("fra".into()), rule: Rule::InOrder, endpoints: vec![] }
}

pub(super) fn saved_zone(published: Serial, fingerprint: u64) -> SavedZone {
    SavedZone { published, file: Serial(6), fingerprint, own_types: None, last_decision: 12 }
}

pub(super) fn saved_service(decision: Decision) -> SavedService {
    let (zone, since) = (name("example.com"), Time(2));
    SavedService {
        decision,
        latched: true,
        zone,
        since,
        marks: Marks::default(),
        groups: Memories::new(),
        families: FamilyMemories::new(),
        proposal: None,
        step: None,
        switches: vec![],
    }
}

/// One of each kind of value, in the order a store gives them back.
fn one_of_each() -> Vec<Saved> {
    let (health, since, damper) = (Health::Down, Time(3), crate::health::Damper::default());
    let because = "3 of 3 failed".into();
    let check = SavedCheck { health, since, because, damper, warned: true, untried: false };
    let service = saved_service(decision(1));
    let zone = saved_zone(Serial(7), u64::MAX);
    let edit = Edit { ttl: Some(60), removed: vec![], added: vec![b"\x01x".as_slice().into()] };
    vec![
        Saved::Check(check_key(), Some(check)),
        Saved::Edit(edit_key(), Some(edit.clone())),
        Saved::Override(drain().scope, Some(drain())),
        Saved::Promised(Some(vec![(edit_key(), Some(edit)), (edit_key(), None)])),
        Saved::Service(name("app.example.com"), Some(service)),
        Saved::Zone(name("example.com"), Some(zone)),
    ]
}

fn edit_key() -> EditKey {
    EditKey { zone: name("example.com"), owner: name("_acme-challenge.example.com"), rtype: RrType::TXT }
}

fn drain_command() -> Command {
    let action =
        Action::Override { scope: drain().scope, kind: OverrideKind::Drain, until: None, force: false };
    Command { who: "ana".into(), reason: "disk swap".into(), action }
}

fn every_happening() -> Vec<Happened> {
    let published = |decisions| Happened::published(name("example.com"), Serial(6), Serial(7), decisions);
    let command = |action| Happened::Command(Command { action, ..drain_command() });
    vec![
        Happened::Started { fresh: true },
        Happened::Loaded { services: 2, zones: 1, dropped: vec![], removed: vec![] },
        Happened::LoadRefused { problems: "a.toml:1:1: error: no\n  help: yes\n".into() },
        Happened::Sample(sample(4)),
        Happened::Health {
            check: check_key(),
            from: Health::Suspect,
            to: Health::Down,
            because: "3 of 3 failed, connection refused".into(),
            of: Some(Box::new(Bearing {
                site: "fra".into(),
                services: vec![name("app.example.com")],
                began: Some(Time(3)),
                maintained: false,
            })),
        },
        Happened::Decision(decision(1)),
        published(vec![]),
        published(vec![1]),
        published(vec![1, 2, 5]),
        Happened::Command(drain_command()),
        command(Action::Clear { scope: Scope::Site("fra".into()) }),
        command(Action::Failover { service: name("app.example.com"), to: "iad".into() }),
        command(Action::Failback { service: name("app.example.com") }),
        Happened::Expired(drain()),
        Happened::Warned {
            check: check_key(),
            warning: Some(Warning::CertificateExpires { days: 6, at: HostTime(0) }),
        },
        Happened::Warned { check: check_key(), warning: None },
        Happened::AlertSent {
            receiver: "ops".into(),
            title: "app moved".into(),
            site: Some("fra".into()),
            services: vec![name("app.example.com")],
        },
        Happened::AlertLost { receiver: "ops".into(), title: "app moved".into(), why: "status 400".into() },
    ]
}

/// What happens by UPDATE, each at least once.
fn happenings_of_updates() -> Vec<Happened> {
    let updated = |more| Happened::Updated {
        zone: name("example.com"),
        who: "key acme. from 192.0.2.7".into(),
        removed: vec!["a.example.com. 60 IN TXT \"x\"".into()],
        added: vec!["b.example.com. 60 IN TXT \"y\"".into()],
        more,
    };
    let changed = |by| Happened::Published {
        zone: name("example.com"),
        from: Serial(6),
        to: Serial(7),
        decisions: vec![],
        by: Some(by),
        counts: Some((1, 2)),
    };
    vec![
        updated(0),
        updated(7),
        Happened::UpdateRefused {
            zone: name("example.com"),
            who: "key acme. from 192.0.2.7".into(),
            why: "app.example.com. is steered: its service decides what it is answered with".into(),
        },
        Happened::Frozen { zone: name("example.com"), edits: 3, who: "ana".into() },
        Happened::RolledBack {
            zone: name("example.com"),
            to: Serial(5),
            who: "ana".into(),
            reason: "wrong hosts".into(),
            counts: (1, 2),
            left: vec![name("app.example.com"), name("www.example.com")],
        },
        changed(Cause::Load),
        changed(Cause::Update),
    ]
}

fn open(dir: &Path) -> Opened {
    Store::open(dir).unwrap()
}

fn newest(store: &Store, limit: usize) -> Vec<Entry> {
    store.history(&Query { limit, samples: true, ..Query::default() }).unwrap()
}

#[test]
fn what_was_committed_is_there_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("a/state");
    let first = open(&state);
    assert!(first.saved.is_empty() && first.last.is_none() && first.set_aside.is_none());
    let zone = |n| Saved::Zone(name("example.com"), Some(saved_zone(n, 0)));
    first.store.commit(Time(1), &[zone(Serial(1))], &[], Durable::Now).unwrap();
    first.store.commit(Time(9), &one_of_each(), &every_happening(), Durable::Now).unwrap();
    drop(first);

    let second = open(&state);
    assert_eq!(second.saved, one_of_each());
    assert_eq!(second.last, Some(Time(9)));
    let found: Vec<Happened> = newest(&second.store, 100).into_iter().rev().map(|e| e.what).collect();
    assert_eq!(found, every_happening());

    let forget = [
        Saved::Override(drain().scope, None),
        Saved::Check(check_key(), None),
        Saved::Edit(edit_key(), None),
        Saved::Promised(None),
    ];
    second.store.commit(Time(10), &forget, &[Happened::Started { fresh: false }], Durable::Now).unwrap();
    drop(second);
    let third = open(&state);
    assert_eq!(third.saved, one_of_each()[4..]);
    assert_eq!(newest(&third.store, 1)[0].seq, every_happening().len() as u64);
}

#[cfg(unix)]
#[test]
fn the_state_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    open(&dir.path().join("state"));
    let modes = || {
        let of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        (of(&dir.path().join("state")), of(&dir.path().join("state").join(FILE)))
    };
    assert_eq!(modes(), (0o700, 0o600));
    // As an operator or an earlier version may have made them.
    let open_up = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open_up(&dir.path().join("state"), 0o755);
    open_up(&dir.path().join("state").join(FILE), 0o644);
    assert_eq!(open(&dir.path().join("state")).exposed, Vec::<String>::new());
    assert_eq!(modes(), (0o700, 0o600));
    // A folder of many is left as it is, and told.
    open_up(&dir.path().join("state"), 0o1777);
    let exposed = open(&dir.path().join("state")).exposed;
    assert!(exposed.len() == 1 && exposed[0].contains("mode 1777"), "{exposed:?}");
}

#[test]
fn a_file_in_use_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    first.store.commit(Time(1), &one_of_each(), &[], Durable::Now).unwrap();
    let Err(error @ StoreError::Locked(_)) = Store::open(dir.path()) else { panic!("opened twice") };
    assert!(error.to_string().starts_with("another detour is running on state_dir "));
    drop(first);
    assert_eq!(open(dir.path()).saved, one_of_each());
}

#[test]
fn what_is_not_the_files_fault_sets_nothing_aside() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(FILE)).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Io { what: "open", .. })));
    assert!(dir.path().join(FILE).is_dir());
    fs::write(dir.path().join("file"), "x").unwrap();
    assert!(matches!(Store::open(&dir.path().join("file")), Err(StoreError::Io { what: "create", .. })));
}

/// A daemon that runs keeps nobody from reading what it has on the disk.
#[test]
fn a_state_in_use_is_read_beside_its_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = open(dir.path());
    daemon.store.commit(Time(9), &one_of_each(), &every_happening(), Durable::Now).unwrap();
    let before = fs::read(dir.path().join(FILE)).unwrap();
    let looked = Store::look(dir.path()).unwrap();
    assert_eq!(looked.saved().unwrap(), one_of_each());
    assert_eq!(newest(&looked, 100).len(), every_happening().len());
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), before, "it is as it was");
    daemon.store.commit(Time(10), &[], &every_happening(), Durable::Now).unwrap();
    assert!(looked.commit(Time(11), &[], &every_happening(), Durable::Now).is_ok(), "in the copy alone");
    drop((looked, daemon));
    assert_eq!(newest(&open(dir.path()).store, 1000).len(), 2 * every_happening().len());
}

/// Writes `content` as the state file: it must be kept as it is under the next free name, and a fresh
/// state started.
fn check_set_aside(content: &[u8], why: &str) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(format!("{FILE}.unreadable-1")), "an earlier one").unwrap();
    fs::write(dir.path().join(FILE), content).unwrap();
    let opened = open(dir.path());
    let aside = opened.set_aside.expect(why);
    assert!(aside.why.contains(why), "{} does not say {why}", aside.why);
    assert_eq!(aside.path, dir.path().join(format!("{FILE}.unreadable-2")));
    assert_eq!(fs::read(&aside.path).unwrap(), content, "{why}");
    assert_eq!(fs::read(dir.path().join(format!("{FILE}.unreadable-1"))).unwrap(), b"an earlier one");
    assert!(opened.saved.is_empty());
    opened.store.commit(Time(1), &one_of_each(), &[], Durable::Now).unwrap();
    drop(opened.store);
    let again = open(dir.path());
    assert_eq!((again.saved, again.set_aside), (one_of_each(), None));
}

/// A whole state file's bytes, after `change` to the database.
fn file(change: impl FnOnce(&Database)) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    opened.store.commit(Time(9), &one_of_each(), &every_happening(), Durable::Now).unwrap();
    drop(opened);
    change(&Database::open(dir.path().join(FILE)).unwrap());
    fs::read(dir.path().join(FILE)).unwrap()
}

fn set(db: &Database, table: TableDefinition<&str, &str>, key: &str, value: &str) {
    let txn = db.begin_write().unwrap();
    txn.open_table(table).unwrap().insert(key, value).unwrap();
    txn.commit().unwrap();
}

/// Bytes that look like nothing, the same every time.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    (0..len).map(next).collect()
}

#[test]
fn a_file_that_cannot_be_read_is_kept_aside() {
    check_set_aside(b"", "empty");
    check_set_aside(b"[server]\nlisten = []\n", "Not a redb database");
    check_set_aside(&noise(1 << 20), "Not a redb database");
    check_set_aside(&file(|_| {})[..100], "");
}

/// redb takes up a database it can open, so these files are kept, but not byte for byte.
#[test]
fn a_database_that_is_not_ours_is_kept_aside() {
    let check = |content: Vec<u8>, why: &str| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), content).unwrap();
        let opened = open(dir.path());
        let aside = opened.set_aside.expect(why);
        assert!(aside.why.contains(why), "{} does not say {why}", aside.why);
        assert!(opened.saved.iter().all(|saved| one_of_each().contains(saved)), "{:?}", opened.saved);
        Database::open(aside.path).expect("still the database it was");
    };
    let dir = tempfile::tempdir().unwrap();
    let other: TableDefinition<&str, &str> = TableDefinition::new("recipes");
    set(&Database::create(dir.path().join("x")).unwrap(), other, "soup", "water");
    check(fs::read(dir.path().join("x")).unwrap(), "another program");
    check(file(|db| set(db, META, "format", "recipes")), "not a state file of detour");
    check(file(|db| set(db, META, "last", "noon")), "latest time");
    let undecodable = |db: &Database| {
        let txn = db.begin_write().unwrap();
        txn.open_table(SAVED).unwrap().insert("zone example.com.", &b"{\"zone\""[..]).unwrap();
        txn.commit().unwrap();
    };
    check(file(undecodable), "under \"zone example.com.\" does not decode");
}

/// A newer version's state is not touched, unless an operator says so; and then nothing of it is lost that can be read.
#[test]
fn a_state_of_a_newer_version_stops_the_start_and_names_both_ways_out() {
    let dir = tempfile::tempdir().unwrap();
    let newer = file(|db| set(db, META, "version", "2"));
    fs::write(dir.path().join(FILE), &newer).unwrap();
    let Err(error @ StoreError::Newer { found: 2, read: 1, .. }) = Store::open(dir.path()) else {
        panic!("begun anew")
    };
    let told = error.to_string();
    assert!(
        told.contains("start the newer detour") && told.contains("detour serve --set-state-aside"),
        "{told}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made or moved");

    let opened = Store::open_with(dir.path(), Newer::SetAside, super::recorded_at_its_head).unwrap();
    let aside = opened.set_aside.expect("kept aside");
    assert!(aside.path.exists() && aside.why.contains("its format is 2, and this detour reads format 1"));
    // Checks find their health again by themselves.
    assert_eq!(opened.saved, one_of_each()[1..]);
}

/// Where the file cannot even be opened, what the recording last began with counts; and no serial comes twice.
#[test]
fn a_state_that_cannot_be_opened_at_all_begins_with_what_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder =
        Recorder::start(dir.path(), Bounds { bytes: 64 << 20, age: Duration::from_secs(3600) }).unwrap();
    recorder.begin(Time(8), false, one_of_each());
    recorder.settle(Duration::from_secs(60));
    let mut damaged = file(|_| {});
    damaged[4] ^= 1;
    fs::write(dir.path().join(FILE), damaged).unwrap();
    let opened = open(dir.path());
    let mut expect = [&one_of_each()[..3], &one_of_each()[4..]].concat();
    expect[4] = Saved::Zone(name("example.com"), Some(saved_zone(Serial(10_007), u64::MAX)));
    assert_eq!((opened.saved, opened.last), (expect, Some(Time(8))));
    assert_eq!(opened.set_aside.unwrap().restored, (0, 5));
}

/// A damaged file is either read whole, where the damage hit nothing in use, or set aside; then what the damage did not
/// hit is restored. It never stops the start, and never gives back something else than what was saved.
#[test]
fn a_damaged_file_is_whole_or_set_aside() {
    let whole = file(|_| {});
    let (mut kept, mut aside, mut restored) = (0, 0, 0);
    let mut check = |content: &[u8], what: &str| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), content).unwrap();
        let opened = Store::open(dir.path()).unwrap_or_else(|e| panic!("{what}: {e}"));
        match opened.set_aside {
            None => {
                kept += 1;
                assert_eq!(opened.saved, one_of_each(), "{what}");
                assert_eq!(newest(&opened.store, 100).len(), every_happening().len(), "{what}");
            }
            Some(set_aside) => {
                aside += 1;
                assert!(set_aside.path.exists(), "{what}");
                assert!(
                    opened.saved.iter().all(|saved| one_of_each().contains(saved)),
                    "{what}: {:?}",
                    opened.saved
                );
                restored += usize::from(opened.saved == one_of_each()[1..]);
            }
        }
    };
    for len in [1, 9, 64, 320, 4_095, 4_096, 8_192, whole.len() / 2, whole.len() - 1] {
        check(&whole[..len], &format!("cut to {len} bytes"));
    }
    let in_use: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] != 0).collect();
    let spots = in_use.iter().step_by(in_use.len() / 150).chain(&in_use[..60]);
    for &at in spots {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        check(&damaged, &format!("a bit of byte {at}"));
    }
    let mut zeroed = whole.clone();
    zeroed[4_096..8_192].fill(0);
    check(&zeroed, "a page of zeroes");
    println!("{aside} set aside, {restored} of them restored, {kept} kept");
    assert!(aside > 20 && kept > 0, "damage was noticed: {aside} set aside, {kept} kept");
    assert!(restored > 10, "{restored} of {aside} restored");
}

#[test]
fn samples_never_push_a_decision_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).store;
    store.commit(Time(1), &[], &[Happened::Decision(decision(1))], Durable::Later).unwrap();
    let flood = vec![Happened::Sample(sample(2)); MAX_SAMPLES as usize + 10];
    store.commit(Time(2), &[], &flood, Durable::Later).unwrap();
    let without = store.history(&Query { limit: 10, ..Query::default() }).unwrap();
    assert_eq!(without.len(), 1);
    assert_eq!(without[0].what, Happened::Decision(decision(1)));
    // Seq 0 is the decision, so the flood began at 1, and its first ten are gone.
    let oldest = store.history(&Query { limit: 10, before: Some(12), samples: true, ..Query::default() });
    let seqs: Vec<u64> = oldest.unwrap().iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [11, 0]);
}

#[test]
fn the_oldest_entries_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).store;
    let started = vec![Happened::Started { fresh: false }; MAX_ENTRIES as usize];
    store.commit(Time(1), &[], &started, Durable::Later).unwrap();
    store.commit(Time(2), &[], &[Happened::Started { fresh: true }], Durable::Later).unwrap();
    let oldest = store.history(&Query { limit: 10, before: Some(2), ..Query::default() }).unwrap();
    assert_eq!(oldest.iter().map(|e| e.seq).collect::<Vec<_>>(), [1]);
}

#[test]
fn entries_are_read_on_from_where_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).store;
    assert_eq!(store.next_entry().unwrap(), 0);
    assert_eq!(store.entries_from(0, 10).unwrap(), (None, vec![]));
    let decided = |n| Happened::Decision(decision(n));
    let records = [decided(1), Happened::Sample(sample(2)), decided(3), decided(4)];
    store.commit(Time(1), &[], &records, Durable::Now).unwrap();
    assert_eq!(store.next_entry().unwrap(), 4);
    let seqs = |from, limit| {
        let (oldest, entries) = store.entries_from(from, limit).unwrap();
        (oldest, entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
    };
    assert_eq!(seqs(0, 10), (Some(0), vec![0, 2, 3]));
    assert_eq!(seqs(1, 1), (Some(0), vec![2]));
    assert_eq!(seqs(4, 10), (Some(0), vec![]));
}

#[test]
fn a_refused_configuration_is_kept_shortened() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).store;
    let refused = [Happened::LoadRefused { problems: "é".repeat(MAX_TEXT) }];
    store.commit(Time(1), &[], &refused, Durable::Now).unwrap();
    let Happened::LoadRefused { problems } = &newest(&store, 1)[0].what else { panic!("another entry") };
    assert!(problems.ends_with("é…") && problems.len() <= MAX_TEXT + "…".len());
}

#[test]
fn queries_page_and_filter() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).store;
    store.commit(Time(1), &[], &every_happening(), Durable::Now).unwrap();
    let other = Happened::Decision(Decision { service: name("www.example.com"), ..decision(2) });
    store.commit(Time(2), &[], &[other], Durable::Now).unwrap();
    let check = |query: &Query, want: &[u64]| {
        let found: Vec<u64> = store.history(query).unwrap().iter().map(|e| e.seq).collect();
        assert_eq!(found, want, "{query:?}");
    };
    let all = Query { limit: 100, samples: true, ..Query::default() };
    check(&all, &[18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    check(
        &Query { samples: false, ..all.clone() },
        &[18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 2, 1, 0],
    );
    check(&Query { before: Some(5), limit: 3, ..all.clone() }, &[4, 3, 2]);
    check(&Query { limit: 0, ..all.clone() }, &[]);
    let app = Query { service: Some(name("app.example.com")), ..all.clone() };
    check(&app, &[16, 13, 12, 11, 9, 5]);
    check(&Query { checks: vec![check_key()], ..app.clone() }, &[16, 15, 14, 13, 12, 11, 9, 5, 4, 3]);
    check(&Query { service: Some(name("www.example.com")), ..app }, &[18]);
}

#[test]
fn entries_print_on_one_line() {
    let lines: Vec<String> = every_happening()
        .into_iter()
        .chain(happenings_of_updates())
        .map(|what| Entry { seq: 1, at: Time(0), what }.to_string())
        .map(|line| line.strip_prefix("1970-01-01T00:00:00.000Z  ").unwrap().to_owned())
        .collect();
    let reason = reason();
    let check = "web@192.0.2.10 (app.example.com)";
    let update = "update of example.com. by key acme. from 192.0.2.7:";
    let want = [
        "started without an earlier state".to_owned(),
        "loaded: services 2, zones 1".to_owned(),
        "load refused: a.toml:1:1: error: no | help: yes".to_owned(),
        format!("sample {check} from local: connection refused in 12.0ms"),
        format!("health {check}: Suspect -> Down: 3 of 3 failed, connection refused"),
        format!("decision 1: app.example.com. from fra, TTL 30: {reason}"),
        "published example.com. serial 6 -> 7".to_owned(),
        "published example.com. serial 6 -> 7 for decision 1".to_owned(),
        "published example.com. serial 6 -> 7 for 3 decisions, 1 to 5".to_owned(),
        "command: drain app.example.com@fra, by ana: disk swap".to_owned(),
        "command: undrain fra, by ana: disk swap".to_owned(),
        "command: failover app.example.com. to iad, by ana: disk swap".to_owned(),
        "command: failback app.example.com., by ana: disk swap".to_owned(),
        "expired: drain app.example.com@fra, by ana: disk swap".to_owned(),
        format!("warning {check}: the certificate expires in 6 days, at 1970-01-01T00:00:00.000Z"),
        format!("warning {check}: it is over"),
        "alert to ops sent: app moved".to_owned(),
        "alert to ops given up: app moved: status 400".to_owned(),
        format!("{update} - a.example.com. 60 IN TXT \"x\"; + b.example.com. 60 IN TXT \"y\""),
        format!("{update} - a.example.com. 60 IN TXT \"x\"; + b.example.com. 60 IN TXT \"y\"; and 7 more"),
        "update of example.com. by key acme. from 192.0.2.7 refused: \
         app.example.com. is steered: its service decides what it is answered with"
            .to_owned(),
        "frozen: 3 edited records of example.com. are in its file now, by ana".to_owned(),
        "rolled back example.com. to serial 5, records -1 +2, by ana: wrong hosts; \
         left to decisions: app.example.com., www.example.com."
            .to_owned(),
        "published example.com. serial 6 -> 7 by load, records -1 +2".to_owned(),
        "published example.com. serial 6 -> 7 by update, records -1 +2".to_owned(),
    ];
    assert_eq!(lines, want);
}
