//! A service's policy in words, as `explain` and the API tell it.

use std::fmt;
use std::time::Duration;

use super::duration::Seconds;
use super::{AllDown, Endpoint, Failback, Member, Of, PolicyKind, Service, Tree};
use crate::model::{Approval, Families, Moving, Unanswered};

impl Service {
    /// `failover: fra, iad; failback auto after 60s; all_down keep; TTL 30s, 5s while Suspect`
    pub fn policy_in_words(&self) -> String {
        let sites: Vec<&str> = self.endpoints.iter().map(|endpoint| &*endpoint.site).collect();
        let seconds = |ttl: u32| Seconds(Duration::from_secs(ttl.into()));
        format!(
            "{}: {}{}; failback {}{}; all_down {}{}; TTL {}, {} while Suspect",
            self.policy,
            self.tree.as_ref().map_or_else(|| sites.join(", "), |tree| in_words(tree, 0, &self.endpoints)),
            self.moving.failover_in_words(),
            self.failback,
            self.moving.failback_in_words(),
            self.all_down,
            if self.moving.families == Families::Together { "; families together" } else { "" },
            seconds(self.ttl),
            seconds(self.ttl_suspect),
        )
    }
}

/// `eu (failover: fra, ams), iad`; `fra 3, iad 1, each client's network keeps its share`
fn in_words(tree: &Tree, at: usize, endpoints: &[Endpoint]) -> String {
    let group = &tree.groups[at];
    let member = |member: &Member| {
        let id = tree.id(*member, endpoints);
        let weight =
            if group.policy == PolicyKind::Weighted { format!(" {}", member.weight) } else { String::new() };
        match member.of {
            Of::Endpoint(_) => format!("{id}{weight}"),
            Of::Group(below) => {
                let policy = tree.groups[below].policy;
                format!("{id}{weight} ({policy}: {})", in_words(tree, below, endpoints))
            }
        }
    };
    let mut words = group.members.iter().map(member).collect::<Vec<_>>().join(", ");
    if group.min_up > 1 {
        words = format!("{words}, at least {} up", group.min_up);
    }
    if at == 0 && tree.sticky {
        words.push_str(", each client's network keeps its share");
    }
    words
}

impl Moving {
    /// `; failover after 10s Down, by approval within 600s, else it moves`; nothing where it moves at once.
    fn failover_in_words(&self) -> String {
        let mut parts = Vec::new();
        if !self.delay.is_zero() {
            parts.push(format!("after {} Down", Seconds(self.delay)));
        }
        if let Some(Approval { wait, unanswered }) = self.approval {
            let else_ = if unanswered == Unanswered::Move { "moves" } else { "stays" };
            parts.push(format!("by approval within {}, else it {else_}", Seconds(wait)));
        }
        if parts.is_empty() { String::new() } else { format!("; failover {}", parts.join(", ")) }
    }

    /// ` by approval, in steps of 1 %, 10 %, 100 %, each 60s`; nothing where all go back at once.
    fn failback_in_words(&self) -> String {
        let mut words = if self.approve_failback { " by approval".to_owned() } else { String::new() };
        if !self.steps.is_empty() {
            let steps: Vec<String> = self.steps.iter().map(|step| format!("{step} %")).collect();
            let hold = Seconds(self.step_hold);
            words = format!("{words}, in steps of {}, 100 %, each {hold}", steps.join(", "));
        }
        words
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyKind::Failover => f.write_str("failover"),
            PolicyKind::Weighted => f.write_str("weighted"),
            PolicyKind::Geo => f.write_str("geo"),
            PolicyKind::All => f.write_str("all"),
        }
    }
}

impl fmt::Display for Failback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failback::Auto { hold } => write!(f, "auto after {}", Seconds(*hold)),
            Failback::Manual => f.write_str("manual"),
        }
    }
}

impl fmt::Display for AllDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllDown::Keep => f.write_str("keep"),
            AllDown::All => f.write_str("all"),
            AllDown::Primary => f.write_str("primary"),
            AllDown::Empty => f.write_str("empty"),
            AllDown::Fallback(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "fallback {}", addresses.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Endpoint, Probe, ProbeKind, Target, Thresholds};
    use super::*;
    use crate::dns::Name;

    fn service(failback: Failback, all_down: AllDown) -> Service {
        let name: Name = "app.example.com".parse().unwrap();
        let thresholds = Thresholds { fall: 3, rise: 2, window: None };
        let second = Duration::from_secs(1);
        let probe = Probe {
            id: "web".into(),
            kind: ProbeKind::Tcp(super::super::TcpProbe::default()),
            port: 80,
            interval: second,
            confirm: second,
            timeout: second,
            thresholds,
            damping: None,
            watch: false,
        };
        let endpoint = |site: &str, last| Endpoint {
            site: site.into(),
            target: Target::Addresses { v4: vec![[192, 0, 2, last].into()], v6: vec![] },
            records: vec![],
            weight: 1,
        };
        Service {
            zone: name.clone(),
            name,
            policy: PolicyKind::Failover,
            ttl: 30,
            ttl_suspect: 5,
            probes: vec![Arc::new(probe)].into(),
            failback,
            all_down,
            rto: None,
            moving: Moving::default(),
            endpoints: vec![endpoint("fra", 1), endpoint("iad", 2)],
            tree: None,
        }
    }

    #[test]
    fn tells_the_whole_policy() {
        let check = |failback, all_down, expect: &str| {
            assert_eq!(service(failback, all_down).policy_in_words(), expect);
        };
        let hold = Duration::from_secs(60);
        check(
            Failback::Auto { hold },
            AllDown::Keep,
            "failover: fra, iad; failback auto after 60s; all_down keep; TTL 30s, 5s while Suspect",
        );
        check(
            Failback::Manual,
            AllDown::Fallback(vec![[192, 0, 2, 99].into()]),
            "failover: fra, iad; failback manual; all_down fallback 192.0.2.99; TTL 30s, 5s while Suspect",
        );
    }
}
