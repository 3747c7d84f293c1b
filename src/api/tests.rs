//! Control over real sockets.

mod clock;
mod incidents;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fixed::{Served, served, served_within};
use super::gate::Timeouts;
use super::*;
use crate::condition::{ConditionKind, Conditions};
use crate::engine::{Action, Happened};
use crate::policy::{OverrideKind, Scope};

/// What came back: status, headers in lower case, body.
pub(super) struct Answer(pub u16, pub BTreeMap<String, String>, pub String);

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.2).unwrap_or_else(|e| panic!("{e}: {}", self.2))
    }
    /// The detail of an answer that is a problem.
    pub(super) fn detail(&self) -> String {
        assert_eq!(self.1["content-type"], "application/problem+json", "{}", self.2);
        let problem: Problem = serde_json::from_str(&self.2).unwrap();
        assert_eq!(problem.status, self.0);
        problem.detail
    }
}

impl Served {
    /// One request, byte for byte: the tests of the guard send what no client library would.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut lines = vec![format!("{method} {path} HTTP/1.1"), "connection: close".to_owned()];
        if !headers.iter().any(|(key, _)| key.eq_ignore_ascii_case("host")) {
            lines.push(format!("host: {}", self.addr));
        }
        lines.extend(headers.iter().map(|(key, value)| format!("{key}: {value}")));
        lines.push(format!("content-length: {}", body.len()));
        let request = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect();
        Answer(status, headers, body.to_owned())
    }
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }
    pub(super) async fn write(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], &body.to_string()).await
    }
}

#[tokio::test]
async fn shows_the_whole_picture() {
    let served = served().await;
    let status: DaemonStatus = serde_json::from_value(served.get("/v1/status").await.json()).unwrap();
    assert_eq!(status, fixture::status());
    let services = served.get("/v1/services").await.json();
    assert_eq!(services.as_array().unwrap().len(), 3);
    let app = served.get("/v1/services/APP.example.com").await.json();
    assert_eq!(app, services[0]);
    assert_eq!(app["because"], fixture::reason().to_string());
    let body: bodies::ServiceBody = serde_json::from_value(app).unwrap();
    assert_eq!(body.service, fixture::status().engine.services[0]);
    assert_eq!(served.get("/v1/sites").await.json()[0]["name"], "Frankfurt");
    let none = served.get("/v1/services/none.example.com").await;
    assert_eq!((none.0, none.detail().as_str()), (404, "there is no service \"none.example.com.\""));
    assert_eq!(served.get("/v1/services/a..b").await.0, 400);
}

#[tokio::test]
async fn explains_steered_and_plain_names() {
    let served = served().await;
    let app = served.get("/v1/explain?name=app.example.com").await.json();
    assert_eq!(app["answered_text"], json!(["app.example.com. 30 IN A 198.51.100.10"]));
    let body: bodies::ExplainBody = serde_json::from_value(app).unwrap();
    assert_eq!(body.explanation, Some(fixture::explanation()));
    let plain = served.get("/v1/explain?name=plain.example.com").await.json();
    assert_eq!(plain["explanation"], Value::Null);
    assert_eq!(plain["answered_text"], json!(["plain.example.com. 300 IN A 192.0.2.1"]));
    let client = served.get("/v1/explain?name=app.example.com&from=10.1.2.3").await.json();
    assert_eq!(client["client"]["scope"], 16);
    assert_eq!(client["client"]["answered_text"][0], "app.example.com. 30 IN A 192.0.2.10");
    let client = served.get("/v1/explain?name=plain.example.com&from=10.1.2.3").await.json();
    assert_eq!(client["client"]["scope"], 0);
    assert!(client["client"]["region"].is_null());
    assert_eq!(served.get("/v1/explain?name=app.example.com&from=nowhere").await.0, 400);
    assert_eq!(served.get("/v1/explain?name=none.example.com").await.0, 404);
    assert_eq!(served.get("/v1/explain").await.0, 400);
}

#[tokio::test]
async fn shows_the_last_hour_of_a_service() {
    let served = served().await;
    let plots = served.get("/v1/plots/app.example.com").await.json();
    assert_eq!((&plots["now"], &plots["step_secs"]), (&json!(fixture::NOW.0), &json!(120)));
    let check = &plots["checks"][0];
    assert_eq!(
        (&check["site"], &check["probe"], &check["target"]),
        (&"fra".into(), &"web".into(), &"192.0.2.10".into())
    );
    let buckets = check["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 30);
    let now = json!({"at": fixture::NOW.0, "runs": 2, "failures": 1, "discarded": 0,
        "latency_ms": {"mean": 1.25, "max": 1.25}});
    assert_eq!(buckets[29], now);
    assert_eq!(buckets[0]["latency_ms"], Value::Null);
    assert_eq!(served.get("/v1/plots/none.example.com").await.0, 404);
}

#[tokio::test]
async fn pages_through_the_history() {
    let served = served().await;
    let check = async |query: &str, want: &[u64], next: Option<u64>| {
        let answer = served.get(&format!("/v1/history{query}")).await.json();
        let page: bodies::HistoryBody = serde_json::from_value(answer).unwrap();
        assert_eq!(page.entries.iter().map(|e| e.entry.seq).collect::<Vec<_>>(), want, "{query}");
        assert_eq!(page.next, next, "{query}");
        assert!(page.entries.iter().all(|e| e.text == e.entry.to_string()));
    };
    check("", &[4, 2, 0], None).await;
    check("?samples=true", &[4, 3, 2, 1, 0], None).await;
    check("?limit=2", &[4, 2], Some(2)).await;
    check("?limit=2&before=2", &[0], None).await;
    check("?service=app.example.com", &[4, 2], None).await;
    check("?service=app.example.com&samples=true&limit=3", &[4, 3, 2], Some(2)).await;
    assert_eq!(served.get("/v1/history?limit=many").await.0, 400);
    assert_eq!(served.get("/v1/history?colour=red").await.0, 400);
}

#[tokio::test]
async fn carries_commands_to_the_engine() {
    let served = served().await;
    let ask = json!({
        "scope": { "endpoint": ["app.example.com", "fra"] },
        "kind": "force-down", "reason": " disk swap ", "who": "ana@ops1", "for_secs": 60,
    });
    let answer = served.write("POST", "/v1/overrides", &ask).await;
    assert_eq!(answer.0, 200, "{}", answer.2);
    let body: bodies::CommandBody = serde_json::from_value(answer.json()).unwrap();
    assert_eq!(body.decisions[0].decision.id, 13);
    let scope = Scope::Endpoint(fixture::name("app.example.com"), "fra".into());
    let until = Some(fixture::NOW + Duration::from_secs(60));
    let action = Action::Override { scope, kind: OverrideKind::ForceDown, until, force: false };
    assert_eq!(served.told(), Command { who: "ana@ops1".into(), reason: "disk swap".into(), action });

    served.write("DELETE", "/v1/overrides", &json!({ "scope": { "site": "fra" } })).await.json();
    let action = Action::Clear { scope: Scope::Site("fra".into()) };
    assert_eq!(served.told(), Command { who: "api".into(), reason: "cleared".into(), action });

    let service = fixture::name("app.example.com");
    served.write("POST", "/v1/services/app.example.com/failover", &json!({ "to": "iad" })).await.json();
    assert_eq!(served.told().action, Action::Failover { service: service.clone(), to: "iad".into() });
    let headers = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(served.send("POST", "/v1/services/app.example.com/failback", &headers, "").await.0, 200);
    assert_eq!(served.told().action, Action::Failback { service });
    let reloaded = served.write("POST", "/v1/reload", &json!({})).await.json();
    assert_eq!(reloaded, json!({ "services": 3, "zones": 1, "zones_read": 1, "warnings": [] }));
}

#[tokio::test]
async fn says_no_in_words() {
    let served = served().await;
    let check = async |method: &str, path: &str, body: Value, status: u16, part: &str| {
        let answer = served.write(method, path, &body).await;
        assert_eq!(answer.0, status, "{method} {path} {body}: {}", answer.2);
        assert!(answer.detail().contains(part), "{}", answer.2);
    };
    let set = |change: Value| {
        let mut ask = json!({ "scope": { "site": "fra" }, "kind": "drain", "reason": "x" });
        ask.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        ask
    };
    check("POST", "/v1/overrides", json!({}), 400, "missing field `scope`").await;
    check("POST", "/v1/overrides", set(json!({ "kind": "stop" })), 400, "unknown variant `stop`").await;
    check("POST", "/v1/overrides", set(json!({ "colour": 1 })), 400, "unknown field `colour`").await;
    check("POST", "/v1/overrides", set(json!({ "for_secs": 0 })), 400, "for_secs is from 1 to").await;
    check("POST", "/v1/overrides", set(json!({ "for_secs": u64::MAX })), 400, "for_secs is from 1 to").await;
    check("POST", "/v1/overrides", set(json!({ "reason": "  " })), 422, "reason is 1 to 500 bytes").await;
    check("POST", "/v1/overrides", set(json!({ "reason": "a\u{1b}[2J" })), 422, "without control").await;
    check("POST", "/v1/overrides", set(json!({ "who": "a".repeat(201) })), 422, "who is 1 to 200").await;
    check("DELETE", "/v1/overrides", json!({ "scope": { "site": "iad" } }), 404, "no override on \"iad\"")
        .await;
    let failover = "/v1/services/app.example.com/failover";
    check("POST", failover, json!({ "to": "fra" }), 409, "fra is Down: 3 of 3 failed").await;
    check("POST", "/v1/nothing", json!({}), 404, "there is nothing at /v1/nothing").await;
    check("POST", "/v1/status", json!({}), 405, "/v1/status does not take POST").await;
    let long = json!({ "reason": "a".repeat(MAX_BODY) });
    check("POST", "/v1/overrides", long, 413, "length limit").await;
    check("POST", "/v1/whatif", json!({ "downs": ["fra"] }), 400, "unknown field").await;
    // This one's engine has nothing loaded.
    check("POST", "/v1/whatif", json!({ "down": ["fra"] }), 503, "no configuration is loaded yet").await;
    served.daemon.losing.store(true, Ordering::Relaxed);
    check("POST", "/v1/reload", json!({}), 409, "would remove 1 service").await;
    served.write("POST", "/v1/reload", &json!({ "force": true })).await.json();
    served.daemon.failing.store(true, Ordering::Relaxed);
    check("POST", "/v1/reload", json!({}), 422, "detour.toml:3:1: error: unknown key").await;
    served.daemon.gone.store(true, Ordering::Relaxed);
    check("POST", failover, json!({ "to": "iad" }), 503, "the engine does not answer").await;
    assert_eq!(served.get("/v1/status").await.0, 503);
}

#[tokio::test]
async fn refuses_what_only_a_browser_sends() {
    let served = served().await;
    let own = format!("http://{}", served.addr);
    let check = async |method: &str, headers: &[(&str, &str)], want: u16| {
        let path = if method == "GET" { "/v1/status" } else { "/v1/reload" };
        let answer = served.send(method, path, headers, "").await;
        assert_eq!(answer.0, want, "{method} {headers:?}: {}", answer.2);
    };
    let json = ("content-type", "application/json");
    check("GET", &[("host", "evil.example:8053")], 403).await;
    check("GET", &[("host", "localhost:8053")], 200).await;
    check("GET", &[("origin", "http://evil.example")], 403).await;
    check("GET", &[("origin", "null")], 403).await;
    check("GET", &[("origin", &own)], 200).await;
    check("POST", &[json, ("origin", "https://evil.example")], 403).await;
    check("POST", &[json, ("origin", &own)], 200).await;
    check("POST", &[], 415).await;
    check("POST", &[("content-type", "text/plain")], 415).await;
    check("POST", &[("content-type", "application/x-www-form-urlencoded")], 415).await;
    check("OPTIONS", &[("origin", &own), ("access-control-request-method", "POST")], 405).await;
    let answer = served.send("GET", "http://evil.example/v1/status", &[], "").await;
    assert_eq!(answer.0, 403, "the whole address in the request line");
    assert_eq!(served.get("/v1/status").await.1["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn healthz_names_every_reason() {
    let served = served().await;
    let answer = served.get("/healthz").await;
    assert_eq!((answer.0, answer.json()), (200, json!({ "status": "ok" })));
    served.daemon.failing.store(true, Ordering::Relaxed);
    // Not even an engine that answers nothing keeps it from answering.
    served.daemon.gone.store(true, Ordering::Relaxed);
    let answer = served.get("/healthz").await;
    let body: HealthzBody = serde_json::from_value(answer.json()).unwrap();
    assert_eq!((answer.0, body.status.as_str()), (503, "failing"));
    let reasons = [
        "the engine has not run for 10 s",
        "no check has run for 30 s, though some are due",
        "no UDP worker is left",
    ];
    assert_eq!(body.reasons, reasons);
}

#[tokio::test]
async fn what_a_restart_cannot_mend_is_degraded_and_what_hurts_nobody_is_noted() {
    let served = served().await;
    let mut wrong = Conditions::default();
    wrong.set(ConditionKind::NoStandby, "app.example.com", fixture::NOW, "no standby");
    *served.daemon.wrong.lock().unwrap() = Summary::of(&wrong);
    let answer = served.get("/healthz").await;
    assert_eq!((answer.0, answer.json()), (200, json!({ "status": "ok", "notes": ["no standby"] })));
    for n in 0..200 {
        wrong.set(ConditionKind::AllDown, &format!("s{n:03}"), fixture::NOW, &format!("s{n:03} is down"));
    }
    *served.daemon.wrong.lock().unwrap() = Summary::of(&wrong);
    let answer = served.get("/healthz").await;
    let body: HealthzBody = serde_json::from_value(answer.json()).unwrap();
    assert_eq!((answer.0, body.status.as_str()), (200, "degraded"));
    assert_eq!(body.reasons[0], "s000 is down");
    assert_eq!(body.reasons.last().unwrap(), "and 180 more; see `detour status`");
}

#[tokio::test]
async fn neither_health_nor_the_clock_is_asked_of_what_grows_with_the_checks() {
    let served = served().await;
    assert_eq!(served.get("/healthz").await.0, 200);
    assert_eq!(served.get("/v1/incidents").await.0, 200);
    let body = json!({ "scope": { "site": "fra" }, "kind": "drain", "for_secs": 60, "reason": "repairs" })
        .to_string();
    let drained = served.send("POST", "/v1/overrides", &[("content-type", "application/json")], &body).await;
    assert_eq!(drained.0, 200, "{}", drained.2);
    assert_eq!(served.daemon.costly.load(Ordering::Relaxed), 0);
    served.get("/metrics").await;
    assert_eq!(served.daemon.costly.load(Ordering::Relaxed), 2, "metrics are another thing");
}

/// One sample of the metrics: name with labels as written, and its value.
type Series = BTreeMap<String, f64>;

/// Reads Prometheus' text format, and is stricter than Prometheus: help and type before the series, each
/// family once and in one piece, no series twice.
fn parse_metrics(text: &str) -> Series {
    assert!(text.ends_with('\n'));
    let is_name = |s: &str| {
        !s.is_empty()
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !s.as_bytes()[0].is_ascii_digit()
    };
    let (mut series, mut families) = (Series::new(), Vec::<&str>::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let (family, help) = line.strip_prefix("# HELP ").expect(line).split_once(' ').expect(line);
        assert!(is_name(family) && !help.is_empty() && !families.contains(&family), "{line}");
        families.push(family);
        let line = lines.next().unwrap();
        let kind = line.strip_prefix(&format!("# TYPE {family} ")).expect(line);
        assert_eq!(kind == "counter", family.ends_with("_total"), "{line}");
        assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (id, value) = line.rsplit_once(' ').expect(line);
            let (name, labels) = id.split_once('{').map_or((id, None), |(name, labels)| (name, Some(labels)));
            let part = name.strip_prefix(family).expect(line);
            assert!(part.is_empty() != (kind == "histogram"), "{line}");
            assert!(["", "_bucket", "_sum", "_count"].contains(&part), "{line}");
            let mut rest = labels.map(|labels| labels.strip_suffix('}').expect(line)).unwrap_or_default();
            while !rest.is_empty() {
                let (key, value) = rest.split_once("=\"").expect(line);
                assert!(is_name(key), "{line}");
                let bytes = value.as_bytes();
                let mut at = 0;
                while bytes[at] != b'"' {
                    assert!(bytes[at] != b'\\' || b"\\\"n".contains(&bytes[at + 1]), "{line}");
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                rest = &value[at + 1..];
                assert!(rest.is_empty() || rest.starts_with(','), "{line}");
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            assert!(series.insert(id.to_owned(), value.parse().expect(line)).is_none(), "{line}");
        }
    }
    series
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let served = served().await;
    let answer = served.get("/metrics").await;
    assert_eq!(answer.1["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let series = parse_metrics(&answer.2);
    let check = |id: &str, want: f64| assert_eq!(series.get(id), Some(&want), "{id} in\n{}", answer.2);
    check("detour_up", 1.0);
    check("detour_engine_idle_seconds", 0.04);
    check("detour_last_load_ok", 1.0);
    check("detour_build_info{version=\"0.1.0\"}", 1.0);
    let fra = "{probe=\"web\",place=\"192.0.2.10\",host=\"app.example.com\"}";
    check(&format!("detour_check_up{fra}"), 0.0);
    check("detour_check_up{probe=\"web\",place=\"198.51.100.10\",host=\"app.example.com\"}", 1.0);
    check(&format!("detour_check_last_sample_age_seconds{fra}"), 2.0);
    check(&format!("detour_check_latency_seconds{fra}"), 0.001_25);
    check("detour_service_site{service=\"app.example.com\",site=\"fra\"}", 0.0);
    check("detour_service_site{service=\"app.example.com\",site=\"iad\"}", 1.0);
    check("detour_service_ttl_seconds{service=\"app.example.com\"}", 30.0);
    check("detour_service_latched{service=\"www.example.com\"}", 1.0);
    check("detour_endpoint_health{service=\"app.example.com\",site=\"fra\",health=\"down\"}", 1.0);
    check("detour_endpoint_health{service=\"app.example.com\",site=\"fra\",health=\"up\"}", 0.0);
    check("detour_watches{state=\"no_room\"}", 0.0);
    check("detour_zone_serial{zone=\"example.com\"}", 2_026_112_102.0);
    check("detour_override{scope=\"fra\",kind=\"drain\"}", 1.0);
    check("detour_queries_total{transport=\"udp\"}", 7.0);
    check("detour_queries_total{transport=\"t\\\"c\\\\p\\n\"}", 1.0);
    check("detour_tcp_connections", 2.0);
    check("detour_site_endpoints{site=\"fra\",health=\"down\"}", 2.0);
    check("detour_site_services{site=\"iad\"}", 2.0);
    check("detour_services{state=\"all\"}", 3.0);
    check("detour_services{state=\"all_down\"}", 1.0);
    check("detour_service_usable_endpoints{service=\"new.example.com\"}", 0.0);
    check("detour_service_since_timestamp_seconds{service=\"app.example.com\"}", 1_795_229_808.0);
    check("detour_metrics_left_out{of=\"endpoint\"}", 0.0);
    check("detour_probe_lateness_seconds_bucket{le=\"0.05\"}", 3.0);
    check("detour_probe_lateness_seconds_bucket{le=\"+Inf\"}", 4.0);
    check("detour_probe_lateness_seconds_sum", 0.12);
    check("detour_probe_lateness_seconds_count", 4.0);
    assert!(!series.contains_key("detour_service_ttl_seconds{service=\"new.example.com\"}"));

    served.daemon.gone.store(true, Ordering::Relaxed);
    let without = parse_metrics(&served.get("/metrics").await.2);
    assert_eq!(without.get("detour_up"), Some(&0.0));
    assert_eq!(without.get("detour_tcp_connections"), Some(&2.0));
}

#[test]
fn there_is_a_bound_on_the_series_of_endpoints_and_checks() {
    let status = fixture::status();
    let render = |endpoints: usize| {
        let measured = Measurements { endpoints, ..Measurements::default() };
        metrics::render(Some(&status), &Liveness::default(), &Summary::default(), &measured)
    };
    let text = render(3);
    let series = parse_metrics(&text);
    let has = |id: &str| series.contains_key(id);
    // Two services have four endpoints, and one is whole or not there.
    assert!(has("detour_service_site{service=\"app.example.com\",site=\"iad\"}"));
    assert!(!has("detour_service_site{service=\"www.example.com\",site=\"fra\"}"));
    assert!(!has("detour_service_latched{service=\"www.example.com\"}"));
    assert_eq!(series.get("detour_metrics_left_out{of=\"endpoint\"}"), Some(&3.0));
    assert_eq!(series.get("detour_metrics_left_out{of=\"check\"}"), Some(&0.0));
    assert_eq!(series.get("detour_services{state=\"all\"}"), Some(&3.0), "sums are of all");
    let series = parse_metrics(&render(0));
    assert_eq!(series.get("detour_metrics_left_out{of=\"check\"}"), Some(&2.0));
    assert_eq!(series.keys().filter(|id| id.contains("service=")).count(), 0);
}

#[tokio::test]
async fn stops_though_a_connection_stays_open() {
    let mut served = served().await;
    // A head without an end: no request that could be waited for.
    let mut open = TcpStream::connect(served.addr).await.unwrap();
    open.write_all(b"GET /v1/status HTTP/1.1\r\n").await.unwrap();
    assert_eq!(served.get("/healthz").await.0, 200);
    drop(served.stop.take());
    served.ended.await.unwrap();
    assert!(TcpStream::connect(served.addr).await.is_err());
}

#[tokio::test]
async fn a_zone_is_shown_as_it_is_served() {
    let served = served().await;
    let zone = served.get("/v1/zones/example.com").await;
    let body: zone_api::ZoneBody = serde_json::from_value(zone_json(&zone)).unwrap();
    assert_eq!((body.serial, body.services.len()), (Serial(2_026_112_102), 2));
    let owners: Vec<_> =
        body.records.iter().map(|set| format!("{} {}", set.records.name, set.records.rtype)).collect();
    let e = |name: &str| format!("{name}example.com. ");
    let expect =
        [e("") + "SOA", e("") + "NS", e("app.") + "A", e("new.") + "TXT", e("ns.") + "A", e("plain.") + "A"];
    assert_eq!(owners, expect);
    assert_eq!((body.records[2].decision, body.records[3].decision), (Some(12), None));

    let text = served.get("/v1/zones/example.com?format=text").await;
    assert_eq!(text.1["content-type"], "text/dns; charset=utf-8");
    let text = unchunked(&text.2);
    assert!(text.starts_with("; example.com. serial 2026112102, as it is served\n"), "{text}");
    assert!(text.contains("\n; app.example.com. is steered: decision 12, from iad: "), "{text}");
    assert!(text.contains("\napp.example.com. 30 IN A 198.51.100.10 ; steered\n"), "{text}");
    let apex = fixture::name("example.com");
    let read = crate::zone::parse(&apex, "z", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0;
    let mut sets = fixture::table().rrsets(&apex);
    sets.sort_by_key(|set| (set.owner.clone(), set.rtype));
    let mut again: Vec<RrSet> = read.rrsets().map(|set| set.to_rrset()).collect();
    again.sort_by_key(|set| (set.owner.clone(), set.rtype));
    assert_eq!(again, sets);

    assert_eq!(served.get("/v1/zones/example.org").await.0, 404);
    assert_eq!(served.get("/v1/zones/example.com?format=xml").await.0, 400);
    served.daemon.gone.store(true, Ordering::Relaxed);
    assert_eq!(served.get("/v1/zones/example.com").await.0, 503);
}

/// A body that came in chunks (RFC 9112 section 7.1).
fn unchunked(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(&after[..size]);
        rest = after[size..].strip_prefix("\r\n").unwrap();
    }
    whole
}

fn zone_json(answer: &Answer) -> Value {
    assert_eq!(answer.0, 200, "{}", answer.2);
    serde_json::from_str(&unchunked(&answer.2)).unwrap()
}

#[tokio::test]
async fn serials_differ_as_the_journal_says() {
    let served = served().await;
    let diff = async |query: &str| -> (Serial, Serial, usize, usize) {
        let answer = served.get(&format!("/v1/zones/example.com/diff?{query}")).await.json();
        let body: zone_api::ZoneDiffBody = serde_json::from_value(answer).unwrap();
        (body.from, body.to, body.removed.len(), body.added.len())
    };
    let (first, mid, last) = (Serial(2_026_112_100), Serial(2_026_112_101), Serial(2_026_112_102));
    // The SOA is among them.
    assert_eq!(diff("from=2026112100").await, (first, last, 2, 2));
    assert_eq!(diff("from=2026112100&to=2026112101").await, (first, mid, 2, 2));
    assert_eq!(diff("from=2026112102&to=2026112100").await, (last, first, 2, 2));
    assert_eq!(diff("to=2026112101").await, (first, mid, 2, 2));
    assert_eq!(diff("from=2026112102").await, (last, last, 0, 0));
    assert_eq!(diff("from=2026112100&to=2026112100").await, (first, first, 0, 0));
    let refused = async |query: &str| served.get(&format!("/v1/zones/example.com/diff?{query}")).await;
    assert!(refused("from=2026112102&to=8").await.detail().starts_with("serial 8 is not in"));
    let none = refused("from=7").await;
    let why = "serial 7 is not in the journal of example.com., which reaches from 2026112100 to 2026112102";
    assert_eq!((none.0, none.detail().as_str()), (404, why));
    assert!(refused("to=2026112100").await.detail().contains("how it came about is not kept"));
    assert_eq!(refused("").await.0, 400);
    assert_eq!(served.get("/v1/zones/example.org/diff?from=1").await.0, 404);
}

#[tokio::test]
async fn each_serial_is_shown_with_what_led_to_it() {
    let served = served().await;
    let apex = fixture::name("example.com");
    let decision =
        |id| Happened::Decision(fixture::decision(id, "app.example.com", "iad", [198, 51, 100, 10]));
    let published = |zone: &Name, to: u32, decisions| {
        Happened::published(zone.clone(), Serial(to - 1), Serial(to), decisions)
    };
    let update = Happened::UpdateRefused { zone: apex.clone(), who: "x".into(), why: "y".into() };
    let commits = [
        vec![decision(20), decision(21), published(&apex, 5, vec![20, 21])],
        vec![update, published(&fixture::name("example.org"), 9, vec![])],
        vec![published(&apex, 6, vec![])],
    ];
    for (at, records) in commits.iter().enumerate() {
        served.daemon.keep(fixture::NOW + Duration::from_secs(at as u64), records);
    }
    let page = async |query: &str| -> zone_api::ZoneHistoryBody {
        let answer = served.get(&format!("/v1/zones/example.com/history{query}")).await.json();
        serde_json::from_value(answer).unwrap()
    };
    let whole = page("").await;
    let told: Vec<_> = whole.serials.iter().map(|one| (one.to.0, one.because.len())).collect();
    assert_eq!((told, whole.next), (vec![(6, 0), (5, 2)], None));
    assert!(whole.serials[1].because[0].starts_with("decision 20: app.example.com. from iad"));
    assert_eq!(whole.journal, Some((Serial(2_026_112_100), Serial(2_026_112_102))));
    let first = page("?limit=1").await;
    assert_eq!((first.serials.len(), first.next), (1, Some(whole.serials[0].seq)));
    let second = page(&format!("?limit=1&before={}", first.next.unwrap())).await;
    assert_eq!(second.serials, whole.serials[1..]);
}

#[tokio::test]
async fn a_rollback_says_what_it_left_alone() {
    let served = served().await;
    let ask = async |body: &Value| served.write("POST", "/v1/zones/example.com/rollback", body).await;
    let done: RolledBack = serde_json::from_value(
        ask(&json!({ "serial": 2_026_112_100, "reason": "wrong hosts" })).await.json(),
    )
    .unwrap();
    assert_eq!((done.to, done.serial), (Serial(2_026_112_100), Serial(2_026_112_103)));
    assert_eq!(done.left, [fixture::name("app.example.com")]);
    let refused = ask(&json!({ "serial": 7, "reason": "x" })).await;
    assert_eq!(refused.0, 409);
    assert!(refused.detail().starts_with("serial 7 is not in the journal"));
    assert_eq!(ask(&json!({ "serial": 7, "reason": " " })).await.0, 422);
    assert_eq!(ask(&json!({ "serial": 7 })).await.0, 400);
}

#[tokio::test]
async fn a_service_that_never_was_has_no_history() {
    let served = served().await;
    assert_eq!(served.get("/v1/history?service=app.example.com").await.0, 200);
    let answer = served.get("/v1/history?service=app").await;
    assert_eq!(
        (answer.0, answer.detail()),
        (404, "no service named app; `detour status` lists them".to_owned())
    );
}

/// A reload parses every zone file: what would be too slow to read is waited for.
#[tokio::test]
async fn a_reload_may_take_longer_than_something_that_is_read() {
    let hour = Duration::from_secs(3600);
    let reload = async |timeouts: Timeouts, takes: Duration| {
        let served = served_within(timeouts).await;
        *served.daemon.reload_takes.lock().unwrap() = takes;
        served.write("POST", "/v1/reload", &json!({})).await
    };
    let long = reload(Timeouts { read: Duration::ZERO, write: hour }, Duration::from_millis(50)).await;
    assert_eq!(long.0, 200, "{}", long.2);
    let longer = reload(Timeouts { read: hour, write: Duration::from_millis(50) }, hour).await;
    assert_eq!((longer.0, longer.detail().contains("took longer than 50ms")), (504, true), "{}", longer.2);
    let Timeouts { read, write } = Timeouts::default();
    assert!(read < write, "{read:?}, {write:?}");
}
