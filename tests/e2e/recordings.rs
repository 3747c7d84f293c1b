//! What a daemon was given is recorded, and replays to what it decided: an outage, an operator, a reload and
//! a `kill -9`, played again from the files that are left.

use detour::engine::{Effect, Happened};
use detour::recording::Recording;
use detour::simulate::{Player, Run, StudyError};
use detour::state::Entry;

use crate::harness::{APP, Detour, Setup, World, detour, until};

/// Every decision the daemon tells of, as JSON, the first one first.
pub fn decided(detour: &Detour) -> Vec<String> {
    let mut page = detour.json("/v1/history?limit=1000");
    let entries: Vec<Entry> = serde_json::from_value(page["entries"].take()).unwrap();
    let decision = |entry: Entry| match entry.what {
        Happened::Decision(decision) => Some(serde_json::to_string(&decision).unwrap()),
        _ => None,
    };
    entries.into_iter().rev().filter_map(decision).collect()
}

/// Every decision that follows from what was recorded.
pub fn replayed(detour: &Detour) -> Vec<String> {
    let recording = Recording::open(&detour.state_dir()).unwrap();
    let (mut player, mut decisions) = (Player::new(Run::AsRecorded), Vec::new());
    let played = recording.play::<StudyError>(|moment| {
        player.take(&moment, &mut |_, effect| {
            if let Effect::Record(Happened::Decision(decision)) = effect {
                decisions.push(serde_json::to_string(decision).unwrap());
            }
        })
    });
    played.unwrap();
    decisions
}

#[test]
fn a_recorded_history_replays_to_the_same_decisions() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.fra.kill();
    world.settles_on_iad();
    world.detour.edit_config("ttl = \"30s\"", "ttl = \"20s\"");
    world.detour.told(&["reload"]);
    world.detour.kill();
    world.detour.start_again();
    world.settles_on_iad();
    world.fra.revive();
    world.settles_on_fra();
    world.detour.told(&["drain", "fra", "--reason", "new routers"]);
    world.settles_on_iad();
    let config = world.detour.config_path().display().to_string();

    // Half a second later at most it is all there, while the daemon runs.
    until("the recording holds every decision", || {
        let (was, is) = (decided(&world.detour), replayed(&world.detour));
        assert!(was.len() >= 5, "{was:#?}");
        (was == is).then_some(())
    });

    // Its own commands read the same files, and a daemon that serves.
    let past = world.detour.told(&["explain", APP, "--at", "0s", "-c", &config]);
    assert!(past.contains("fra drained by") && past.contains("command: drain fra"), "{past}");
    let replay = world.detour.told(&["replay", "-c", &config, "--blip", "1s"]);
    assert!(replay.contains("as recorded") && replay.contains("with the new one"), "{replay}");
    assert!(replay.contains("TTL 30: fra"), "its TTL was another one before the reload: {replay}");
    let whatif = world.detour.cli(&["whatif", "--down", "iad", "-c", &config]);
    assert_eq!(whatif.code, 1, "fra is drained, so nothing would be left: {whatif:?}");
    assert!(whatif.stdout.contains("NOTHING WORKS") && whatif.stderr.is_empty(), "{whatif:?}");
    world.settles_on_iad();
    let drain = world.detour.cli(&["whatif", "--drain", "app.example.com@iad", "-c", &config]);
    assert!(drain.stdout.contains("iad drained by whatif"), "{drain:?}");
    let nowhere = world.detour.cli(&["whatif", "--down", "ams", "-c", &config]);
    assert_eq!((nowhere.code, nowhere.stderr.contains("there is no site \"ams\"")), (1, true), "{nowhere:?}");
    let offline = world.detour.told(&["whatif", "--offline", "--down", "fra", "-c", &config]);
    assert!(offline.contains("1 service would move"), "{offline}");
    let early = world.detour.cli(&["explain", APP, "--at", "2001-01-01T00:00:00Z", "-c", &config]);
    assert_eq!(early.code, 1, "{early:?}");
    assert!(early.stderr.contains("the recording begins at"), "{early:?}");
    let none = world.detour.cli(&["replay", "--history", "/nonexistent", "-c", &config]);
    assert_eq!((none.code, none.stderr.contains("no recording")), (1, true), "{none:?}");

    // Where the daemon is gone, its recording is there.
    world.detour.kill();
    let gone = detour(&["whatif", "--down", "iad", "-c", &config]);
    assert_eq!((gone.code, gone.stdout.contains("NOTHING WORKS")), (1, true), "{gone:?}");
    assert!(gone.stderr.contains("from its recording"), "{gone:?}");
}

#[test]
fn thresholds_are_tried_on_what_was_recorded() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.fra.kill();
    world.settles_on_iad();
    world.fra.revive();
    world.settles_on_fra();
    let config = world.detour.config_path().display().to_string();
    let args = ["replay", "-c", &config, "--advise", "--rto", "10m", "--json"];
    let page: serde_json::Value = serde_json::from_str(&world.detour.told(&args)).unwrap();
    assert_eq!(page["tried"].as_array().unwrap().len(), 40);
    assert!(page["best"]["worst_ms"].as_u64().unwrap() <= 600_000);
    let none = world.detour.cli(&["replay", "-c", &config, "--advise", "--rto", "1s"]);
    assert_eq!(none.code, 1, "{none:?}");
    assert!(none.stdout.contains("none of these keeps"), "{none:?}");
}
