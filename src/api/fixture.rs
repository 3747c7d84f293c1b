//! A daemon's picture for tests: fra is Down, app has moved to iad, www waits for a failback.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{DaemonStatus, PlotsAt};
use crate::alert::ReceiverView;
use crate::answer::Table;
use crate::condition::Summary;
use crate::dns::{Name, RrSet, Serial, soa_with_serial};
use crate::engine::{
    CheckView, EndpointView, Explanation, PlaceView, PlotView, ServiceView, SiteView, Status, ZoneView,
};
use crate::health::{Detail, Failure, Health, Outcome, Plot, Sample, Vantage};
use crate::model::{CheckKey, Whereto};
use crate::policy::{Decision, Noted, Override, OverrideKind, Reason, Rule, Scope};
use crate::time::Time;
use crate::zone::{Journal, Step};
use crate::zones::LoadOutcome;

/// 2026-11-21T03:00:00.000Z
pub(crate) const NOW: Time = Time(1_795_230_000_000);

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn before(secs: u64) -> Time {
    NOW - Duration::from_secs(secs)
}

pub(crate) fn reason() -> Reason {
    let noted = |site: &str, health, because: &str| Noted {
        site: site.into(),
        health,
        because: because.to_owned(),
        forced: None,
        maintenance: None,
        full: false,
        earlier_until: None,
        withheld: vec![],
    };
    Reason {
        serving: Some("iad".into()),
        rule: Rule::InOrder,
        endpoints: vec![
            noted("fra", Health::Down, "3 of 3 failed, connection refused"),
            noted("iad", Health::Up, "1 of 1 ok"),
        ],
    }
}

fn key(addr: &str, host: &str) -> CheckKey {
    let whereto = Whereto::Addr(addr.parse().unwrap());
    CheckKey { probe: "web".into(), whereto, host: Some(host.into()) }
}

pub(crate) fn a_records(owner: &str, addr: [u8; 4], ttl: u32) -> RrSet {
    RrSet::a(name(owner), ttl, [addr.into()])
}

pub(crate) fn decision(id: u64, service: &str, site: &str, addr: [u8; 4]) -> Decision {
    Decision {
        id,
        at: before(192),
        service: name(service),
        sites: vec![site.into()],
        records: vec![a_records(service, addr, 30)],
        ttl: 30,
        reason: reason(),
        steer: None,
        rto_ms: None,
        partial: None,
        families: vec![],
    }
}

fn endpoint(site: &str, addr: &str, host: &str, health: Health, serving: bool) -> EndpointView {
    let place = Whereto::Addr(addr.parse::<IpAddr>().unwrap());
    let places =
        vec![PlaceView { place, health, because: String::new(), serving, checks: vec![key(addr, host)] }];
    EndpointView {
        site: site.into(),
        health,
        unproven: false,
        since: None,
        serving,
        overridden: None,
        maintenance: None,
        places,
    }
}

fn check(addr: &str, host: &str, health: Health, because: &str, outcome: &Outcome) -> CheckView {
    let key = key(addr, host);
    let sample = |secs| Sample {
        check: key.clone(),
        vantage: Vantage::local(),
        at: before(secs),
        latency: Duration::from_micros(1_250),
        outcome: outcome.clone(),
        detail: Detail::default(),
    };
    CheckView {
        health,
        since: before(192),
        because: because.to_owned(),
        every_ms: 5_000,
        last_sample_age_ms: Some(2_000),
        stale: false,
        held_until: None,
        recent: vec![sample(2), sample(7)],
        key,
    }
}

/// What every checks' places say.
fn checks() -> Vec<CheckView> {
    let refused = Outcome::Failed(Failure::Refused);
    let because = "3 of 3 failed, connection refused";
    vec![
        check("192.0.2.10", "app.example.com", Health::Down, because, &refused),
        check("198.51.100.10", "app.example.com", Health::Up, "1 of 1 ok", &Outcome::Ok),
    ]
}

pub(crate) fn drain() -> Override {
    Override {
        scope: Scope::Site("fra".into()),
        kind: OverrideKind::Drain,
        reason: "disk swap".to_owned(),
        who: "ana@ops1".to_owned(),
        at: before(600),
        until: Some(NOW + Duration::from_secs(3_000)),
    }
}

fn app() -> ServiceView {
    ServiceView {
        name: name("app.example.com"),
        zone: name("example.com"),
        policy: "failover: fra, iad; failback auto after 60s; all_down keep; TTL 30s, 5s while Suspect"
            .to_owned(),
        probes: "web".to_owned(),
        serial: Some(Serial(2_026_112_102)),
        decision: Some(decision(12, "app.example.com", "iad", [198, 51, 100, 10])),
        since: Some(before(192)),
        latched: false,
        hold_until: Some(NOW + Duration::from_secs(40)),
        standby: None,
        endpoints: vec![
            endpoint("fra", "192.0.2.10", "app.example.com", Health::Down, false),
            endpoint("iad", "198.51.100.10", "app.example.com", Health::Up, true),
        ],
    }
}

fn www() -> ServiceView {
    ServiceView { name: name("www.example.com"), latched: true, hold_until: None, ..app() }
}

fn undecided() -> ServiceView {
    ServiceView {
        name: name("new.example.com"),
        decision: None,
        since: None,
        hold_until: None,
        endpoints: vec![endpoint("fra", "192.0.2.99", "new.example.com", Health::Unknown, false)],
        ..app()
    }
}

fn site(id: &str, name: &str, [up, down, serving]: [usize; 3], overridden: Option<Override>) -> SiteView {
    let (id, name) = (id.into(), name.to_owned());
    let (suspect, unknown, load, capacity) = (0, 0, 0, None);
    SiteView { id, name, up, suspect, down, unknown, serving, overridden, load, capacity, location: None }
}

pub(crate) fn status() -> DaemonStatus {
    let engine = Status {
        now: NOW,
        sites: vec![site("fra", "Frankfurt", [0, 2, 0], Some(drain())), site("iad", "iad", [2, 0, 2], None)],
        services: vec![app(), www(), undecided()],
        checks: checks(),
        zones: vec![ZoneView {
            apex: name("example.com"),
            serial: Serial(2_026_112_102),
            file_serial: Serial(2_026_112_100),
            services: 3,
            edits: 0,
        }],
        overrides: vec![drain()],
        canaries: vec![],
        doubt: None,
        proposals: vec![],
        rules: vec![],
        maintenance: vec![],
    };
    DaemonStatus {
        conditions: Summary::default(),
        version: "0.1.0".to_owned(),
        started: before(7_500),
        config: "/etc/detour/detour.toml".into(),
        listen: vec!["127.0.0.1:5353".parse().unwrap(), "[::1]:5353".parse().unwrap()],
        engine,
        last_load: LoadOutcome { at: before(300), ok: true, problems: None },
        warnings: vec![],
        watches: vec![],
        secondaries: vec![],
        transferred: vec![],
        alerts: vec![receiver()],
    }
}

fn receiver() -> ReceiverView {
    ReceiverView {
        id: "oncall".to_owned(),
        way: "pagerduty".to_owned(),
        queued: 2,
        delivered: 7,
        failed: 3,
        last_success: Some(before(700)),
        last_error: Some((before(5), "no answer within 10s".to_owned())),
        failing: true,
        ..ReceiverView::default()
    }
}

pub(crate) fn explanation() -> Explanation {
    let next = vec!["fra is used again 60s after it is Up".to_owned()];
    Explanation { now: NOW, service: app(), checks: checks(), next }
}

/// Its first check had one run of 1.25 ms and one that failed, just now.
pub(crate) fn plots() -> PlotsAt {
    let mut plot = Plot::default();
    let runs = [Outcome::Ok, Outcome::Failed(Failure::Refused)];
    for outcome in &runs {
        plot.note(NOW, Duration::from_micros(1_250), outcome);
    }
    let view = PlotView {
        site: "fra".into(),
        check: key("192.0.2.10", "app.example.com"),
        buckets: plot.buckets(NOW),
    };
    PlotsAt { now: NOW, plots: vec![view] }
}

/// What is published of `example.com`.
pub(crate) fn table() -> Arc<Table> {
    let text = "@ 60 SOA ns h 2026112102 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n\
                app 30 A 198.51.100.10\nnew 60 TXT x\nplain 300 A 192.0.2.1\n";
    let zone = crate::zone::parse(&name("example.com"), "z", text.as_bytes(), &mut |_| Err(String::new()));
    Arc::new(Table::compile(vec![zone.unwrap().0], &[], 1))
}

/// From serial 2026112100 to 2026112102, by two steps.
pub(crate) fn journal() -> Journal {
    let soa = |serial| soa_with_serial(&table().soa(&name("example.com")).unwrap(), Serial(serial));
    let app = |last| a_records("app.example.com", [198, 51, 100, last], 30);
    let mut journal = Journal::default();
    for (serial, last) in [(2_026_112_100, 8), (2_026_112_101, 9)] {
        let step = Step::of(soa(serial), soa(serial + 1), &[app(last)], &[app(last + 1)]);
        let _ = journal.push(&step, 10);
    }
    journal
}
