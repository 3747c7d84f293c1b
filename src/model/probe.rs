//! Probes, and what they speak, type by type.

use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Damping;
use crate::dns::{Name, RrType};
use crate::model::Pattern;

/// How much of a body a probe reads, in bytes.
pub const MAX_BODY_READ: usize = 64 * 1024;
/// How much of what an endpoint says in one step a `tcp` probe reads, in bytes.
pub const MAX_REPLY_READ: usize = 16 * 1024;
/// What a command's arguments may hold, and is put in their place for each run.
pub const PLACEHOLDERS: [&str; 4] = ["{address}", "{port}", "{service}", "{probe}"];

/// A probe's key in the configuration: `web`.
pub type ProbeId = Arc<str>;

/// `[probes.KEY]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The key.
    pub id: ProbeId,
    /// The protocol and what it asks and expects.
    pub kind: ProbeKind,
    /// The port at every endpoint; 0 for a kind that has none.
    pub port: u16,
    /// Start to start, while all is well or down.
    pub interval: Duration,
    /// Start to start, once a probe has failed or begun to recover; at most `interval`.
    pub confirm: Duration,
    /// One run's bound, below `interval`.
    pub timeout: Duration,
    /// When samples make an endpoint change.
    pub thresholds: Thresholds,
    /// Whether a connection is held open to each place, whose end has the check run at once.
    pub watch: bool,
    /// When an endpoint that keeps changing is held Down; `None` is never.
    pub damping: Option<Damping>,
}

/// When samples move a health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures that make Down: among the last `window` samples, or in a row when there is no window.
    pub fall: u32,
    /// Successes in a row that make Up again.
    pub rise: u32,
    /// How many samples `fall` looks back over; `None` means failures in a row.
    pub window: Option<u32>,
}

/// What a probe speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// One request, one answer, over plain TCP or TLS.
    Http(HttpProbe),
    /// A connect, and what is said over it.
    Tcp(TcpProbe),
    /// A handshake is enough.
    Tls(TlsProbe),
    /// One question, one answer.
    Dns(DnsProbe),
    /// A call of the standard health service.
    Grpc(GrpcProbe),
    /// Echo requests.
    Icmp(IcmpProbe),
    /// A command of this host.
    Exec(ExecProbe),
    /// The site calls in; its probe's `timeout` is the grace, and its port means nothing.
    Heartbeat,
}

impl ProbeKind {
    /// The name an endpoint is asked by, for types that carry one: `Some(None)` is the service's own.
    pub fn host(&self) -> Option<Option<Arc<str>>> {
        match self {
            ProbeKind::Http(http) => Some(http.host.as_deref().map(Arc::from)),
            ProbeKind::Grpc(grpc) => Some(grpc.host.as_deref().map(Arc::from)),
            ProbeKind::Tls(probe) => Some(probe.tls.server_name.as_deref().map(Arc::from)),
            ProbeKind::Dns(dns) => Some(dns.name.as_ref().map(without_dot)),
            // Whoever calls in speaks for one service, so services never share this check.
            ProbeKind::Heartbeat => Some(None),
            // A command that is told the service's name asks another question for each.
            ProbeKind::Exec(exec) if exec.names_service() => Some(None),
            ProbeKind::Tcp(_) | ProbeKind::Icmp(_) | ProbeKind::Exec(_) => None,
        }
    }

    /// How TLS is spoken, for types that speak it.
    pub fn tls(&self) -> Option<&Arc<TlsOptions>> {
        match self {
            ProbeKind::Http(http) => http.tls.as_ref(),
            ProbeKind::Grpc(grpc) => grpc.tls.as_ref(),
            ProbeKind::Tls(probe) => Some(&probe.tls),
            _ => None,
        }
    }

    /// How long a run may take that is a success otherwise.
    pub fn max_latency(&self) -> Option<Duration> {
        match self {
            ProbeKind::Http(http) => http.max_latency,
            ProbeKind::Grpc(grpc) => grpc.max_latency,
            ProbeKind::Tls(probe) => probe.max_latency,
            _ => None,
        }
    }
}

/// `type = "http"` and `type = "https"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// How TLS is spoken, for `https`.
    pub tls: Option<Arc<TlsOptions>>,
    /// Which HTTP.
    pub version: HttpVersion,
    /// The method, in capitals.
    pub method: String,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// Host header and SNI; the service's name when left out.
    pub host: Option<String>,
    /// Further headers of the request: names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub request_body: Option<String>,
    /// Accepted status codes, never empty.
    pub status: Vec<RangeInclusive<u16>>,
    /// Headers the answer must have: names in lower case, and text that a value of each must hold.
    pub expect_headers: Vec<(String, String)>,
    /// What the first [`MAX_BODY_READ`] bytes of the body must hold.
    pub body: Option<BodyExpect>,
    /// How long the run may take that is a success otherwise.
    pub max_latency: Option<Duration>,
}

/// `GET /` over HTTP/1.1 without TLS, and any status from 200 to 299.
impl Default for HttpProbe {
    fn default() -> HttpProbe {
        HttpProbe {
            tls: None,
            version: HttpVersion::One,
            method: "GET".into(),
            path: "/".into(),
            host: None,
            headers: Vec::new(),
            request_body: None,
            status: vec![200..=299],
            expect_headers: Vec::new(),
            body: None,
            max_latency: None,
        }
    }
}

/// `http`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1
    One,
    /// HTTP/2: by ALPN with TLS, by prior knowledge without (RFC 9113 section 3).
    Two,
}

/// `expect.body` or `expect.body_regex`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyExpect {
    /// This text.
    Text(String),
    /// Something that matches.
    Regex(Pattern),
}

/// `type = "tls"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsProbe {
    /// How TLS is spoken, and what the certificate must be.
    pub tls: Arc<TlsOptions>,
    /// How long the run may take that is a success otherwise.
    pub max_latency: Option<Duration>,
}

/// `tls = { ... }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Whether the certificate must be one to trust for the name.
    pub verify: bool,
    /// Who may have signed it; those this host trusts when left out.
    pub ca: Option<Arc<Authorities>>,
    /// What the probe shows of itself.
    pub identity: Option<Arc<Identity>>,
    /// SNI and the name the certificate must be for, where that is not the host's.
    pub server_name: Option<String>,
    /// How long the certificate must be good for.
    pub min_days: Option<MinDays>,
    /// Protocols that are offered, one of which must be taken; empty where the probe's type says it.
    pub alpn: Vec<String>,
}

/// The host's authorities, no client certificate, any expiry that is not past.
impl Default for TlsOptions {
    fn default() -> TlsOptions {
        TlsOptions {
            verify: true,
            ca: None,
            identity: None,
            server_name: None,
            min_days: None,
            alpn: Vec::new(),
        }
    }
}

/// `min_days` and `min_days_is`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinDays {
    /// Whole days the endpoint's certificate must still be good for.
    pub days: u32,
    /// Whether less is a failure; else it is a warning.
    pub fails: bool,
}

/// `ca`: certificates of authorities, never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// Where they were read, absolute.
    pub file: PathBuf,
    /// In the file's order.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// By the file, which is enough to tell most apart: a file of authorities may hold hundreds.
impl Hash for Authorities {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.file.hash(state);
    }
}

/// `certificate` and `key`, which belong together, of a probe or of a listener.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those between it and its authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.chain.hash(state);
    }
}

/// `type = "grpc"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcProbe {
    /// The service that is asked about; empty for the server itself.
    pub service: String,
    /// The call's authority and SNI; the service's name when left out.
    pub host: Option<String>,
    /// How TLS is spoken; clear text when left out.
    pub tls: Option<Arc<TlsOptions>>,
    /// How long the run may take that is a success otherwise.
    pub max_latency: Option<Duration>,
}

/// `type = "dns"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsProbe {
    /// What is asked for; the service's name when left out.
    pub name: Option<Name>,
    /// Of which type.
    pub qtype: RrType,
    /// Whether it is asked over TCP at once; over UDP a truncated answer is asked for again over TCP.
    pub tcp: bool,
    /// Whether the question asks for recursion.
    pub recursion: bool,
    /// The expected response code, an index into [`RCODES`](crate::dns::RCODES).
    pub rcode: u8,
    /// What the answer's AA bit must be.
    pub authoritative: Option<bool>,
    /// RDATA in wire form, names expanded and in lower case; empty where any will do.
    pub records: Vec<Box<[u8]>>,
    /// Whether NOERROR without a record of the type passes too.
    pub empty: bool,
    /// How `records` are held against those of the answer.
    pub matching: Matching,
}

/// `expect.match`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// One of the expected records is enough.
    Any,
    /// Every expected record, whatever else there is.
    All,
    /// These records and no other.
    Exact,
}

/// `type = "tcp"`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpProbe {
    /// What is said once connected, one step after the other; none where a connect is enough.
    pub steps: Vec<Step>,
}

/// One exchange of a `tcp` probe: first it sends, then it waits for what it expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The bytes to send; none where the endpoint speaks first.
    pub send: Vec<u8>,
    /// What must come; `None` where nothing is waited for.
    pub expect: Option<Expect>,
}

/// What an endpoint must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// These bytes, never none, somewhere in it.
    Bytes(Vec<u8>),
    /// A match of this pattern, somewhere in it.
    Regex(Pattern),
}

/// `type = "icmp"`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpProbe {
    /// Echo requests of one run, at least 1.
    pub count: u32,
    /// How many of them may stay without a reply; below `count`.
    pub max_loss: u32,
    /// From one request to the next.
    pub spacing: Duration,
    /// Bytes of payload in each.
    pub size: usize,
}

/// `type = "exec"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecProbe {
    /// The program's absolute path, then its arguments, which may hold placeholders.
    pub command: Vec<String>,
    /// Its environment besides what every command is given; the values may hold placeholders.
    pub env: Vec<(String, String)>,
    /// The folder it is run in.
    pub cwd: PathBuf,
    /// What its exit codes say.
    pub exit: ExitCodes,
}

/// `exit`: what the exit codes of a command say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitCodes {
    /// The codes that stand in a list, each once.
    pub listed: Vec<(u8, ExitVerdict)>,
    /// What all others say.
    pub others: ExitVerdict,
}

/// What an exit code says of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitVerdict {
    /// It works.
    Pass,
    /// It does not.
    Fail,
    /// Nothing: the command could not tell.
    Discard,
}

impl ExitCodes {
    /// The convention of monitoring plugins: 0 is OK, 1 a warning, 2 critical, 3 unknown. What is not one of
    /// these comes from no plugin, but from what failed to run it.
    pub fn plugin() -> ExitCodes {
        use ExitVerdict::{Discard, Fail, Pass};
        ExitCodes { listed: vec![(0, Pass), (1, Pass), (2, Fail), (3, Discard)], others: Discard }
    }

    /// What `code` says.
    pub fn verdict(&self, code: i32) -> ExitVerdict {
        let listed = self.listed.iter().find(|(listed, _)| i32::from(*listed) == code);
        listed.map_or(self.others, |(_, verdict)| *verdict)
    }
}

/// 0 is a success, and any other a failure.
impl Default for ExitCodes {
    fn default() -> ExitCodes {
        ExitCodes { listed: vec![(0, ExitVerdict::Pass)], others: ExitVerdict::Fail }
    }
}

impl ExecProbe {
    /// Whether the command is told the service's name, so that services cannot share a run.
    pub fn names_service(&self) -> bool {
        let values = self.env.iter().map(|(_, value)| value);
        self.command.iter().chain(values).any(|text| text.contains("{service}"))
    }
}

/// A name as a check's host: without its last dot, but for the root.
pub(super) fn without_dot(name: &Name) -> Arc<str> {
    let text = name.to_string();
    text.strip_suffix('.').filter(|text| !text.is_empty()).unwrap_or(&text).into()
}
