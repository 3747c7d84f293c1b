//! The way out of each problem of a configuration.

use super::error::{ConfigError, FAILBACK, typed};
use super::secrets::MASK;
use crate::model::DurationError;

impl ConfigError {
    /// The way out, where the message alone does not show it.
    pub fn help(&self) -> Option<String> {
        use ConfigError as E;
        Some(match self {
            E::UnknownKey { key, known, .. } => match typed(key).filter(|(key, _)| known.lists(key)) {
                Some((_, example)) => format!("write {example}"),
                None => known.help("known keys"),
            },
            E::ServiceTwice(_, line)
            | E::ZoneTwice(_, line)
            | E::ListenTwice(_, line)
            | E::KeyTwice(_, line)
            | E::ListedTwice(_, line)
            | E::SiteTwice(_, line) => format!("the first is on line {line}; delete one of them"),
            E::ExitCodeTwice(_, line) => {
                format!(
                    "the first is on line {line}; a code either passes, fails, or is discarded: keep it in one list"
                )
            }
            E::WrongType { key, found: "a string", wanted: "a list" } => {
                let example = if key == "listen" { "[::]:53" } else { "..." };
                format!("put it into a list, as in {key} = [\"{example}\"]")
            }
            E::WrongType { key, found: "a list", .. } => {
                format!("it takes one value: write {key} without brackets")
            }
            E::Unclosed('[') => "add the ] that ends it".to_owned(),
            E::Unclosed(_) => "add the } that ends it".to_owned(),
            E::UnknownWord { known, .. } => known.help("supported"),
            E::OutsideZones(_, known) => known.help("configured zones"),
            E::UnknownProbe(_, known) => known.help("configured probes"),
            E::UnknownKeyName(_, known) => known.help("configured keys"),
            E::UnknownPlaceholder { known, .. } => known.help("placeholders"),
            E::UnknownMember(_, known) => known.help("endpoints and groups"),
            E::UnknownGeo(_, known) => known.help("configured"),
            E::UnknownSite(_, known) => known.help("configured sites"),
            E::MissingKey { example, .. } => format!("add {example}"),
            E::Malformed { example, .. } | E::NotOneOf { example, .. } => format!("write it like {example}"),
            E::RelativeCname { guess, .. } if !guess.is_empty() => {
                format!("did you mean {:?}?", guess.trim_end_matches('.'))
            }
            E::Advice(advice) => advice.help(),
            E::Unreadable { what, .. } if what.contains(MASK) => {
                "this key names a file: write the secret into a file of its own, and that file's name here"
                    .to_owned()
            }
            E::RtoExceeded { sum, .. } if sum.negative.is_some() => {
                format!("{sum}; lower the minimum of the zone's SOA (its last number), or raise rto")
            }
            E::RtoExceeded { sum, .. } => {
                format!("{sum}; lower ttl, interval, timeout or fall, or raise rto")
            }
            other => {
                let fixed = other.value_help().or_else(|| other.probe_help());
                fixed.or_else(|| other.service_help()).or_else(|| other.zone_help())?.to_owned()
            }
        })
    }

    /// Of how values are written, and of the daemon itself.
    fn value_help(&self) -> Option<&'static str> {
        use ConfigError as E;
        Some(match self {
            E::ForeignKey { .. } => "leave it out",
            E::WrongType { wanted: "a duration", .. } => {
                "durations are strings, as in \"500ms\", \"5s\" or \"1h\""
            }
            E::WrongType { found: "a table", wanted: "a list", .. } => {
                "a table that can be repeated has two brackets, as in [[service]]"
            }
            E::WrongType { wanted: FAILBACK, .. } => {
                "write failback = \"manual\", or failback = { mode = \"auto\", hold = \"60s\" }"
            }
            E::OtherLanguage(_) => {
                "write sections like [server], and in them key = value, as in nsid = \"ns1\""
            }
            E::EmptyList { .. } => "name at least one, or leave the key out where it may be left out",
            E::NameAndNames => "keep one of them: \"names\" takes any number of names",
            E::BadDuration { why: DurationError::NoUnit | DurationError::BadUnit, .. } => {
                "durations are a number and a unit, as in \"500ms\", \"5s\" or \"1h\""
            }
            E::TtlFraction { .. } => "TTLs are whole seconds",
            E::ForeignName { .. } => "write names outside ASCII in their xn-- form",
            E::ControlNotLoopback(_) => {
                "add tokens = \"tokens\", made by `detour token new`, or listen on loopback, as in \"127.0.0.1:8053\""
            }
            E::TokensInClear(_) => "add tls = { certificate = \"server.pem\", key = \"server.key\" }",
            E::Beside(..) => "keep one of them",
            E::ReadByAll { .. } | E::TokensReadByAll { .. } => "take that right away, as with chmod o-r",
            E::PasswordInClear => "use security \"starttls\" or \"tls\", or a server on loopback",
            _ => return None,
        })
    }

    /// Of probes, heartbeats and canaries.
    fn probe_help(&self) -> Option<&'static str> {
        use ConfigError as E;
        Some(match self {
            E::TimeoutNotBelowInterval { .. } => {
                "a run has to end before the next begins: lower timeout or raise interval"
            }
            E::ConfirmAboveInterval { .. } => "confirm is the faster pace: lower it",
            E::MaxLatencyNotBelowTimeout { .. } => {
                "a run that takes as long has timed out already: lower max_latency or raise timeout"
            }
            E::OwnHeader { .. } => "leave it out; Host has its own key, \"host\"",
            E::KeyMismatch { .. } => "name the key that the certificate was made with",
            E::GraceAboveInterval { .. } => "grace is for a beat that is late, not for one that is missed",
            E::NobodyListens(_) => "add [heartbeat] with listen and tokens",
            E::NoToken { .. } => "add a line \"service site token\", the token at least 16 random characters",
            E::IdleToken { .. } => "take the line away, or list a heartbeat probe at the service",
            E::WindowBelowFall { .. } => "fall counts failures among the last `window` samples: raise window",
            E::IdleStep => "give it send, send_hex or expect",
            E::BadPattern { .. } => {
                "the syntax is that of the regex crate; in TOML a pattern is easiest in 'single quotes'"
            }
            E::LossNotBelowCount { .. } => "at least one reply has to come: lower max_loss or raise count",
            E::SpacingAboveTimeout { .. } => "lower spacing or count, or raise timeout",
            E::NoCommand { .. } => {
                "command is a list: the path of a program on this host, then its arguments"
            }
            E::ProbesUnclear => {
                "write { any = [\"a\", \"b\"] }, or { at_least = 2, of = [\"a\", \"b\", \"c\"] }"
            }
            E::ProbesTooDeep => "combine fewer",
            E::MaxHoldBelowHold { .. } => "holds grow from hold to max_hold: raise max_hold",
            E::QuorumAboveCanaries { .. } => {
                "quorum is how many canaries must work: lower it, or add canaries"
            }
            E::CanaryAtEndpoint(_) => {
                "a site that fails must not count as a fault of this host: name another address"
            }
            E::CanaryCallsIn(_) => "name a probe that asks",
            E::CanaryWithoutHost(_) => "set it at the probe: a canary has no service to take it from",
            E::NoHost { .. } => "set \"host\" at the probe",
            _ => return None,
        })
    }

    /// Of services, their endpoints and groups.
    fn service_help(&self) -> Option<&'static str> {
        use ConfigError as E;
        Some(match self {
            E::StepsOutOfOrder => {
                "percents of clients, each above the one before, as in steps = [1, 10, 100]"
            }
            E::ForFailover(_) => {
                "leave it out: there is no one endpoint that all clients of this service use"
            }
            E::LoadByRegion => "leave it out, and watch the sites' own load",
            E::RtoWithoutAnswer => "set unanswered = \"move\", or take rto away",
            E::NoServiceFits(_) => {
                "name a service of this file, or with \"*.example.com\" all that lie below a name"
            }
            E::UnknownService(_) => "name a service of this file, as its [[service]] does",
            E::MaintenanceOfWhat => "add site = \"fra\" or service = \"app.example.com\", not both",
            E::SuspectAboveTtl { .. } => "ttl_suspect is there to shorten caching: lower it",
            E::GroupIsSite(_) => "members are told apart by name: give the group another one",
            E::UnusedMember { .. } => "list it in \"members\" of the service or of a group, or take it away",
            E::GroupsTooDeep { .. } => {
                "take a group out of its own members, or put its members where it stands"
            }
            E::MinUpAboveMembers { .. } => "it would never be up: lower min_up, or add members",
            E::NothingWeighs => "give at least one a weight above 0",
            E::AllOfShares => {
                "members of an all group are endpoints, or groups of policy failover, geo or all (without pick = \"rotate\" or slow_start)"
            }
            E::AllPolicyWithCname => {
                "give the endpoint addresses, or use another policy: a CNAME stands alone (RFC 1034 section 3.6.2)"
            }
            E::RuleWithoutDatabase => "add databases = [\"GeoLite2-City.mmdb\"], or name networks",
            E::BadOwnRecord { .. } => {
                "write a type and its data as in a zone file, as in \"MX 10 mail.example.com.\", without owner and TTL"
            }
            E::NoTarget(_) => "add addresses = [\"192.0.2.10\"], or cname = \"lb.example.net\"",
            E::CnameBesideAddresses(_) => {
                "keep one of them: nothing stands beside a CNAME (RFC 1034 section 3.6.2)"
            }
            E::CnameAtApex(_) | E::CnameBesideOther { .. } | E::RecordsBesideCname(_) => {
                "give the endpoint addresses: nothing stands beside a CNAME (RFC 1034 section 3.6.2)"
            }
            E::RelativeCname { .. } => "write the whole name, as in \"lb.example.net\"",
            E::CnameRing(_) => "let one of them lead to a name outside the ring, or give it addresses",
            E::AllWithCname => "use all_down \"keep\", \"primary\", \"empty\" or a fallback",
            E::MixedFamilies { .. } => "clients of that family have no answer while this endpoint is served",
            E::AddressAtTwoSites { .. } => "each endpoint needs addresses of its own",
            _ => return None,
        })
    }

    /// Of zones and their records.
    fn zone_help(&self) -> Option<&'static str> {
        use ConfigError as E;
        Some(match self {
            E::BadRecord { .. } => {
                "write it as in a zone file, without owner, TTL and type, as in \"10 mail.example.com.\""
            }
            E::ForwardWhere => "give the zone a primary, or rules of its own: update = [{ key = \"acme\" }]",
            E::LargeRrset { .. } => "take some of them out of the zone file, or raise max_rrset_bytes",
            E::BadTransferred { .. } => "it is transferred again, and not answered from until then",
            E::Delegated { .. } | E::Redirected { .. } => {
                "its records would never be answered: configure that zone, or take the record out of the file"
            }
            _ => return None,
        })
    }
}
