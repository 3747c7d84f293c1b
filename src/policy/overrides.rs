//! What an operator forces, on what, why, and until when.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};

use crate::dns::Name;
use crate::model::SiteId;
use crate::model::schema::{one_key_of, text, texts};
use crate::time::Time;

/// What is forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OverrideKind {
    /// Healthy or not, it is not used.
    Drain,
    /// It counts as Up, whatever samples say.
    ForceUp,
    /// It counts as Down, whatever samples say.
    ForceDown,
}

/// What it is forced on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every endpoint at a site.
    Site(SiteId),
    /// Every endpoint of a service.
    Service(Name),
    /// One endpoint.
    Endpoint(Name, SiteId),
}

impl utoipa::PartialSchema for Scope {
    fn schema() -> RefOr<Schema> {
        one_key_of(vec![("site", text()), ("service", text()), ("endpoint", texts(2))])
    }
}

impl utoipa::ToSchema for Scope {}

/// One override. A scope has at most one; the narrowest scope that has one rules an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Override {
    /// On what.
    pub scope: Scope,
    /// What.
    pub kind: OverrideKind,
    /// Why, in the operator's words; never empty.
    pub reason: String,
    /// Who.
    pub who: String,
    /// Since when.
    pub at: Time,
    /// Until when; `None` is until cleared.
    pub until: Option<Time>,
}

/// The override that rules an endpoint: of those on its scopes, the narrowest.
pub fn ruling<'a>(
    overrides: &'a BTreeMap<Scope, Override>,
    service: &Name,
    site: &SiteId,
) -> Option<&'a Override> {
    let endpoint = Scope::Endpoint(service.clone(), site.clone());
    let scopes = [endpoint, Scope::Service(service.clone()), Scope::Site(site.clone())];
    scopes.iter().find_map(|scope| overrides.get(scope))
}

impl fmt::Display for OverrideKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            OverrideKind::Drain => "drain",
            OverrideKind::ForceUp => "force-up",
            OverrideKind::ForceDown => "force-down",
        })
    }
}

/// As the command line takes it: `fra`, `app.example.com`, `app.example.com@fra`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Site(site) => f.write_str(site),
            Scope::Service(name) => f.write_str(&name.bare()),
            Scope::Endpoint(name, site) => write!(f, "{}@{site}", name.bare()),
        }
    }
}
