//! A kill at every act on the disk, in the middle of each thing that changes a zone; and a disk that refuses that act
//! alone before the kill. Whatever the next start publishes is a step of the journal, so that secondaries need no zone
//! whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::slice;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::tests::{copied, query, restarted, update, update_to};
use super::{Running, start};
use crate::answer::Listing;
use crate::api::Daemon;
use crate::config::{steps_file, transferred};
use crate::dns::{Name, RrSet, Serial, soa_with_serial};
use crate::engine::{Action, Command};
use crate::policy::{OverrideKind, Scope};
use crate::state::COMMIT_TIMEOUT;
use crate::sys::files::faults::{Disk, Kind, Over};
use crate::sys::files::{self, Reach};
use crate::zone::{STEPS_HEAD, SetSteps, Step, Steps};
use crate::zones::{Ask, TransferredAsk};

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
[control]
listen = "127.0.0.1:0"
[sites.fra]
[sites.iad]
[probes.port]
type = "tcp"
port = PORT
[catalog]
name = "catalog.test"
transfer = ["127.0.0.0/8"]
[[zone]]
name = "example.com"
file = "example.com.zone"
update = [{ from = "127.0.0.0/8" }]
transfer = ["127.0.0.0/8"]
[[zone]]
name = "received.test"
primary = ["127.0.0.1:1"]
[[service]]
name = "app.example.com"
probes = ["port"]
endpoints = [
  { site = "fra", addresses = ["127.0.0.1"] },
  { site = "iad", addresses = ["127.0.0.2"] },
]
"#;
const FILE: &str = "@ 60 SOA ns h 7 60 60 60 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n";
const RECEIVED: &str = "@ 60 SOA ns h 3 60 60 864000 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n";
/// Where the state keeps what a primary sent.
const KEPT: &str = "state/transferred/received.test.zone";
const ZONES: [&str; 3] = ["example.com.", "received.test.", "catalog.test."];

/// What changes a zone.
#[derive(Clone, Copy, Debug)]
enum Change {
    Update,
    UpdateOnASlowDisk,
    UpdateOfAnEdit,
    Rollback,
    OtherFile,
    Freeze,
    Drain,
    OtherService,
    OtherMember,
    Transfer,
    Steps,
}

/// What becomes of an act on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The process is killed just before it.
    Kill,
    /// The disk refuses it, and the process is killed once it has done what it can.
    Refusal,
}

/// The records of each zone, and its serial.
type Published = BTreeMap<Name, (Serial, BTreeSet<String>)>;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Change {
    /// What people and primaries do before the daemon hears of it.
    fn prepare(self, dir: &Path) {
        let edit = |file: &str, from: &str, to: &str| {
            let before = fs::read_to_string(dir.join(file)).unwrap();
            assert!(before.contains(from), "{file}: {before}");
            fs::write(dir.join(file), before.replace(from, to)).unwrap();
        };
        match self {
            Change::OtherFile => edit("example.com.zone", "ns 60 A", "more 60 A 127.0.0.3\nns 60 A"),
            Change::OtherService => edit("detour.toml", "app.example.com", "other.example.com"),
            Change::OtherMember => {
                let more =
                    "[[zone]]\nname = \"b.test\"\nfile = \"example.com.zone\"\ntransfer = [\"127.0.0.1\"]\n";
                edit("detour.toml", "[[service]]", &format!("{more}[[service]]"));
            }
            // What the steps begin with is had from the file that they stand beside alone.
            Change::Steps => {
                for copy in fs::read_dir(dir.join("state/loaded")).unwrap() {
                    fs::remove_file(copy.unwrap().path()).unwrap();
                }
            }
            _ => {}
        }
    }

    /// Has the daemon do it; whether it said that it did.
    async fn carry_out(self, running: &Running, dir: &Path) -> bool {
        let (dns, handle) = (running.addresses.dns[0], &running.handle);
        let apex = name("example.com.");
        match self {
            Change::Update | Change::UpdateOnASlowDisk => update(dns, "new").await == 0,
            Change::UpdateOfAnEdit => update_to(dns, "old", b"other").await == 0,
            Change::Rollback => {
                let to = handle.journal(&apex).from().unwrap();
                let done = handle.rollback(apex, to, "ana".to_owned(), "a test".to_owned()).await;
                done.unwrap().is_ok()
            }
            Change::OtherFile | Change::OtherService | Change::OtherMember => {
                // A service goes, too.
                handle.reload(true).await.unwrap().is_ok()
            }
            Change::Freeze => handle.freeze(apex, "ana".to_owned()).await.unwrap().is_ok(),
            Change::Drain => {
                let scope = Scope::Site("fra".into());
                let action = Action::Override { scope, kind: OverrideKind::Drain, until: None, force: false };
                let command = Command { who: "ana".to_owned(), reason: "a test".to_owned(), action };
                handle.command(command).await.unwrap().is_ok()
            }
            Change::Transfer => {
                let text = RECEIVED.replace("h 3", "h 4").replace("ns 60 A", "more 60 A 127.0.0.3\nns 60 A");
                let write = |out: &mut dyn std::io::Write| out.write_all(text.as_bytes());
                if files::keep(&dir.join(KEPT), Reach::Now, write).is_err() {
                    return false;
                }
                taken_up(running).await
            }
            Change::Steps => {
                let (apex, file) = (name("received.test."), dir.join(KEPT));
                // Whoever looks after the zone has seen what is kept of it.
                while handle.keeper.views()[0].serial.is_none() {
                    tokio::task::yield_now().await;
                }
                let from = transferred(&apex, &file).unwrap().unwrap();
                let (soa, more) = (from.soa(), name("more.received.test."));
                let (after, more) =
                    (soa_with_serial(&soa, Serial(4)), RrSet::a(more, 60, [[127, 0, 0, 3].into()]));
                let sets =
                    [SetSteps::between(Some(&soa), Some(&after)), SetSteps::between(None, Some(&more))];
                let steps =
                    Steps { from: Serial(3), to: Serial(4), sets: sets.into_iter().flatten().collect() };
                let bytes = [STEPS_HEAD, &steps.to_frame()].concat();
                files::append_at(&steps_file(&file), 0, &bytes).is_ok() && taken_up(running).await
            }
        }
    }
}

/// Has the daemon read what is kept of what the primary sent.
async fn taken_up(running: &Running) -> bool {
    let (reply, done) = oneshot::channel();
    let ask = TransferredAsk { zone: name("received.test."), new: None, reply };
    assert!(running.handle.reloads.send(Ask::Transferred(ask)).await.is_ok());
    done.await.unwrap().is_ok()
}

/// A folder in which a daemon has run, with a service that is decided and a zone that has an edit.
async fn template(port: u16) -> TempDir {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::write(dir.path().join("detour.toml"), CONFIG.replace("PORT", &port.to_string())).unwrap();
    fs::write(dir.path().join("example.com.zone"), FILE).unwrap();
    fs::create_dir_all(dir.path().join(KEPT).parent().unwrap()).unwrap();
    fs::write(dir.path().join(KEPT), RECEIVED).unwrap();
    let running = start(&dir.path().join("detour.toml")).await.unwrap();
    running.decided().await;
    assert_eq!(update(running.addresses.dns[0], "old").await, 0);
    running.stop().await;
    dir
}

fn published(running: &Running) -> Published {
    let table = running.handle.table();
    let zones = ZONES.map(name).into_iter().map(|apex| {
        let sets = Listing::of(table.clone(), &apex).unwrap().flat_map(|(_, sets)| sets);
        let lines = sets.flat_map(|set| set.to_lines().collect::<Vec<_>>()).collect();
        let serial = table.serial(&apex).unwrap();
        (apex, (serial, lines))
    });
    zones.collect()
}

/// What a step makes of these records.
fn applied(before: &BTreeSet<String>, step: &Step) -> BTreeSet<String> {
    let lines = |sets: &[RrSet]| sets.iter().flat_map(|set| set.to_lines().collect::<Vec<_>>()).collect();
    let (old, new): (BTreeSet<String>, BTreeSet<String>) =
        (lines(slice::from_ref(&step.old)), lines(slice::from_ref(&step.new)));
    let (gone, come): (BTreeSet<String>, BTreeSet<String>) = (lines(&step.removed), lines(&step.added));
    assert!(gone.is_subset(before) && come.is_disjoint(before), "{before:#?} less {gone:#?}, and {come:#?}");
    &(&(before - &old) - &gone) | &(&new | &come)
}

/// What one kill left behind.
struct Left {
    acknowledged: bool,
    /// Acts on the disk that the change took.
    acts: u64,
    /// Whether the start published something else than what was published before.
    moved: bool,
    wrong: Vec<String>,
}

/// A daemon that is killed while it changes something, and the start after that.
async fn killed(
    template: &Path,
    change: Change,
    fault: Option<(u64, Fault)>,
    ending: &mut JoinSet<()>,
) -> Left {
    let dir = copied(template);
    let disk = Disk::over(dir.path());
    let running = start(&dir.path().join("detour.toml")).await.unwrap();
    if matches!(change, Change::UpdateOnASlowDisk) {
        disk.slow_down(COMMIT_TIMEOUT + COMMIT_TIMEOUT / 10);
    }
    let before = published(&running);
    change.prepare(dir.path());
    match fault {
        Some((at, Fault::Kill)) => disk.kill_at(at),
        Some((at, Fault::Refusal)) => disk.fail(Some((at, Kind::Full))),
        None => disk.fail(None),
    }
    let acknowledged = change.carry_out(&running, dir.path()).await;
    let acts = disk.acts();
    disk.slow_down(Duration::ZERO);
    disk.kill();
    let (again, copy) = restarted(dir.path()).await;
    ending.spawn(end(running, disk, dir));

    let after = published(&again);
    let mut wrong = Vec::new();
    for (apex, (to, lines)) in &after {
        let (from, held) = &before[apex];
        if from == to {
            wrong.extend((held != lines).then(|| format!("{apex} {to} stands for {held:#?} and {lines:#?}")));
            continue;
        }
        match again.handle.journal(apex).between(*from, *to) {
            None => wrong.push(format!("no step leads from {apex} {from} to {to}")),
            Some(step) if applied(held, &step) == *lines => {}
            Some(_) => wrong.push(format!("another step leads from {apex} {from} to {to}")),
        }
    }
    let adds = matches!(change, Change::Update | Change::UpdateOnASlowDisk);
    let served = adds && query(again.addresses.dns[0], "new").await == 0;
    if adds && acknowledged && !served {
        wrong.push("what was acknowledged is gone".to_owned());
    }
    let refused = matches!(fault, Some((_, Fault::Refusal))) && !acknowledged;
    if adds && refused && served {
        wrong.push("what was refused is there".to_owned());
    }
    let moved = after.iter().any(|(apex, (to, _))| before[apex].0 != *to);
    ending.spawn(async move {
        again.stop().await;
        drop(copy);
    });
    Left { acknowledged, acts, moved, wrong }
}

/// Ends the process that is dead as far as its disk can tell: an orderly end waits for the disk.
async fn end(running: Running, disk: Over, _dir: TempDir) {
    disk.revive();
    running.stop().await;
}

/// How often all acts are gone through until a kill leaves something for a start to do.
const ROUNDS: usize = 5;

/// Kills at each act of a change, and has the disk refuse each.
async fn at_every_act(change: Change) {
    let open: Vec<TcpListener> = ["127.0.0.1", "127.0.0.2"]
        .into_iter()
        .scan(0, |port, address| {
            let listener = TcpListener::bind((address, *port)).unwrap();
            *port = listener.local_addr().unwrap().port();
            Some(listener)
        })
        .collect();
    let template = template(open[0].local_addr().unwrap().port()).await;
    let mut ending = JoinSet::new();
    let (mut wrong, mut moved) = (Vec::new(), 0);
    let plain = killed(template.path(), change, None, &mut ending).await;
    assert!(plain.acknowledged && plain.wrong.is_empty() && plain.acts > 1, "{change:?}: {:?}", plain.wrong);
    let mut faults: Vec<_> = (0..plain.acts).map(|at| (at, Fault::Kill)).collect();
    faults.extend((0..plain.acts).map(|at| (at, Fault::Refusal)));
    let mut kills = 0;
    // What the start wrote late may take the kills of a round for itself.
    for _round in 0..ROUNDS {
        for (at, fault) in faults.iter().copied() {
            let left = killed(template.path(), change, Some((at, fault)), &mut ending).await;
            moved += u32::from(left.moved);
            wrong.extend(left.wrong.into_iter().map(|why| format!("{fault:?} at act {at}: {why}")));
        }
        kills += faults.len();
        if moved > 0 {
            break;
        }
    }
    while ending.join_next().await.is_some() {}
    println!("{change:?}: {kills} kills, {moved} starts moved a zone");
    assert!(wrong.is_empty(), "{change:?}, {} of {kills} kills:\n{}", wrong.len(), wrong.join("\n"));
    assert!(moved > 0, "{change:?}: no kill left anything to do");
}

macro_rules! kills {
    ($($test:ident: $change:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            at_every_act(Change::$change).await;
        }
    )*};
}

kills! {
    a_kill_while_an_update_is_kept_and_published_costs_no_step: Update,
    a_kill_while_an_update_waits_for_a_slow_disk_costs_no_step: UpdateOnASlowDisk,
    a_kill_while_an_update_changes_an_edit_costs_no_step: UpdateOfAnEdit,
    a_kill_while_a_zone_is_rolled_back_costs_no_step: Rollback,
    a_kill_while_another_file_is_loaded_costs_no_step: OtherFile,
    a_kill_while_a_zone_is_frozen_costs_no_step: Freeze,
    a_kill_while_a_site_is_drained_costs_no_step: Drain,
    a_kill_while_other_services_are_loaded_costs_no_step: OtherService,
    a_kill_while_the_catalog_gets_a_member_costs_no_step: OtherMember,
    a_kill_while_a_transferred_zone_is_taken_up_costs_no_step: Transfer,
    a_kill_while_a_primarys_steps_are_taken_up_costs_no_step: Steps,
}
