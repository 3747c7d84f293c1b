//! The language of `.scenario` files: timelines that read as stories. Parsing alone; `run.rs` drives the
//! pure engine with what comes out, and an end-to-end test drives a daemon with the same.
//!
//! ```text
//! # a comment
//! site fra 192.0.2.10 2001:db8:1::10         fra, iad and sin have an IPv4 address without this
//! zone example.com serial 7                  this zone with serial 1 is there without this
//! file app.example.com A 192.0.2.77 ttl 300  a record of the zone file
//! service app.example.com failover fra iad   ttl 30s suspect 5s fall 3 rise 2 window 5
//!         interval, confirm D; failback auto D or manual; all_down keep, all, primary, empty or ADDRESS;
//!         damping 4 10m 1m 30m: changes, within, hold, longest; without `interval` nothing is ever late;
//!         failback approve D, steps 1 10 100 each D; delay D; approval D move, or stay: within D,
//!         what if nobody answers; exempt; load 10, shed: beside `capacity`
//!         probes web api, all of which must pass; probes 1 of web api; cname fra=lb.fra.example.net iad=...
//!
//! canaries quorum 1 203.0.113.53 ...         addresses of canaries, and how many must work
//! safety switches 4 share 30 window 5m sites 2 warn         each of them may be left out
//! capacity fra 100
//! maintenance fra "0 3 * * 0" Europe/Berlin for 2h         of a site, or of a service
//!
//! at 10s    fra ok, iad fails twice "status 503"      `iad.v6` is one family, `iad.api` one probe,
//!                                                     `3 times`; `iad discarded`
//!                                                     `canary` is all of them
//! at 20s    drain fra "new switch" for 1h             also force-up, force-down; `app.example.com@fra`
//! at 30s    undrain fra
//! at 35s    drain fra "new switch" forced             whatever safety rules say
//! at 36s    approve all, approve app.example.com, reject app.example.com         its proposal
//! at 40s    failover app.example.com to iad, failback app.example.com
//! at 50s    restart                                   the engine, from what it saved
//! at 60s    reload                                    with the site, zone, file, service and
//!     zone example.com serial 9                       `remove NAME` lines that follow, indented
//! at 70s                                              nothing but time
//! expect    app.example.com A 192.0.2.10 AAAA 2001:db8:1::10 CNAME lb.example.net ttl 30 serial +1 ...
//! ```
//!
//! An `expect` line holds 20 ms after the line before it. The service may be left out where there is one.
//! Records are all there are; `empty` is none; `undecided` is no decision. `serial +1` counts from the
//! `expect` line before, `serial 9` is the number; `changesets 1` counts publishes likewise;
//! `percent 10` of the clients have moved back, `proposals 1` wait for an answer;
//! `latched`, `free`, `hold 75s` and `no-hold` show what keeps it; `refused "text"` is what the
//! last command was told; `because TEXT`, up to the end of the line, stands in the decision's reason,
//! where `fra Suspect 1/3` is short for `fra Suspect: 1 of 3 failed`.

use std::time::Duration;

use crate::config::{Approval, OnLimit, Safety, Unanswered};

use super::setup::{ServiceSpec, Setup};

/// A parsed file.
#[derive(Debug)]
pub struct Scenario {
    pub setup: Setup,
    pub steps: Vec<Step>,
}

/// What is wrong with a file, or not as it expects, and on which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Wrong {
    pub line: usize,
    pub why: String,
}

/// One action or expectation, with its line in the file.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub at: Duration,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    Samples { site: String, of: Option<String>, outcome: Outcome, times: u32 },
    Override { kind: String, scope: String, reason: String, lasts: Option<Duration>, force: bool },
    Approve { service: Option<String> },
    Reject { service: String },
    Clear { scope: String },
    Failover { service: String, to: String },
    Failback { service: String },
    Restart,
    Reload(Setup),
    Nothing,
    Expect(Box<Expect>),
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Ok,
    Fails(String),
    Discarded,
}

/// One `expect` line.
#[derive(Debug, Default)]
pub struct Expect {
    pub service: Option<String>,
    /// Type and value of every record; `None` where the line says nothing of records.
    pub records: Option<Vec<(String, String)>>,
    pub undecided: bool,
    pub ttl: Option<u32>,
    pub serial: Option<Count>,
    pub changesets: Option<usize>,
    pub latched: Option<bool>,
    pub hold: Option<Hold>,
    pub percent: Option<u32>,
    pub proposals: Option<usize>,
    pub refused: Option<String>,
    pub because: Option<String>,
}

#[derive(Debug)]
pub enum Hold {
    Until(Duration),
    None,
}

#[derive(Debug)]
pub enum Count {
    Plus(u32),
    Is(u32),
}

/// Parses a file that says itself what is configured.
pub fn parse(text: &str) -> Result<Scenario, Wrong> {
    parse_for(text, None)
}

/// Parses a file; with `sites`, it is one for a configuration that has these, and configures nothing itself.
pub fn parse_for(text: &str, sites: Option<Vec<String>>) -> Result<Scenario, Wrong> {
    let mut setup = Setup::default();
    let given = sites.is_some();
    if let Some(sites) = sites {
        setup.sites = sites.into_iter().map(|site| (site, Vec::new())).collect();
    }
    let mut first = None;
    let mut steps: Vec<Step> = Vec::new();
    let mut at = Duration::ZERO;
    for (line, text) in (1..).zip(text.lines()) {
        let fail = |why: String| Wrong { line, why };
        let words = words(text).map_err(fail)?;
        let Some((head, rest)) = words.split_first() else { continue };
        let heads =
            ["site", "zone", "file", "service", "remove", "canaries", "maintenance", "safety", "capacity"];
        if heads.contains(&head.as_str()) {
            if given {
                let why = "with a configuration file the setup stands there, and not in the scenario";
                return Err(fail(format!("\"{head}\": {why}")));
            }
            change(&mut setup, head, rest).map_err(fail)?;
            if let Some(Step { what: What::Reload(reloaded), .. }) = steps.last_mut() {
                *reloaded = setup.clone();
            } else if !steps.is_empty() {
                return Err(fail(format!("\"{head}\" stands at the top or after a reload")));
            }
            continue;
        }
        first.get_or_insert_with(|| setup.clone());
        if head == "expect" {
            let expect = expect(rest, text).map_err(fail)?;
            steps.push(Step { line, at, what: What::Expect(Box::new(expect)) });
            continue;
        }
        if head != "at" {
            return Err(fail(format!("\"{head}\" is no line of a scenario")));
        }
        let (time, actions) = rest.split_first().ok_or_else(|| fail("at when?".to_owned()))?;
        at = duration(time).map_err(fail)?;
        if actions.is_empty() {
            steps.push(Step { line, at, what: What::Nothing });
        }
        for words in actions.split(|word| word == ",").filter(|words| !words.is_empty()) {
            let what = action(words, &setup).map_err(fail)?;
            steps.push(Step { line, at, what });
        }
    }
    Ok(Scenario { setup: first.unwrap_or(setup), steps })
}

fn change(setup: &mut Setup, head: &str, rest: &[String]) -> Result<(), String> {
    let name = rest.first().ok_or_else(|| format!("{head} what?"))?.clone();
    match (head, &rest[1..]) {
        ("site", addrs) => {
            let addrs: Result<_, _> =
                addrs.iter().map(|a| a.parse().map_err(|e| format!("{a}: {e}"))).collect();
            setup.sites.insert(name, addrs?);
        }
        ("zone", [word, serial]) if word == "serial" => {
            setup.zones.insert(name, number(serial)?);
        }
        ("file", [rtype, value, word, ttl]) if word == "ttl" => {
            setup.file.push((name, rtype.clone(), value.clone(), number(ttl)?));
        }
        ("service", words) => {
            setup.services.insert(name, service(words)?);
        }
        ("canaries", addrs) if name == "quorum" => {
            let (quorum, addrs) = addrs.split_first().ok_or("canaries quorum N ADDRESS ...")?;
            let addrs: Result<_, _> =
                addrs.iter().map(|a| a.parse().map_err(|e| format!("{a}: {e}"))).collect();
            setup.canaries = (addrs?, number(quorum)? as usize);
        }
        ("capacity", [load]) => {
            setup.capacity.insert(name, number(load)?);
        }
        ("safety", _) => setup.safety = safety(rest)?,
        ("maintenance", [schedule, zone, word, length]) if word == "for" => {
            setup.maintenance.push((name, unquoted(schedule), zone.clone(), duration(length)?));
        }
        ("remove", []) => {
            let known = setup.services.remove(&name).is_some() || setup.zones.remove(&name).is_some();
            known.then_some(()).ok_or_else(|| format!("there is no {name} to remove"))?;
        }
        _ => return Err(format!("a {head} line is not written like this")),
    }
    Ok(())
}

fn safety(words: &[String]) -> Result<Safety, String> {
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

fn service(words: &[String]) -> Result<ServiceSpec, String> {
    let mut spec = ServiceSpec::default();
    let keys = ["ttl", "suspect", "fall", "rise", "window", "interval", "confirm", "failback", "all_down"];
    let more = ["probes", "cname", "damping", "delay", "approval", "steps", "exempt", "load", "shed"];
    let is_key = |word: &String| keys.contains(&word.as_str()) || more.contains(&word.as_str());
    let [policy, rest @ ..] = words else { return Err("a service has a policy".to_owned()) };
    if policy != "failover" {
        return Err(format!("policy {policy} is not known"));
    }
    let end = rest.iter().position(is_key).unwrap_or(rest.len());
    spec.sites = rest[..end].to_vec();
    let mut rest = &rest[end..];
    while let Some((key, tail)) = rest.split_first() {
        let end = tail.iter().position(is_key).unwrap_or(tail.len());
        let values = &tail[..end];
        rest = &tail[end..];
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
    Ok(spec)
}

fn action(words: &[String], setup: &Setup) -> Result<What, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(match words[..] {
        ["restart"] => What::Restart,
        ["approve", "all"] => What::Approve { service: None },
        ["approve", service] => What::Approve { service: Some(service.to_owned()) },
        ["reject", service] => What::Reject { service: service.to_owned() },
        ["reload"] => What::Reload(setup.clone()),
        ["undrain", scope] => What::Clear { scope: scope.to_owned() },
        ["failover", service, "to", to] => What::Failover { service: service.to_owned(), to: to.to_owned() },
        ["failback", service] => What::Failback { service: service.to_owned() },
        [kind @ ("drain" | "force-up" | "force-down"), scope, reason, ref lasts @ ..] => {
            let (lasts, force) = match lasts {
                [lasts @ .., "forced"] => (lasts, true),
                lasts => (lasts, false),
            };
            let lasts = match lasts {
                [] => None,
                ["for", time] => Some(duration(time)?),
                other => return Err(format!("\"{}\" after the reason", other.join(" "))),
            };
            let (kind, scope, reason) = (kind.to_owned(), scope.to_owned(), unquoted(reason));
            What::Override { kind, scope, reason, lasts, force }
        }
        [target, verb, ref rest @ ..] => {
            let (times, rest) = match rest {
                ["twice", rest @ ..] => (2, rest),
                [count, "times", rest @ ..] => (number(count)?, rest),
                rest => (1, rest),
            };
            let outcome = match (verb, rest) {
                ("ok", []) => Outcome::Ok,
                ("fails", []) => Outcome::Fails("connection refused".to_owned()),
                ("fails", [why]) => Outcome::Fails(unquoted(why)),
                ("discarded", []) => Outcome::Discarded,
                _ => return Err(format!("\"{}\" is no action", words.join(" "))),
            };
            let (site, of) = target.split_once('.').map_or((target, None), |(site, of)| (site, Some(of)));
            if site != "canary" && !setup.sites.contains_key(site) {
                return Err(format!("there is no site {site}"));
            }
            What::Samples { site: site.to_owned(), of: of.map(str::to_owned), outcome, times }
        }
        _ => return Err(format!("\"{}\" is no action", words.join(" "))),
    })
}

fn expect(words: &[String], text: &str) -> Result<Expect, String> {
    let mut expect = Expect::default();
    let mut words = words.iter().map(String::as_str);
    let mut rtype = None;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} what?"));
        match word {
            "A" | "AAAA" | "CNAME" => rtype = Some(word.to_owned()),
            "empty" => expect.records = Some(Vec::new()),
            "undecided" => expect.undecided = true,
            "ttl" => expect.ttl = Some(number(value()?)?),
            "serial" => {
                let value = value()?;
                expect.serial = Some(match value.strip_prefix('+') {
                    Some(plus) => Count::Plus(number(plus)?),
                    None => Count::Is(number(value)?),
                });
            }
            "changesets" => expect.changesets = Some(number(value()?)? as usize),
            "latched" => expect.latched = Some(true),
            "free" => expect.latched = Some(false),
            "hold" => expect.hold = Some(Hold::Until(duration(value()?)?)),
            "percent" => expect.percent = Some(number(value()?)?),
            "proposals" => expect.proposals = Some(number(value()?)? as usize),
            "no-hold" => expect.hold = Some(Hold::None),
            "refused" => expect.refused = Some(unquoted(value()?)),
            "because" => {
                let (_, because) = text.split_once("because").ok_or("because what?")?;
                expect.because = Some(because.split_whitespace().collect::<Vec<_>>().join(" "));
                return Ok(expect);
            }
            value => match &rtype {
                Some(rtype) => {
                    expect.records.get_or_insert_default().push((rtype.clone(), value.to_owned()));
                    continue;
                }
                None if expect.service.is_none() => expect.service = Some(value.to_owned()),
                None => return Err(format!("\"{value}\" is nothing to expect")),
            },
        }
        if !["A", "AAAA", "CNAME"].contains(&word) {
            rtype = None;
        }
    }
    Ok(expect)
}

/// Words, quoted texts (with their quotes) and commas; a `#` begins a comment.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let end = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.find('"').ok_or("a quote is not closed")? + 2
        } else if rest.starts_with(',') {
            1
        } else {
            rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len())
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

fn unquoted(word: &str) -> String {
    word.trim_matches('"').to_owned()
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|e| format!("{text}: {e}"))
}

/// `250ms`, `10.5s`, `1h`, `3m`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(|| format!("{text} has no unit"))?;
    let (value, unit) = text.split_at(split);
    let value: f64 = value.parse().map_err(|e| format!("{text}: {e}"))?;
    let secs = match unit {
        "ms" => value / 1000.0,
        "s" => value,
        "m" => value * 60.0,
        "h" => value * 3600.0,
        _ => return Err(format!("{text} has an unknown unit")),
    };
    let exact = Duration::try_from_secs_f64(secs + 0.0005).map_err(|e| format!("{text}: {e}"))?;
    Ok(Duration::from_millis(exact.as_millis() as u64))
}
