//! Every act on the disk fails once, in every way, and the state goes on, is killed, or loses its power: nothing
//! that was acknowledged is lost, nothing is there by half, and what goes on catches up.

use std::sync::Arc;

use super::tests::{decision, name, saved_zone};
use super::wal::MAX_FRAME;
use super::{Durable, MAX_TEXT, Opened, Query, Steps, Store};
use crate::dns::{RrType, Serial};
use crate::engine::{Happened, Saved};
use crate::sys::files::faults::{Disk, Kind, Over};
use crate::time::Time;
use crate::zone::{Edit, EditKey, JournalRow};

/// What the state goes through, each time with one value that every commit changes and one of its own.
const WHEN: [Durable; 9] = [
    Durable::Now,
    Durable::Later,
    Durable::Later,
    Durable::Now,
    Durable::Later,
    Durable::Now,
    Durable::Later,
    Durable::Now,
    Durable::Now,
];

/// Which of them is too large for the log.
const LARGE: usize = 6;

/// Enough for that.
fn flood() -> Vec<Happened> {
    vec![Happened::LoadRefused { problems: "x".repeat(MAX_TEXT) }; MAX_FRAME / MAX_TEXT + 1]
}

/// What comes after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The disk works again, and so does the process, for the rest of the commits; then the power is cut.
    GoesOn,
    /// The process is killed once the commit has failed.
    Killed,
    /// The power is cut then.
    PowerCut,
}

/// One run, and what is wrong with it.
struct Run {
    acts: u64,
    injected: u64,
    wrong: Vec<String>,
}

fn saves(step: usize) -> [Saved; 2] {
    let owner = name(&format!("n{step}.example.com"));
    let edit = EditKey { zone: name("example.com"), owner, rtype: RrType::TXT };
    let value = Edit { ttl: Some(60), removed: vec![], added: vec![b"\x01x".as_slice().into()] };
    [
        Saved::Zone(name("example.com"), Some(saved_zone(Serial(step as u32), 1))),
        Saved::Edit(edit, Some(value)),
    ]
}

/// How many steps a state holds, or what of them it holds by half.
fn steps(saved: &[Saved], store: &Store) -> Result<usize, String> {
    let zone = saved.iter().find_map(|saved| match saved {
        Saved::Zone(_, Some(zone)) => Some(zone.published.0 as usize),
        _ => None,
    });
    let held = zone.unwrap_or(0);
    let mut want: Vec<Saved> = (1..=held).map(|step| saves(step)[1].clone()).collect();
    want.extend((held > 0).then(|| saves(held)[0].clone()));
    let key = |saved: &Saved| format!("{:?}", saved.key());
    let mut saved = saved.to_vec();
    saved.sort_by_key(key);
    want.sort_by_key(key);
    if saved != want {
        return Err(format!("half of what led to step {held}: {saved:?}"));
    }
    let told = store.history(&Query { limit: 100, ..Query::default() }).map_err(|e| e.to_string())?;
    let decided = told.iter().rev().filter_map(|entry| match &entry.what {
        Happened::Decision(decision) => Some(decision.id as usize),
        _ => None,
    });
    let decided: Vec<usize> = decided.collect();
    if decided != (1..=held).collect::<Vec<_>>() {
        return Err(format!("step {held}, and history tells of {decided:?}"));
    }
    Ok(held)
}

fn run(fail: Option<(u64, Kind)>, then: Then) -> Run {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let state = folder.path().join("state");
    let disk = Disk::over(folder.path());
    disk.fail(fail);
    let mut wrong = Vec::new();
    // What the disk holds for sure, and all that was handed over.
    let (mut acknowledged, mut handed) = (0, 0);
    match Store::open(&state) {
        Err(why) => wrong.push(format!("the start serves nothing: {why}")),
        Ok(Opened { store, .. }) => {
            for (step, when) in (1..).zip(WHEN) {
                // Seconds apart: a file that failed is left alone for one.
                let (now, id) = (Time(step as u64 * 1000), step as u64);
                let mut told = vec![Happened::Decision(decision(id))];
                // One of them is too large for the log.
                told.extend(if step == LARGE { flood() } else { Vec::new() });
                let kept = store.commit(now, &saves(step), &told, when);
                handed = step;
                match kept {
                    Ok(()) if when == Durable::Now => acknowledged = step,
                    _ => {}
                }
                match store.saved().map_err(|e| e.to_string()).and_then(|saved| steps(&saved, &store)) {
                    Ok(held) if held == step => {}
                    Ok(held) => wrong.push(format!("step {step} reads as {held}")),
                    Err(why) => wrong.push(format!("after step {step}: {why}")),
                }
                if disk.injected() > 0 && then != Then::GoesOn {
                    break;
                }
            }
            if then == Then::GoesOn {
                // What the writer does again and again while something is not on the disk.
                match store.commit(Time(99_000), &[], &[], Durable::Now) {
                    Ok(()) => acknowledged = handed,
                    Err(why) => wrong.push(format!("the disk works, and it is not used: {why}")),
                }
            }
            disk.kill();
            drop(store);
        }
    }
    let acts = disk.acts();
    let injected = disk.injected();
    disk.revive();
    if then != Then::Killed {
        disk.lose_power();
    }
    wrong.extend(after(&disk, &state, acknowledged, handed).err());
    Run { acts, injected: injected.min(1), wrong }
}

/// What the next start finds.
fn after(_: &Over, state: &std::path::Path, acknowledged: usize, handed: usize) -> Result<(), String> {
    let opened = Store::open(state).map_err(|why| format!("the next start serves nothing: {why}"))?;
    if let Some(aside) = opened.set_aside {
        return Err(format!("the next start sets the state aside: {}", aside.why));
    }
    let held = steps(&opened.saved, &opened.store)?;
    if held < acknowledged || held > handed {
        return Err(format!("{held} of {handed} steps, {acknowledged} of which were acknowledged"));
    }
    Ok(())
}

/// Commits, and a promise between them whose every act fails once: what was refused is nowhere, now and after a
/// restart; what was promised is there after a power cut.
fn promised(fail: Option<(u64, Kind)>, is_large: bool) -> Run {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let state = folder.path().join("state");
    let disk = Disk::over(folder.path());
    let store = Store::open(&state).unwrap().store;
    let mut wrong = Vec::new();
    store.commit(Time(1000), &saves(1), &[Happened::Decision(decision(1))], Durable::Now).unwrap();
    store.commit(Time(2000), &saves(2), &[Happened::Decision(decision(2))], Durable::Later).unwrap();
    let owner = name("n2.example.com");
    let key = EditKey { zone: name("example.com"), owner, rtype: RrType::TXT };
    // It changes one value, and another one is new.
    let asked = [Saved::Edit(key, None), saves(3)[1].clone()];
    // One row of a journal goes, and one comes.
    let row = |seq, step: Option<&[u8]>| (("example.com".to_owned(), seq), step.map(Arc::from));
    let before = Steps::from([row(1, Some(b"first"))]);
    store.commit_with(Time(2000), &[], &before, &[], Durable::Later).unwrap();
    let rows = Steps::from([row(1, None), row(2, Some(b"second"))]);
    let mut told = vec![Happened::Decision(decision(3))];
    told.extend(if is_large { flood() } else { Vec::new() });
    disk.fail(fail);
    let kept = store.promise(Time(3000), &asked, &rows, &told);
    let acts = disk.acts();
    let injected = disk.injected();
    let held =
        |saved: &[Saved]| saved.iter().filter(|saved| matches!(saved, Saved::Edit(..))).cloned().collect();
    let want: Vec<Saved> = if kept.is_ok() {
        vec![saves(1)[1].clone(), saves(3)[1].clone()]
    } else {
        vec![saves(1)[1].clone(), saves(2)[1].clone()]
    };
    let beside = |store: &Store, rows: Vec<JournalRow>| {
        let rows: Vec<u64> = rows.into_iter().map(|row| row.seq).collect();
        let history = store.history(&Query { limit: 100, ..Query::default() }).unwrap();
        let held = (rows, history.len());
        let want = if kept.is_ok() { (vec![2], 2 + told.len()) } else { (vec![1], 2) };
        (held != want).then(|| format!("{}, and journal and history are {held:?}", kept.is_ok()))
    };
    let found: Vec<Saved> = held(&store.saved().unwrap());
    if found != want {
        wrong.push(format!("{} and reads as {found:?}", kept.is_ok()));
    }
    wrong.extend(beside(&store, store.journals().unwrap()));
    disk.kill();
    drop(store);
    disk.revive();
    if kept.is_ok() {
        disk.lose_power();
    }
    let again = Store::open(&state).unwrap();
    let found: Vec<Saved> = held(&again.saved);
    if found != want {
        wrong.push(format!("{}, and after a restart {found:?}", kept.is_ok()));
    }
    wrong.extend(beside(&again.store, again.store.journals().unwrap()));
    Run { acts, injected, wrong }
}

#[test]
fn what_the_disk_refused_is_nowhere_and_what_it_took_stays() {
    for (is_large, least) in [(false, 2), (true, 4)] {
        let plain = promised(None, is_large);
        assert!(plain.wrong.is_empty() && plain.acts >= least, "{} acts: {:?}", plain.acts, plain.wrong);
        for at in 0..plain.acts {
            for kind in Kind::ALL {
                let run = promised(Some((at, kind)), is_large);
                assert!(run.wrong.is_empty() && run.injected > 0, "act {at} {kind:?}: {:?}", run.wrong);
            }
        }
        println!("{} runs with a fault each", plain.acts * Kind::ALL.len() as u64);
    }
}

/// While the disk is full everything is read as if it were kept, and nothing is promised; once there is room all of it
/// is on the disk.
#[test]
fn a_full_disk_keeps_nobody_from_reading_and_catches_up() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let state = folder.path().join("state");
    let disk = Disk::over(folder.path());
    let store = Store::open(&state).unwrap().store;
    store.commit(Time(1000), &saves(1), &[Happened::Decision(decision(1))], Durable::Now).unwrap();
    disk.fill(true);
    for step in 2..6 {
        let (now, id) = (Time(step as u64 * 1000), step as u64);
        let when = if step % 2 == 0 { Durable::Now } else { Durable::Later };
        store.commit(now, &saves(step), &[Happened::Decision(decision(id))], when).unwrap_err();
        assert_eq!(steps(&store.saved().unwrap(), &store), Ok(step));
        assert!(store.promise(now, &saves(9), &Steps::new(), &[]).is_err());
    }
    disk.fill(false);
    store.commit(Time(9000), &[], &[], Durable::Now).unwrap();
    disk.kill();
    drop(store);
    disk.revive();
    disk.lose_power();
    assert_eq!(after(&disk, &state, 5, 5), Ok(()));
}

/// A start on a full disk serves what the file holds, and the file has all once there is room.
#[test]
fn a_start_on_a_full_disk_reads_what_is_there_and_takes_to_writing() {
    for fresh in [false, true] {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let state = folder.path().join("state");
        let disk = Disk::over(folder.path());
        let first = usize::from(!fresh);
        if !fresh {
            let store = Store::open(&state).unwrap().store;
            store.commit(Time(1000), &saves(1), &[Happened::Decision(decision(1))], Durable::Now).unwrap();
        }
        disk.fill(true);
        let Opened { store, saved, .. } = Store::open(&state).unwrap();
        assert_eq!(steps(&saved, &store), Ok(first));
        let step = first + 1;
        let record = Happened::Decision(decision(step as u64));
        store.commit(Time(2000), &saves(step), &[record], Durable::Now).unwrap_err();
        assert_eq!(steps(&store.saved().unwrap(), &store), Ok(step));
        disk.fill(false);
        store.commit(Time(9000), &[], &[], Durable::Now).unwrap();
        drop(store);
        disk.lose_power();
        assert_eq!(after(&disk, &state, step, step), Ok(()));
    }
}

#[test]
fn no_fault_of_the_disk_loses_what_was_acknowledged() {
    let (mut runs, mut injected) = (0, 0);
    let mut wrong = Vec::new();
    for then in [Then::GoesOn, Then::Killed, Then::PowerCut] {
        let plain = run(None, then);
        assert!(plain.wrong.is_empty(), "without a fault: {:?}", plain.wrong);
        for at in 0..plain.acts {
            for kind in Kind::ALL {
                let run = run(Some((at, kind)), then);
                runs += 1;
                injected += run.injected;
                wrong.extend(run.wrong.into_iter().map(|why| format!("act {at} {kind:?}, {then:?}: {why}")));
            }
        }
    }
    println!("{runs} runs, {injected} faults, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{} of {runs} runs:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    assert!(injected > 500, "only {injected} faults in {runs} runs");
}

/// More commits than the log takes, some of them too large for it: a power cut after any of them loses none.
#[test]
fn a_power_cut_loses_nothing_of_what_the_log_and_the_database_share() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let state = folder.path().join("state");
    let mut serial = 0;
    for round in 0..12 {
        let disk = Disk::over(folder.path());
        let Opened { store, saved, last, .. } = Store::open(&state).unwrap();
        let zone = |n: u32| Saved::Zone(name("example.com"), Some(saved_zone(Serial(n), 1)));
        assert!(round == 0 || saved == [zone(serial)], "round {round}: {saved:?}, and not {serial}");
        assert_eq!(last, (round > 0).then_some(Time(u64::from(serial))));
        let told = store.history(&Query { limit: 1, ..Query::default() }).unwrap();
        let newest = told.first().map(|entry| entry.what.clone());
        assert_eq!(newest, (round > 0).then(|| Happened::Decision(decision(u64::from(serial)))));
        for step in 0..130 {
            serial += 1;
            let many = if step % 50 == 49 { 400 } else { 5 };
            let told = vec![Happened::Decision(decision(u64::from(serial))); many];
            store.commit(Time(u64::from(serial)), &[zone(serial)], &told, Durable::Now).unwrap();
            if step % 40 == 39 {
                assert_eq!(store.saved().unwrap(), [zone(serial)], "who reads finds all of it");
            }
        }
        disk.kill();
        drop(store);
        disk.revive();
        disk.lose_power();
    }
}
