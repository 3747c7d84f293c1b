//! What the overview says of a picture.

use super::headline::say;
use super::*;
use crate::api::fixture;
use crate::health::Health;
use crate::policy::{Rule, Withheld};

fn overview(query: &Asked) -> Overview {
    Whole::of(fixture::status(), &Liveness::default()).page(query).unwrap()
}

#[test]
fn the_worst_comes_first_and_says_what_is_next() {
    let page = overview(&Asked::default());
    let told: Vec<_> = page.services.iter().map(|row| (row.name.as_str(), row.stance)).collect();
    let expect = [
        ("app.example.com", Stance::Moved),
        ("www.example.com", Stance::Moved),
        ("new.example.com", Stance::Undecided),
    ];
    assert_eq!(told, expect);
    let app = &page.services[0];
    assert_eq!((app.answers.as_slice(), app.more), (&["198.51.100.10".to_owned()][..], 0));
    assert_eq!(app.off[0].why, "Down: 3 of 3 failed, connection refused");
    assert_eq!(app.next.text, "back to fra once it is Up again");
    assert_eq!(page.frame.moves, [Moves { from: "fra".into(), to: "iad".into(), services: 2 }]);
    assert_eq!(page.frame.stances[&Stance::Moved], 2);
    let json = serde_json::to_string(&page).unwrap();
    assert_eq!(serde_json::from_str::<Overview>(&json).unwrap(), page);
}

#[test]
fn the_state_is_a_few_sentences() {
    let page = overview(&Asked::default());
    let texts: Vec<_> = page.frame.sentences.iter().map(|s| (s.tone, s.text.as_str())).collect();
    let moved = "app.example.com, www.example.com moved off fra (Down: 3 of 3 failed, connection refused)";
    let expect = [
        (Tone::Notice, "3 of 3 services are not served as they should be"),
        (Tone::Notice, moved),
        (Tone::Notice, "new.example.com is not decided yet"),
    ];
    assert_eq!(texts, expect);

    let home = |number: usize| Row {
        name: format!("s{number}.example.com"),
        stance: Stance::Home,
        ..overview(&Asked::default()).services.remove(0)
    };
    let well = say(&[home(1), home(2)]);
    assert_eq!(well[0].text, "All 2 services are served from where they should be");
    assert_eq!((well.len(), well[0].tone), (1, Tone::Well));
    assert_eq!(say(&[])[0].text, "No service is configured");
    let stranded = Row { stance: Stance::Stranded, because: "x; the last answer is kept".into(), ..home(1) };
    let said = say(&[stranded, home(2)]);
    assert_eq!(said[0].text, "s1.example.com: no site works; the last answer is kept");
    assert_eq!((said.len(), said[0].tone), (1, Tone::Alarm));
}

#[test]
fn a_lost_family_is_an_alarm_that_names_it() {
    let row = overview(&Asked::default()).services.remove(0);
    let lost = vec!["A has no endpoint that works".to_owned()];
    let lost = Row { name: "app.example.com".into(), stance: Stance::FamilyDown, lost, ..row };
    let said = say(&[lost]);
    assert_eq!(
        (said[0].tone, &*said[0].text),
        (Tone::Alarm, "app.example.com: A has no endpoint that works")
    );
}

#[test]
fn a_page_is_what_is_looked_for() {
    let names = |asked: Asked| -> (Vec<String>, usize) {
        let page = overview(&asked);
        (page.services.into_iter().map(|row| row.name).collect(), page.matching)
    };
    let search = |text: &str| names(Asked { search: text.to_owned(), ..Asked::default() }).0;
    assert_eq!(search("APP"), ["app.example.com"]);
    assert_eq!(search("app iad"), ["app.example.com"]);
    assert_eq!(search("198.51.100"), ["app.example.com", "www.example.com"]);
    assert_eq!(search("app fra"), [""; 0]);
    let show = |word: &str| names(Asked { show: Some(word.to_owned()), ..Asked::default() });
    assert_eq!(show("undecided"), (vec!["new.example.com".to_owned()], 1));
    assert_eq!(show("off").1, 3);
    assert_eq!(show("home").1, 0);
    let second = names(Asked { limit: Some(1), offset: 1, ..Asked::default() });
    assert_eq!(second, (vec!["www.example.com".to_owned()], 3));
    let beyond = names(Asked { limit: Some(2), offset: 90, ..Asked::default() });
    assert_eq!(beyond.0, ["new.example.com"]);
    let nonsense = Asked { show: Some("red".to_owned()), ..Asked::default() };
    assert!(Whole::of(fixture::status(), &Liveness::default()).page(&nonsense).is_err());
}

#[test]
fn what_is_left_out_of_an_answer_is_said_in_a_sentence() {
    let headline = |withheld: &str| {
        let mut status = fixture::status();
        let service = &mut status.engine.services[0];
        let decision = service.decision.as_mut().unwrap();
        decision.sites = vec!["fra".into()];
        decision.reason.serving = Some("fra".into());
        let noted = &mut decision.reason.endpoints[0];
        noted.health = Health::Up;
        noted.withheld = vec![Withheld {
            place: withheld.to_owned(),
            health: Health::Down,
            because: "3 of 3 failed, timeout".to_owned(),
        }];
        decision.reason.endpoints.truncate(1);
        for endpoint in &mut service.endpoints {
            endpoint.health = Health::Up;
        }
        status.engine.services.truncate(1);
        let page = Whole::of(status, &Liveness::default()).page(&Asked::default()).unwrap();
        let first = &page.frame.sentences[0];
        (first.tone, first.text.clone())
    };
    // Another address of its family is answered.
    let said = "app.example.com is answered without 192.0.2.11 (Down: 3 of 3 failed, timeout) of fra";
    assert_eq!(headline("192.0.2.11"), (Tone::Notice, said.to_owned()));
    let said =
        "app.example.com: AAAA is not answered from fra: 2001:db8:1::10 is Down (3 of 3 failed, timeout)";
    assert_eq!(headline("2001:db8:1::10"), (Tone::Alarm, said.to_owned()));
}

#[test]
fn the_headline_tells_since_when_the_site_in_use_is_down() {
    let mut status = fixture::status();
    status.engine.services.truncate(1);
    let now = fixture::NOW;
    let (moved, failed) = (now - Duration::from_secs(300), now - Duration::from_secs(15));
    let service = &mut status.engine.services[0];
    service.since = Some(moved);
    let decision = service.decision.as_mut().unwrap();
    decision.reason.rule = Rule::Proposed { to: "fra".into(), proposal: 7, limit: None, due: None };
    for endpoint in &mut service.endpoints {
        (endpoint.health, endpoint.since) = (Health::Down, Some(failed));
    }
    let page = Whole::of(status, &Liveness::default()).page(&Asked::default()).unwrap();
    let headline = &page.frame.sentences[0];
    assert_eq!((headline.tone, headline.since), (Tone::Alarm, Some(failed)), "{headline:?}");
}
