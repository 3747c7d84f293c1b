//! From the history to messages, without a clock and without a receiver.

mod ends;

use std::time::Duration;

use super::message::{Message, State};
use super::queue::{Desk, Failed, GIVE_UP, MAX_WAITING, backoff};
use super::{Kind, derive};
use crate::condition::{ConditionKind, Conditions};
use crate::dns::Name;
use crate::engine::{Doubt, Happened};
use crate::health::{Health, Warning};
use crate::model::{AlertReceiver, AlertSeverity, AlertWay, CheckKey, ServicePattern, Whereto};
use crate::policy::{
    Decision, Family, FamilyPart, Forced, LastResort, Latch, Noted, OverrideKind, Portion, Reason, Rule,
    Toward,
};
use crate::state::Entry;
use crate::time::{HostTime, Time};

const START: Time = Time(1_795_230_000_000);

fn receiver() -> AlertReceiver {
    AlertReceiver {
        id: "oncall".into(),
        way: AlertWay::Command(vec!["/bin/true".to_owned()]),
        severities: vec![AlertSeverity::Critical, AlertSeverity::Warning, AlertSeverity::Info],
        services: None,
        group_wait: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        title: None,
        text: None,
        ca: None,
    }
}

fn noted(site: &str, health: Health) -> Noted {
    let because = if health == Health::Down { "3 of 3 failed, connection refused" } else { "1 of 1 ok" };
    Noted {
        site: site.into(),
        health,
        because: because.to_owned(),
        forced: None,
        maintenance: None,
        full: false,
        earlier_until: None,
        withheld: vec![],
    }
}

fn decision(service: &str, serving: Option<&str>, rule: Rule, endpoints: Vec<Noted>) -> Happened {
    let reason = Reason { serving: serving.map(Into::into), rule, endpoints };
    Happened::Decision(Decision {
        id: 1,
        at: START,
        service: service.parse().unwrap(),
        sites: serving.into_iter().map(Into::into).collect(),
        records: vec![],
        ttl: 30,
        reason,
        steer: None,
        rto_ms: None,
        partial: None,
        families: vec![],
    })
}

fn at_fra(service: &str) -> Happened {
    decision(service, Some("fra"), Rule::InOrder, vec![noted("fra", Health::Up)])
}

fn to_iad(service: &str) -> Happened {
    let endpoints = vec![noted("fra", Health::Down), noted("iad", Health::Up)];
    decision(service, Some("iad"), Rule::InOrder, endpoints)
}

fn nothing(service: &str) -> Happened {
    let endpoints = vec![noted("fra", Health::Down), noted("iad", Health::Down)];
    decision(service, Some("fra"), Rule::AllDown { answer: LastResort::Keep }, endpoints)
}

/// A desk, its receiver, a history and a clock.
struct Told {
    desk: Desk,
    to: AlertReceiver,
    now: Time,
    seq: u64,
}

impl Told {
    fn new(to: AlertReceiver) -> Told {
        Told { desk: Desk::new(0), to, now: START, seq: 0 }
    }

    /// These things happen at once.
    fn happens(&mut self, what: Vec<Happened>) {
        let entries: Vec<Entry> = what
            .into_iter()
            .map(|what| {
                self.seq += 1;
                Entry { seq: self.seq, at: self.now, what }
            })
            .collect();
        self.desk.read(self.now, &entries, &self.to);
    }

    fn passes(&mut self, secs: u64) {
        self.now = self.now + Duration::from_secs(secs);
    }

    /// What is delivered when everything gathered is due, and nothing fails.
    fn delivered(&mut self) -> Vec<Message> {
        self.now = self.now + self.to.group_wait;
        self.desk.group(self.now, &self.to);
        let mut messages = Vec::new();
        while let Some(message) = self.desk.ready(self.now).cloned() {
            messages.push(message);
            self.desk.delivered();
        }
        messages
    }

    /// The same, as far as tests ask.
    fn titles(&mut self) -> Vec<(State, Kind, String)> {
        self.delivered().into_iter().map(|m| (m.state, m.kind, m.title)).collect()
    }
}

#[test]
fn a_failover_and_its_end() {
    let mut told = Told::new(receiver());
    told.happens(vec![at_fra("app.example.com")]);
    assert_eq!(told.delivered(), [], "that all is well is no news");

    told.happens(vec![to_iad("app.example.com")]);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((message.state, message.kind), (State::Firing, Kind::Failover));
    assert_eq!(message.severity, AlertSeverity::Critical);
    assert_eq!(message.title, "app.example.com moved from fra to iad");
    let reason = "fra Down: 3 of 3 failed, connection refused; iad is next in order and Up";
    assert_eq!((&*message.text, &*message.reason), (reason, reason), "the decision's own reason");
    assert_eq!(message.site.as_deref(), Some("fra"));
    let key = message.key.clone();

    // The same again, with another reason, is told once; its hold is not its end.
    let holding = Rule::Holding { back: "fra".into(), until: START };
    let both = vec![noted("fra", Health::Up), noted("iad", Health::Up)];
    told.happens(vec![to_iad("app.example.com"), decision("app.example.com", Some("iad"), holding, both)]);
    assert_eq!(told.delivered(), []);

    told.happens(vec![at_fra("app.example.com")]);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((message.state, message.kind, &message.key), (State::Resolved, Kind::Failback, &key));
    assert_eq!(message.title, "app.example.com is back at fra");
    assert!(told.desk.subjects().is_empty());
}

#[test]
fn a_family_that_is_answered_from_elsewhere_is_a_failover() {
    let mut told = Told::new(receiver());
    let in_parts = |rule: Rule, endpoints: Vec<Noted>| {
        let Happened::Decision(decision) = at_fra("app.example.com") else { unreachable!("a decision") };
        let reason = Reason { serving: Some("iad".into()), rule, endpoints };
        let (family, sites, records) = (Family::Aaaa, vec!["iad".into()], vec![]);
        let families = vec![FamilyPart { family, sites, records, ttl: 30, reason, steer: None }];
        Happened::Decision(Decision { families, ..decision })
    };
    let dead = || vec![noted("fra", Health::Down), noted("iad", Health::Up)];
    told.happens(vec![at_fra("app.example.com"), in_parts(Rule::InOrder, dead())]);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((message.state, message.kind), (State::Firing, Kind::Failover));
    assert_eq!(message.title, "AAAA of app.example.com moved from fra to iad");
    assert!(message.reason.contains("; AAAA from iad: fra Down"), "{}", message.reason);
    assert_eq!(message.site.as_deref(), Some("fra"));

    // The hold of its return is no news.
    let both = || vec![noted("fra", Health::Up), noted("iad", Health::Up)];
    told.happens(vec![in_parts(Rule::Holding { back: "fra".into(), until: START }, both())]);
    assert_eq!(told.delivered(), []);
    // It works nowhere any more; and then all is well.
    told.happens(vec![in_parts(Rule::AllDown { answer: LastResort::Keep }, dead())]);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((message.state, message.kind), (State::Firing, Kind::Condition(ConditionKind::FamilyDown)));
    assert_eq!(message.title, "AAAA of app.example.com has no endpoint that works");
    told.happens(vec![at_fra("app.example.com")]);
    assert_eq!(told.delivered()[0].state, State::Resolved);
}

#[test]
fn a_site_that_dies_is_one_alert() {
    let mut told = Told::new(receiver());
    let names: Vec<String> = (0..250).map(|n| format!("s{n}.example.com")).collect();
    told.happens(names[..200].iter().map(|name| to_iad(name)).collect());
    // The rest is noticed a little later, within the wait.
    told.passes(2);
    told.happens(names[200..].iter().map(|name| to_iad(name)).collect());
    told.now = START;
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!(message.title, "fra: 250 services moved away, as their endpoints there are Down");
    assert_eq!((message.count, message.services.len(), message.site.as_deref()), (250, 100, Some("fra")));
    assert!(message.text.ends_with("and 240 more"), "{}", message.text);
    assert_eq!(message.text.lines().count(), 11);

    // They come back one after the other, and the last one ends it.
    told.happens(names[..100].iter().map(|name| at_fra(name)).collect());
    let [part] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((part.state, part.count, &part.key), (State::Told, 100, &message.key));
    told.happens(names[100..].iter().map(|name| at_fra(name)).collect());
    let [end] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((end.state, end.count, &end.key), (State::Resolved, 150, &message.key));
}

#[test]
fn nothing_works_any_more_and_then_it_does() {
    let mut told = Told::new(receiver());
    told.happens(vec![to_iad("app.example.com")]);
    let first = told.delivered();
    told.happens(vec![nothing("app.example.com")]);
    let worse = told.delivered();
    assert_eq!((worse[0].kind, worse[0].state, &worse[0].key), (Kind::AllDown, State::Firing, &first[0].key));
    assert_eq!(worse[0].title, "app.example.com: all endpoints down");
    told.happens(vec![at_fra("app.example.com")]);
    let end = told.delivered();
    assert_eq!((end[0].kind, end[0].state, &end[0].key), (Kind::Recovered, State::Resolved, &first[0].key));
}

#[test]
fn what_an_operator_does_is_no_emergency() {
    let mut told = Told::new(receiver());
    let forced = Forced {
        kind: OverrideKind::Drain,
        who: "ann".to_owned(),
        reason: "new switch".to_owned(),
        until: None,
    };
    let drained = Noted { forced: Some(forced), ..noted("fra", Health::Up) };
    let moved = vec![drained, noted("iad", Health::Up)];
    told.happens(vec![decision("app.example.com", Some("iad"), Rule::InOrder, moved)]);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((message.kind, message.severity), (Kind::Moved, AlertSeverity::Info));
    assert!(message.text.contains("drained by ann: new switch"), "{}", message.text);
}

#[test]
fn an_end_follows_its_beginning_in_one_wait() {
    let mut told = Told::new(receiver());
    told.happens(vec![to_iad("app.example.com"), to_iad("www.example.com"), at_fra("app.example.com")]);
    told.happens(vec![to_iad("app.example.com")]);
    let titles = told.titles();
    let states: Vec<_> = titles.iter().map(|(state, kind, _)| (*state, *kind)).collect();
    assert_eq!(
        states,
        [
            (State::Firing, Kind::Failover),
            // www is not back yet.
            (State::Told, Kind::Failback),
            (State::Firing, Kind::Failover),
        ],
        "{titles:?}"
    );
}

/// A decision under which a move is pending, approved by nobody yet.
fn pending(service: &str, serving: Noted, limit: Option<&str>) -> Happened {
    let site = serving.site.clone();
    let rule = Rule::Proposed { to: "iad".into(), proposal: 7, limit: limit.map(str::to_owned), due: None };
    decision(service, Some(&site), rule, vec![serving])
}

#[test]
fn a_pending_approval_ends_with_the_decision_that_answers_it() {
    let mut told = Told::new(receiver());
    told.happens(vec![pending("app.example.com", noted("fra", Health::Up), None)]);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!(
        (message.kind, message.severity),
        (Kind::Approval, AlertSeverity::Warning),
        "clients are served"
    );
    let title = "app.example.com: the move to iad is pending approval; run `detour approve 7`";
    assert_eq!(message.title, title);
    told.happens(vec![to_iad("app.example.com")]);
    let kinds: Vec<_> = told.titles().into_iter().map(|(state, kind, _)| (state, kind)).collect();
    assert_eq!(kinds, [(State::Resolved, Kind::Settled), (State::Firing, Kind::Failover)]);
}

#[test]
fn what_keeps_clients_at_a_dead_site_is_critical() {
    for (limit, kind) in [(None, Kind::Approval), (Some("at most 1 an hour"), Kind::Held)] {
        let severities = vec![AlertSeverity::Critical];
        let mut told = Told::new(AlertReceiver { severities, ..receiver() });
        // At first it waits although fra works: that is for others to know.
        told.happens(vec![pending("app.example.com", noted("fra", Health::Up), limit)]);
        assert_eq!(told.delivered(), []);
        told.happens(vec![pending("app.example.com", noted("fra", Health::Down), limit)]);
        let [message] = &told.delivered()[..] else { panic!("one") };
        assert_eq!((message.kind, message.severity), (kind, AlertSeverity::Critical));
        let says = "app.example.com is answered from fra, which is Down (3 of 3 failed, connection refused)";
        assert!(message.title.starts_with(says), "{}", message.title);
        assert!(message.title.contains("detour approve 7"), "{}", message.title);
        assert_eq!(message.title.contains("at most 1 an hour"), limit.is_some(), "{}", message.title);
    }
}

#[test]
fn nothing_is_resolved_while_clients_are_sent_to_a_dead_site() {
    let mut told = Told::new(receiver());
    told.happens(vec![to_iad("app.example.com")]);
    told.delivered();
    let away = |rule| decision("app.example.com", Some("iad"), rule, vec![noted("iad", Health::Down)]);
    let waits = Rule::Proposed { to: "fra".into(), proposal: 8, limit: None, due: None };
    let rejected = Rule::Rejected { to: "fra".into(), proposal: 8, by: "ann".to_owned() };
    let delayed = Rule::Delayed { to: "fra".into(), until: START };
    for rule in [delayed, waits, rejected] {
        told.happens(vec![away(rule.clone())]);
        let messages = told.delivered();
        let [message] = &messages[..] else { panic!("one for {rule:?}: {messages:#?}") };
        let got = (message.state, message.severity);
        assert_eq!(got, (State::Firing, AlertSeverity::Critical), "{rule:?}: {}", message.title);
        assert!(message.title.contains("answered from iad, which is Down"), "{}", message.title);
    }
    told.happens(vec![at_fra("app.example.com")]);
    let states: Vec<_> = told.titles().into_iter().map(|(state, kind, _)| (state, kind)).collect();
    assert_eq!(states, [(State::Resolved, Kind::Settled), (State::Resolved, Kind::Failback)]);
}

#[test]
fn a_service_that_works_again_where_it_stays_is_down_no_more() {
    let mut told = Told::new(receiver());
    told.happens(vec![nothing("app.example.com")]);
    told.delivered();
    let latched = Rule::Latched { by: Latch::Manual };
    let both = vec![noted("fra", Health::Up), noted("iad", Health::Up)];
    told.happens(vec![decision("app.example.com", Some("iad"), latched, both)]);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((message.kind, message.severity), (Kind::Moved, AlertSeverity::Info));
}

#[test]
fn a_condition_is_told_with_its_own_severity_and_ends_with_it_or_with_a_restart() {
    let mut conditions = Conditions::default();
    conditions.set(ConditionKind::ZoneUnserved, "z.example", START, "zone z.example expired");
    let turns = |conditions: &mut Conditions| {
        conditions.take_turns().into_iter().map(Happened::Condition).collect::<Vec<_>>()
    };
    let mut told = Told::new(receiver());
    let began = turns(&mut conditions);
    told.happens(began.clone());
    let [first] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((first.kind.word(), first.severity), ("zone-unserved", AlertSeverity::Critical));
    assert_eq!(first.title, "zone z.example expired");
    conditions.clear(ConditionKind::ZoneUnserved, "z.example");
    told.happens(turns(&mut conditions));
    let [last] = &told.delivered()[..] else { panic!("one") };
    assert_eq!(
        (last.kind.word(), last.state, &last.key),
        ("zone-unserved-over", State::Resolved, &first.key)
    );

    told.happens(began);
    told.delivered();
    told.happens(vec![Happened::Started { fresh: false }]);
    assert_eq!(told.delivered()[0].state, State::Resolved, "the new run finds it again, if it is still so");
    assert!(told.desk.subjects().is_empty());
}

#[test]
fn each_other_kind_begins_and_ends() {
    let doubt = Doubt { since: START, because: "0 of 2 canaries work, 1 must".to_owned() };
    let standby = |why: Option<&str>| Happened::Standby {
        service: "app.example.com".parse().unwrap(),
        site: "iad".into(),
        unready: why.map(str::to_owned),
    };
    let whereto = Whereto::Addr("192.0.2.10".parse().unwrap());
    let check = CheckKey { probe: "web".into(), whereto, host: None };
    let expires = Some(Warning::CertificateExpires { days: 6, at: HostTime(START.0) });
    let warned = |warning: Option<Warning>| Happened::Warned { check: check.clone(), warning };
    let refused = Happened::LoadRefused { problems: "detour.toml:3:1: error: unknown key".to_owned() };
    let pairs = [
        (Happened::Doubt(doubt.clone()), Kind::Doubt, Happened::Trust(doubt.clone()), Kind::Trust),
        (Happened::Doubt(doubt), Kind::Doubt, Happened::Started { fresh: false }, Kind::Trust),
        (standby(Some("iad is Down")), Kind::Standby, standby(None), Kind::StandbyReady),
        (warned(expires), Kind::Certificate, warned(None), Kind::Renewed),
        (
            refused,
            Kind::Refused,
            Happened::Loaded { services: 1, zones: 1, dropped: vec![], removed: vec![] },
            Kind::Accepted,
        ),
    ];
    for (begin, began, end, ended) in pairs {
        let mut told = Told::new(receiver());
        told.happens(vec![end.clone()]);
        assert_eq!(told.delivered(), [], "an end of what never began: {ended:?}");
        told.happens(vec![begin.clone(), begin]);
        let [first] = &told.delivered()[..] else { panic!("{began:?} once") };
        told.happens(vec![end]);
        let [last] = &told.delivered()[..] else { panic!("{ended:?} once") };
        assert_eq!((first.kind, first.state, first.severity), (began, State::Firing, AlertSeverity::Warning));
        assert_eq!((last.kind, last.state), (ended, State::Resolved));
        assert_eq!(first.key, last.key);
    }
}

#[test]
fn a_standby_that_was_just_left_is_no_news() {
    let unready = |site: &str| Happened::Standby {
        service: "app.example.com".parse().unwrap(),
        site: site.into(),
        unready: Some("it is Down".to_owned()),
    };
    let ready =
        Happened::Standby { service: "app.example.com".parse().unwrap(), site: "fra".into(), unready: None };
    let mut told = Told::new(receiver());
    told.happens(vec![unready("fra"), to_iad("app.example.com")]);
    let kinds: Vec<_> = told.titles().into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::Failover]);
    told.happens(vec![unready("fra")]);
    assert_eq!(told.delivered(), [], "nor later");
    told.happens(vec![ready.clone()]);
    assert_eq!(told.delivered(), [], "what was not told has no end");
    told.happens(vec![unready("ams")]);
    assert_eq!(told.delivered()[0].kind, Kind::Standby, "another one is");
    told.happens(vec![ready, at_fra("app.example.com")]);
    let kinds: Vec<_> = told.titles().into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::StandbyReady, Kind::Failback], "whichever site takes over now");
}

#[test]
fn receivers_are_told_what_concerns_them() {
    let pattern = |name: &str, below| ServicePattern { name: name.parse().unwrap(), below };
    let services = Some(vec![pattern("example.com", true), pattern("example.org", false)]);
    let severities = vec![AlertSeverity::Critical];
    let mut told = Told::new(AlertReceiver { severities, services, ..receiver() });
    told.happens(["app.example.com", "example.com", "example.org", "www.example.org"].map(to_iad).to_vec());
    let [message] = &told.delivered()[..] else { panic!("one") };
    let named: Vec<String> = message.services.iter().map(Name::to_string).collect();
    assert_eq!(named, ["app.example.com.", "example.org."]);
    told.happens(vec![Happened::LoadRefused { problems: "x".to_owned() }]);
    assert_eq!(told.delivered(), [], "a warning");
    told.happens(vec![at_fra("app.example.com"), at_fra("example.org")]);
    assert_eq!(told.titles()[0].0, State::Resolved, "whoever was told of a beginning is told of its end");
}

#[test]
fn a_crash_loses_nothing_and_tells_nothing_twice() {
    let mut told = Told::new(receiver());
    let entries: Vec<Entry> = ["a.example.com", "b.example.com", "c.example.com"]
        .map(to_iad)
        .into_iter()
        .zip(1..)
        .map(|(what, seq)| Entry { seq, at: START, what })
        .collect();
    told.desk.read(START, &entries[..2], &told.to);
    // What is kept is all there is; what was read already is read again.
    let kept = serde_json::to_vec(&told.desk).unwrap();
    told.desk = serde_json::from_slice(&kept).unwrap();
    told.desk.read(START, &entries, &told.to);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!(message.count, 3);
    let kept = serde_json::to_vec(&told.desk).unwrap();
    told.desk = serde_json::from_slice(&kept).unwrap();
    told.desk.read(START, &entries, &told.to);
    assert_eq!(told.delivered(), []);
}

#[test]
fn tries_come_later_and_later_and_end_after_a_day() {
    let secs = |tries, jitter| backoff(tries, jitter).as_secs();
    assert_eq!([1, 2, 3, 8, 9, 10, 1000].map(|n| secs(n, 0)), [1, 2, 4, 128, 256, 300, 300]);
    assert_eq!((secs(3, u8::MAX), secs(10, u8::MAX)), (2, 150), "jitter takes up to a half");

    let mut told = Told::new(receiver());
    told.happens(vec![to_iad("app.example.com"), Happened::LoadRefused { problems: "x".to_owned() }]);
    told.passes(5);
    told.desk.group(told.now, &told.to);
    let begun = told.now;
    let mut tries = 0;
    let lost = loop {
        tries += 1;
        assert!(told.desk.ready(told.now).is_some());
        match told.desk.failed(told.now, false, 0) {
            Some(Failed::Again(at)) => {
                assert_eq!(told.desk.due(&told.to), Some(at));
                assert_eq!(told.desk.ready(at - Duration::from_millis(1)), None);
                told.now = at;
            }
            Some(Failed::GivenUp(lost)) => break lost,
            None => panic!("nothing waits"),
        }
    };
    assert_eq!(lost.kind, Kind::Failover);
    assert!(told.now.since(begun) >= GIVE_UP && tries > 250, "{tries}");
    // The next one has a day of its own; one that the receiver refuses is not tried again.
    assert!(matches!(told.desk.failed(told.now, true, 0), Some(Failed::GivenUp(_))));
    assert_eq!(told.desk.queued(), 0);
}

#[test]
fn a_full_queue_reads_no_further() {
    let mut told = Told::new(AlertReceiver { group_wait: Duration::ZERO, ..receiver() });
    for n in 0..MAX_WAITING {
        assert!(told.desk.has_room(), "{n}");
        told.happens(vec![to_iad(&format!("s{n}.example.com"))]);
        told.desk.group(told.now, &told.to);
    }
    assert!(!told.desk.has_room());
    told.desk.delivered();
    assert!(told.desk.has_room());
}

#[test]
fn a_whole_site_of_20_000_services_is_one_alert() {
    let mut told = Told::new(receiver());
    told.happens((0..20_000).map(|n| to_iad(&format!("s{n}.example.com"))).collect());
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!(message.count, 20_000);
    assert_eq!(told.desk.subjects().len(), 20_000);
}

#[test]
fn samples_and_health_are_no_news_of_their_own() {
    let whereto = Whereto::Addr("192.0.2.10".parse().unwrap());
    let check = CheckKey { probe: "web".into(), whereto, host: None };
    let health =
        |from, to| Happened::Health { check: check.clone(), from, to, because: String::new(), of: None };
    let news = |what| derive(&Entry { seq: 1, at: START, what }).len();
    assert_eq!(news(health(Health::Up, Health::Down)), 0);
    assert_eq!(news(health(Health::Up, Health::Unknown)), 1, "nothing is known of it any more");
    assert_eq!(news(health(Health::Unknown, Health::Up)), 1);
}
