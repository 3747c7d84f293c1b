//! A sample: the outcome of one probe run. Probes make them, health reads them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};

use super::phases::{Phase, Phases};
use crate::model::{CheckKey, Seconds, schema::word_or_object};
use crate::time::{HostTime, Time};

/// A place probes run from. A single node is the vantage `local`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct Vantage(pub Arc<str>);

impl Vantage {
    /// The vantage of a single node.
    pub fn local() -> Vantage {
        Vantage(Arc::from("local"))
    }
}

/// One probe run, finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sample {
    /// What was asked of whom.
    pub check: CheckKey,
    /// From where.
    pub vantage: Vantage,
    /// When the run ended.
    pub at: Time,
    /// From the run's start to its end.
    #[schema(value_type = crate::time::SecsNanos)]
    pub latency: Duration,
    /// What came of it.
    pub outcome: Outcome,
    /// How the run went.
    #[serde(default, skip_serializing_if = "Detail::is_empty")]
    pub detail: Detail,
}

/// How a run went, beside what came of it. Nothing is judged by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Detail {
    /// How long it was in each phase.
    #[serde(skip_serializing_if = "Phases::is_empty")]
    pub phases: Phases,
    /// What is not as it should be, and no failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Warning>,
}

impl Detail {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.phases.is_empty() && self.warning.is_none()
    }
}

/// What is not as it should be, and no failure: it moves nothing, and people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// The endpoint's certificate is about to expire.
    #[error("the certificate expires in {days} days, at {at}")]
    CertificateExpires {
        /// Whole days that are left.
        days: u32,
        /// The moment it expires.
        #[schema(value_type = Time)]
        at: HostTime,
    },
    /// A command passed with an exit code other than 0, which is how monitoring plugins warn.
    #[error("exit code {code}{}", said(.line))]
    Command {
        /// 1 to 255.
        code: i32,
        /// The first line it printed.
        line: String,
    },
}

/// What came of a probe run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The endpoint did what was expected.
    Ok,
    /// It did not.
    Failed(Failure),
    /// The run says nothing of the endpoint: recorded, never counted.
    Discarded(Discard),
}

/// Why an endpoint failed its probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// The connection was cut.
    #[error("connection reset")]
    Reset,
    /// A router or the target's host says there is no way there.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Time ran out.
    #[error("timeout in {0}")]
    Timeout(Phase),
    /// The CNAME target has no address.
    #[error("cannot resolve: {0}")]
    Resolve(String),
    /// The certificate is not one to trust for this name.
    #[error("certificate: {0}")]
    Certificate(String),
    /// The certificate has expired.
    #[error("certificate: expired at {0}")]
    CertificateExpired(HostTime),
    /// The certificate is good for less than `min_days`.
    #[error("certificate: expires in {days} days, at {at}; {min_days} days are wanted")]
    CertificateExpires {
        /// Whole days that are left.
        days: u32,
        /// The moment it expires.
        at: HostTime,
        /// How many there should be.
        min_days: u32,
    },
    /// The certificate is for other names.
    #[error("certificate: not valid for {0}")]
    CertificateName(String),
    /// The certificate was signed by nobody who is trusted.
    #[error("certificate: signed by an issuer this host does not trust")]
    CertificateIssuer,
    /// The endpoint takes none of the protocols it was offered by ALPN.
    #[error("ALPN: {0}")]
    Alpn(String),
    /// TLS failed otherwise.
    #[error("TLS: {0}")]
    Tls(String),
    /// The answer was not HTTP.
    #[error("bad HTTP: {0}")]
    Protocol(String),
    /// The head of the answer is too long, in bytes or in lines.
    #[error("bad HTTP: a head of more than {bytes} bytes or {lines} header lines")]
    Head {
        /// The bound on its bytes.
        bytes: u32,
        /// The bound on its lines.
        lines: u32,
    },
    /// A status outside the expected ranges.
    #[error("status {0}")]
    Status(u16),
    /// A status outside the expected ranges that sends the client elsewhere, where probes do not go.
    #[error("status {status}, a redirect to {to}, which is not followed")]
    Redirect {
        /// 300 to 399.
        status: u16,
        /// What its `Location` says.
        to: String,
    },
    /// The expected text is not in the part of the body that is read.
    #[error("body mismatch: {0}")]
    Body(String),
    /// A header that is expected is not there, or says something else.
    #[error("header mismatch: {0}")]
    Header(String),
    /// All was as expected, but it took too long.
    #[error("slow answer: more than {0:?}")]
    Slow(Duration),
    /// A DNS answer with a response code that is not the expected one.
    #[error("answered {0}")]
    Rcode(String),
    /// A DNS answer without the expected records, or with others.
    #[error("answered {0}")]
    Records(String),
    /// A DNS answer that is wrong otherwise.
    #[error("DNS: {0}")]
    Dns(String),
    /// The health service says that the endpoint does not serve.
    #[error("reports {0}")]
    NotServing(String),
    /// A gRPC call that ended with another status than OK, or an answer that is wrong otherwise.
    #[error("gRPC: {0}")]
    Grpc(String),
    /// The site should have called in, and has not for so long.
    #[error("no beat for {}", Seconds(*.0))]
    NoBeat(Duration),
    /// The site called in and says that it is not well.
    #[error("the site reports: {0}")]
    Reported(String),
    /// What the endpoint said is not what it should have.
    #[error("unexpected reply: {0}")]
    Reply(String),
    /// The endpoint hung up before it had said what it should have.
    #[error("closed early: {0}")]
    Closed(String),
    /// Too many echo requests stayed without a reply.
    #[error("{lost} of {sent} echo requests without a reply")]
    Lost {
        /// Requests that left.
        sent: u32,
        /// Those no reply came to.
        lost: u32,
    },
    /// The command ended with another exit code than 0.
    #[error("exit code {code}{}", said(.line))]
    Exit {
        /// 1 to 255.
        code: i32,
        /// The first line it printed.
        line: String,
    },
    /// The command was ended by a signal.
    #[error("killed by signal {signal}{}", said(.line))]
    Killed {
        /// The signal's number.
        signal: i32,
        /// The first line it printed.
        line: String,
    },
    /// The command printed more than is read.
    #[error("printed more than {limit} bytes{}", said(.line))]
    Flood {
        /// How much is read.
        limit: usize,
        /// The first line it printed.
        line: String,
    },
    /// The command did not end in time, and was killed.
    #[error("timeout in command{}", said(.line))]
    Hung {
        /// The first line it printed so far.
        line: String,
    },
    /// Whatever has no word of its own.
    #[error("{0}")]
    Other(String),
}

/// Why a run was not the endpoint's doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Discard {
    /// This process did not run for a while: a late timer, SIGSTOP, a suspended machine.
    #[error("this process was stalled for {0:?}")]
    Stalled(Duration),
    /// This host has no route to the endpoint's network. Whose doing that is, what other endpoints say decides.
    #[error("no route to its network from this host")]
    NoRoute,
    /// This host lacks what a probe needs: a local address, a file descriptor.
    #[error("fault of this host: {0}")]
    Local(String),
    /// The command ended with an exit code that says that it could not tell.
    #[error("the command could not tell: exit code {code}{}", said(.line))]
    Exit {
        /// 0 to 255.
        code: i32,
        /// The first line it printed.
        line: String,
    },
    /// The canaries failed while it ran; the text says what it would have been.
    #[error("the vantage doubts itself; it was: {0}")]
    Doubt(String),
}

impl utoipa::PartialSchema for Failure {
    fn schema() -> RefOr<Schema> {
        word_or_object("Why an endpoint failed its probe")
    }
}

impl utoipa::ToSchema for Failure {}

impl utoipa::PartialSchema for Discard {
    fn schema() -> RefOr<Schema> {
        word_or_object("Why a run was not the endpoint's doing")
    }
}

impl utoipa::ToSchema for Discard {}

/// What a command said, behind what became of it.
fn said(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!(": {line}") }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ok => f.write_str("ok"),
            Outcome::Failed(failure) => failure.fmt(f),
            Outcome::Discarded(discard) => write!(f, "discarded: {discard}"),
        }
    }
}
