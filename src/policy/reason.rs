//! Why a decision is what it is: one typed value that log, history, API and `explain` print.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{IfUnanswered, OverrideKind, Standing, unmade};
use crate::health::Health;
use crate::model::{AllDown, SiteId};
use crate::time::Time;

/// Why a service answers with what it answers: the rule that chose, and how the endpoints that bear on
/// it stood. It says how things stand, not what happened: the same state has the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reason {
    /// The endpoint in use; `None` where none works.
    #[schema(value_type = Option<String>)]
    pub serving: Option<SiteId>,
    /// What chose it.
    pub rule: Rule,
    /// In order of preference: those before the one in use, and it; all of them where none works.
    pub endpoints: Vec<Noted>,
}

/// What chose an endpoint, or the records that stand in for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// It is the first in order that works, or it is in use and not yet Down.
    InOrder,
    /// One before it is Up again and has to stay so for a while.
    Holding {
        /// The one that is Up again.
        #[schema(value_type = String)]
        back: SiteId,
        /// When it is used again.
        until: Time,
    },
    /// It stays until `detour failback`.
    Latched {
        /// Who wants it so.
        by: Latch,
    },
    /// It is Down, and the service leaves it once it has been so for its delay.
    Delayed {
        /// Where it goes then.
        #[schema(value_type = String)]
        to: SiteId,
        /// When.
        until: Time,
    },
    /// A move waits for an operator.
    Proposed {
        /// Where it would go.
        #[schema(value_type = String)]
        to: SiteId,
        /// What `detour approve` takes.
        proposal: u64,
        /// The safety rule that holds it; `None` where the service asks for approval.
        limit: Option<String>,
        /// When it is no longer waited for, and what happens then.
        due: Option<(Time, IfUnanswered)>,
    },
    /// A move was not approved.
    Rejected {
        /// Where it would have gone.
        #[schema(value_type = String)]
        to: SiteId,
        /// What `detour approve` takes all the same.
        proposal: u64,
        /// By whom; `nobody` where no answer came.
        by: String,
    },
    /// A failback is under way, step by step.
    Stepping {
        /// Where to.
        #[schema(value_type = String)]
        back: SiteId,
        /// How many of the client prefixes it has moved, in percent.
        percent: u8,
        /// How many it moves next.
        next: u8,
        /// When it does.
        at: Time,
    },
    /// No endpoint works but such as are held Down by damping: one of these is better than none.
    Damped,
    /// No endpoint is known to work: this one is Unknown, which is better than Down.
    Unproven,
    /// Answers differ by client, or hold several endpoints.
    Steered {
        /// The root's policy.
        policy: String,
        /// Where clients go.
        toward: Vec<Toward>,
        /// What keeps groups where they are, by their names.
        #[schema(value_type = Vec<(String, Object)>)]
        notes: Vec<(SiteId, Rule)>,
    },
    /// No endpoint works.
    AllDown {
        /// What is answered.
        answer: LastResort,
    },
    /// No endpoint is known to work, nor to be Down: no sample of any has counted yet.
    Unverified {
        /// What is answered.
        answer: LastResort,
    },
}

/// Where the clients of one or more regions go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Toward {
    /// The site they prefer to all others; `None` where clients are not told apart.
    #[schema(value_type = Option<String>)]
    pub near: Option<SiteId>,
    /// What they get.
    pub to: Vec<Portion>,
}

/// A share of clients or queries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Portion {
    /// The sites in their answer.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// How many of a thousand.
    pub permille: u16,
}

/// What keeps a service from failing back by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Latch {
    /// An operator's failover.
    Operator,
    /// `failback = "manual"`
    Manual,
}

/// What is answered while no endpoint works; the words of `all_down`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastResort {
    /// The last answer.
    Keep,
    /// Every endpoint.
    All,
    /// The first endpoint.
    Primary,
    /// No record.
    Empty,
    /// The configured addresses.
    Fallback,
}

/// How one endpoint stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Noted {
    /// Where.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// What samples said of it.
    pub health: Health,
    /// What made it so; empty while Unknown.
    pub because: String,
    /// What an operator forced on it.
    pub forced: Option<Forced>,
    /// Until when it is in maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Time>,
    /// Whether it is passed over because it would be over capacity.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// Until when at most it is answered as it was before a reload, because nothing of what that brought has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier_until: Option<Time>,
    /// Places whose records are left out of the answer while another place works.
    pub withheld: Vec<Withheld>,
}

/// An override as a reason tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Forced {
    /// What.
    pub kind: OverrideKind,
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Option<Time>,
}

/// A place that is left out of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Withheld {
    /// The address.
    pub place: String,
    /// Its health.
    pub health: Health,
    /// What made it so.
    pub because: String,
}

impl Noted {
    /// How this endpoint stands.
    pub fn of(standing: &Standing) -> Noted {
        let answered: Vec<_> = standing.answered().map(|(place, _)| place).collect();
        let withheld = standing.places.iter().filter(|(place, _)| !answered.contains(&place));
        let stood_in = standing.stand_ins().next().is_some();
        Noted {
            site: standing.site.clone(),
            health: standing.found.health,
            because: standing.found.because.clone(),
            forced: standing.overridden.as_ref().map(|forced| Forced {
                kind: forced.kind,
                who: forced.who.clone(),
                reason: forced.reason.clone(),
                until: forced.until,
            }),
            maintenance: standing.maintenance,
            full: standing.full,
            earlier_until: standing.earlier.as_ref().filter(|_| stood_in).map(|earlier| earlier.until),
            withheld: withheld
                .map(|(place, found)| Withheld {
                    place: place.to_string(),
                    health: found.health,
                    because: found.because.clone(),
                })
                .collect(),
        }
    }

    /// Whether it worked as far as was known: by its samples, or as an operator said.
    pub fn worked(&self) -> bool {
        match &self.forced {
            Some(forced) => forced.kind == OverrideKind::ForceUp,
            None => matches!(self.health, Health::Up | Health::Suspect),
        }
    }

    fn is_wholly_up(&self) -> bool {
        self.is_plainly_up() && self.withheld.is_empty()
    }

    fn is_plainly_up(&self) -> bool {
        let plainly = self.forced.is_none() && self.maintenance.is_none() && self.earlier_until.is_none();
        self.health == Health::Up && plainly
    }
}

impl LastResort {
    /// The configuration's choice.
    pub fn of(all_down: &AllDown) -> LastResort {
        match all_down {
            AllDown::Keep => LastResort::Keep,
            AllDown::All => LastResort::All,
            AllDown::Primary => LastResort::Primary,
            AllDown::Empty => LastResort::Empty,
            AllDown::Fallback(_) => LastResort::Fallback,
        }
    }
}

/// `fra Down: 3 of 3 failed, connection refused; iad is next in order and Up`
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.rule, self.endpoints.split_last()) {
            (Rule::AllDown { answer }, _) => {
                f.write_str("no endpoint works: ")?;
                list(f, &self.endpoints)?;
                write!(f, "; {answer}")
            }
            (Rule::Unverified { answer }, _) => {
                f.write_str("no sample has counted yet: ")?;
                list(f, &self.endpoints)?;
                write!(f, "; {answer}")
            }
            (Rule::Steered { policy, toward, notes }, _) => {
                write!(f, "{policy}: ")?;
                write_toward(f, toward)?;
                write_notes(f, notes)?;
                for noted in self.endpoints.iter().filter(|noted| !noted.is_wholly_up()) {
                    write!(f, "; {noted}")?;
                }
                Ok(())
            }
            (_, None) => write!(f, "{} is in use", self.serving.as_deref().unwrap_or("nothing")),
            (rule, Some((serving, before))) => {
                list(f, before)?;
                if !before.is_empty() {
                    f.write_str("; ")?;
                }
                write_serving(f, rule, serving, before.is_empty())
            }
        }
    }
}

fn write_serving(f: &mut fmt::Formatter<'_>, rule: &Rule, it: &Noted, first: bool) -> fmt::Result {
    let site = &it.site;
    match rule {
        Rule::Holding { back, until } => {
            write!(f, "{site} stays until {until}, when {back} has been Up for its hold")?;
        }
        Rule::Latched { by: Latch::Operator } => {
            write!(f, "latched by an operator: {site} stays until `detour failback`")?;
        }
        Rule::Latched { by: Latch::Manual } => {
            write!(f, "failback is manual: {site} stays until `detour failback`")?;
        }
        Rule::Delayed { to, until } => {
            write!(f, "{it}; it stays until {until}, when it has been Down for its delay, then {to}")?;
            return Ok(());
        }
        Rule::Proposed { to, proposal, limit, due } => {
            write!(f, "{it}; the move to {to} waits for `detour approve {proposal}`")?;
            match due {
                Some((until, IfUnanswered::Move)) => write!(f, " until {until}, then it is made")?,
                Some((until, IfUnanswered::Stay)) => write!(f, " until {until}, then {site} stays")?,
                None => {}
            }
            return match limit {
                Some(limit) => write!(f, ", held by a safety rule: {limit}"),
                None => Ok(()),
            };
        }
        Rule::Rejected { to, proposal, by } => {
            return write!(f, "{it}; it stays: the move to {to} {} (proposal {proposal})", unmade(by));
        }
        Rule::Stepping { back, percent, next, at } => {
            write!(
                f,
                "{back} has {percent} % of the clients and gets {next} % at {at}; {site} has the others"
            )?;
        }
        Rule::Damped => {
            write!(f, "{it}; it is used all the same, as no other endpoint works")?;
            return Ok(());
        }
        Rule::Unproven => {
            return write!(
                f,
                "{it}; it is used because no endpoint is known to work, and Unknown is better than Down"
            );
        }
        Rule::InOrder | Rule::Steered { .. } | Rule::AllDown { .. } | Rule::Unverified { .. } => {
            let rank = if first { "first" } else { "next" };
            if it.is_plainly_up() {
                write!(f, "{site} is {rank} in order and Up")?;
                return write_withheld(f, it);
            }
            write!(f, "{it}; it is {rank} in order")?;
            if it.health == Health::Suspect && it.forced.is_none() {
                f.write_str(" and stays until Down")?;
            }
            if it.health == Health::Unknown && it.forced.is_none() {
                f.write_str(" and stays until more is known")?;
            }
            return Ok(());
        }
    }
    if it.is_plainly_up() { write_withheld(f, it) } else { write!(f, "; {it}") }
}

/// `fra 60 %, iad 40 %`; `near fra to fra, near iad to fra`
fn write_toward(f: &mut fmt::Formatter<'_>, toward: &[Toward]) -> fmt::Result {
    for (at, Toward { near, to }) in toward.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { ", " })?;
        if let Some(near) = near {
            write!(f, "near {near} to ")?;
        }
        for (at, Portion { sites, permille }) in to.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { ", " }, sites.join(" and "))?;
            if to.len() > 1 {
                write!(f, " {} %", f64::from(*permille) / 10.0)?;
            }
        }
    }
    Ok(())
}

fn write_notes(f: &mut fmt::Formatter<'_>, notes: &[(SiteId, Rule)]) -> fmt::Result {
    for (group, rule) in notes {
        f.write_str("; ")?;
        if !group.is_empty() {
            write!(f, "in {group} ")?;
        }
        match rule {
            Rule::Holding { back, until } => write!(f, "{back} is used again at {until}, after its hold")?,
            Rule::Latched { by: Latch::Operator } => f.write_str("latched by an operator")?,
            Rule::Unproven => f.write_str("no endpoint is known to work, and Unknown is better than Down")?,
            _ => f.write_str("failback is manual: one that is Up waits for `detour failback`")?,
        }
    }
    Ok(())
}

fn list(f: &mut fmt::Formatter<'_>, endpoints: &[Noted]) -> fmt::Result {
    for (at, noted) in endpoints.iter().enumerate() {
        write!(f, "{}{noted}", if at == 0 { "" } else { "; " })?;
    }
    Ok(())
}

fn write_withheld(f: &mut fmt::Formatter<'_>, noted: &Noted) -> fmt::Result {
    for Withheld { place, health, because } in &noted.withheld {
        let because = if because.is_empty() { "no sample has counted" } else { because };
        write!(f, ", {place} withheld ({health}: {because})")?;
    }
    Ok(())
}

/// `fra Down: 3 of 3 failed, connection refused`; `fra drained by ann: new switch (samples say Up)`
impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Noted { site, health, because, forced, maintenance, earlier_until, .. } = self;
        let found = match health {
            Health::Up => health.to_string(),
            Health::Unknown if because.is_empty() => health.to_string(),
            Health::Unknown | Health::Suspect | Health::Down => format!("{health}: {because}"),
        };
        match forced {
            None => write!(f, "{site} {found}")?,
            Some(Forced { kind, who, reason, until }) => {
                let what = match kind {
                    OverrideKind::Drain => "drained",
                    OverrideKind::ForceUp => "forced Up",
                    OverrideKind::ForceDown => "forced Down",
                };
                write!(f, "{site} {what} by {who}")?;
                if let Some(until) = until {
                    write!(f, " until {until}")?;
                }
                write!(f, ": {reason} (samples say {found})")?;
            }
        }
        if self.full {
            f.write_str(" (at capacity)")?;
        }
        if let Some(until) = maintenance {
            write!(f, " (in maintenance until {until})")?;
        }
        if let Some(until) = earlier_until {
            write!(f, " (the answer of before the reload is kept until {until} at most)")?;
        }
        write_withheld(f, self)
    }
}

/// `the last answer is kept`
impl fmt::Display for LastResort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LastResort::Keep => "the last answer is kept",
            LastResort::All => "every endpoint is answered",
            LastResort::Primary => "the first endpoint is answered",
            LastResort::Empty => "nothing is answered, as configured",
            LastResort::Fallback => "the fallback is answered",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(site: &str, health: Health, because: &str) -> Noted {
        let because = because.to_owned();
        Noted {
            site: site.into(),
            health,
            because,
            forced: None,
            maintenance: None,
            full: false,
            earlier_until: None,
            withheld: Vec::new(),
        }
    }

    fn drained(noted: Noted, until: Option<Time>) -> Noted {
        let (who, reason) = ("ann".to_owned(), "new switch".to_owned());
        Noted { forced: Some(Forced { kind: OverrideKind::Drain, who, reason, until }), ..noted }
    }

    #[test]
    fn a_reason_is_one_sentence() {
        use Health::{Down, Suspect, Unknown, Up};
        let check = |rule: Rule, endpoints: &[Noted], expect: &str| {
            let serving = endpoints.last().map(|noted| noted.site.clone());
            let reason = Reason { serving, rule, endpoints: endpoints.to_vec() };
            assert_eq!(reason.to_string(), expect);
            let json = serde_json::to_string(&reason).expect("it is written");
            assert_eq!(serde_json::from_str::<Reason>(&json).expect("it is read"), reason);
        };
        let (fra, iad) = (noted("fra", Up, "ok"), noted("iad", Up, "ok"));
        let dead = noted("fra", Down, "3 of 3 failed, connection refused");
        let shaky = noted("iad", Suspect, "1 of 3 failed, status 503");
        let place = "2001:db8::1".to_owned();
        let withheld = Withheld { place, health: Unknown, because: String::new() };
        let half = Noted { withheld: vec![withheld], ..fra.clone() };
        let until = Time(1_767_225_660_000);

        check(Rule::InOrder, std::slice::from_ref(&fra), "fra is first in order and Up");
        check(
            Rule::InOrder,
            &[half],
            "fra is first in order and Up, 2001:db8::1 withheld (Unknown: no sample has counted)",
        );
        check(
            Rule::InOrder,
            &[dead.clone(), iad.clone()],
            "fra Down: 3 of 3 failed, connection refused; iad is next in order and Up",
        );
        check(
            Rule::InOrder,
            &[dead.clone(), shaky.clone()],
            "fra Down: 3 of 3 failed, connection refused; iad Suspect: 1 of 3 failed, status 503; \
             it is next in order and stays until Down",
        );
        check(
            Rule::InOrder,
            &[drained(fra.clone(), Some(until)), iad.clone()],
            "fra drained by ann until 2026-01-01T00:01:00.000Z: new switch (samples say Up); \
             iad is next in order and Up",
        );
        check(
            Rule::Holding { back: "fra".into(), until },
            &[fra.clone(), iad.clone()],
            "fra Up; iad stays until 2026-01-01T00:01:00.000Z, when fra has been Up for its hold",
        );
        check(
            Rule::Latched { by: Latch::Manual },
            &[fra.clone(), shaky.clone()],
            "fra Up; failback is manual: iad stays until `detour failback`; \
             iad Suspect: 1 of 3 failed, status 503",
        );
        check(
            Rule::AllDown { answer: LastResort::Keep },
            &[dead.clone(), drained(iad.clone(), None)],
            "no endpoint works: fra Down: 3 of 3 failed, connection refused; \
             iad drained by ann: new switch (samples say Up); the last answer is kept",
        );
        check(
            Rule::Unverified { answer: LastResort::Primary },
            &[noted("fra", Unknown, "")],
            "no sample has counted yet: fra Unknown; the first endpoint is answered",
        );
    }
}
