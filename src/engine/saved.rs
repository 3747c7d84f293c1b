//! What the engine must not forget: keyed values, each replacing the one before it.

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::dns::{Name, Serial};
use crate::health::{Damper, Health};
use crate::model::CheckKey;
use crate::policy::{Decision, FamilyMemories, Marks, Memories, Override, Proposal, Scope, Step};
use crate::time::{Offset, Time};
use crate::zone::{Edit, EditKey};

/// One value to keep, under its key. `None` forgets the key.
#[expect(clippy::large_enum_variant, reason = "on its way to the disk; what is kept is the service itself")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Saved {
    /// A zone's serial.
    Zone(Name, Option<SavedZone>),
    /// A service's last decision and latch.
    Service(Name, Option<SavedService>),
    /// A check's health.
    Check(CheckKey, Option<SavedCheck>),
    /// An override.
    Override(Scope, Option<Override>),
    /// How one RRset of a zone differs from its source. Whoever loads zones lays it over them; the engine
    /// sees the contents alone.
    Edit(EditKey, Option<Edit>),
    /// How far the host's clock was ahead of the times that are kept.
    Clock(Offset),
    /// Edits that are on the disk before they are published, one change at a time. The transaction that keeps the serial
    /// they are published under keeps them as edits and forgets this; so a start tells what was published without them.
    Promised(Option<Vec<(EditKey, Option<Edit>)>>),
}

impl Engine {
    /// Everything a new engine needs to go on from here, as after a restart: what was saved last, under
    /// each key.
    pub fn saved(&self) -> Vec<Saved> {
        let zones = self.published.iter().map(|(apex, zone)| Saved::Zone(apex.clone(), Some(zone.clone())));
        let services = self.decided.iter();
        let services = services.map(|(name, kept)| Saved::Service(name.clone(), Some(kept.clone())));
        let checks = self.checks.iter().filter(|(_, watched)| watched.health.has_reported());
        let checks = checks.map(|(key, watched)| Saved::Check(key.clone(), Some(watched.saved())));
        let overrides = self.overrides.iter();
        let overrides = overrides.map(|(scope, kept)| Saved::Override(scope.clone(), Some(kept.clone())));
        // Where it never was, nothing is kept of it.
        let clock = Some(self.offset).filter(|&offset| offset != Offset::default()).map(Saved::Clock);
        zones.chain(services).chain(checks).chain(overrides).chain(clock).collect()
    }
}

/// How far the host's clock was ahead, by what was saved.
pub fn clock_of(saved: &[Saved]) -> Option<Offset> {
    saved.iter().find_map(|saved| if let Saved::Clock(offset) = saved { Some(*offset) } else { None })
}

/// What a [`Saved`] is kept under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "as the variants of Saved")]
pub enum SavedKey {
    Zone(Name),
    Service(Name),
    Check(CheckKey),
    Override(Scope),
    Edit(EditKey),
    Clock,
    Promised,
}

impl Saved {
    /// The key: of two values under one key, the later one counts.
    pub fn key(&self) -> SavedKey {
        match self {
            Saved::Zone(apex, _) => SavedKey::Zone(apex.clone()),
            Saved::Service(name, _) => SavedKey::Service(name.clone()),
            Saved::Check(check, _) => SavedKey::Check(check.clone()),
            Saved::Override(scope, _) => SavedKey::Override(scope.clone()),
            Saved::Edit(key, _) => SavedKey::Edit(key.clone()),
            Saved::Clock(_) => SavedKey::Clock,
            Saved::Promised(_) => SavedKey::Promised,
        }
    }
}

/// A zone's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedZone {
    /// The last serial published.
    pub published: Serial,
    /// The file's serial at that time.
    pub file: Serial,
    /// The file's fingerprint at that time.
    pub fingerprint: u64,
    /// What [`ZoneBase::own_types`](super::ZoneBase::own_types) was at that time; earlier versions did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_types: Option<u64>,
    /// The highest id of a decision in this zone, so that ids are not used again when its service goes.
    pub last_decision: u64,
}

/// A service's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedService {
    /// What was last decided.
    pub decision: Decision,
    /// Whether an operator's failover holds it where it is until a failback is asked for.
    pub latched: bool,
    /// The zone it was decided in.
    pub zone: Name,
    /// Since when the sites answered with are these.
    pub since: Time,
    /// What is remembered of endpoints that were of no use.
    pub marks: Marks,
    /// What is remembered of its groups, where it has any.
    #[serde(default, skip_serializing_if = "Memories::is_empty")]
    pub groups: Memories,
    /// What is remembered of the address families that are decided by themselves.
    #[serde(default, skip_serializing_if = "FamilyMemories::is_empty")]
    pub families: FamilyMemories,
    /// The move that waits for an operator, or that one has rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Box<Proposal>>,
    /// How far a failback in steps has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// When it moved by itself within the last hour; at most [`MAX_SWITCHES_KEPT`](crate::policy::MAX_SWITCHES_KEPT).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<Time>,
}

impl SavedService {
    /// Whether an operator's failover holds it, or one of its families.
    pub fn is_latched(&self) -> bool {
        self.latched || self.families.values().any(|memory| memory.latched)
    }
}

/// A check's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedCheck {
    /// Its health.
    pub health: Health,
    /// Since when.
    pub since: Time,
    /// What made it so.
    pub because: String,
    /// What is remembered of its changes.
    #[serde(default, skip_serializing_if = "Damper::is_quiet")]
    pub damper: Damper,
    /// Whether the last run that succeeded had a warning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warned: bool,
    /// Whether no run has ever passed; earlier versions did not keep it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untried: bool,
}
