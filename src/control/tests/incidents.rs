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
