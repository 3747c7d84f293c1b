//! What an earlier version wrote is read by this one: its state file, with a service in the middle of a failback
//! in steps, and the recording of how it came to that. `tests/earlier/` was written by version 0.1.0 as of
//! commit 518ad89, by a daemon whose site `fra` was stopped, came back, and half of whose other service was drained.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use detour::config::load;
use detour::engine::{Effect, Engine, Event, Happened, Load};
use detour::policy::OverrideKind;
use detour::recording::Recording;
use detour::simulate::{Player, Run, StudyError};
use detour::state::{Query, Store};

/// The files, where they may be written to.
fn folder() -> tempfile::TempDir {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/earlier");
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("recording")).expect("made");
    for file in ["detour.redb", "detour.toml", "example.com.zone", "recording/0000000001.seg"] {
        fs::copy(kept.join(file), folder.path().join(file)).expect("copied");
    }
    folder
}

/// Every decision in the history, the first one first, as JSON.
fn decided(store: &Store) -> Vec<String> {
    let query = Query { limit: 1000, ..Query::default() };
    let entries = store.history(&query).expect("the history is read").into_iter().rev();
    let decision = |what| match what {
        Happened::Decision(decision) => Some(serde_json::to_string(&decision).expect("it is written")),
        _ => None,
    };
    entries.filter_map(|entry| decision(entry.what)).collect()
}

#[test]
fn the_state_of_an_earlier_version_goes_on() {
    let folder = folder();
    let opened = Store::open(folder.path()).expect("the state is read");
    let entries = opened.store.history(&Query { limit: 1, ..Query::default() }).expect("the history is read");
    let last = entries.first().expect("something happened").at;

    let loaded = load(&folder.path().join("detour.toml")).unwrap_or_else(|report| panic!("{report}"));
    let load = Load::of(Arc::new(loaded.config), &loaded.zones, std::collections::BTreeMap::new());
    let mut engine = Engine::new(1, opened.saved);
    let effects = engine.step(last, Event::Load(load));
    let changed = |effect: &&Effect| matches!(effect, Effect::Record(Happened::Decision(_)));
    assert_eq!(
        effects.iter().filter(changed).count(),
        0,
        "a new version alone decides nothing anew: {effects:?}"
    );

    let status = engine.status(last);
    let app = &status.services[0];
    let decision = app.decision.as_ref().expect("it was decided");
    assert_eq!(decision.sites, ["iad".into()]);
    let partial = decision.partial.as_ref().expect("a failback is under way");
    assert_eq!((&*partial.site, partial.percent), ("fra", 10));
    let shared = status.services[1].decision.as_ref().expect("it was decided");
    assert_eq!(shared.sites, ["fra".into(), "iad".into()]);
    assert!(shared.steer.as_ref().is_some_and(|steer| steer.sticky), "{shared:?}");
    assert_eq!(status.overrides.len(), 1);
    assert_eq!(status.overrides[0].kind, OverrideKind::Drain);
    assert!(status.zones[0].serial.0 > 8, "{:?}", status.zones);
}

#[test]
fn the_recording_of_an_earlier_version_replays_to_what_it_decided() {
    let folder = folder();
    let recording = Recording::open(folder.path()).expect("the recording is found");
    let (mut player, mut again) = (Player::new(Run::AsRecorded), Vec::new());
    let played = recording.play::<StudyError>(|moment| {
        player.take(&moment, &mut |_, effect| {
            if let Effect::Record(Happened::Decision(decision)) = effect {
                again.push(serde_json::to_string(decision).expect("it is written"));
            }
        })
    });
    played.expect("the recording is read");
    let decided = decided(&Store::open(folder.path()).expect("the state is read").store);
    assert!(decided.len() >= 7, "{decided:#?}");
    assert_eq!(again, decided);
}
