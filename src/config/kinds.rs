//! What probes speak, type by type.

use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::check_key::without_dot;
use crate::zone::{Name, RrType};

/// How much of a body a probe reads, in bytes.
pub const MAX_BODY_READ: usize = 64 * 1024;
/// The most a compiled [`Pattern`] may take, in bytes, and the most a search in it may keep.
const MAX_PATTERN: usize = 1 << 20;

/// What a probe speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// One request, one answer, over plain TCP or TLS.
    Http(HttpProbe),
    /// A connect is enough.
    Tcp,
    /// A handshake is enough.
    Tls(TlsProbe),
    /// One question, one answer.
    Dns(DnsProbe),
    /// The site calls in; its probe's `timeout` is the grace, and its port means nothing.
    Heartbeat,
}

impl ProbeKind {
    /// The name an endpoint is asked by, for types that carry one: `Some(None)` is the service's own.
    pub fn host(&self) -> Option<Option<Arc<str>>> {
        match self {
            ProbeKind::Http(http) => Some(http.host.as_deref().map(Arc::from)),
            ProbeKind::Tls(probe) => Some(probe.tls.server_name.as_deref().map(Arc::from)),
            ProbeKind::Dns(dns) => Some(dns.name.as_ref().map(without_dot)),
            // Whoever calls in speaks for one service, so services never share this check.
            ProbeKind::Heartbeat => Some(None),
            ProbeKind::Tcp => None,
        }
    }

    /// How TLS is spoken, for types that speak it.
    pub fn tls(&self) -> Option<&Arc<TlsOptions>> {
        match self {
            ProbeKind::Http(http) => http.tls.as_ref(),
            ProbeKind::Tls(probe) => Some(&probe.tls),
            ProbeKind::Tcp | ProbeKind::Dns(_) | ProbeKind::Heartbeat => None,
        }
    }

    /// How long a run may take that is a success otherwise.
    pub fn max_latency(&self) -> Option<Duration> {
        match self {
            ProbeKind::Http(http) => http.max_latency,
            ProbeKind::Tls(probe) => probe.max_latency,
            ProbeKind::Tcp | ProbeKind::Dns(_) | ProbeKind::Heartbeat => None,
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

/// A regular expression over bytes, whose search takes time linear in what is searched.
#[derive(Clone, Debug)]
pub struct Pattern(regex::bytes::Regex);

impl Pattern {
    /// Compiles a pattern. Classes and case are those of ASCII. Errors: why it is none, in one line.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let mut builder = regex::bytes::RegexBuilder::new(text);
        builder.unicode(false).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
        builder.build().map(Pattern).map_err(|why| match why {
            regex::Error::CompiledTooBig(_) => "it is too large once compiled".into(),
            // The last line of several is what is wrong; those before draw where.
            why => why.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").into(),
        })
    }

    /// Whether something in `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

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

/// `certificate` and `key`, which belong together.
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
    /// The expected response code, an index into [`RCODES`].
    pub rcode: u8,
    /// What the answer's AA bit must be.
    pub authoritative: Option<bool>,
    /// RDATA in wire form, names expanded and in lower case; empty where any will do.
    pub records: Vec<Box<[u8]>>,
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

/// Response codes by number (IANA, "DNS RCODEs").
pub const RCODES: [&str; 11] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
    "NOTAUTH", "NOTZONE",
];
