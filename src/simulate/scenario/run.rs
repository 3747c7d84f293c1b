//! Drives the pure engine with a scenario.

use std::time::Duration;

use crate::dns::{RrSet, Serial};
use crate::engine::{Action, COALESCE, Command, Effect, Event, Load, ServiceView};
use crate::health::{Detail, Discard, Failure, Sample, Vantage};
use crate::model::{CheckKey, SiteId, Whereto};
use crate::policy::{OverrideKind, Proposal, ProposalState, Scope};
use crate::zone::BUCKETS;

use super::language::{Count, Expect, Hold, Outcome, Scenario, Step, What, Wrong};
use super::load::{load, name, rrset};
use super::table::Maps;
use super::world::{World, zero};
use crate::time::Time;

/// How far a share in percent may be from what is expected: shares are met as lots meet them.
const TOLERANCE: u32 = 3;

/// What a run has to tell, as it happens.
#[derive(Debug)]
pub enum Told<'a> {
    /// A line is about to be played.
    Line(&'a Step),
    /// What came of the engine.
    Effect(Time, &'a Effect),
}

/// Plays a scenario from `load` on, which is what its setup comes to or a configuration of its own;
/// `maps` are those of a configuration with databases. Gives
/// how many expectations there were, all of which hold, or the first thing that is not as expected.
pub fn run(
    scenario: Scenario,
    load: Load,
    maps: Option<Maps>,
    mut tell: impl FnMut(Told),
) -> Result<usize, Wrong> {
    let mut run = Run::new(load, maps);
    let mut expectations = 0;
    for step in scenario.steps {
        let line = step.line;
        tell(Told::Line(&step));
        if let What::Expect(expect) = step.what {
            expectations += 1;
            let effects = settle(&mut run.world);
            for effect in &effects {
                tell(Told::Effect(run.world.now, effect));
            }
            run.check(&expect).map_err(|why| Wrong { line, why })?;
        } else {
            for (at, effect) in run.world.advance_told(zero() + step.at) {
                tell(Told::Effect(at, &effect));
            }
            run.act(step.what).map_err(|why| Wrong { line, why })?;
            run.effects.drain(..).for_each(|effect| tell(Told::Effect(run.world.now, &effect)));
        }
    }
    // What the last line brought about.
    let effects = settle(&mut run.world);
    for effect in &effects {
        tell(Told::Effect(run.world.now, effect));
    }
    Ok(expectations)
}

/// Lets pending decisions be made.
pub fn settle(world: &mut World) -> Vec<Effect> {
    world.advance(world.now + COALESCE)
}

struct Run {
    world: World,
    /// What the last command was told.
    refused: Option<String>,
    /// As of the last `expect` line.
    serials: std::collections::BTreeMap<crate::dns::Name, Serial>,
    /// Where client networks were answered from then, by service.
    networks: std::collections::BTreeMap<crate::dns::Name, Vec<Vec<SiteId>>>,
    changesets: usize,
    /// Of the line under way.
    effects: Vec<Effect>,
}

impl Run {
    fn new(load: Load, maps: Option<Maps>) -> Run {
        let world = World::with_maps(zero(), load, maps);
        let serials = world.zones.iter().map(|(apex, zone)| (apex.clone(), zone.serial)).collect();
        let networks = std::collections::BTreeMap::new();
        Run { world, refused: None, serials, networks, changesets: 0, effects: Vec::new() }
    }

    fn act(&mut self, what: What) -> Result<(), String> {
        match what {
            What::Samples { site, of, outcome, times } => {
                let keys = self.checks(&site, of.as_deref());
                if keys.is_empty() {
                    let what = of.map_or_else(|| site.clone(), |of| format!("{site} of {of}"));
                    return Err(format!("nothing is checked at {what}: no service of the setup is there"));
                }
                for _ in 0..times {
                    for key in &keys {
                        self.sample(key, &outcome);
                    }
                }
            }
            What::Approve { service, force } => {
                let proposal = service.map(|service| self.proposal(&service)).transpose()?;
                self.command("seen", Action::Approve { proposal, force });
            }
            What::Reject { service } => {
                let proposal = self.proposal(&service)?;
                self.command("a false alarm", Action::Reject { proposal });
            }
            What::Override { kind, scope, reason, lasts, force } => {
                let kind = match kind.as_str() {
                    "drain" => OverrideKind::Drain,
                    "force-up" => OverrideKind::ForceUp,
                    _ => OverrideKind::ForceDown,
                };
                let until = lasts.map(|lasts| self.world.now + lasts);
                self.command(&reason, Action::Override { scope: Run::scope(&scope)?, kind, until, force });
            }
            What::Clear { scope } => self.command("done", Action::Clear { scope: Run::scope(&scope)? }),
            What::Failover { service, to } => {
                let action = Action::Failover { service: name(&service)?, to: to.as_str().into() };
                self.command("a drill", action);
            }
            What::Failback { service } => {
                self.command("the drill is over", Action::Failback { service: name(&service)? });
            }
            What::Restart => {
                // A health saved just before the end is decided upon just after the start.
                let effects = settle(&mut self.world);
                self.effects.extend(effects);
                let before = self.world.zones.clone();
                let effects = self.world.restart();
                self.effects.extend(effects);
                if self.world.zones != before {
                    return Err(format!("the restart changed {before:?} to {:?}", self.world.zones));
                }
            }
            What::Reload(setup) => {
                // Without a setup of its own it is the configuration at hand, once more.
                let load = if setup.services.is_empty() { self.world.load.clone() } else { load(&setup)? };
                let effects = self.world.step(Event::Load(load));
                self.effects.extend(effects);
            }
            What::Stall(length) => {
                // Nothing comes of the time in between.
                self.world.now = self.world.now + length;
                let effects = self.world.step(Event::Stalled(length));
                self.effects.extend(effects);
            }
            // What is expected is checked by the caller.
            What::Nothing | What::Expect(_) => {}
        }
        Ok(())
    }

    /// The checks at a site; of one address family, or of one probe.
    fn checks(&self, site: &str, of: Option<&str>) -> Vec<CheckKey> {
        let mut keys = Vec::new();
        if site == "canary" {
            let canaries = &self.world.load.config.vantage.canaries;
            return canaries.iter().map(|canary| canary.key.clone()).collect();
        }
        for endpoint in self.world.status().services.into_iter().flat_map(|service| service.endpoints) {
            if &*endpoint.site == site {
                keys.extend(endpoint.places.into_iter().flat_map(|place| place.checks));
            }
        }
        let family = |key: &CheckKey| match &key.whereto {
            Whereto::Addr(addr) if addr.is_ipv6() => "v6",
            Whereto::Addr(_) => "v4",
            Whereto::Name(_) => "name",
        };
        keys.retain(|key| of.is_none_or(|of| family(key) == of || &*key.probe == of));
        keys.sort();
        keys.dedup();
        keys
    }

    fn sample(&mut self, key: &CheckKey, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Ok => crate::health::Outcome::Ok,
            Outcome::Fails(text) if text == "connection refused" => {
                crate::health::Outcome::Failed(Failure::Refused)
            }
            Outcome::Fails(text) => crate::health::Outcome::Failed(Failure::Other(text.clone())),
            Outcome::NoRoute => crate::health::Outcome::Discarded(Discard::NoRoute),
            Outcome::Discarded => crate::health::Outcome::Discarded(Discard::Local("no route".to_owned())),
        };
        let latency = Duration::from_millis(12);
        let (check, vantage, at) = (key.clone(), Vantage::local(), self.world.now);
        let detail = Detail::default();
        let sample = Sample { check, vantage, at, latency, outcome, detail };
        let effects = self.world.step(Event::Sample(sample));
        self.effects.extend(effects);
    }

    fn command(&mut self, reason: &str, action: Action) {
        let (who, reason) = ("ann".to_owned(), reason.to_owned());
        let effects = self.world.step(Event::Command(Command { who, reason, action }));
        self.refused = effects.iter().find_map(|effect| match effect {
            Effect::Refused(why) => Some(why.to_string()),
            _ => None,
        });
        self.effects.extend(effects);
    }

    /// The id of a service's proposal; 0 where there is none.
    fn proposal(&self, service: &str) -> Result<u64, String> {
        let proposals = self.world.status().proposals;
        let service = name(service)?;
        Ok(proposals.iter().find(|held| held.service == service).map_or(0, |held| held.id))
    }

    fn scope(text: &str) -> Result<Scope, String> {
        Ok(match text.split_once('@') {
            Some((service, site)) => Scope::Endpoint(name(service)?, site.into()),
            None if text.contains('.') => Scope::Service(name(text)?),
            None => Scope::Site(text.into()),
        })
    }

    fn check(&mut self, expect: &Expect) -> Result<(), String> {
        let view = self.service(expect.service.as_deref())?;
        let answer = self.answer(&view, expect)?;
        self.check_clients(&view, expect)?;
        if let Some(records) = &expect.records {
            same("records", &lines(&answer), &expected(records)?)?;
        }
        same("undecided", &view.decision.is_none(), &expect.undecided)?;
        if let Some(ttl) = expect.ttl {
            let ttls: Vec<u32> = answer.iter().map(|set| set.ttl).collect();
            same("ttls", &ttls, &vec![ttl; answer.len()])?;
        }
        let serial = view.serial.ok_or("the zone is not published")?;
        let before = self.serials.insert(view.zone.clone(), serial).unwrap_or(serial);
        match expect.serial {
            Some(Count::Is(number)) => same("serial", &serial.0, &number)?,
            Some(Count::Plus(more)) => same("serial", &serial.0, &before.0.wrapping_add(more))?,
            None => {}
        }
        let published =
            self.world.changesets - std::mem::replace(&mut self.changesets, self.world.changesets);
        if let Some(changesets) = expect.changesets {
            same("changesets", &published, &changesets)?;
        }
        if let Some(latched) = expect.latched {
            same("latched", &view.latched, &latched)?;
        }
        if let Some(percent) = expect.percent {
            let partial = view.decision.as_ref().and_then(|decision| decision.partial.as_ref());
            let got = partial.map_or(0, |partial| u32::from(partial.percent));
            same("percent", &got, &percent)?;
        }
        if let Some(proposals) = expect.proposals {
            let pending = |held: &&Proposal| held.state == ProposalState::Pending;
            same("proposals", &self.world.status().proposals.iter().filter(pending).count(), &proposals)?;
        }
        let until = view.hold_until.map(|until| until.since(zero()));
        match expect.hold {
            Some(Hold::Until(time)) => same("hold", &until, &Some(time))?,
            Some(Hold::None) => same("hold", &until, &None)?,
            None => {}
        }
        match (&expect.refused, self.refused.take()) {
            (Some(text), Some(refused)) => contains("refusal", &refused, text)?,
            (Some(_), None) => return Err("nothing was refused".to_owned()),
            (None, Some(refused)) => return Err(format!("refused: {refused}")),
            (None, None) => {}
        }
        if let Some(because) = &expect.because {
            let decision = view.decision.as_ref().ok_or("there is no decision")?;
            contains("reason", &decision.because(), &spelled_out(because))?;
        }
        Ok(())
    }

    /// What everybody is answered, or the client that is asked about.
    fn answer(&self, view: &ServiceView, expect: &Expect) -> Result<Vec<RrSet>, String> {
        let choice = expect.from.and_then(|client| self.world.choice_for(&view.name, client));
        if let Some(scope) = expect.scope {
            same("scope", &choice.as_ref().map_or(0, |choice| choice.scope), &scope)?;
        }
        match choice {
            None => Ok(self.world.answer(&view.name)),
            Some(choice) if choice.variant.is_none() && expect.records.is_some() => {
                Err("every query draws its answer: expect shares".to_owned())
            }
            Some(choice) => Ok(choice.rrsets),
        }
    }

    /// Who is answered from where.
    fn check_clients(&mut self, view: &ServiceView, expect: &Expect) -> Result<(), String> {
        let near = |got: u32, want: u32| got.abs_diff(want) <= TOLERANCE;
        if !expect.shares.is_empty() {
            let shares = self.world.shares(view, expect.from);
            let percent = |buckets: &u32| (buckets * 100 + BUCKETS as u32 / 2) / BUCKETS as u32;
            let got: Vec<(String, u32)> =
                shares.iter().map(|(site, buckets)| (site.to_string(), percent(buckets))).collect();
            let mut want = expect.shares.clone();
            want.sort();
            let fits = got.len() == want.len()
                && got.iter().zip(&want).all(|(got, want)| got.0 == want.0 && near(got.1, want.1));
            if !fits {
                same("shares", &got, &want)?;
            }
        }
        let networks = self.world.networks(view);
        let total = networks.len() as u32;
        let before = self.networks.insert(view.name.clone(), networks.clone());
        if let Some(want) = expect.moved {
            let before = before.ok_or("nobody was answered before")?;
            let moved = before.iter().zip(&networks).filter(|(before, now)| before != now).count() as u32;
            let percent = (moved * 100 + total / 2) / total;
            // None is none at all.
            if !near(percent, want) || want == 0 && moved > 0 {
                same("moved", &percent, &want)?;
                return Err(format!("moved: {moved} of {total} networks"));
            }
        }
        Ok(())
    }

    fn service(&self, asked: Option<&str>) -> Result<ServiceView, String> {
        let asked_name = asked.map(name).transpose()?;
        let mut services = self.world.status().services.into_iter();
        let found = match &asked_name {
            Some(name) => services.find(|service| service.name == *name),
            None => services.next(),
        };
        found.ok_or_else(|| format!("there is no service {asked:?}"))
    }
}

fn lines(sets: &[RrSet]) -> Vec<String> {
    let mut lines: Vec<String> = sets
        .iter()
        .flat_map(|set| {
            let zero = RrSet { ttl: 0, ..set.clone() };
            zero.to_lines().collect::<Vec<_>>()
        })
        .map(|line| line.split_whitespace().skip(3).collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    lines
}

fn expected(records: &[(String, String)]) -> Result<Vec<String>, String> {
    let owner = crate::dns::Name::root();
    let sets = records.iter().map(|(rtype, value)| rrset(&owner, rtype, 0, value));
    Ok(lines(&sets.collect::<Result<Vec<_>, _>>()?))
}

/// `fra Suspect 1/3` as reasons write it: `fra Suspect: 1 of 3 failed`.
fn spelled_out(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(' ') {
        let (count, comma) = word.strip_suffix(',').map_or((word, ""), |count| (count, ","));
        match count.split_once('/') {
            Some((n, m)) if n.parse::<u32>().is_ok() && m.parse::<u32>().is_ok() => {
                out = format!("{}: {n} of {m} failed{comma} ", out.trim_end());
            }
            _ => out = format!("{out}{word} "),
        }
    }
    out.trim_end().to_owned()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, want: &T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {want:?}")) }
}

fn contains(what: &str, got: &str, want: &str) -> Result<(), String> {
    if got.contains(want) { Ok(()) } else { Err(format!("{what}: got \"{got}\", expected \"{want}\" in it")) }
}
