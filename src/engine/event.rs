//! The engine's one door in, and what comes out of it.

#![allow(
    clippy::large_stack_arrays,
    reason = "what derives the schema of `Happened` lists its variants on the stack, once"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::saved::Saved;
use super::{Audit, Doubt};
use crate::condition;
use crate::dns::{Name, RrSet, RrType, Serial};
use crate::health::{Health, Sample, Warning};
use crate::model::{CheckKey, Config, Service, SiteId};
use crate::policy::{Decision, Override, Proposal, ProposalNews, Regions, Scope};
use crate::time::{Offset, Time};
use crate::zone::{Changeset, Laid, Zone};

/// Everything that can happen to the engine.
#[derive(Clone, Debug)]
pub enum Event {
    /// A configuration and its zone files were loaded, at start or by a reload; they are checked.
    Load(Load),
    /// The contents of zones of the configuration changed, by what came in for them and not by a file; or they
    /// are [not known](ZoneBase::is_hollow) any more.
    Contents(Vec<ZoneBase>),
    /// A probe ran.
    Sample(Sample),
    /// An operator spoke.
    Command(Command),
    /// The host's clock is so far ahead from now on: it was set, or this is a start.
    Clock(Offset),
    /// This process stood still for so long until now: it was stopped, or starved, or the machine was suspended, or it
    /// was busy with one thing. Said before any other event of that time, and nothing is late for that.
    Stalled(Duration),
    /// Time passed: an [`Effect::Wake`] is due.
    Tick,
}

/// What a load brings.
#[derive(Clone, Debug)]
pub struct Load {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// One for each zone in `config.zones` whose content is known, in that order; shared, as there may be many.
    pub zones: Vec<Arc<ZoneBase>>,
    /// For each service that tells clients apart, which endpoints they prefer. Whoever publishes has the map.
    pub regions: BTreeMap<Name, Arc<Regions>>,
    /// What the names of services answer that nothing was decided for.
    pub undecided: Undecided,
}

/// What the names of services answer until their first decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// At a start, nothing: for so long at most, then they are decided with what is known. Elsewhere what
    /// the zone file holds there.
    pub wait: Option<Duration>,
    /// What they answered before a reload, where the zone file holds nothing.
    pub answered: Vec<RrSet>,
}

impl Undecided {
    /// Whether there is nothing to it.
    pub fn is_default(&self) -> bool {
        *self == Undecided::default()
    }
}

impl Load {
    /// What a configuration and its zones, in its order, come to.
    pub fn of(config: Arc<Config>, zones: &[Zone], regions: BTreeMap<Name, Arc<Regions>>) -> Load {
        let services = services_by_zone(&config);
        let known = zones.iter().filter(|zone| !zone.is_empty());
        let base = |zone: &Zone| {
            let services = services.get(zone.apex()).map_or(&[][..], Vec::as_slice);
            ZoneBase::of(&Laid::plain(zone), zone.fingerprint(), services)
        };
        let zones = known.map(base).map(Arc::new).collect();
        Load { config, zones, regions, undecided: Undecided::default() }
    }
}

impl ZoneBase {
    /// Whether nothing is known of the zone any more: what its primary sent expired.
    pub fn is_hollow(&self) -> bool {
        self.soa.rdata.is_empty()
    }

    /// What the engine needs to know of this zone, whose fingerprint this is and whose services these are.
    pub fn of(zone: &Laid<'_>, fingerprint: u64, services: &[&Service]) -> ZoneBase {
        let at_services = Arc::new(AtServices::of(zone, services));
        ZoneBase { apex: zone.apex().clone(), soa: zone.soa(), fingerprint, edits: 0, at_services }
    }
}

impl AtServices {
    /// What a zone holds at the names of these services.
    fn of(zone: &Laid<'_>, services: &[&Service]) -> AtServices {
        let mut all = AtServices::default();
        for service in services {
            let types = replaced(service);
            for rtype in types.iter().filter(|rtype| !ALWAYS_REPLACED.contains(rtype)) {
                all.own_types = mix(all.own_types, service.name.as_wire());
                all.own_types = mix(all.own_types, &rtype.0.to_be_bytes());
            }
            by_name::add(
                &mut all.steered,
                types.iter().filter_map(|&rtype| zone.rrset(&service.name, rtype)),
            );
            // Who gets an answer of their own gets all there is at the name in it, but for what shapes the zone.
            if service.tree.is_some() || !service.moving.steps.is_empty() {
                let shapes = |rtype| matches!(rtype, RrType::SOA | RrType::NS | RrType::DNAME);
                let sets = zone.sets_at(&service.name).into_iter();
                let beside = sets.filter(|(rtype, _)| !shapes(*rtype) && !types.contains(rtype));
                by_name::add(&mut all.beside, beside.map(|(_, set)| set));
            }
        }
        all
    }
}

/// The services of each zone that has any, in the order of the configuration.
pub fn services_by_zone(config: &Config) -> BTreeMap<&Name, Vec<&Service>> {
    let mut zones: BTreeMap<&Name, Vec<&Service>> = BTreeMap::new();
    for service in &config.services {
        zones.entry(&service.zone).or_default().push(service);
    }
    zones
}

/// What the engine needs to know of a zone file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneBase {
    /// The apex.
    pub apex: Name,
    /// The file's SOA; its serial is the file's.
    pub soa: RrSet,
    /// Differs whenever the file's content does.
    pub fingerprint: u64,
    /// How many records differ from the file by updates.
    #[serde(default)]
    pub edits: usize,
    /// What it holds at the names of services; shared, as most changes leave that alone.
    #[serde(flatten)]
    pub at_services: Arc<AtServices>,
}

/// What a zone file holds at the names of services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtServices {
    /// The RRsets there that decisions replace: A, AAAA and CNAME, and the types of their endpoints' own records.
    #[serde(with = "by_name")]
    pub steered: BTreeMap<Name, Vec<RrSet>>,
    /// The other RRsets there, but for SOA, NS and DNAME: they stand beside whatever is decided.
    #[serde(with = "by_name")]
    pub beside: BTreeMap<Name, Vec<RrSet>>,
    /// Differs whenever the types do that decisions replace beside A, AAAA and CNAME, or the names where they
    /// do; 0 where there are none.
    #[serde(default)]
    pub own_types: u64,
}

/// RRsets by their owners; written as the RRsets.
mod by_name {
    use super::{BTreeMap, Deserialize, Name, RrSet, Serialize};

    pub fn add(names: &mut BTreeMap<Name, Vec<RrSet>>, sets: impl IntoIterator<Item = RrSet>) {
        for set in sets {
            names.entry(set.owner.clone()).or_default().push(set);
        }
    }

    pub fn serialize<S: serde::Serializer>(
        names: &BTreeMap<Name, Vec<RrSet>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        names.values().flatten().collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Name, Vec<RrSet>>, D::Error> {
        let mut names = BTreeMap::new();
        add(&mut names, Vec::deserialize(deserializer)?);
        Ok(names)
    }
}

/// What decisions replace at every steered name.
pub const ALWAYS_REPLACED: [RrType; 3] = [RrType::A, RrType::AAAA, RrType::CNAME];

/// What decisions replace at the name of a service: these types, and those of its endpoints' own records.
pub(super) fn replaced(service: &Service) -> BTreeSet<RrType> {
    let own = service.endpoints.iter().flat_map(|endpoint| &endpoint.records).map(|(rtype, _)| *rtype);
    ALWAYS_REPLACED.into_iter().chain(own).collect()
}

/// FNV-1a, which is the same in every process.
fn mix(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum ^ 0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Command {
    /// Who asks.
    pub who: String,
    /// Why; never empty.
    pub reason: String,
    /// What.
    pub action: Action,
}

/// The things an operator can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Sets an override; it takes the place of one on the same scope.
    Override {
        /// On what.
        scope: Scope,
        /// What.
        kind: crate::policy::OverrideKind,
        /// Until when.
        until: Option<Time>,
        /// Whether it is set although it breaks a safety rule, or takes the last endpoint that works.
        #[serde(default)]
        force: bool,
    },
    /// Clears the override on a scope.
    Clear {
        /// Of what.
        scope: Scope,
    },
    /// Moves a service to a site and latches it there until `Failback`; the site's failing later moves
    /// it on all the same.
    Failover {
        /// The service.
        service: Name,
        /// The site.
        #[schema(value_type = String)]
        to: SiteId,
    },
    /// Lets a service go back to the endpoint it prefers, without waiting for a hold or a latch.
    Failback {
        /// The service.
        service: Name,
    },
    /// Has a proposed move made, or all of them that wait.
    Approve {
        /// Its id; `None` is all.
        proposal: Option<u64>,
        /// Whether it is made although it takes a site over its capacity.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Has a proposed move not made, as long as its reason lasts.
    Reject {
        /// Its id.
        proposal: u64,
    },
}

/// What the daemon does for the engine, in this order: the `Save`s and `Record`s of a step are
/// committed as one transaction, then `Rebase` or `Publish` goes to the answer table, then the rest.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// State that outlives the process.
    Save(Saved),
    /// An entry of the history.
    Record(Happened),
    /// Lay these over the tables just compiled from the loaded files: one for each zone.
    Rebase(Vec<Changeset>),
    /// Publish zones whose contents are other ones, with this laid over what they hold now: the names at which
    /// decisions are laid over something else. A table that knows of no decision needs [`Engine::overlays`].
    ///
    /// [`Engine::overlays`]: super::Engine::overlays
    Renew(Vec<Changeset>),
    /// Change a published zone.
    Publish(Changeset),
    /// How fast a check is to be run from now on.
    Pace(CheckKey, Pace),
    /// Step again with [`Event::Tick`] at this time, unless a later `Wake` names another: the last one
    /// returned by a step is the only one that counts, and a step without one leaves it as it was.
    Wake(Time),
    /// The command was refused, and nothing changed.
    Refused(CommandError),
}

/// Which of its two intervals a check is run at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// `interval`
    #[default]
    Normal,
    /// `confirm`
    Confirm,
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such site.
    #[error("there is no site \"{0}\"; the configuration has {1}")]
    NoSite(SiteId, String),
    /// No such service.
    #[error("there is no service \"{0}\"; `detour status` lists them")]
    NoService(Name),
    /// The service has no endpoint there.
    #[error("service \"{0}\" has no endpoint at \"{1}\"; it has {2}")]
    NoEndpoint(Name, SiteId, String),
    /// Nothing to clear.
    #[error("there is no override on \"{0}\"")]
    NoOverride(Scope),
    /// A move to something that does not work.
    #[error("{0}")]
    NotUsable(String),
    /// Nothing of that id waits.
    #[error("there is no proposal {0}; those that wait: {1}")]
    NoProposal(u64, String),
    /// A safety rule would be broken.
    #[error("it would break a safety rule: {0}; --force does it all the same")]
    Unsafe(String),
    /// The last endpoint that works would be taken out, or all there are.
    #[error("{0}; --force does it all the same")]
    LastEndpoint(String),
    /// A site would carry more than it can.
    #[error("{0}; --force approves it all the same")]
    OverCapacity(String),
    /// A word that is neither a site nor a service.
    #[error("{0}")]
    NoTarget(String),
    /// An override must say why.
    #[error("an override needs a reason")]
    NoReason,
}

/// How many services a [`Bearing`] names: a site that dies takes thousands with it.
pub const MAX_BEARING: usize = 16;
/// How many services a load tells that are not configured any more.
pub const MAX_REMOVED: usize = 1_000;

/// What a check bears on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Bearing {
    /// Where the place it is put to is.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// The first [`MAX_BEARING`] of the services that need it.
    pub services: Vec<Name>,
    /// When the run began that changed its health; `None` where none did, but time or a canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Time>,
    /// Whether all of that is in maintenance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintained: bool,
}

/// What leads to a new serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Decisions.
    Decisions,
    /// The start, or a reload.
    Load,
    /// An UPDATE.
    Update,
    /// What the zone's primary sent.
    Transfer,
    /// A rollback.
    Rollback,
    /// Edits that were written into the zone's file.
    Freeze,
}

/// What history keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")] // an override has a field `kind` of its own
pub enum Happened {
    /// The daemon started; `fresh` without an earlier state.
    Started {
        /// Whether there was no earlier state.
        fresh: bool,
    },
    /// A configuration was taken up.
    Loaded {
        /// How many services.
        services: usize,
        /// How many zones.
        zones: usize,
        /// Checks that were not Up and are looked at no more: whoever waits for them to recover waits in vain.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        dropped: Vec<CheckKey>,
        /// Services that were decided and are not configured any more, the first [`MAX_REMOVED`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<Name>,
    },
    /// A configuration was refused; the last good one goes on.
    LoadRefused {
        /// Every problem, as `detour check` prints them.
        problems: String,
    },
    /// A probe ran.
    Sample(Sample),
    /// A check's health changed.
    Health {
        /// The check.
        check: CheckKey,
        /// Its health until now.
        from: Health,
        /// Its health from now on.
        to: Health,
        /// What made it so: `3 of 3 failed, connection refused`.
        because: String,
        /// Whose it is; `None` of a canary, and in what earlier versions wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Box<Bearing>>,
    },
    /// A check's runs succeed and warn of something, or do not any more.
    Warned {
        /// The check.
        check: CheckKey,
        /// Of what, at first; `None` where it is over.
        warning: Option<Warning>,
    },
    /// A service's answer changed, or the reason for it.
    Decision(Decision),
    /// A zone was published.
    Published {
        /// The zone.
        zone: Name,
        /// The serial before.
        from: Serial,
        /// The serial now.
        to: Serial,
        /// The decisions in it, by id.
        decisions: Vec<u64>,
        /// What led to it. The engine leaves it open, and what follows: who publishes knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Cause>,
        /// How many records went and how many came, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counts: Option<(usize, usize)>,
    },
    /// An UPDATE (RFC 2136) changed a zone.
    Updated {
        /// The zone.
        zone: Name,
        /// Who asked: the key's name, or the address where a rule asks for no key.
        who: String,
        /// RRs that went, as a master file has them; the first few where there are many.
        removed: Vec<String>,
        /// RRs that came.
        added: Vec<String>,
        /// How many RRs went or came beyond those.
        more: usize,
    },
    /// An UPDATE was refused, by a rule or a prerequisite.
    UpdateRefused {
        /// The zone.
        zone: Name,
        /// Who asked.
        who: String,
        /// Why.
        why: String,
    },
    /// A zone's edits were written into its file, and are none any more.
    Frozen {
        /// The zone.
        zone: Name,
        /// How many records.
        edits: usize,
        /// Who asked.
        who: String,
    },
    /// A zone holds again, as edits, what it held at an earlier serial.
    RolledBack {
        /// The zone.
        zone: Name,
        /// The earlier serial.
        to: Serial,
        /// Who asked.
        who: String,
        /// Why.
        reason: String,
        /// How many records went and how many came.
        counts: (usize, usize),
        /// Steered names that would have changed, too, and were left to decisions; the first few where there
        /// are many.
        left: Vec<Name>,
    },
    /// An operator's command was carried out.
    Command(Command),
    /// An override ran out.
    Expired(Override),
    /// A move was proposed, or its proposal ended without an operator.
    Proposal {
        /// What became of it.
        news: ProposalNews,
        /// The proposal.
        proposal: Proposal,
    },
    /// A move broke a safety rule that only warns.
    Limit {
        /// The service that moved.
        service: Name,
        /// Where to.
        #[schema(value_type = String)]
        to: SiteId,
        /// The rule, in words.
        limit: String,
    },
    /// A service's next endpoint could not take over any more, or can again.
    Standby {
        /// The service.
        service: Name,
        /// The next endpoint's site.
        #[schema(value_type = String)]
        site: SiteId,
        /// Why it could not; `None` where it can.
        unready: Option<String>,
    },
    /// A receiver took an alert.
    AlertSent {
        /// Who.
        receiver: String,
        /// What it says first.
        title: String,
        /// The site that all of it has in common.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        site: Option<SiteId>,
        /// The first few of the services it is about.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        services: Vec<Name>,
    },
    /// An alert was not delivered, and is not tried any more.
    AlertLost {
        /// To whom.
        receiver: String,
        /// What it would have said first.
        title: String,
        /// Why the last try failed.
        why: String,
    },
    /// The host's clock was set, while the daemon ran or since the last run.
    ClockSet {
        /// By how many milliseconds; back where it is negative.
        by_ms: i64,
    },
    /// A write was asked of the API, and carried out or not.
    Audit(Audit),
    /// The vantage began to doubt itself: no sample counts from now on.
    Doubt(Doubt),
    /// The doubt is over: samples of runs that begin from now on count again.
    Trust(Doubt),
    /// A condition that no other entry tells began, or is over.
    Condition(condition::Turn),
}

impl Happened {
    /// A zone was published; why, and how much of it changed, is open yet.
    pub fn published(zone: Name, from: Serial, to: Serial, decisions: Vec<u64>) -> Happened {
        Happened::Published { zone, from, to, decisions, by: None, counts: None }
    }
}
