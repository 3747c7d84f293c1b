//! The bodies of what is asked of one zone: as it is served, its serials, and how two of them differ.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::dns::{Name, RrSet, Serial, rdata_text};
use crate::engine::Cause;
use crate::model::SiteId;
use crate::time::Time;

/// An RRset as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordsBody {
    /// The owner.
    pub name: Name,
    /// The type's mnemonic.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Seconds.
    pub ttl: u32,
    /// Each record's data, as a master file has it.
    pub data: Vec<String>,
}

impl RecordsBody {
    /// A master file's line for each record.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let RecordsBody { name, rtype, ttl, data } = self;
        data.iter().map(move |data| format!("{name} {ttl} IN {rtype} {data}"))
    }
}

impl From<&RrSet> for RecordsBody {
    fn from(set: &RrSet) -> RecordsBody {
        RecordsBody {
            name: set.owner.clone(),
            rtype: set.rtype.to_string(),
            ttl: set.ttl,
            data: set.rdata.iter().map(|rdata| rdata_text(set.rtype, rdata)).collect(),
        }
    }
}

/// `GET /v1/zones/{name}`: a zone as it is served. It is written piece by piece, `records` last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ZoneBody {
    /// The zone.
    pub zone: Name,
    /// What is published.
    pub serial: Serial,
    /// The zone's file.
    #[schema(value_type = Option<String>)]
    pub file: Option<PathBuf>,
    /// Records that the file has and updates took away.
    pub removed: Vec<String>,
    /// The services in it that are decided.
    pub services: Vec<SteeredBody>,
    /// Every RRset, in canonical order.
    #[serde(default)]
    pub records: Vec<ServedBody>,
}

/// A service's decision, as far as a zone shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SteeredBody {
    /// The service.
    pub name: Name,
    /// The decision's id.
    pub decision: u64,
    /// Where it is answered from.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// Its reason in words.
    pub because: String,
    /// Whether some clients get something else than is shown.
    pub by_client: bool,
}

/// An RRset as it is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServedBody {
    /// The RRset.
    #[serde(flatten)]
    pub records: RecordsBody,
    /// The decision it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
    /// Those of `data` that updates brought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<String>,
}

/// `GET /v1/zones/{name}/history`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ZoneHistoryBody {
    /// The zone.
    pub zone: Name,
    /// The newest first.
    pub serials: Vec<SerialBody>,
    /// `before` for the next page; `None` on the last one.
    pub next: Option<u64>,
    /// The first serial that the zone's journal reaches back to, and the last.
    pub journal: Option<(Serial, Serial)>,
}

/// One serial that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SerialBody {
    /// The history's number of it.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// The serial before.
    pub from: Serial,
    /// The serial.
    pub to: Serial,
    /// What led to it; not known of what earlier versions published.
    pub by: Option<Cause>,
    /// How many records went and how many came, where that is known.
    pub counts: Option<(usize, usize)>,
    /// The decisions, updates or rollback behind it, in words; the first few where there are many.
    pub because: Vec<String>,
    /// How many beyond those.
    pub more: usize,
}

/// `GET /v1/zones/{name}/diff?from=&to=`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ZoneDiffBody {
    /// The zone.
    pub zone: Name,
    /// From this serial,
    pub from: Serial,
    /// to this one,
    pub to: Serial,
    /// these records go, the SOA among them,
    pub removed: Vec<RecordsBody>,
    /// and these come.
    pub added: Vec<RecordsBody>,
}
