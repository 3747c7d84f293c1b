//! What one rewrite changes in a zone.

use serde::{Deserialize, Serialize};

use super::{Name, RrSet, RrType, Serial};

/// The one way for a published zone to change: all of it or nothing, under one new serial.
///
/// Applying it means: for every `(owner, type)` in `remove`, the RRset goes; then every RRset in `add`
/// comes; then `soa` replaces the apex's SOA. An RRset that changes stands in both lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changeset {
    /// The zone's apex.
    pub zone: Name,
    /// The serial this builds on.
    pub from: Serial,
    /// The serial it publishes; equal to `from` only for a changeset that lays decisions over a file
    /// that was loaded again and did not change.
    pub to: Serial,
    /// The zone's SOA with the new serial.
    pub soa: RrSet,
    /// RRsets that go.
    pub remove: Vec<RrSet>,
    /// RRsets that come.
    pub add: Vec<RrSet>,
}

impl Changeset {
    /// Every owner and type this touches, the SOA aside.
    pub fn touched(&self) -> impl Iterator<Item = (&Name, RrType)> {
        self.remove.iter().chain(&self.add).map(|set| (&set.owner, set.rtype))
    }

    /// Whether nothing but the serial would change.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}
