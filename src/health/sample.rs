//! A sample: the outcome of one probe run. Probes make them, health reads them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::CheckKey;
use crate::time::Time;

/// A place probes run from. A single node is the vantage `local`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vantage(pub Arc<str>);

impl Vantage {
    /// The vantage of a single node.
    pub fn local() -> Vantage {
        Vantage(Arc::from("local"))
    }
}

/// One probe run, finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// What was asked of whom.
    pub check: CheckKey,
    /// From where.
    pub vantage: Vantage,
    /// When the run ended.
    pub at: Time,
    /// From the run's start to its end.
    pub latency: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a probe run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The endpoint did what was expected.
    Ok,
    /// It did not.
    Failed(Failure),
    /// The run says nothing of the endpoint: recorded, never counted.
    Discarded(Discard),
}

/// Where in its course a run stood when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Resolving a CNAME target.
    Resolve,
    /// TCP's handshake.
    Connect,
    /// TLS's handshake.
    Tls,
    /// From the request to the head of the answer.
    FirstByte,
    /// Reading the body.
    Body,
    /// Waiting for what the endpoint says.
    Reply,
    /// Running a command.
    Command,
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
    /// TLS failed otherwise.
    #[error("TLS: {0}")]
    Tls(String),
    /// The answer was not HTTP.
    #[error("bad HTTP: {0}")]
    Protocol(String),
    /// A status outside the expected ranges.
    #[error("status {0}")]
    Status(u16),
    /// The expected text is not in the part of the body that is read.
    #[error("body mismatch: {0}")]
    Body(String),
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
    /// This host lacks what a probe needs: a route, a local address, a file descriptor.
    #[error("fault of this host: {0}")]
    Local(String),
}

/// What a command said, behind what became of it.
fn said(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!(": {line}") }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "name resolution",
            Phase::Connect => "connect",
            Phase::Tls => "TLS",
            Phase::FirstByte => "first byte",
            Phase::Body => "body",
            Phase::Reply => "reply",
            Phase::Command => "command",
        })
    }
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
