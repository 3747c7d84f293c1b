//! What came of what the loader was asked for.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::dns::{Name, Serial};
use crate::time::Time;

/// How a load went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoadOutcome {
    /// When.
    pub at: Time,
    /// Whether it was taken up.
    pub ok: bool,
    /// Every problem, when it was not.
    pub problems: Option<String>,
}

/// What a reload brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reloaded {
    /// How many services.
    pub services: usize,
    /// How many zones.
    pub zones: usize,
    /// Of how many of them files had to be read: those that are as they were when they were read last are not.
    #[serde(default)]
    pub zones_read: usize,
    /// What is odd, though not wrong.
    pub warnings: Vec<String>,
}

/// A load that was rejected; what was loaded before goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Every problem, as `detour check` prints them.
    pub problems: String,
    /// Whether nothing is wrong but that it would remove too much: forced, it is loaded.
    pub is_loss: bool,
}

/// How a zone differs from its file by updates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ZoneEdits {
    /// The zone.
    pub zone: Name,
    /// Its file.
    #[schema(value_type = String)]
    pub file: PathBuf,
    /// How many records are edited.
    pub records: usize,
    /// Records that the file has and the zone does not.
    pub removed: Vec<String>,
    /// Records that the zone has and the file does not.
    pub added: Vec<String>,
}

/// Edits that are in the zone's file now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Frozen {
    /// The zone.
    pub zone: Name,
    /// Its file.
    #[schema(value_type = String)]
    pub file: PathBuf,
    /// How many records were edited.
    pub records: usize,
    /// The serial that the file has now.
    pub serial: Serial,
}

/// A zone that holds again what it held at an earlier serial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RolledBack {
    /// The zone.
    pub zone: Name,
    /// The earlier serial.
    pub to: Serial,
    /// The serial it is published under now.
    pub serial: Serial,
    /// How many records went and how many came.
    pub counts: (usize, usize),
    /// Steered names that held something else then, too: decisions alone say what they are answered with.
    pub left: Vec<Name>,
}
