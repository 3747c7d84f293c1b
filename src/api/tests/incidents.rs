//! Incidents as they are asked for.

use super::*;
use crate::engine::Bearing;
use crate::health::Health;

#[tokio::test]
async fn tells_incidents_as_they_go_on() {
    let served = served().await;
    let none = served.get("/v1/incidents").await;
    assert_eq!(none.json(), json!({ "incidents": [], "next": null }));
    let of = |site: &str| Bearing { site: site.into(), services: vec![], began: None, maintained: false };
    let health = |place: usize, from, to| Happened::Health {
        check: fixture::status().engine.checks[place].key.clone(),
        from,
        to,
        because: "1 of 1 failed, connection refused".to_owned(),
        of: Some(Box::new(of(["fra", "iad"][place]))),
    };
    served.daemon.keep(fixture::NOW, &[health(0, Health::Up, Health::Down)]);
    let page = served.get("/v1/incidents").await.json();
    let id = page["incidents"][0]["id"].as_u64().unwrap();
    assert_eq!(page["incidents"][0]["ended"], Value::Null);
    assert_eq!(page["incidents"][0]["timeline"][0]["what"], "first_failed");
    served
        .daemon
        .keep(fixture::NOW, &[health(0, Health::Down, Health::Up), health(1, Health::Up, Health::Down)]);
    let one = served.get(&format!("/v1/incidents/{id}")).await.json();
    assert_eq!(one["ended"], json!(fixture::NOW), "what happened since is in it: {one}");

    let page = served.get("/v1/incidents?limit=1").await.json();
    assert_eq!(page["incidents"][0]["sites"], json!(["iad"]), "the newest first");
    let next = page["next"].as_u64().unwrap();
    let page = served.get(&format!("/v1/incidents?limit=1&before={next}")).await.json();
    assert_eq!((&page["incidents"][0]["id"], &page["next"]), (&json!(id), &Value::Null));
    let missing = served.get("/v1/incidents/4711").await;
    assert!(missing.0 == 404 && missing.detail().contains("no incident 4711"));
    assert_eq!(served.get("/v1/incidents/x").await.0, 400);
    assert_eq!(served.get("/v1/incidents?limit=x").await.0, 400);
}

#[tokio::test]
async fn who_looks_at_an_incident_is_sent_what_changed() {
    let served = served().await;
    let of = Bearing { site: "fra".into(), services: vec![], began: None, maintained: false };
    let health = |place: &str, to| {
        let mut check = fixture::status().engine.checks[0].key.clone();
        check.whereto = crate::model::Whereto::Name(place.into());
        let because = "1 of 1 failed, connection refused".to_owned();
        Happened::Health { check, from: Health::Up, to, because, of: Some(Box::new(of.clone())) }
    };
    // Far enough apart to be lines of their own.
    for n in 0..60 {
        let at = fixture::NOW - Duration::from_secs(10 * (60 - n));
        served.daemon.keep(at, &[health(&format!("s{n}.example"), Health::Down)]);
    }
    let ask = async |known: Option<&str>| {
        let id = served.get("/v1/incidents").await.json()["incidents"][0]["id"].as_u64().unwrap();
        let query = known.map(|known| format!("?known={known}")).unwrap_or_default();
        let answer = served.get(&format!("/v1/incidents/{id}{query}")).await;
        (answer.2.len(), answer.json())
    };
    let lines = |body: &Value| body["timeline"].as_array().unwrap().clone();
    let (all, whole) = ask(None).await;
    assert!(lines(&whole).len() >= 60 && !whole["causes"].as_array().unwrap().is_empty());
    let (_, first) = ask(Some("")).await;
    assert_eq!((lines(&first), first["causes"].clone()), (lines(&whole), json!([])));

    let brief = served.get("/v1/incidents?brief=true").await;
    assert!(brief.2.len() * 10 < all && !brief.json()["incidents"][0]["summary"].is_null(), "{}", brief.2);

    let known = first["known"].as_str().unwrap();
    served.daemon.keep(fixture::NOW, &[health("last.example", Health::Down)]);
    let (short, changed) = ask(Some(known)).await;
    assert!(short * 3 < all, "{short} bytes of {all}");
    let from = usize::try_from(changed["timeline_from"].as_u64().unwrap()).unwrap();
    let mut joined = lines(&first)[..from].to_vec();
    joined.extend(lines(&changed));
    assert_eq!(joined, lines(&ask(None).await.1), "what was had and what came are all there is");
    let (_, stranger) = ask(Some("40-0")).await;
    assert_eq!(stranger["timeline_from"], 0, "who knows something else is sent all of it");
}
