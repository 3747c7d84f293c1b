//! What a review says of an incident, and what it finds worth a look.

use std::time::Duration;

use super::page::Piece;
use super::review::Known;
use super::standby::{Tally, carriers};
use super::*;
use crate::health::{Detail, Failure, Outcome, Sample, Vantage};
use crate::incident::{FirstFailure, For, Line, Move, Phases, Served, Waiting, Way, What};
use crate::model::{CheckKey, Whereto};

/// 2026-11-21T03:00:00.000Z
const BEGAN: Time = Time(1_795_230_000_000);

fn after(secs: u64) -> Time {
    BEGAN + Duration::from_secs(secs)
}

fn check(place: &str) -> CheckKey {
    CheckKey { probe: "web".into(), whereto: Whereto::Addr(place.parse().unwrap()), host: None }
}

fn line(secs: u64, what: What, text: &str, who: Option<&str>) -> Line {
    let (text, who) = (text.to_owned(), who.map(str::to_owned));
    Line { at: after(secs), what, service: None, site: None, text, sequence: None, count: 1, who }
}

/// fra dies at 3:00:00, is Down 20 s later, app moves to iad, and stays there: failback is manual.
fn incident() -> Incident {
    let app = || "app.example.com".parse().unwrap();
    let moved = Move {
        service: app(),
        way: Way::Away,
        from: vec!["fra".into()],
        to: vec!["iad".into()],
        failed: BEGAN,
        down: Some(after(20)),
        decided: after(20),
        decision: 7,
        published: Some(after(20)),
        serial: None,
        gone: after(30),
        rto_ms: Some(25_000),
        because: "fra Down".to_owned(),
        families: String::new(),
    };
    let served = |site: &str, from, to, answer: &str| Served {
        service: app(),
        from,
        to,
        sites: vec![site.into()],
        answer: vec![answer.to_owned()],
        ttl: 30,
        because: String::new(),
    };
    Incident {
        id: 42,
        began: BEGAN,
        ended: None,
        sites: vec!["fra".into()],
        services: vec![app()],
        services_total: 1,
        summary: "fra failed (status 503 <b>): app.example.com moved to iad within 20s; goes on for 5m 0s"
            .into(),
        phases: Some(moved.phases()),
        causes: vec![FirstFailure {
            check: check("192.0.2.10"),
            site: "fra".into(),
            at: BEGAN,
            why: "status 503 <b>".to_owned(),
            down: Some(after(20)),
            up: Some(after(200)),
            falls: 3,
        }],
        moves: vec![moved],
        moves_total: 1,
        waiting: vec![Waiting {
            service: app(),
            since: after(200),
            for_what: For::Failback,
            because: "failback is manual".to_owned(),
        }],
        clear: Some(after(30)),
        served: vec![
            served("fra", after(0) - Duration::from_secs(900), Some(after(20)), "A 192.0.2.10"),
            served("iad", after(20), None, "A 198.51.100.10"),
        ],
        timeline: vec![
            line(0, What::FirstFailed, "web@192.0.2.10 fails first at fra: status 503 <b>", None),
            line(20, What::Decided, "app.example.com moves from fra to iad", None),
            line(60, What::Command, "drain fra, by ana@ops1: *new* routers", Some("ana@ops1")),
            line(90, What::Alert, "alert to oncall sent: app.example.com moved from fra to iad", None),
        ],
        more_lines: 0,
    }
}

fn sample(place: &str, at: Time, latency_ms: u64, outcome: Outcome) -> Sample {
    let (vantage, latency) = (Vantage::local(), Duration::from_millis(latency_ms));
    Sample { check: check(place), vantage, at, latency, outcome, detail: Detail::default() }
}

fn held(incident: &Incident) -> Vec<standby::Held> {
    let carriers = carriers(incident, after(300));
    let mut tally = Tally::default();
    for secs in 0..20 {
        tally.count(&carriers, &sample("198.51.100.10", after(secs), 10, Outcome::Ok));
        tally.count(&carriers, &sample("192.0.2.10", after(secs), 10, Outcome::Ok));
    }
    for secs in 20..299 {
        let outcome = if secs == 100 { Outcome::Failed(Failure::Reset) } else { Outcome::Ok };
        tally.count(&carriers, &sample("198.51.100.10", after(secs), 40, outcome));
    }
    tally.finish()
}

fn known(incident: &Incident, held: Result<Vec<standby::Held>, String>) -> Known<'_> {
    Known { incident, held, config: None, now: after(300) }
}

#[test]
fn a_review_tells_what_happened_and_what_to_look_at() {
    let incident = incident();
    let page = known(&incident, Ok(held(&incident))).page();
    let markdown = page.markdown();
    let has = |text: &str| assert!(markdown.contains(text), "no {text} in\n{markdown}");
    has("# Incident 42: fra\n");
    has("took 30.0 s, 5.00 s more than the 25.0 s it promises.");
    // Findings, the worst first.
    has("- The promise was missed by 5.00 s: app.example.com took 30.0 s, its `rto` is 25.0 s.\n");
    has("- Detection took most of the time, 20.0 s of 30.0 s: lower `interval`");
    has("- app.example.com waits for `detour failback`, since 1m 40s.\n");
    has("- web@192.0.2.10 at fra fell 3 times");
    has(
        "- The standby was not well: web@198.51.100.10 at iad failed 1 of 279 runs while it carried (connection reset).",
    );
    has(
        "- The standby got slower: web@198.51.100.10 at iad took 40.0 ms at the median while it carried, 10.0 ms before",
    );
    has("- The first alert was taken 1m 10s after the move");
    // What comes from outside is text.
    has("| fra | `web@192.0.2.10` | status 503 \\<b\\> | +20s | +3m 20s | 3 |");
    has("drain fra, by ana@ops1: \\*new\\* routers |");
    has("| app.example.com | fra → iad | 20.0 s | 0.00 s | 0.00 s | 10.0 s | 30.0 s | **25.0 s: missed** |");
    has("| app.example.com | before | 2026-11-21T03:00:20.000Z | 15m 20s | fra | A 192.0.2.10 | 30 s |");
    has("| iad | `web@198.51.100.10` | 279 | 1: connection reset | 40.0 ms | 40.0 ms | 10.0 ms |");

    let html = page.html();
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
    assert!(html.contains("status 503 &lt;b&gt;") && !html.contains("<b>"), "{html}");
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script"), "{html}");
}

#[test]
fn an_incident_that_moved_nothing_says_so() {
    let quiet = Incident {
        phases: None,
        moves: vec![],
        moves_total: 0,
        waiting: vec![],
        served: vec![],
        causes: vec![],
        timeline: vec![],
        ended: Some(after(10)),
        ..incident()
    };
    let markdown = known(&quiet, Err("the recording is not on this host".to_owned())).page().markdown();
    let has = |text: &str| assert!(markdown.contains(text), "no {text} in\n{markdown}");
    has("Clients were answered the same all the time.");
    has("Nothing stands out.");
    has("No answer moved away from what failed.");
    has("Nobody did anything: all of it was decided by rule.");
    has("Not known: the recording is not on this host.");
    has("| Ended | 2026-11-21T03:00:10.000Z, after 10s |");
}

#[test]
fn the_longest_phase_is_named() {
    let told = |detect, decide, ttl, rto: Option<f64>| {
        let total = detect + decide + ttl;
        let (service, kept) = ("app.example.com".parse().unwrap(), rto.map(|rto| total <= rto));
        let phases = Phases { service, detect, decide, publish: 0.0, ttl, total, rto, kept };
        let quiet =
            Incident { phases: Some(phases), moves: vec![], waiting: vec![], causes: vec![], ..incident() };
        let found = findings::findings(&quiet, &[], None, after(300));
        let first = |line: &page::Line| match &line[0] {
            Piece::Plain(text) | Piece::Code(text) | Piece::Strong(text) => text.clone(),
        };
        found.iter().map(first).collect::<Vec<_>>().join("\n")
    };
    assert!(
        told(0.5, 0.0, 28.0, Some(40.0))
            .contains("The TTL of the old answer took most of the time, 28.0 s of 28.5 s")
    );
    assert!(
        told(1.0, 90.0, 5.0, Some(60.0)).contains("The decision took most of the time, 90.0 s of 96.0 s")
    );
    assert!(told(1.0, 0.0, 5.0, None).contains("promises nothing"));
    assert_eq!(told(0.6, 0.0, 0.5, Some(60.0)), "", "there is nothing to gain");
}
