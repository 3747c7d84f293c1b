//! What was asked of the API, by whom, and what came of it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A write that was asked for, whether it was carried out or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Audit {
    /// The token's name; without tokens, who the request says it comes from.
    pub who: String,
    /// From where.
    #[schema(value_type = String)]
    pub from: IpAddr,
    /// What: method, path, and what the body says.
    pub what: String,
    /// Why, where the request says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How many writes were turned away before this one and are not noted, because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unnoted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Audit {
    /// Whether it was carried out.
    pub fn is_done(&self) -> bool {
        self.status < 400
    }
}

/// `api: ana from 192.0.2.9: POST /v1/reload: done`
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Audit { who, from, what, why, status, detail, unnoted } = self;
        write!(f, "api: {who} from {from}: {what}")?;
        if let Some(why) = why {
            write!(f, ", because \"{why}\"")?;
        }
        match status {
            0..400 => f.write_str(": done")?,
            400..500 => write!(f, ": refused ({status})")?,
            _ => write!(f, ": failed ({status})")?,
        }
        if let Some(detail) = detail {
            write!(f, ": {detail}")?;
        }
        if *unnoted > 0 {
            write!(f, "; {unnoted} more were turned away since the one before")?;
        }
        Ok(())
    }
}
