//! What is written is read again, whatever happens to the file; and no bound is passed.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::dns::{RrSet, RrType};
use crate::engine::{Action, AtServices, Event};
use crate::health::{Detail, Discard, Failure, Outcome, Phase, Phases, Vantage, Warning};
use crate::model::{CheckKey, Whereto};
use crate::policy::Scope;
use crate::time::{HostTime, Offset};

const BOUNDS: Bounds = Bounds { bytes: 4 << 20, age: Duration::from_secs(3600) };
const PATIENCE: Duration = Duration::from_secs(60);

fn sample(n: u64, at: u64, outcome: Outcome) -> Sample {
    let whereto = Whereto::Addr(std::net::Ipv4Addr::from(n as u32 % 500 + 1).into());
    let check = CheckKey { probe: "web".into(), whereto, host: Some("app.example.com".into()) };
    let mut phases = Phases::default();
    phases.set(Phase::Connect, Duration::from_micros(700 + n % 300));
    phases.set(Phase::FirstByte, Duration::from_micros(2_000 + n % 900));
    let latency = Duration::from_micros(3_000 + n % 1_000);
    Sample {
        check,
        vantage: Vantage::local(),
        at: Time(at),
        latency,
        outcome,
        detail: Detail { phases, warning: None },
    }
}

fn load(text: &str) -> LoadNote {
    LoadNote {
        path: "/etc/detour.toml".into(),
        text: text.into(),
        zones: Arc::new([]),
        regions: Arc::new([]),
        undecided: Undecided::default(),
    }
}

fn moments(state_dir: &std::path::Path) -> Vec<Moment> {
    let mut all = Vec::new();
    let recording = Recording::open(state_dir).unwrap();
    recording
        .play::<RecordingError>(|moment| {
            all.push(moment);
            Ok(())
        })
        .unwrap();
    all
}

fn inputs(state_dir: &std::path::Path) -> Vec<(Time, Note)> {
    let input = |moment| if let Moment::Input(at, note) = moment { Some((at, *note)) } else { None };
    moments(state_dir).into_iter().filter_map(input).collect()
}

#[test]
fn everything_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::start(folder.path(), BOUNDS).unwrap();
    recorder.begin(Time(1_000), false, Vec::new());
    recorder.load(Time(1_001), load("a"), BOUNDS);
    recorder.load(Time(1_002), load("a"), BOUNDS);
    let mut odd = sample(9, 1_500, Outcome::Failed(Failure::Timeout(Phase::Tls)));
    odd.detail.warning = Some(Warning::CertificateExpires { days: 3, at: HostTime(9) });
    odd.vantage = Vantage("fra".into());
    let action = Action::Clear { scope: Scope::Site("fra".into()) };
    let command = Command { who: "ann".to_owned(), reason: "done".to_owned(), action };
    let samples = [
        sample(1, 1_005, Outcome::Ok),
        sample(1, 999, Outcome::Failed(Failure::Refused)),
        // Told of before it ended.
        sample(2, 2_000, Outcome::Discarded(Discard::Stalled(Duration::from_millis(1_500)))),
        odd,
        sample(1, 1_010, Outcome::Ok),
    ];
    let mut expect = vec![(Time(1_001), Note::Load(load("a"))), (Time(1_002), Note::Load(load("a")))];
    for (n, sample) in (0..).zip(samples) {
        let now = Time(1_010 + n);
        recorder.note(now, &Event::Sample(sample.clone()));
        expect.push((now, Note::Sample(sample)));
    }
    recorder.note(Time(1_020), &Event::Tick);
    recorder.note(Time(1_021), &Event::Command(command.clone()));
    recorder.note(Time(1_021), &Event::Clock(Offset(-10_800_000)));
    recorder.note(Time(1_021), &Event::Stalled(Duration::from_secs(70)));
    expect.extend([(Time(1_020), Note::Tick), (Time(1_021), Note::Command(command))]);
    expect.push((Time(1_021), Note::Clock(Offset(-10_800_000))));
    expect.push((Time(1_021), Note::Stalled(Duration::from_secs(70))));
    // Another segment: the engine goes on, and could begin.
    recorder.begin(Time(1_022), true, Vec::new());
    recorder.note(Time(1_030), &Event::Tick);
    expect.push((Time(1_030), Note::Tick));
    recorder.settle(PATIENCE);
    assert_eq!(recorder.trouble(), None);
    assert_eq!(inputs(folder.path()), expect);
    let heads: Vec<Head> = moments(folder.path())
        .into_iter()
        .filter_map(|moment| if let Moment::Begin(head) = moment { Some(*head) } else { None })
        .collect();
    assert_eq!((heads.len(), heads[0].continues, heads[1].continues), (2, false, true));
    assert_eq!(heads[1].load, Some(load("a")));
    let recording = Recording::open(folder.path()).unwrap();
    assert_eq!(recording.begins(), Time(1_000));
}

#[test]
fn a_cut_or_damaged_end_costs_what_lies_behind_it_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::start(folder.path(), BOUNDS).unwrap();
    recorder.begin(Time(1), false, Vec::new());
    for at in 2..12 {
        recorder.note(Time(at), &Event::Tick);
        recorder.flush();
    }
    recorder.settle(PATIENCE);
    let path = segment::path(folder.path(), 1);
    let whole = fs::read(&path).unwrap();
    assert_eq!(inputs(folder.path()).len(), 10);
    let mut seen = BTreeSet::new();
    for end in 24..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let recording = Recording::open(folder.path()).unwrap();
        let mut count = 0;
        let played = recording.play::<RecordingError>(|moment| {
            count += usize::from(matches!(moment, Moment::Input(..)));
            Ok(())
        });
        if let Ok(cut) = played {
            seen.insert((count, cut.len()));
        }
    }
    assert!(seen.contains(&(0, 1)) && seen.contains(&(9, 1)) && seen.contains(&(5, 0)), "{seen:?}");
    let mut damaged = whole.clone();
    let at = damaged.len() - 25;
    damaged[at] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let left = inputs(folder.path());
    assert!(left.len() < 10 && left.iter().all(|(_, note)| *note == Note::Tick), "{left:?}");
    // A head that does not check costs its segment, and is told.
    let mut headless = whole.clone();
    headless[40] ^= 1;
    fs::write(&path, &headless).unwrap();
    let told = Recording::open(folder.path()).unwrap().play::<RecordingError>(|_| Ok(())).unwrap();
    assert_eq!(told.len(), 1);
    assert!(told[0].to_string().contains("is damaged (its head is cut off)"), "{}", told[0]);
    fs::write(&path, &damaged).unwrap();
    // The next start goes on behind it, with a number of its own.
    let mut recorder = Recorder::start(folder.path(), BOUNDS).unwrap();
    recorder.begin(Time(100), false, Vec::new());
    recorder.settle(PATIENCE);
    assert_eq!(segment::list(folder.path()).unwrap().len(), 2);
}

#[test]
fn a_damaged_segment_costs_itself_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::start(folder.path(), BOUNDS).unwrap();
    for first in [1, 11, 21, 31] {
        recorder.begin(Time(first), first > 1, Vec::new());
        recorder.note(Time(first + 1), &Event::Tick);
    }
    recorder.settle(PATIENCE);
    let times = || inputs(folder.path()).into_iter().map(|(at, _)| at.0).collect::<Vec<_>>();
    assert_eq!(times(), [2, 12, 22, 32]);
    // One that does not begin as a recording does, and one whose head does not check.
    for (number, at) in [(2, 0), (3, 40)] {
        let path = segment::path(folder.path(), number);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(times(), [2, 32]);
    let recording = Recording::open(folder.path()).unwrap();
    let gaps = recording.play::<RecordingError>(|_| Ok(())).unwrap();
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    let heads: Vec<bool> = moments(folder.path())
        .into_iter()
        .filter_map(|moment| if let Moment::Begin(head) = moment { Some(head.continues) } else { None })
        .collect();
    assert_eq!(heads, [false, false], "an engine begins anew behind the gap");
}

/// Also prints what a sample costs: the figures of docs/performance.md.
#[test]
fn no_bound_is_passed_and_the_newest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds { bytes: 8 << 20, ..BOUNDS };
    let mut recorder = Recorder::start(folder.path(), bounds).unwrap();
    recorder.begin(Time(0), false, Vec::new());
    let (mut noted, mut bytes) = (0_u64, 0);
    let used = || -> u64 {
        let folder = fs::read_dir(folder.path().join(FOLDER)).unwrap();
        folder.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    let begun = std::time::Instant::now();
    for second in 0..100 {
        for n in 0..10_000 {
            noted += 1;
            let at = second * 1_000 + n / 10;
            let outcome = if n % 500 == 0 { Outcome::Failed(Failure::Refused) } else { Outcome::Ok };
            recorder.note(Time(at), &Event::Sample(sample(n, at, outcome)));
        }
        let now = Time(second * 1_000 + 999);
        recorder.settle(PATIENCE);
        if second == 4 {
            bytes = used();
            println!("{:.1} bytes a sample", bytes as f64 / noted as f64);
        }
        if recorder.wants_segment(now) {
            recorder.begin(now, true, Vec::new());
            recorder.settle(PATIENCE);
        }
        assert!(used() <= bounds.bytes, "{} after {second} s", used());
    }
    println!("{noted} samples in {:?}", begun.elapsed());
    assert!(bytes / 50_000 < 25, "{bytes} bytes for 50,000 samples");
    assert_eq!(recorder.trouble(), None);
    let left = inputs(folder.path());
    assert_eq!(left.last().unwrap().0, Time(99_999));
    assert!(left.len() > 50_000, "{}", left.len());
}

#[test]
fn a_bound_that_holds_no_head_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let small = Bounds { bytes: 1 << 20, ..BOUNDS };
    let mut recorder = Recorder::start(folder.path(), small).unwrap();
    recorder.begin(Time(1), false, Vec::new());
    recorder.load(Time(1), load(&"x".repeat(1 << 20)), small);
    recorder.begin(Time(2), true, Vec::new());
    recorder.settle(PATIENCE);
    let trouble = recorder.trouble().expect("it is told");
    assert!(trouble.contains("history.max"), "{trouble}");
    assert!(!recorder.wants_segment(Time(3)) && recorder.wants_segment(Time(60_000)));
}

/// A zone with services at many of its names, whose serial is this.
fn zone(serial: u8, at_services: &Arc<AtServices>) -> ZoneBase {
    let apex: Name = "example.com".parse().unwrap();
    let soa = RrSet::new(apex.clone(), RrType::SOA, 60, [vec![0, 0, 0, 0, 0, serial]]);
    let at_services = Arc::clone(at_services);
    ZoneBase { apex, soa, fingerprint: serial.into(), edits: serial.into(), at_services }
}

fn steered(address: u8) -> Arc<AtServices> {
    let set = |n: u8| {
        let name: Name = format!("s{n}.example.com").parse().unwrap();
        (name.clone(), vec![RrSet::new(name, RrType::A, 60, [vec![192, 0, 2, address]])])
    };
    let (steered, beside) = ((0..100).map(set).collect(), (100..102).map(set).collect());
    Arc::new(AtServices { steered, beside, own_types: u64::MAX })
}

#[test]
fn contents_are_written_as_what_changes() {
    let (first, other) = (steered(1), steered(2));
    let all = [zone(1, &first), zone(2, &first), zone(3, &other), zone(4, &other), zone(5, &first)];
    let mut encoder = Encoder::new(Time(0), Some(load("a")));
    let mut sizes = Vec::new();
    for zone in &all {
        let before = encoder.len();
        encoder.contents(Time(0), std::slice::from_ref(zone));
        sizes.push(encoder.len() - before);
    }
    assert!(sizes[1] < 300 && sizes[3] < 300 && sizes[0] > 3_000 && sizes[2] > 3_000, "{sizes:?}");
    let read = Decoder::new(Time(0), Some(load("a"))).frame(&encoder.take()).unwrap();
    let read: Vec<Note> = read.into_iter().map(|(_, note)| note).collect();
    assert_eq!(read, all.map(|zone| Note::Contents(vec![zone])));
}

/// As versions before wrote it: all of the zone each time, and what its services lie over as RRsets in a row.
#[test]
fn contents_of_earlier_versions_are_read() {
    let zone = zone(1, &steered(1));
    let text = serde_json::to_vec(&[&zone]).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let keys = ["apex", "soa", "fingerprint", "steered", "beside", "own_types", "edits"];
    assert_eq!(
        value[0].as_object().unwrap().keys().collect::<BTreeSet<_>>(),
        BTreeSet::from(keys.map(str::to_owned).each_ref())
    );
    assert_eq!(value[0]["steered"].as_array().unwrap().len(), 100);
    let mut frame = vec![6, 0];
    let mut length = text.len();
    while length >= 0x80 {
        frame.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    frame.push(length as u8);
    frame.extend(text);
    let read = Decoder::new(Time(0), Some(load("a"))).frame(&frame).unwrap();
    assert_eq!(read, [(Time(0), Note::Contents(vec![zone]))]);
}
