//! The recording: everything that was put into the engine, so that it can be put into one again.
//!
//! In: each [`Event`] of the daemon's engine, with the moment it was taken up. Out: the same again, as
//! [`Moment`]s, for `simulate` to drive an engine with. The engine is deterministic, so what it was given is all
//! that needs to be kept; what it decided follows.
//!
//! ```text
//! state_dir/recording/0000000007.seg
//!   magic, number, time                        fixed, so that a span of time is found without reading it all
//!   frame: Head as JSON                        what was saved, and the load in force: an engine begins here
//!   frame, frame, ...                          what was put in, in half-seconds: about ten bytes for a sample
//! ```
//!
//! A frame has its length and checksum before it. A `kill -9` in the midst of one leaves a tail that does
//! not check, and is passed over: the next start begins a segment of its own. Files are only ever appended
//! to, so a reader needs no lock and the daemon goes on. The oldest segments go when the bounds of
//! `[history]` are reached.

mod code;
#[cfg(test)]
mod faults;
mod read;
mod segment;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dns::Name;
use crate::engine::{Command, Load, Saved, Undecided, ZoneBase};
use crate::health::Sample;
use crate::model::Config;
use crate::policy::Regions;
use crate::time::{Offset, Time};

pub use code::{Decoder, Encoder};
pub use read::{Gap, Recording, newest_head};
pub use write::{Bounds, Recorder, Trouble};

/// The folder in `state_dir`.
pub const FOLDER: &str = "recording";
/// The share of its bytes that one segment may take: so much is lost at once when the oldest one goes.
const SEGMENTS: u64 = 32;
/// The least a segment takes, in bytes: a smaller one is mostly head.
const MIN_SEGMENT: u64 = 64 * 1024;
/// The most segments, however small: each start begins one.
const MAX_SEGMENTS: usize = 4_096;
/// The longest frame, in bytes; a head with the texts of 100,000 services is some 100 MB.
const MAX_FRAME: usize = 1 << 30;
/// How many words a segment's dictionary holds before the next one begins.
const MAX_WORDS: usize = 65_536;
/// A frame is handed over when it is so long, in bytes.
const FRAME: usize = 64 * 1024;
/// Frames that may wait for the disk; further ones are lost, and a new segment begins after the gap.
const QUEUED: usize = 64;
/// How long after trouble with the disk another segment is tried.
const RETRY: Duration = Duration::from_secs(10);

/// Lists of regions, each once, with the services it is of.
pub type SharedRegions = Arc<[(Regions, Vec<Name>)]>;

/// A load as it was: enough to make the same one again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadNote {
    /// The configuration file's path.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
    /// What the engine was told of the zone files, fingerprints included.
    pub zones: Arc<[Arc<ZoneBase>]>,
    /// Which endpoints the clients of services prefer, each list of regions once with the services it is of.
    /// Maps of clients are not kept: which client is of which region decides nothing.
    #[serde(default, skip_serializing_if = "no_regions")]
    pub regions: SharedRegions,
    /// What undecided services answer; of a load in force nothing is left of it.
    #[serde(default, skip_serializing_if = "Undecided::is_default")]
    pub undecided: Undecided,
}

fn no_regions(regions: &SharedRegions) -> bool {
    regions.is_empty()
}

impl LoadNote {
    /// What is kept of a load that came from a file with this text.
    pub fn of(load: &Load, text: Arc<str>) -> LoadNote {
        let mut shared: Vec<(&Arc<Regions>, Vec<Name>)> = Vec::new();
        for (name, regions) in &load.regions {
            match shared.iter_mut().find(|(known, _)| known.id == regions.id) {
                Some((_, names)) => names.push(name.clone()),
                None => shared.push((regions, vec![name.clone()])),
            }
        }
        let regions = shared.into_iter().map(|(regions, names)| (Regions::clone(regions), names));
        let zones = load.zones.as_slice().into();
        let (path, undecided) = (load.config.path.clone(), load.undecided.clone());
        LoadNote { path, text, zones, regions: regions.collect(), undecided }
    }

    /// The load again, under the configuration read from its text.
    pub fn to_load(&self, config: Arc<Config>) -> Load {
        let mut regions = BTreeMap::new();
        for (shared, names) in &*self.regions {
            let shared = Arc::new(shared.clone());
            regions.extend(names.iter().map(|name| (name.clone(), Arc::clone(&shared))));
        }
        Load { config, zones: self.zones.to_vec(), regions, undecided: self.undecided.clone() }
    }
}

/// The load in force, and what zones of it hold since.
#[derive(Clone, Debug, Default)]
struct InForce {
    load: Option<LoadNote>,
    /// Laid over the load when that is asked for, so that a change costs what it changes.
    changed: BTreeMap<Name, Arc<ZoneBase>>,
}

impl InForce {
    fn of(load: Option<LoadNote>) -> InForce {
        InForce { load, changed: BTreeMap::new() }
    }

    /// Takes up other contents of some of its zones.
    fn change(&mut self, zones: &[ZoneBase]) {
        if self.load.is_some() {
            self.changed.extend(zones.iter().map(|zone| (zone.apex.clone(), Arc::new(zone.clone()))));
        }
    }

    fn load(&mut self) -> Option<&LoadNote> {
        let load = self.load.as_mut()?;
        if !self.changed.is_empty() {
            let mut changed = std::mem::take(&mut self.changed);
            let now = |zone: &Arc<ZoneBase>| changed.remove(&zone.apex).unwrap_or_else(|| zone.clone());
            load.zones = load.zones.iter().map(now).collect();
        }
        Some(load)
    }
}

/// What a segment begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// When it begins.
    pub at: Time,
    /// Whether the engine goes on from the segment before; else one begins here, from `saved`.
    pub continues: bool,
    /// What an engine begins with here.
    pub saved: Vec<Saved>,
    /// The load in force; `None` where the first event is one.
    pub load: Option<LoadNote>,
}

/// One thing that was put into the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A configuration and its zones.
    Load(LoadNote),
    /// Zones whose contents changed.
    Contents(Vec<ZoneBase>),
    /// A probe's run, as it came: latencies in whole microseconds.
    Sample(Sample),
    /// An operator's command, refused or not.
    Command(Command),
    /// Where the host's clock was.
    Clock(Offset),
    /// This process stood still for so long; earlier versions did not keep it.
    Stalled(Duration),
    /// Time alone.
    Tick,
}

/// What a recording is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// A segment begins.
    Begin(Box<Head>),
    /// Something was put in, at this time.
    Input(Time, Box<Note>),
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Nothing there.
    #[error("there is no recording in {0}: name the state_dir of a daemon that has run")]
    None(PathBuf),
    /// The host says no.
    #[error("cannot read {path}: {source}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// What.
        path: PathBuf,
        /// Where and how.
        why: String,
    },
}
