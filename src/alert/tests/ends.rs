//! When what was told of a service is over, and when it is not.

use super::*;

#[test]
fn whoever_is_told_of_outages_alone_is_told_that_one_is_over() {
    let severities = vec![AlertSeverity::Critical];
    let mut told = Told::new(AlertReceiver { severities, ..receiver() });
    told.happens(vec![nothing("app.example.com")]);
    assert_eq!(told.delivered()[0].state, State::Firing);
    let latched = Rule::Latched { by: Latch::Manual };
    let both = vec![noted("fra", Health::Up), noted("iad", Health::Up)];
    let elsewhere = decision("app.example.com", Some("iad"), latched, both);
    told.happens(vec![elsewhere.clone()]);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((message.state, &*message.title), (State::Resolved, "app.example.com moved from fra to iad"));
    told.happens(vec![elsewhere, at_fra("app.example.com")]);
    assert_eq!(told.delivered(), [], "that was all");
    told.happens(vec![nothing("app.example.com")]);
    assert_eq!(told.delivered()[0].state, State::Firing, "and begins anew");
}

#[test]
fn a_site_that_nobody_prefers_is_not_left() {
    let steered = |policy: &str, near: Option<&str>, endpoints: Vec<Noted>| {
        let to = vec![Portion { sites: vec!["fra".into()], permille: 1000 }];
        let toward = vec![Toward { near: near.map(Into::into), to }];
        let rule = Rule::Steered { policy: policy.to_owned(), toward, notes: vec![] };
        decision("app.example.com", Some("fra"), rule, endpoints)
    };
    let kinds = |what: Happened| {
        let mut told = Told::new(receiver());
        told.happens(vec![what]);
        told.delivered().into_iter().map(|message| message.kind).collect::<Vec<_>>()
    };
    let behind = || vec![noted("fra", Health::Up), noted("iad", Health::Down)];
    let before = || vec![noted("iad", Health::Down), noted("fra", Health::Up)];
    for policy in ["geo", "failover"] {
        assert_eq!(kinds(steered(policy, None, behind())), [], "{policy}");
        assert_eq!(kinds(steered(policy, None, before())), [Kind::Failover], "{policy}");
    }
    assert_eq!(kinds(steered("geo", Some("fra"), before())), []);
    assert_eq!(kinds(steered("geo", Some("iad"), behind())), [Kind::Failover]);
    assert_eq!(kinds(steered("weighted", None, behind())), [Kind::Failover]);
}

#[test]
fn nothing_is_firing_of_a_service_that_is_not_configured_any_more() {
    let mut told = Told::new(receiver());
    told.happens(vec![to_iad("app.example.com"), to_iad("www.example.com")]);
    told.happens(vec![pending("app.example.com", noted("fra", Health::Down), None)]);
    told.delivered();
    let removed = vec!["app.example.com".parse().unwrap(), "new.example.com".parse().unwrap()];
    told.happens(vec![Happened::Loaded { services: 1, zones: 1, dropped: vec![], removed }]);
    let titles: Vec<_> = told.delivered().into_iter().map(|message| (message.kind, message.title)).collect();
    assert!(
        !titles.is_empty()
            && titles
                .iter()
                .all(|(kind, title)| { *kind == Kind::Removed && !title.contains("new.example.com") }),
        "{titles:?}"
    );
    let open: Vec<&str> = told.desk.subjects().into_iter().collect();
    assert_eq!(open, ["service www.example.com"], "the other one goes on");
}

#[test]
fn a_dead_site_that_is_forced_up_is_no_recovery() {
    let mut told = Told::new(receiver());
    told.happens(vec![to_iad("app.example.com")]);
    told.delivered();
    let kind = OverrideKind::ForceUp;
    let (who, reason) = ("ann".to_owned(), "the probe lies".to_owned());
    let forced = Some(Forced { kind, who, reason, until: None });
    let fra = Noted { forced, ..noted("fra", Health::Down) };
    told.happens(vec![decision("app.example.com", Some("fra"), Rule::InOrder, vec![fra.clone()])]);
    let [message] = &told.delivered()[..] else { panic!("one") };
    assert_eq!((message.state, message.kind), (State::Firing, Kind::Condition(ConditionKind::ForcedUp)));
    let title = "app.example.com is answered from fra, which is forced Up: fra forced Up by ann: the probe lies (samples say Down: 3 of 3 \
                 failed, connection refused)";
    assert_eq!(message.title, title);
    let up = Noted { health: Health::Up, ..fra };
    told.happens(vec![decision("app.example.com", Some("fra"), Rule::InOrder, vec![up])]);
    assert_eq!(told.delivered()[0].state, State::Resolved);
}

#[test]
fn nothing_is_resolved_while_a_family_is_answered_from_a_dead_site() {
    let mut told = Told::new(receiver());
    told.happens(vec![to_iad("app.example.com")]);
    told.delivered();
    let waits = Rule::Proposed { to: "iad".into(), proposal: 8, limit: None, due: None };
    let rejected = Rule::Rejected { to: "iad".into(), proposal: 8, by: "ann".to_owned() };
    let delayed = Rule::Delayed { to: "iad".into(), until: START };
    for rule in [delayed, waits, rejected] {
        let Happened::Decision(mut decision) = at_fra("app.example.com") else { panic!("a decision") };
        let endpoints = vec![noted("fra", Health::Down)];
        let reason = Reason { serving: Some("fra".into()), rule: rule.clone(), endpoints };
        let (family, sites, records) = (Family::Aaaa, vec!["fra".into()], Vec::new());
        decision.families = vec![FamilyPart { family, sites, records, ttl: 5, reason, steer: None }];
        told.happens(vec![Happened::Decision(decision)]);
        let messages = told.delivered();
        let [message] = &messages[..] else { panic!("one for {rule:?}: {messages:#?}") };
        assert_eq!((message.state, message.severity), (State::Firing, AlertSeverity::Critical), "{rule:?}");
        let says =
            "AAAA of app.example.com is answered from fra, where AAAA is Down (3 of 3 failed, connection";
        assert!(message.title.starts_with(says), "{}", message.title);
    }
    told.happens(vec![at_fra("app.example.com")]);
    let states: Vec<_> = told.titles().into_iter().map(|(state, kind, _)| (state, kind)).collect();
    assert_eq!(states, [(State::Resolved, Kind::Settled), (State::Resolved, Kind::Failback)]);
}
