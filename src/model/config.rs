//! The checked configuration: what every other room reads.
//!
//! Built by this room alone, so whoever holds a [`Config`] may rely on it: every site and probe a service
//! names exists, every service lies in a configured zone, every bound holds.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Access, AlertReceiver, Check, CheckKey, Endpoint, Geo, HistoryBounds, Identity, Loading, Maintenance,
    Observed, Probe, Safety, Service, Site, SiteId, Told, UpdateRule, VantageSetup,
};
use crate::dns::tsig::{Key, Keys};
use crate::dns::{Name, SerialStyle};

/// One checked configuration file.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from, absolute.
    pub path: PathBuf,
    /// `[server]`
    pub server: Server,
    /// `[control]`
    pub control: Control,
    /// `[heartbeat]`; there is none where no site calls in.
    pub heartbeat: Option<Heartbeat>,
    /// `[sites.*]`, in the file's order.
    pub sites: Vec<Site>,
    /// `[probes.*]`, in the file's order.
    pub probes: Vec<Arc<Probe>>,
    /// `[[zone]]`; and last, where there is one, the catalog.
    pub zones: Vec<ZoneSource>,
    /// `[catalog]`: the name of the zone that lists the others.
    pub catalog: Option<Name>,
    /// By zone, for how many seconds resolvers keep that it has no such record; of zones whose contents were
    /// known when this was loaded.
    pub negative_ttls: BTreeMap<Name, u32>,
    /// `[[service]]`, one for each name: a service with several `names` is several here.
    pub services: Vec<Arc<Service>>,
    /// `[vantage]`
    pub vantage: VantageSetup,
    /// `[[maintenance]]`
    pub maintenance: Vec<Maintenance>,
    /// `[history]`
    pub history: HistoryBounds,
    /// `[log]`, `[metrics]`, `[query_log]`, `[dnstap]`, `[otlp]`
    pub observed: Observed,
    /// `[geo.*]`, in the file's order.
    pub geo: Vec<Arc<Geo>>,
    /// `[safety]`
    pub safety: Safety,
    /// `[keys.*]`
    pub keys: Arc<Keys>,
    /// Who is told, in the file's order.
    pub alerts: Vec<Arc<AlertReceiver>>,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// UDP and TCP addresses; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Where the state file lives, absolute.
    pub state_dir: PathBuf,
    /// UDP workers, at least 1.
    pub threads: usize,
    /// The name server's identifier (RFC 5001).
    pub nsid: Option<String>,
    /// Whether questions of class CH for the version and the name are answered.
    pub chaos: bool,
    /// What DNS cookies are made with; without it the daemon draws a secret of its own at each start.
    pub cookie_secrets: Option<CookieSecrets>,
    /// In which order an answer holds the records of its RRset.
    pub rrset_order: RrsetOrder,
    /// How many answers over UDP one network gets; without it, as many as it asks for, on every listener.
    pub rate_limit: Option<RateLimit>,
    /// How many changes of each zone are kept for who asks for what changed.
    pub journal: usize,
    /// Commands of `exec` probes that run at once, at least 1.
    pub max_exec: usize,
    /// Folders that zone files may include files from, beside their own; absolute.
    pub include_folders: Vec<PathBuf>,
    /// How it starts, and when it loads its files again.
    pub loading: Loading,
}

/// `[server.rate_limit]`: answers a second to one network, by kind; zero is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Answers about one name.
    pub responses: u32,
    /// Answers that one name has no such type.
    pub nodata: u32,
    /// Answers that names of one zone are not there.
    pub nxdomains: u32,
    /// Referrals to one delegation.
    pub referrals: u32,
    /// Errors.
    pub errors: u32,
    /// Every which of the answers over a limit is sent small; zero is none.
    pub slip: u32,
    /// How much of its rate a client may use at once; at least a second.
    pub window: Duration,
    /// The bits that make an IPv4 network, 1 to 32.
    pub v4_bits: u8,
    /// The bits that make an IPv6 network, 1 to 128.
    pub v6_bits: u8,
    /// Networks without a limit: an address and how many of its bits count.
    pub exempt: Vec<(IpAddr, u8)>,
    /// Whether primaries, and who is told of a zone or may transfer it, have none either.
    pub exempt_peers: bool,
    /// The addresses of `listen` that it holds for.
    pub listeners: Vec<IpAddr>,
    /// Accounts kept.
    pub table_size: usize,
}

/// `rrset_order`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RrsetOrder {
    /// That of the zone file or the decision.
    Fixed,
    /// Beginning with another record each time.
    Rotate,
}

/// The secrets of DNS cookies (RFC 9018), shared by all servers of an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieSecrets {
    /// Cookies are made with this one.
    pub current: [u8; 16],
    /// Cookies made with this one are good too.
    pub other: Option<[u8; 16]>,
}

/// Secrets are not for logs.
impl fmt::Debug for CookieSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieSecrets").finish_non_exhaustive()
    }
}

/// `[control]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Where the HTTP API, the health of the daemon and the metrics are served.
    pub listen: SocketAddr,
    /// Who may; never empty. Without it, whoever is on this host.
    pub tokens: Option<Arc<[ApiToken]>>,
    /// What the listener shows of itself; without it, it speaks in clear text.
    pub tls: Option<Arc<Identity>>,
}

/// The right to use the API.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Who it is given to: `ana`, `prometheus`.
    pub name: Arc<str>,
    /// What they may.
    pub role: ApiRole,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
}

/// Hashes are not for logs.
impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({} {}, ..)", self.name, self.role)
    }
}

/// What a token's holder may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiRole {
    /// Read.
    Viewer,
    /// Read and write.
    Operator,
}

impl ApiRole {
    /// By its word.
    pub fn of(word: &str) -> Option<ApiRole> {
        [ApiRole::Viewer, ApiRole::Operator].into_iter().find(|role| role.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            ApiRole::Viewer => "viewer",
            ApiRole::Operator => "operator",
        }
    }
}

impl fmt::Display for ApiRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// `[heartbeat]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Where sites call in.
    pub listen: SocketAddr,
    /// Who may, for what; never empty.
    pub tokens: Vec<BeatToken>,
    /// What the listener shows of itself; without it, calls come in clear text.
    pub tls: Option<Arc<Identity>>,
}

/// The right to call in for one endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct BeatToken {
    /// The service.
    pub service: Name,
    /// The site.
    pub site: SiteId,
    /// The secret.
    pub token: Arc<str>,
}

/// Secrets are not for logs.
impl fmt::Debug for BeatToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BeatToken({}@{}, ..)", self.service, self.site)
    }
}

/// `[[zone]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSource {
    /// The apex.
    pub name: Name,
    /// The master file, absolute; of a zone with primaries the one that keeps what they sent, once they have.
    pub file: PathBuf,
    /// Who may have it transferred.
    pub transfer: Access,
    /// Whom its changes are told to.
    pub notify: Told,
    /// Where it is transferred from, in order of preference; empty where the file is the operator's own.
    pub primaries: Vec<Primary>,
    /// Who may change what by UPDATE; without a rule, nobody.
    pub update: Vec<UpdateRule>,
    /// Whose updates are handed on to a primary.
    pub forward_updates: Access,
    /// How its serials go on.
    pub serial: SerialStyle,
    /// The largest [`RrSet::size`](crate::dns::RrSet::size), in bytes.
    pub max_rrset_bytes: usize,
    /// How many bytes of memory its edits may take.
    pub max_edits: usize,
}

impl ZoneSource {
    /// Whether it comes from a primary.
    pub fn is_transferred(&self) -> bool {
        !self.primaries.is_empty()
    }
}

/// A server that a zone is transferred from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Where it answers, over UDP and TCP.
    pub address: SocketAddr,
    /// What both sign with.
    pub key: Option<Arc<Key>>,
}

impl Config {
    /// Every check this configuration asks for, each once, in a stable order.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        for service in &self.services {
            for probe in service.probes.leaves() {
                let places = service.endpoints.iter().flat_map(Endpoint::places);
                let keys = places.map(|whereto| CheckKey::of(service, probe, whereto));
                checks.extend(keys.map(|key| Check { key, probe: probe.clone() }));
            }
        }
        checks.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        checks.dedup_by(|a, b| a.key == b.key);
        checks
    }
}
