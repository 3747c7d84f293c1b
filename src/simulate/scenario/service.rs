//! The lines of a setup that have a language of their own: `service`, and `safety`.

use crate::model::{Approval, Families, OnLimit, PolicyKind, Safety, Unanswered};

use super::setup::{GroupSpec, MinUp, ServiceSpec};
use super::units::{duration, number};

pub(super) fn service(words: &[String]) -> Result<ServiceSpec, String> {
    let mut spec = ServiceSpec::default();
    let [policy, rest @ ..] = words else { return Err("a service has a policy".to_owned()) };
    spec.root.policy = self::policy(policy)?;
    let end = rest.iter().position(|word| is_key(word)).unwrap_or(rest.len());
    spec.root.members = members(&rest[..end], &mut spec)?;
    let mut rest = &rest[end..];
    while let Some((key, tail)) = rest.split_first() {
        let end = tail.iter().position(|word| is_key(word)).unwrap_or(tail.len());
        let values = &tail[..end];
        rest = &tail[end..];
        if group_key(&mut spec, key, values)? {
            continue;
        }
        match (key.as_str(), values) {
            ("ttl", [v]) => spec.ttl = duration(v)?,
            ("suspect", [v]) => spec.suspect = duration(v)?,
            ("fall", [v]) => spec.fall = number(v)?,
            ("rise", [v]) => spec.rise = number(v)?,
            ("window", [v]) => spec.window = Some(number(v)?),
            ("interval", [v]) => spec.interval = duration(v)?,
            ("confirm", [v]) => spec.confirm = duration(v)?,
            ("failback", [v]) if v == "manual" => spec.failback = None,
            ("failback", [v, hold]) if v == "auto" => spec.failback = Some(duration(hold)?),
            ("all_down", [v]) => spec.all_down.clone_from(v),
            ("damping", [changes, within, hold, longest]) => {
                spec.damping =
                    Some((number(changes)?, duration(within)?, duration(hold)?, duration(longest)?));
            }
            ("probes", [need, of, values @ ..]) if of == "of" => {
                (spec.need, spec.probes) = (Some(number(need)? as usize), values.to_vec());
            }
            ("failback", [v, hold]) if v == "approve" => {
                spec.failback = Some(duration(hold)?);
                spec.moving.approve_failback = true;
            }
            ("delay", [v]) => spec.moving.delay = duration(v)?,
            ("approval", [wait, then]) => {
                let unanswered = if then == "move" { Unanswered::Move } else { Unanswered::Stay };
                spec.moving.approval = Some(Approval { wait: duration(wait)?, unanswered });
            }
            ("steps", [steps @ .., each, hold]) if each == "each" => {
                let steps: Result<Vec<u8>, String> =
                    steps.iter().map(|step| Ok(number(step)? as u8)).collect();
                spec.moving.steps = steps?.into_iter().filter(|&step| step < 100).collect();
                spec.moving.step_hold = duration(hold)?;
            }
            ("exempt", []) => spec.moving.exempt = true,
            ("families", [v]) if v == "each" => spec.moving.families = Families::Each,
            ("families", [v]) if v == "together" => spec.moving.families = Families::Together,
            ("load", [v]) => spec.moving.load = number(v)?,
            ("shed", []) => spec.moving.shed = true,
            ("probes", values) => spec.probes = values.to_vec(),
            ("cname", values) => {
                let pair = |v: &String| v.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned()));
                spec.cname = values.iter().map(pair).collect::<Option<_>>().ok_or("cname SITE=NAME ...")?;
            }
            _ => return Err(format!("\"{key} {}\" is no option of a service", values.join(" "))),
        }
    }
    spec.sites = spec.leaves();
    Ok(spec)
}

const KEYS: [&str; 25] = [
    "ttl", "suspect", "fall", "rise", "window", "interval", "confirm", "failback", "all_down", "probes",
    "cname", "damping", "delay", "approval", "steps", "exempt", "load", "shed", "group", "min_up", "max",
    "rotate", "sticky", "slow", "families",
];

fn is_key(word: &str) -> bool {
    KEYS.contains(&word)
}

fn policy(word: &str) -> Result<PolicyKind, String> {
    Ok(match word {
        "failover" => PolicyKind::Failover,
        "weighted" => PolicyKind::Weighted,
        "geo" => PolicyKind::Geo,
        "all" => PolicyKind::All,
        other => return Err(format!("policy {other} is not known")),
    })
}

/// `fra`, or `fra=2` with its weight.
fn members(words: &[String], spec: &mut ServiceSpec) -> Result<Vec<String>, String> {
    let mut members = Vec::with_capacity(words.len());
    for word in words {
        let (name, weight) = word.split_once('=').map_or((word.as_str(), None), |(name, w)| (name, Some(w)));
        if let Some(weight) = weight {
            spec.weights.insert(name.to_owned(), number(weight)?);
        }
        members.push(name.to_owned());
    }
    Ok(members)
}

/// Takes an option of a group: the one named last, or the root where none was.
fn group_key(spec: &mut ServiceSpec, key: &str, values: &[String]) -> Result<bool, String> {
    if let ("group", [name, kind, rest @ ..]) = (key, values) {
        let (policy, members) = (policy(kind)?, members(rest, spec)?);
        spec.groups.push(GroupSpec { name: name.clone(), policy, members, ..GroupSpec::default() });
        return Ok(true);
    }
    let group = spec.groups.last_mut().unwrap_or(&mut spec.root);
    match (key, values) {
        ("min_up", [value]) => {
            group.min_up = match value.strip_suffix('%') {
                Some(percent) => MinUp::Percent(number(percent)?),
                None => MinUp::Count(number(value)? as usize),
            };
        }
        ("max", [value]) => group.max_answers = Some(number(value)? as usize),
        ("rotate", []) => group.rotate = true,
        ("sticky", []) => spec.sticky = true,
        ("slow", [value]) => spec.slow_start = Some(duration(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

pub(super) fn safety(words: &[String]) -> Result<Safety, String> {
    let mut safety = Safety::default();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} what?"));
        match word {
            "switches" => safety.max_switches_per_hour = Some(number(value()?)?),
            "share" => safety.max_share_moved = Some(number(value()?)? as u8),
            "window" => safety.window = duration(value()?)?,
            "sites" => safety.min_sites_in_service = Some(number(value()?)? as usize),
            "warn" => safety.on_limit = OnLimit::Warn,
            _ => return Err(format!("\"{word}\" is no safety rule")),
        }
    }
    Ok(safety)
}
