//! The checked configuration: what every other room reads.
//!
//! Built by this room alone, so whoever holds a [`Config`] may rely on it: every site and probe a service
//! names exists, every service lies in a configured zone, every bound holds.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{AlertReceiver, Geo, Identity, ProbeKind, Tree};
use crate::dns::tsig::{Key, Keys};
use crate::dns::{Name, Network, RrType, SerialStyle};
use crate::model::{
    Access, Damping, HistoryBounds, Loading, Maintenance, Moving, Observed, ProbeTree, Safety, Told,
    VantageSetup, Wild,
};

/// A site's key in the configuration: `fra`.
pub type SiteId = Arc<str>;
/// A probe's key in the configuration: `web`.
pub type ProbeId = Arc<str>;

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

/// `[sites.KEY]`
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The key.
    pub id: SiteId,
    /// What people call it; the key when left out.
    pub name: String,
    /// Latitude and longitude in degrees.
    pub location: Option<[f64; 2]>,
    /// The load it can carry; services say what they add to it.
    pub capacity: Option<u32>,
}

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

/// One of a zone's `update` rules. An update is allowed what any of them allows who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRule {
    /// The key it must be signed with; without one, none is asked for.
    pub key: Option<Name>,
    /// Where it must come from; without one, from anywhere.
    pub from: Option<Network>,
    /// The owners it may be about; empty: all.
    pub names: Vec<Wild>,
    /// The types it may be about; empty: all but SOA, NS and DNAME.
    pub types: Vec<RrType>,
}

/// One steered owner name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The owner name.
    pub name: Name,
    /// The apex of the zone it lies in.
    pub zone: Name,
    /// How endpoints are picked.
    pub policy: PolicyKind,
    /// Seconds on answers while the endpoint in use is well.
    pub ttl: u32,
    /// Seconds on answers while the endpoint in use is Suspect.
    pub ttl_suspect: u32,
    /// Which probes must pass for a place to work.
    pub probes: ProbeTree,
    /// When a preferred endpoint that recovered is used again.
    pub failback: Failback,
    /// What is answered when no endpoint works.
    pub all_down: AllDown,
    /// The promise `detour check` holds the sum against.
    pub rto: Option<Duration>,
    /// What a move waits for, and how it is made.
    pub moving: Moving,
    /// In order of preference; never empty, each site once.
    pub endpoints: Vec<Endpoint>,
    /// How they are picked, where that is not failover in their order.
    pub tree: Option<Arc<Tree>>,
}

/// `policy`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// The first that works.
    Failover,
    /// Each that works, by its share.
    Weighted,
    /// The first that works in the order of the client's region.
    Geo,
    /// All that work, in one answer.
    All,
}

/// `failback`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// Once the preferred endpoint has been Up for this long.
    Auto {
        /// Counted from the sample that made it Up.
        hold: Duration,
    },
    /// When an operator says so.
    Manual,
}

/// `all_down`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllDown {
    /// The last answer stays.
    Keep,
    /// Every endpoint's addresses.
    All,
    /// The first endpoint.
    Primary,
    /// No record at all.
    Empty,
    /// These addresses.
    Fallback(Vec<IpAddr>),
}

/// A service at one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where.
    pub site: SiteId,
    /// What is answered and probed.
    pub target: Target,
    /// What is answered beside addresses: types and RDATA in wire form.
    pub records: Vec<(RrType, Box<[u8]>)>,
    /// Its share where a group's policy is `weighted`; zero: it is not used.
    pub weight: u32,
}

/// What an endpoint answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A and AAAA records; never both empty, no address twice.
    Addresses {
        /// In the file's order.
        v4: Vec<Ipv4Addr>,
        /// In the file's order.
        v6: Vec<Ipv6Addr>,
    },
    /// A CNAME record. Probes resolve it by the host's resolver.
    Cname(Name),
}
