//! The API's bodies: what the server writes and a client reads. Reasons come typed and in words, records in
//! wire form and as text.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::alert::Tested;
use crate::dns::{RrSet, Serial};
use crate::engine::{Explanation, ServiceView};
use crate::policy::{Decision, OverrideKind, Target};
use crate::probe::WatchView;
use crate::state::Entry;

/// `GET /v1/services/{name}`, and each of `GET /v1/services`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServiceBody {
    /// The service.
    #[serde(flatten)]
    pub service: ServiceView,
    /// The decision's reason in words.
    pub because: Option<String>,
}

/// `GET /v1/explain?name=`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExplainBody {
    /// The chain from samples to the decision; `None` for a name that is not steered.
    pub explanation: Option<Explanation>,
    /// The decision's reason in words.
    pub because: Option<String>,
    /// What the published table answers at the name.
    pub answered: Vec<RrSet>,
    /// The same, a line for each record.
    pub answered_text: Vec<String>,
    /// The watches of its checks.
    #[serde(default)]
    pub watches: Vec<WatchView>,
    /// What one client is answered, if the request names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientBody>,
}

/// What one client is answered, and how far around it that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClientBody {
    /// Who asks.
    #[schema(value_type = String)]
    pub from: IpAddr,
    /// The region it is of, by number; `None` where the answer depends on no client.
    pub region: Option<u16>,
    /// Which of the name's variants it gets; `None` also where every query draws one.
    pub variant: Option<u8>,
    /// How many bits of its address the answer depends on (RFC 7871).
    pub scope: u8,
    /// A line for each record; where every query draws, of one draw.
    pub answered_text: Vec<String>,
}

/// `GET /v1/history`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HistoryBody {
    /// The newest first.
    pub entries: Vec<EntryBody>,
    /// `before` for the next page; `None` on the last one.
    pub next: Option<u64>,
}

/// One entry of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EntryBody {
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// The same in one line.
    pub text: String,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CommandBody {
    /// What it led to.
    pub decisions: Vec<DecisionBody>,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DecisionBody {
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// Its reason in words.
    pub because: String,
}

/// `POST /v1/overrides`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// On what: a scope, or a word for one: `fra`, `app.example.com`, `app.example.com@fra`.
    pub scope: Target,
    /// What.
    pub kind: OverrideKind,
    /// Why.
    pub reason: String,
    /// Who asks; `api` when left out.
    pub who: Option<String>,
    /// For how many seconds; until cleared when left out.
    pub for_secs: Option<u64>,
    /// Whether it is set although it breaks a safety rule, or takes the last endpoint that works out of use.
    #[serde(default)]
    pub force: bool,
}

/// `DELETE /v1/overrides`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearRequest {
    /// Of what: a scope, or a word for one.
    pub scope: Target,
    /// Why; `cleared` when left out.
    pub reason: Option<String>,
    /// Who asks; `api` when left out.
    pub who: Option<String>,
}

/// `POST /v1/proposals/{id}/approve`, `POST /v1/proposals/all/approve`, `POST /v1/proposals/{id}/reject`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// Why.
    pub reason: String,
    /// Who asks; `api` when left out.
    pub who: Option<String>,
    /// Whether it is approved although it takes a site over its capacity.
    #[serde(default)]
    pub force: bool,
}

/// `POST /v1/alerts/test`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// Which receiver; all when left out.
    pub receiver: Option<String>,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TestBody {
    /// One for each receiver that was sent a test.
    pub receivers: Vec<Tested>,
}

/// `POST /v1/services/{name}/failover`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailoverRequest {
    /// The site to move to.
    pub to: String,
    /// Why; `failover asked for` when left out.
    pub reason: Option<String>,
    /// Who asks; `api` when left out.
    pub who: Option<String>,
}

/// `POST /v1/services/{name}/failback`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailbackRequest {
    /// Why; `failback asked for` when left out.
    pub reason: Option<String>,
    /// Who asks; `api` when left out.
    pub who: Option<String>,
}

/// `POST /v1/zones/{name}/freeze`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeRequest {
    /// Who asks; `api` when left out.
    pub who: Option<String>,
}

/// `POST /v1/reload`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Load it even where it removes services, or more records than `server.max_loss` allows.
    #[serde(default)]
    pub force: bool,
}

/// `POST /v1/zones/{name}/rollback`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The serial whose contents come back.
    pub serial: Serial,
    /// Why.
    pub reason: String,
    /// Who asks; `api` when left out.
    pub who: Option<String>,
}

impl From<ServiceView> for ServiceBody {
    fn from(service: ServiceView) -> ServiceBody {
        let because = service.decision.as_ref().map(Decision::because);
        ServiceBody { service, because }
    }
}

impl From<Entry> for EntryBody {
    fn from(entry: Entry) -> EntryBody {
        EntryBody { text: entry.to_string(), entry }
    }
}

impl From<Decision> for DecisionBody {
    fn from(decision: Decision) -> DecisionBody {
        DecisionBody { because: decision.because(), decision }
    }
}
