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
//!         families each, together;
//!         probes web api, all of which must pass; probes 1 of web api; cname fra=lb.fra.example.net iad=...
//!
//! service app.example.com weighted fra=2 iad sticky slow 100s         a weight of 1 is not written; also `geo`,
//!         `all fra iad max 1 rotate`; members may be groups, whose lines' options follow them:
//!         failover eu iad   group eu all fra sin min_up 50%   group ...
//! near 10.1.0.0/16 fra iad                   which sites the clients of a network prefer; `near anyone iad`
//!
//! canaries quorum 1 203.0.113.53 ...         addresses of canaries, and how many must work
//! safety switches 4 share 30 window 5m sites 2 warn         each of them may be left out
//! capacity fra 100
//! maintenance fra "0 3 * * 0" Europe/Berlin for 2h         of a site, or of a service
//!
//! at 10s    fra ok, iad fails twice "status 503"      `iad.v6` is one family, `iad.api` one probe,
//!                                                     `3 times`; `iad discarded`; `iad noroute`
//!                                                     `canary` is all of them
//! at 20s    drain fra "new switch" for 1h             also force-up, force-down; `app.example.com@fra`
//! at 30s    undrain fra
//! at 35s    drain fra "new switch" forced             whatever safety rules say
//! at 36s    approve all, approve app.example.com, reject app.example.com         its proposal
//! at 37s    approve app.example.com forced            whatever the capacity of the site
//! at 40s    failover app.example.com to iad, failback app.example.com
//! at 50s    restart                                   the engine, from what it saved
//! at 60s    reload                                    with the site, zone, file, service and
//!     zone example.com serial 9                       `remove NAME` lines that follow, indented
//! at 65s    stall 20s                                 the daemon stands still from then on, for so long
//! at 90s                                              nothing but time
//! expect    app.example.com A 192.0.2.10 AAAA 2001:db8:1::10 CNAME lb.example.net ttl 30 serial +1 ...
//! ```
//!
//! An `expect` line holds 20 ms after the line before it. The service may be left out where there is one.
//! Records are all there are; `empty` is none; `undecided` is no decision. `serial +1` counts from the
//! `expect` line before, `serial 9` is the number; `changesets 1` counts publishes likewise;
//! `from 10.1.2.3` is what this client is answered, `scope 16` the bits of its address that this depends on;
//! `share fra 50 share iad 50` is the percent of queries, or of clients, that are answered from there; `moved 50`
//! percent of client networks are answered from elsewhere than at the `expect` line before (both give or take 3);
//! `percent 10` of the clients have moved back, `proposals 1` wait for an answer;
//! `latched`, `free`, `hold 75s` and `no-hold` show what keeps it; `refused "text"` is what the
//! last command was told; `because TEXT`, up to the end of the line, stands in the decision's reason,
//! where `fra Suspect 1/3` is short for `fra Suspect: 1 of 3 failed`.

use std::net::IpAddr;
use std::time::Duration;

use super::service::{safety, service};
use super::setup::Setup;
use super::units::{duration, number};

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
    Approve { service: Option<String>, force: bool },
    Reject { service: String },
    Clear { scope: String },
    Failover { service: String, to: String },
    Failback { service: String },
    Restart,
    Reload(Setup),
    Stall(Duration),
    Nothing,
    Expect(Box<Expect>),
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Ok,
    Fails(String),
    Discarded,
    NoRoute,
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
    /// The client whose answer this is.
    pub from: Option<IpAddr>,
    pub scope: Option<u8>,
    /// Sites and the percent of queries or clients each gets.
    pub shares: Vec<(String, u32)>,
    /// The percent of client networks that are answered from elsewhere than at the `expect` line before.
    pub moved: Option<u32>,
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
        let heads = [
            "site",
            "zone",
            "file",
            "service",
            "remove",
            "canaries",
            "maintenance",
            "safety",
            "capacity",
            "near",
        ];
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
        ("near", sites) => {
            let network = if name == "anyone" { None } else { Some(name.parse()) };
            let network = network.transpose().map_err(|why: crate::dns::NetworkError| why.to_string())?;
            setup.near.retain(|(known, _)| *known != network);
            setup.near.push((network, sites.to_vec()));
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

fn action(words: &[String], setup: &Setup) -> Result<What, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(match words[..] {
        ["restart"] => What::Restart,
        ["approve", service, ref force @ ..] if matches!(force, [] | ["forced"]) => {
            let service = (service != "all").then(|| service.to_owned());
            What::Approve { service, force: !force.is_empty() }
        }
        ["reject", service] => What::Reject { service: service.to_owned() },
        ["reload"] => What::Reload(setup.clone()),
        ["stall", length] => What::Stall(duration(length)?),
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
                ("noroute", []) => Outcome::NoRoute,
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
            "from" => {
                let ip = value()?;
                expect.from = Some(ip.parse().map_err(|e| format!("{ip}: {e}"))?);
            }
            "scope" => expect.scope = Some(number(value()?)? as u8),
            "share" => {
                let site = value()?.to_owned();
                expect.shares.push((site, number(value()?)?));
            }
            "moved" => expect.moved = Some(number(value()?)?),
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
