//! Scenarios: timelines that read as stories, and the engine that has to tell them the same way.
//!
//! In: the text of a `.scenario` file (`language.rs` has the language), and the load to play it from: what
//! the file's own setup comes to, or a configuration's. Out: every effect as it happens, and whether what
//! the file expects came true. This room must never know where the text comes from, nor what time it is: a
//! timeline begins at [`zero()`]. It copies no rule of the engine; it drives it.
//!
//! `detour simulate`, `tests/scenarios`, `tests/sim` and the end-to-end tests share it.

#![allow(missing_docs, reason = "public fields are the words of the language, which its header explains")]

mod clients;
mod groups;
mod language;
mod load;
mod run;
mod service;
mod setup;
mod table;
mod units;
mod world;

pub use clients::Shares;
pub use language::{Count, Expect, Hold, Outcome, Scenario, Step, What, Wrong, parse, parse_for};
pub use load::{load, name, rrset};
pub use run::{Told, run, settle};
pub use setup::{GroupSpec, MinUp, ServiceSpec, Setup};
pub use table::Maps;
pub use world::{Given, Published, World, decisions, zero};
