//! The simulator: random sites, services, failures, operators, reloads and crashes, each run made of one
//! seed, with the engine's promises checked after every step.
//!
//! `DETOUR_SIM_SEED=N cargo test --test sim` runs the one seed a failure names; `DETOUR_LONG=20` plays twenty times as
//! many.

#[path = "sim/agree.rs"]
mod agree;
#[path = "sim/configured.rs"]
mod configured;
#[path = "sim/day.rs"]
mod day;
#[path = "sim/families.rs"]
mod families;
#[path = "sim/judge.rs"]
mod judge;
#[path = "peers/long.rs"]
mod long;
#[path = "sim/play.rs"]
mod play;
#[path = "sim/random.rs"]
mod random;
#[path = "sim/recorded.rs"]
mod recorded;

#[path = "sim/rules.rs"]
mod rules;
#[path = "sim/sharing.rs"]
mod sharing;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use day::Mishap;
use judge::Kind;

/// How many seeds one test run plays; `./test --long` plays more.
const RUNS: u64 = 10_000;
/// The same of groups, whose tables of buckets take their time, and of what is held back.
const RUNS_OF_GROUPS: u64 = 200;
const RUNS_OF_MOVING: u64 = 500;
/// Every so many seeds, one is played twice.
const REPLAYED: u64 = 50;

/// Plays a seed; a panic is told with the seed to play again.
fn play(kind: Kind, seed: u64) -> play::Played {
    catch_unwind(AssertUnwindSafe(|| play::play(kind, seed))).unwrap_or_else(|_| {
        panic!("the run of seed {seed} ({kind:?}) failed; DETOUR_SIM_SEED={seed} cargo test --test sim plays it again")
    })
}

/// The seed asked for, or all of this part of the runs.
fn seeds(part: u64, parts: u64) -> Vec<u64> {
    match std::env::var("DETOUR_SIM_SEED") {
        Ok(seed) => vec![seed.parse().expect("DETOUR_SIM_SEED is a number")],
        Err(_) => (0..RUNS * long::times()).filter(|seed| seed % parts == part).collect(),
    }
}

fn play_part(kind: Kind, part: u64, parts: u64) {
    let mut total = play::Played::default();
    for seed in seeds(part, parts) {
        let played = play(kind, seed);
        if seed % REPLAYED == part {
            assert_eq!(play(kind, seed).effects, played.effects, "seed {seed} was not the same twice");
        }
        total.moves += played.moves;
        total.failbacks += played.failbacks;
        total.all_down += played.all_down;
        total.restarts += played.restarts;
        total.clock_sets += played.clock_sets;
        total.refused += played.refused;
    }
    // A simulator in which nothing happens proves nothing.
    if std::env::var("DETOUR_SIM_SEED").is_err() {
        let least = (RUNS / parts / 10) as usize;
        for (what, count) in [
            ("moves", total.moves),
            ("failbacks", total.failbacks),
            ("all down", total.all_down),
            ("restarts", total.restarts),
            ("clock sets", total.clock_sets),
            ("refusals", total.refused),
        ] {
            assert!(count > least, "only {count} {what} in all runs");
        }
    }
}

#[test]
fn random_runs_keep_every_promise_1() {
    play_part(Kind::Plain, 0, 2);
}

#[test]
fn random_runs_keep_every_promise_2() {
    play_part(Kind::Plain, 1, 2);
}

/// Plays runs of a kind, each of which must meet what the kind is about often enough to prove something.
fn play_others(kind: Kind, runs: u64, least: usize) {
    let mut seen: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    let parts = RUNS / runs;
    for seed in seeds(0, parts) {
        let played = play(kind, seed);
        if seed % (REPLAYED * parts) == 0 {
            assert_eq!(play(kind, seed).effects, played.effects, "seed {seed} was not the same twice");
        }
        // Only a move that is held back leaves clients at a dead site.
        let dead = (kind == Kind::Moving).then_some(("clients at a dead site", played.dead_sites));
        let moves = [("moves", played.moves), ("restarts", played.restarts)];
        for (what, count) in played.seen.into_iter().chain(moves).chain(dead) {
            *seen.entry(what).or_default() += count;
        }
    }
    println!("{kind:?}: {seen:?}");
    if std::env::var("DETOUR_SIM_SEED").is_err() {
        let rare: Vec<_> = seen.iter().filter(|(_, count)| **count < least).collect();
        assert!(rare.is_empty(), "too rare: {rare:?}");
    }
}

#[test]
fn groups_send_nobody_astray() {
    play_others(Kind::Groups, RUNS_OF_GROUPS, 50);
}

#[test]
fn no_safety_rule_is_broken_and_steps_move_what_they_say() {
    play_others(Kind::Moving, RUNS_OF_MOVING, 50);
}

/// What was given to an engine, written as a recording is and read again, makes another one decide the same.
#[test]
fn a_recording_replays_to_the_same_decisions() {
    let mut decisions = 0;
    for seed in seeds(0, 10) {
        let played = play(Kind::Plain, seed);
        let again = recorded::play_again(&played.given);
        let (was, is) = (recorded::said(&played.effects), recorded::said(&again));
        assert!(was == is, "seed {seed} replays differently");
        decisions += recorded::decisions(&again);
    }
    assert!(decisions > 1000 || std::env::var("DETOUR_SIM_SEED").is_ok(), "only {decisions} decisions");
}

/// Days of losing samples at random. With three failures in a row that make Down, 1 % makes one false
/// failover in some sixty days (17,280 * 0.01^3 a day), 5 % two a day.
#[test]
fn one_lost_sample_in_a_hundred_moves_nothing() {
    for seed in 0..4 {
        let seen = day::play(seed, 1, None);
        assert!(seen.lost > 100, "{seen:?}");
        assert_eq!(seen.false_failovers, 0, "seed {seed}: {seen:?}");
    }
    for seed in 0..8 {
        println!("a day at 5 % loss, seed {seed}: {:?}", day::play(seed, 5, None));
    }
}

#[test]
fn stalls_clock_jumps_and_stops_move_nothing() {
    let second = Duration::from_secs(1);
    let mishaps = [
        Mishap::Stall(30 * second),
        Mishap::ClockSet,
        Mishap::Stop(Duration::ZERO),
        Mishap::Stop(second),
        Mishap::Stop(3600 * second),
    ];
    for (seed, mishap) in (0..).zip(mishaps) {
        let seen = day::play(seed, 0, Some(mishap));
        assert_eq!((seen.false_failovers, seen.lost), (0, 0), "{mishap:?}: {seen:?}");
        // The first sample of each site, and none other.
        assert_eq!(seen.health_changes, 2, "{mishap:?}: {seen:?}");
        // And beside a network that loses one sample in a hundred.
        let seen = day::play(seed, 1, Some(mishap));
        assert_eq!(seen.false_failovers, 0, "{mishap:?}: {seen:?}");
    }
}
