//! A run written as a recording is, and played again from that.

use detour::engine::{Effect, Engine, Event, Happened};
use detour::recording::{Decoder, Encoder, Note};
use detour::simulate::scenario::Given;
use detour::time::Time;

/// The effects of the same once more, by engines that are given what a recording holds. Loads of a run are
/// made without a file, and go round it.
pub fn play_again(given: &[Given]) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut engine = Engine::new(1, Vec::new());
    let (mut encoder, mut decoder) = (Encoder::new(Time(0), None), Decoder::new(Time(0), None));
    let mut first = true;
    for given in given {
        match given {
            Given::Start(saved) => engine = Engine::new(1, saved.clone()),
            Given::Event(now, Event::Load(load)) => {
                let loaded = engine.step(*now, Event::Load(load.clone()));
                // The first load is the world's beginning, and not among the run's effects.
                if !std::mem::take(&mut first) {
                    effects.extend(loaded);
                }
            }
            Given::Event(now, event) => {
                match event {
                    Event::Sample(sample) => encoder.sample(*now, sample),
                    Event::Command(command) => encoder.command(*now, command),
                    Event::Contents(zones) => encoder.contents(*now, zones),
                    Event::Clock(offset) => encoder.clock(*now, *offset),
                    Event::Stalled(length) => encoder.stalled(*now, *length),
                    Event::Tick | Event::Load(_) => encoder.tick(*now),
                }
                for (now, note) in decoder.frame(&encoder.take()).expect("what was written") {
                    let event = match note {
                        Note::Sample(sample) => Event::Sample(sample),
                        Note::Command(command) => Event::Command(command),
                        Note::Contents(zones) => Event::Contents(zones),
                        Note::Clock(offset) => Event::Clock(offset),
                        Note::Stalled(length) => Event::Stalled(length),
                        Note::Tick => Event::Tick,
                        Note::Load(_) => panic!("no load was written"),
                    };
                    effects.extend(engine.step(now, event));
                }
            }
        }
    }
    effects
}

/// Decisions, publishes and records of them, byte for byte.
pub fn said(effects: &[Effect]) -> String {
    let records = effects.iter().filter_map(|effect| match effect {
        Effect::Record(what) => Some(serde_json::to_string(what).expect("it is written")),
        Effect::Publish(changeset) => Some(format!("{changeset:?}")),
        _ => None,
    });
    records.collect::<Vec<_>>().join("\n")
}

pub fn decisions(effects: &[Effect]) -> usize {
    let decided = |effect: &&Effect| matches!(effect, Effect::Record(Happened::Decision(_)));
    effects.iter().filter(decided).count()
}
