//! The four words for what samples say.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What samples say of a check, an address or an endpoint.
///
/// ```text
///            first ok                   failure
/// Unknown ─────────────► Up ◄──────────────────────► Suspect
///    │                   ▲    ok (window is clear)      │
///    │ first failure     │ `rise` in a row              │ `fall` of `window`
///    └──► Suspect        └────────── Down ◄─────────────┘
/// ```
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// No sample has counted yet.
    #[default]
    Unknown,
    /// It works.
    Up,
    /// Failing, not yet Down.
    Suspect,
    /// It does not work.
    Down,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Health::Unknown => "Unknown",
            Health::Up => "Up",
            Health::Suspect => "Suspect",
            Health::Down => "Down",
        })
    }
}
