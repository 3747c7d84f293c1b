//! When a service moves: `failover`, what `failback` adds to a hold, `load`, `shed`, and `[safety]`.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::error::{ConfigError, FAILBACK};
use super::report::Findings;
use super::section::{Item, Read, Reported, Section, or};
use super::values;
use crate::model::{Approval, Failback, Families, Moving, OnLimit, Safety, Tree, Unanswered};

/// The longest `delay`, `wait`, `hold` and `step_hold`.
pub(super) const MAX_HOLD: Duration = Duration::from_secs(366 * 86_400);
/// The hold of a failback that says none.
const DEFAULT_HOLD: Duration = Duration::from_secs(60);
const DEFAULT_WAIT: Duration = Duration::from_secs(600);
/// The most steps of a failback.
const MAX_STEPS: usize = 16;
/// The largest `load` and `capacity`; a hundred thousand services' loads still add up in 64 bits.
pub(super) const MAX_LOAD: u32 = 1_000_000_000;
/// The most switches an hour that can be asked for.
const MAX_SWITCHES: u32 = 100_000;
/// The most `min_sites_in_service`: as many as there can be sites.
const MAX_MIN_SITES: u32 = 1_000;
/// The longest `share_window`: moves are remembered for an hour.
const MAX_WINDOW: Duration = Duration::from_secs(3_600);

/// What a service says of its moves, before it is known how it picks its endpoints.
pub(super) struct DraftMoving {
    failback: Read<DraftFailback>,
    failover: Read<(Duration, Option<Approval>)>,
    exempt: Read<bool>,
    load: Read<u32>,
    shed: Read<bool>,
    families: Read<Families>,
}

impl DraftMoving {
    /// Reads every key of a service that is about its moves.
    pub fn read(section: &mut Section, findings: &mut Findings) -> DraftMoving {
        DraftMoving {
            failback: section.read("failback", findings, read_failback),
            failover: section.read("failover", findings, read_failover),
            exempt: section.read("exempt_from_safety", findings, values::boolean),
            load: section.read("load", findings, values::integer(0, MAX_LOAD)),
            shed: section.read("shed", findings, values::boolean),
            families: section.read("families", findings, |item, findings| {
                Ok(match values::word(item, &["each", "together"], findings)? {
                    "together" => Families::Together,
                    _ => Families::Each,
                })
            }),
        }
    }

    /// What comes of them. Where a `tree` shares clients out among endpoints, there is no one endpoint that all
    /// of them leave: whatever holds, counts or parts such a move is reported. A load is shared out with them,
    /// but where nobody knows how many of the clients are of which region.
    pub fn settle(
        self,
        tree: Option<&Tree>,
        findings: &mut Findings,
    ) -> Result<(Failback, Moving), Reported> {
        let DraftMoving { failback, failover, exempt, load, shed, families } = self;
        let (failback, failover, exempt) = (failback?, failover?, exempt?);
        let (load, shed, families) = (load?, shed?, families?);
        if let Some(tree) = tree {
            let by_region = load.as_ref().filter(|_| tree.geo.is_some());
            if let Some(load) = by_region {
                findings.push(&load.span(), ConfigError::LoadByRegion);
            }
            let back = failback.as_ref().filter(|it| it.get_ref().approve || !it.get_ref().steps.is_empty());
            let given = [
                ("failover", failover.as_ref().map(Spanned::span)),
                ("a failback by approval or in steps", back.map(Spanned::span)),
                ("exempt_from_safety", exempt.as_ref().map(Spanned::span)),
                ("shed", shed.as_ref().map(Spanned::span)),
            ];
            for (what, at) in given {
                if let Some(at) = at {
                    findings.push(&at, ConfigError::ForFailover(what));
                }
            }
        }
        let failback = failback.map_or_else(DraftFailback::default, Spanned::into_inner);
        let (delay, approval) = failover.map_or((Duration::ZERO, None), Spanned::into_inner);
        let moving = Moving {
            delay,
            approval,
            approve_failback: failback.approve,
            steps: failback.steps,
            step_hold: failback.step_hold,
            exempt: exempt.is_some_and(Spanned::into_inner),
            load: load.map_or(0, Spanned::into_inner),
            shed: shed.is_some_and(Spanned::into_inner),
            families: families.map(Spanned::into_inner).unwrap_or_default(),
        };
        Ok((failback.failback, moving))
    }
}

/// `"auto"`, `"approve"`, or a table: the delay and what is approved.
fn read_failover(item: Item, findings: &mut Findings) -> Result<(Duration, Option<Approval>), Reported> {
    let mode = |item, findings: &mut Findings| values::word(item, &["auto", "approve"], findings);
    let usual = Approval { wait: DEFAULT_WAIT, unanswered: Unanswered::Move };
    if let DeValue::String(_) = item.value.get_ref() {
        let approved = mode(item, findings)? == "approve";
        return Ok((Duration::ZERO, approved.then_some(usual)));
    }
    let mut section = Section::of("\"failover\"".to_owned(), item, findings)?;
    let mode = or(section.read("mode", findings, mode), "auto");
    let delay = section.read("delay", findings, values::duration(MAX_HOLD));
    let approval = if mode == Ok("approve") {
        let wait = section.read("wait", findings, values::positive(MAX_HOLD));
        let unanswered = section.read("unanswered", findings, |item, findings| {
            Ok(match values::word(item, &["move", "stay"], findings)? {
                "stay" => Unanswered::Stay,
                _ => Unanswered::Move,
            })
        });
        or(wait, usual.wait)
            .and_then(|wait| Ok(Some(Approval { wait, unanswered: or(unanswered, usual.unanswered)? })))
    } else {
        section.refuse_unasked(&["wait", "unanswered"], "a failover that nobody approves", findings);
        Ok(None)
    };
    section.finish(findings);
    mode?;
    Ok((or(delay, Duration::ZERO)?, approval?))
}

/// What `failback` comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DraftFailback {
    failback: Failback,
    approve: bool,
    steps: Vec<u8>,
    step_hold: Duration,
}

impl Default for DraftFailback {
    fn default() -> DraftFailback {
        DraftFailback {
            failback: Failback::Auto { hold: DEFAULT_HOLD },
            approve: false,
            steps: Vec::new(),
            step_hold: DEFAULT_HOLD,
        }
    }
}

/// `"auto"`, `"manual"`, `"approve"`, `{ mode = "auto", hold = "60s", steps = [1, 10, 100] }`
fn read_failback(item: Item, findings: &mut Findings) -> Result<DraftFailback, Reported> {
    let mode = |item, findings: &mut Findings| values::word(item, &["auto", "manual", "approve"], findings);
    let usual = DraftFailback::default();
    if let DeValue::String(_) = item.value.get_ref() {
        return Ok(match mode(item, findings)? {
            "manual" => DraftFailback { failback: Failback::Manual, ..usual },
            "approve" => DraftFailback { approve: true, ..usual },
            _ => usual,
        });
    }
    if !matches!(item.value.get_ref(), DeValue::Table(_)) {
        return Err(item.wrong_type(FAILBACK, findings));
    }
    let mut section = Section::of("\"failback\"".to_owned(), item, findings)?;
    let mode = or(section.read("mode", findings, mode), "auto");
    let read = if mode == Ok("manual") {
        section.refuse_unasked(&["hold", "steps", "step_hold"], "a manual failback", findings);
        Ok(DraftFailback { failback: Failback::Manual, ..usual })
    } else {
        let hold = section.read("hold", findings, values::duration(MAX_HOLD));
        let steps = section.read("steps", findings, read_steps);
        if matches!(&steps, Ok(None)) {
            section.refuse_unasked(&["step_hold"], "a failback without steps", findings);
        }
        let step_hold = section.read("step_hold", findings, values::positive(MAX_HOLD));
        or(hold, DEFAULT_HOLD).and_then(|hold| {
            Ok(DraftFailback {
                failback: Failback::Auto { hold },
                approve: mode == Ok("approve"),
                steps: or(steps, Vec::new())?,
                step_hold: or(step_hold, usual.step_hold)?,
            })
        })
    };
    section.finish(findings);
    mode.and(read)
}

/// Percents that grow up to 100, which is left out of what is kept: it is the move itself.
fn read_steps(item: Item, findings: &mut Findings) -> Result<Vec<u8>, Reported> {
    let listed = item.list("steps of a failback", MAX_STEPS, findings, values::integer(1, 100))?;
    let mut steps: Vec<u8> = listed.iter().map(|step| *step.get_ref() as u8).collect(); // at most 100
    let grow = steps.windows(2).all(|pair| pair[0] < pair[1]);
    if !grow || steps.last() != Some(&100) {
        return Err(item.wrong(ConfigError::StepsOutOfOrder, findings));
    }
    steps.pop();
    Ok(steps)
}

/// `[safety]`
pub(super) fn read_safety(item: Item, findings: &mut Findings) -> Result<Safety, Reported> {
    let usual = Safety::default();
    let mut section = Section::of("[safety]".to_owned(), item, findings)?;
    let switches = section.read("max_switches_per_hour", findings, values::count(MAX_SWITCHES));
    let share = section.read("max_share_moved", findings, read_percent);
    let window = section.read("share_window", findings, values::positive(MAX_WINDOW));
    let sites = section.read("min_sites_in_service", findings, values::count(MAX_MIN_SITES));
    let on_limit = section.read("on_limit", findings, |item, findings| {
        Ok(match values::word(item, &["hold", "warn"], findings)? {
            "warn" => OnLimit::Warn,
            _ => OnLimit::Hold,
        })
    });
    section.finish(findings);
    Ok(Safety {
        max_switches_per_hour: switches?.map(Spanned::into_inner),
        max_share_moved: share?.map(Spanned::into_inner),
        window: or(window, usual.window)?,
        min_sites_in_service: sites?.map(|sites| sites.into_inner() as usize),
        on_limit: or(on_limit, usual.on_limit)?,
    })
}

/// `"30%"`: 1 to 100.
pub(super) fn read_percent(item: Item, findings: &mut Findings) -> Result<u8, Reported> {
    let text = item.text("a share", findings)?;
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<u8>().ok());
    percent.filter(|percent| (1..=100).contains(percent)).ok_or_else(|| {
        let (wanted, example) = ("a share from 1% to 100%", "\"30%\"");
        item.wrong(ConfigError::Malformed { text: super::error::short(text), wanted, example }, findings)
    })
}
