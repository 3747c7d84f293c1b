//! Configuration: file in, checked [`Config`] out, every problem at once.
//!
//! In: the path of a TOML file. Out: [`Loaded`], the checked configuration with the zones it names, or a
//! [`Report`] of everything wrong with it, each [`Problem`] with file, line, column, the line shown and
//! the way out. `detour check` and a reload call [`load()`], so they cannot disagree; a start spares the zones
//! that are right where others are not ([`load_at_start`]).
//!
//! This room must never know what is done with a configuration: no probe, no health, no socket. It reads
//! files and nothing else.
//!
//! ```text
//! file ─► source ─► document ─┬─► probes ──┐
//!                             ├─► sites ───┼─► services, endpoints ─► zone_files ─► Loaded
//!                             └─► zones ───┘
//! ```
//!
//! A value that is wrong is reported where it stands (`report::Findings`) and leaves a `Reported`
//! behind, so that reading goes on and nothing that follows from it is reported again.

mod access;
mod advice;
mod advise;
mod alerts;
mod catalog;
mod control;
mod cookie_secrets;
mod damping;
mod document;
mod endpoints;
mod error;
mod files;
mod geo;
mod groups;
mod heartbeat;
mod help;
mod history;
mod keys;
mod known;
mod load;
mod loading;
mod maintenance;
mod moving;
mod observe;
mod pattern;
mod pem;
mod primaries;
mod probe_tree;
mod probes;
mod rate_limit;
mod report;
mod rto;
mod secrets;
mod section;
mod server;
mod services;
mod sites;
mod source;
mod stamp;
mod syntax;
mod update;
mod values;
mod vantage;
mod zone_files;
mod zone_text;
mod zones;

pub use control::{MAX_API_TOKENS, MAX_TOKEN_NAME, is_token_name};
pub use error::{ConfigError, Known};
pub use files::steps_file;
pub use geo::Databases;
pub use keys::read_secret;
pub use known::{KnownZones, ReadZone, ZoneFiles};
pub use load::{Loaded, check, load, load_again, load_at_start, recall};
pub use observe::log_format;
pub use report::{MAX_PROBLEMS, Problem, Report};
pub use source::Place;
pub use zone_files::{BrokenZone, fits, read_steps, transferred, transferred_at};
pub use zone_text::{Includes, ZoneText};
