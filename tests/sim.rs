//! The simulator: random sites, services, failures, operators, reloads and crashes, each run made of one
//! seed, with the engine's promises checked after every step.
//!
//! `DETOUR_SIM_SEED=N cargo test --test sim` runs the one seed a failure names.

#[path = "sim/judge.rs"]
mod judge;
#[path = "scenarios/language.rs"]
mod language;
#[path = "scenarios/load.rs"]
mod load;
#[path = "sim/play.rs"]
mod play;
#[path = "sim/random.rs"]
mod random;
#[path = "scenarios/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many seeds one test run plays.
const RUNS: u64 = 10_000;
/// Every so many seeds, one is played twice.
const REPLAYED: u64 = 50;

/// Plays a seed; a panic is told with the seed to play again.
fn play(seed: u64) -> play::Played {
    catch_unwind(AssertUnwindSafe(|| play::play(seed))).unwrap_or_else(|_| {
        panic!("the run of seed {seed} failed; DETOUR_SIM_SEED={seed} cargo test --test sim plays it again")
    })
}

/// The seed asked for, or all of this part of the runs.
fn seeds(part: u64, parts: u64) -> Vec<u64> {
    match std::env::var("DETOUR_SIM_SEED") {
        Ok(seed) => vec![seed.parse().expect("DETOUR_SIM_SEED is a number")],
        Err(_) => (0..RUNS).filter(|seed| seed % parts == part).collect(),
    }
}

fn play_part(part: u64, parts: u64) {
    let mut total = play::Played::default();
    for seed in seeds(part, parts) {
        let played = play(seed);
        if seed % REPLAYED == part {
            assert_eq!(play(seed).effects, played.effects, "seed {seed} was not the same twice");
        }
        total.moves += played.moves;
        total.failbacks += played.failbacks;
        total.all_down += played.all_down;
        total.restarts += played.restarts;
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
            ("refusals", total.refused),
        ] {
            assert!(count > least, "only {count} {what} in all runs");
        }
    }
}

#[test]
fn random_runs_keep_every_promise_1() {
    play_part(0, 2);
}

#[test]
fn random_runs_keep_every_promise_2() {
    play_part(1, 2);
}
