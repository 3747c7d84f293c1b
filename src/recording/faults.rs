//! Every act on the recording's disk fails once, in every way: what was recorded before and after is there.

use std::time::Duration;

use super::{Bounds, Moment, Note, Recorder, Recording, RecordingError};
use crate::engine::Event;
use crate::sys::files::faults::{Disk, Kind};
use crate::time::Time;

const BOUNDS: Bounds = Bounds { bytes: 4 << 20, age: Duration::from_secs(36_000) };
const PATIENCE: Duration = Duration::from_secs(60);
/// Further apart than another segment is tried after trouble.
const APART: u64 = 11_000;
const TICKS: u64 = 12;

/// The moments that were recorded, and how many acts that took.
fn record(fail: Option<(u64, Kind)>) -> (Vec<u64>, u64) {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let disk = Disk::over(folder.path());
    disk.fail(fail);
    let mut recorder = Recorder::start(folder.path(), BOUNDS).unwrap();
    recorder.begin(Time(0), false, vec![]);
    for tick in 1..=TICKS {
        let now = Time(tick * APART);
        recorder.settle(PATIENCE);
        // As the core does it: with trouble, another segment.
        if recorder.wants_segment(now) {
            recorder.begin(now, true, vec![]);
        }
        recorder.note(now, &Event::Tick);
        recorder.settle(PATIENCE);
    }
    if recorder.wants_segment(Time((TICKS + 1) * APART)) {
        recorder.begin(Time((TICKS + 1) * APART), true, vec![]);
        recorder.settle(PATIENCE);
    }
    assert_eq!(recorder.trouble(), None, "{fail:?}: it goes on");
    let mut ticks = Vec::new();
    let played = Recording::open(folder.path()).unwrap().play::<RecordingError>(|moment| {
        if let Moment::Input(at, note) = moment
            && *note == Note::Tick
        {
            ticks.push(at.0 / APART);
        }
        Ok(())
    });
    played.unwrap_or_else(|why| panic!("{fail:?}: {why}"));
    (ticks, disk.acts())
}

#[test]
fn a_fault_of_the_disk_costs_the_recording_what_was_under_way_and_no_more() {
    let (whole, acts) = record(None);
    assert_eq!(whole, (1..=TICKS).collect::<Vec<_>>());
    for at in 0..acts {
        for kind in Kind::ALL {
            let (ticks, _) = record(Some((at, kind)));
            assert!(ticks.len() as u64 >= TICKS - 1, "act {at} {kind:?}: {ticks:?}");
            assert!(ticks.is_sorted(), "act {at} {kind:?}: {ticks:?}");
        }
    }
}
