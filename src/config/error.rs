//! What can be wrong with a configuration, each with its way out.

use std::net::IpAddr;
use std::time::Duration;

use super::advice::Advice;
use crate::dns::{Name, NameError, RrType};
use crate::model::{DurationError, MAX_PROBE_DEPTH, Rto, Seconds};
use crate::zone::Severity;

/// How much of a text from a file a message repeats, in characters.
const MAX_QUOTED: usize = 80;
/// How many of the known names a way out lists.
const MAX_LISTED: usize = 20;

/// One kind of problem. Its text names the thing; [`ConfigError::help`] names the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is, its fields are the message's")]
pub enum ConfigError {
    // -- the file --
    #[error("cannot read {what}: {why}")]
    Unreadable { what: String, why: String },
    #[error("the file is not UTF-8")]
    NotUtf8,
    #[error("not TOML: {0}")]
    Syntax(String),
    #[error("the file is {0}, and the configuration is TOML")]
    OtherLanguage(&'static str),
    #[error("this {0} is never closed")]
    Unclosed(char),
    #[error("{0}")]
    ZoneFile(String),
    #[error(transparent)]
    Advice(Advice),

    // -- keys and types --
    #[error("unknown key {key:?} in {within}")]
    UnknownKey { key: String, within: String, known: Known },
    #[error("{key:?} means nothing to {kind}")]
    ForeignKey { key: &'static str, kind: &'static str },
    #[error("{within} has no {key:?}")]
    MissingKey { key: &'static str, within: String, example: &'static str },
    #[error("{key:?} is {found}, not {wanted}")]
    WrongType { key: String, found: &'static str, wanted: &'static str },
    #[error("{key:?} is an empty list")]
    EmptyList { key: String },
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("{key:?} is empty")]
    EmptyText { key: String },
    #[error("{key:?} has a control character")]
    ControlCharacter { key: String },
    #[error("{key:?} is longer than {limit} bytes")]
    LongText { key: String, limit: usize },
    #[error("both \"name\" and \"names\"")]
    NameAndNames,

    // -- values --
    #[error("{key:?} is {value}, not between {min} and {max}")]
    OutOfRange { key: String, value: String, min: String, max: String },
    #[error("duration {text:?} {why}")]
    BadDuration { text: String, why: DurationError },
    #[error("{key:?} is zero")]
    Zero { key: String },
    #[error("{key:?} has a part of a second")]
    TtlFraction { key: String },
    #[error("{text:?} is not {wanted}")]
    Malformed { text: String, wanted: &'static str, example: &'static str },
    #[error("name {text:?} {why}")]
    BadName { text: String, why: NameError },
    #[error("name {text:?} has a character that is not printable ASCII")]
    ForeignName { text: String },
    #[error("{key} {value:?} is unknown")]
    UnknownWord { key: String, value: String, known: Known },
    #[error("{0} is not an address a host can have")]
    NotAHost(IpAddr),

    // -- server and control --
    #[error("{0} is listened on twice")]
    ListenTwice(String, usize),
    #[error("{0} is not a loopback address, and without tokens the API answers this host alone")]
    ControlNotLoopback(String),
    #[error("tokens go to {0} in clear text: whoever can read the way there can read them")]
    TokensInClear(String),
    #[error("everybody on this host can read the tokens' hashes in {file:?}")]
    TokensReadByAll { file: String },

    // -- keys --
    #[error("key \"{0}\" is configured twice")]
    KeyTwice(Name, usize),
    #[error("unknown key \"{0}\"")]
    UnknownKeyName(Name, Known),
    #[error("everybody on this host can read the secret {file:?}")]
    ReadByAll { file: String },

    // -- zones --
    #[error("\"forward_updates\" needs a \"primary\": updates are handed on to it")]
    ForwardWhere,
    #[error("{file}, which the primary of \"{zone}\" sent, cannot be used: {why}")]
    BadTransferred { zone: Name, file: String, why: String },
    #[error("zone \"{0}\" is configured twice")]
    ZoneTwice(Name, usize),
    #[error("the {rtype} records of {owner} take {size} bytes in an answer, and max_rrset_bytes is {max}")]
    LargeRrset { owner: Name, rtype: RrType, size: usize, max: usize },

    // -- probes --
    #[error("timeout {} is not below interval {}", Seconds(*timeout), Seconds(*interval))]
    TimeoutNotBelowInterval { timeout: Duration, interval: Duration },
    #[error("confirm {} is above interval {}", Seconds(*confirm), Seconds(*interval))]
    ConfirmAboveInterval { confirm: Duration, interval: Duration },
    #[error("window {window} is below fall {fall}")]
    WindowBelowFall { window: u32, fall: u32 },
    #[error("max_latency {} is not below timeout {}", Seconds(*max_latency), Seconds(*timeout))]
    MaxLatencyNotBelowTimeout { max_latency: Duration, timeout: Duration },
    #[error("header {name:?} is the probe's own to write")]
    OwnHeader { name: String },
    #[error("key {key:?} does not belong to certificate {certificate:?}")]
    KeyMismatch { key: String, certificate: String },
    #[error("grace {} is above interval {}", Seconds(*grace), Seconds(*interval))]
    GraceAboveInterval { grace: Duration, interval: Duration },
    #[error("{text:?} is not the data of one {rtype} record: {why}")]
    BadRecord { text: String, rtype: RrType, why: String },
    #[error("both {0:?} and {1:?}")]
    Beside(&'static str, &'static str),
    #[error("a step that neither sends nor expects")]
    IdleStep,
    #[error("{key:?} has none of {choices}, or several")]
    NotOneOf { key: String, choices: &'static str, example: &'static str },
    #[error("pattern {pattern:?}: {why}")]
    BadPattern { pattern: String, why: String },
    #[error("max_loss {max_loss} is not below count {count}")]
    LossNotBelowCount { max_loss: u32, count: u32 },
    #[error("the last echo request would leave {} after the first, which is not within timeout {}", Seconds(*last), Seconds(*timeout))]
    SpacingAboveTimeout { last: Duration, timeout: Duration },
    #[error("command {command:?}: {why}")]
    NoCommand { command: String, why: String },
    #[error("exit code {0} is listed twice")]
    ExitCodeTwice(u8, usize),
    #[error("unknown placeholder {placeholder:?}")]
    UnknownPlaceholder { placeholder: String, known: Known },

    // -- heartbeats --
    #[error("sites call in for service \"{0}\", and there is no [heartbeat] to call")]
    NobodyListens(Name),
    #[error("no token for service \"{service}\" at site {site:?}, from where a heartbeat is expected")]
    NoToken { service: Name, site: String },
    #[error("a token for service \"{service}\" at site {site:?}, from where no heartbeat is expected")]
    IdleToken { service: Name, site: String },

    // -- alerts --
    #[error("no service fits {0:?}")]
    NoServiceFits(String),
    #[error("security \"plain\" would send the password in clear text")]
    PasswordInClear,

    // -- damping --
    #[error("max_hold {} is below hold {}", Seconds(*max_hold), Seconds(*hold))]
    MaxHoldBelowHold { max_hold: Duration, hold: Duration },

    // -- vantage --
    #[error("there is no service \"{0}\"")]
    UnknownService(Name),
    #[error("a maintenance is of one site or of one service")]
    MaintenanceOfWhat,
    #[error("quorum {quorum} is more than there are canaries, {canaries}")]
    QuorumAboveCanaries { quorum: usize, canaries: usize },
    #[error("{0} is a service's address, not a canary's")]
    CanaryAtEndpoint(IpAddr),
    #[error("probe {0:?} has no host or name to ask a canary for")]
    CanaryWithoutHost(String),
    #[error("probe {0:?} waits for a site to call in, and a canary does not")]
    CanaryCallsIn(String),

    // -- moving --
    #[error("the steps of a failback do not grow up to 100")]
    StepsOutOfOrder,
    #[error("{0} is for policy failover, without members, groups and min_up")]
    ForFailover(&'static str),
    #[error(
        "load of a service with a geo group is not known: nobody knows how many clients are near which site"
    )]
    LoadByRegion,
    #[error("rto promises a time, and failover waits for an approval for as long as it takes")]
    RtoWithoutAnswer,

    // -- services --
    #[error("service \"{0}\" is configured twice")]
    ServiceTwice(Name, usize),
    #[error("service \"{0}\" lies in no configured zone")]
    OutsideZones(Name, Known),
    #[error("service \"{service}\" lies in \"{cut}\", which the zone file delegates")]
    Delegated { service: Name, cut: Name },
    #[error("service \"{service}\" lies below \"{dname}\", which the zone file redirects with a DNAME")]
    Redirected { service: Name, dname: Name },
    #[error("unknown probe {0:?}")]
    UnknownProbe(String, Known),
    #[error("probes are combined by one of \"all\", \"any\", and \"at_least\" with \"of\"")]
    ProbesUnclear,
    #[error("combinations of probes lie more than {MAX_PROBE_DEPTH} deep in one another")]
    ProbesTooDeep,
    #[error("probe {probe:?} has no host to ask for: service \"{service}\" is no host name")]
    NoHost { probe: String, service: Name },
    #[error("ttl_suspect {}s is above ttl {}s", ttl_suspect, ttl)]
    SuspectAboveTtl { ttl_suspect: u32, ttl: u32 },
    #[error("a worst case of {} exceeds rto {}", Seconds(sum.total), Seconds(*rto))]
    RtoExceeded { sum: Rto, rto: Duration },

    // -- groups and regions --
    #[error("unknown member {0:?}")]
    UnknownMember(String, Known),
    #[error("{0} is listed twice")]
    ListedTwice(String, usize),
    #[error("group {0:?} has the name of an endpoint's site")]
    GroupIsSite(String),
    #[error("{what} {id:?} is a member of no group that is used")]
    UnusedMember { what: &'static str, id: String },
    #[error("groups lie in each other more than {limit} deep, or in a circle")]
    GroupsTooDeep { limit: usize },
    #[error("min_up {min_up} is more than there are members to use, {members}")]
    MinUpAboveMembers { min_up: usize, members: usize },
    #[error("all members have a weight of 0")]
    NothingWeighs,
    #[error("a group of policy all has a member that shares clients out")]
    AllOfShares,
    #[error("policy all puts several endpoints into one answer, and one of them has a CNAME target")]
    AllPolicyWithCname,
    #[error("unknown geo {0:?}")]
    UnknownGeo(String, Known),
    #[error("a rule about what a database tells, and no database")]
    RuleWithoutDatabase,
    #[error("record {text:?}: {why}")]
    BadOwnRecord { text: String, why: String },
    #[error("endpoint {0:?} has records beside a CNAME target")]
    RecordsBesideCname(String),

    // -- endpoints --
    #[error("unknown site {0:?}")]
    UnknownSite(String, Known),
    #[error("site {0:?} has two endpoints")]
    SiteTwice(String, usize),
    #[error("endpoint {0:?} has neither addresses nor a CNAME target")]
    NoTarget(String),
    #[error("endpoint {0:?} has a CNAME target beside addresses")]
    CnameBesideAddresses(String),
    #[error("service \"{0}\" is its zone's apex, where no CNAME may stand")]
    CnameAtApex(Name),
    #[error("service \"{service}\" has a CNAME target, but the zone file holds {types} at that name")]
    CnameBesideOther { service: Name, types: String },
    #[error("CNAME target {label:?} is a single label, and CNAME targets are absolute names")]
    RelativeCname { label: String, guess: String },
    #[error("CNAME targets of services lead to each other: {0}")]
    CnameRing(String),
    #[error("the CNAME target is the service itself")]
    CnameToItself,
    #[error("all_down \"all\" with a CNAME target: a name has one CNAME and nothing beside it")]
    AllWithCname,
    #[error("address {address} is at two sites, {first} and {second}: it cannot fail over to itself")]
    AddressAtTwoSites { address: IpAddr, first: String, second: String },
    #[error("endpoint {site:?} has no {family} address, while {other:?} has one")]
    MixedFamilies { site: String, family: &'static str, other: String },
}

/// What `failback` may be.
pub(super) const FAILBACK: &str = "\"auto\", \"manual\", \"approve\" or a table";

/// What is written for a key that people guess: the right key, and an example.
pub(super) fn typed(key: &str) -> Option<(&'static str, &'static str)> {
    Some(match key {
        "address" | "addr" | "ip" | "ips" => ("addresses", "addresses = [\"192.0.2.10\"]"),
        "expect_status" | "status" | "status_code" | "status_codes" | "expected_status" => {
            ("expect", "expect = { status = [\"200-299\"] }")
        }
        "expect_body" | "body_contains" | "contains" => ("expect", "expect = { body = \"OK\" }"),
        "expect_headers" => ("expect", "expect = { headers = { x-state = \"ready\" } }"),
        "secret" => ("secret_file", "secret_file = \"keys/xfr\""),
        "password" => ("password_file", "password_file = \"mail.password\""),
        "routing_key" => ("routing_key_file", "routing_key_file = \"pagerduty.key\""),
        "probe" | "check" | "checks" => ("probes", "probes = [\"web\"]"),
        "backends" | "servers" | "targets" | "pools" => {
            ("endpoints", "endpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]")
        }
        _ => return None,
    })
}

/// The names that would have been right, and the one that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    nearest: Option<String>,
    listed: String,
}

impl ConfigError {
    /// Whether it stands in the way of a load.
    pub fn severity(&self) -> Severity {
        match self {
            ConfigError::Advice(_)
            | ConfigError::MixedFamilies { .. }
            | ConfigError::IdleToken { .. }
            | ConfigError::BadTransferred { .. }
            | ConfigError::TokensInClear(_)
            | ConfigError::TokensReadByAll { .. }
            | ConfigError::ReadByAll { .. } => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl Known {
    /// `names` as the alternatives to `given`.
    pub fn new<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Known {
        let names: Vec<&str> = names.into_iter().collect();
        let mut listed = names.iter().take(MAX_LISTED).copied().collect::<Vec<_>>().join(", ");
        if names.is_empty() {
            listed.push_str("none");
        } else if names.len() > MAX_LISTED {
            listed = format!("{listed} and {} more", names.len() - MAX_LISTED);
        }
        Known { nearest: nearest(given, &names).map(str::to_owned), listed }
    }

    /// Whether a name is among those that are listed.
    pub(super) fn lists(&self, name: &str) -> bool {
        self.listed.split(", ").any(|listed| listed == name)
    }

    pub(super) fn help(&self, title: &str) -> String {
        match &self.nearest {
            Some(nearest) => format!("did you mean {nearest:?}? {title}: {}", self.listed),
            None => format!("{title}: {}", self.listed),
        }
    }
}

/// A text of a file, short enough for a message.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether `given` is probably `name`, misspelt or guessed.
pub(super) fn is_meant(given: &str, name: &'static str) -> bool {
    given != name && (typed(given).is_some_and(|(key, _)| key == name) || nearest(given, &[name]).is_some())
}

/// The name that is most probably meant: one letter in four is wrong, and one more.
fn nearest<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    if given.len() > MAX_QUOTED {
        return None;
    }
    let near = |name: &str| (1 + name.len() / 4).min(name.len().saturating_sub(1));
    names
        .iter()
        .filter(|name| name.len().abs_diff(given.len()) <= near(name))
        .map(|name| (distance(given, name), *name))
        .filter(|(distance, name)| *distance <= near(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from one text to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let by_swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(by_swap)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_what_was_meant() {
        let known = ["interval", "timeout", "confirm", "port", "fra", "a"];
        let check = |given: &str, want| assert_eq!(nearest(given, &known), want, "{given}");
        check("intervall", Some("interval"));
        check("itnerval", Some("interval"));
        check("time-out", Some("timeout"));
        check("frq", Some("fra"));
        check("prot", Some("port"));
        check("b", None);
        check("threshold", None);
        check("", None);
        check(&"x".repeat(10_000), None);
    }

    #[test]
    fn lists_are_bounded() {
        let names: Vec<String> = (0..50).map(|n| format!("site{n}")).collect();
        let known = Known::new("zzz", names.iter().map(String::as_str));
        assert!(known.help("sites").ends_with("site19 and 30 more"));
        assert_eq!(Known::new("x", []).help("sites"), "sites: none");
    }

    #[test]
    fn quotes_are_bounded() {
        assert_eq!(short("ä"), "ä");
        assert_eq!(short(&"ä".repeat(500)).chars().count(), MAX_QUOTED + 1);
    }
}
