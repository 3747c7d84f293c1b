//! A failover as spans: `ExportTraceServiceRequest` in its JSON form, where ids are hexadecimal and 64-bit numbers are
//! strings.

use serde_json::{Value, json};

use crate::time::HostTime;

/// `SPAN_KIND_INTERNAL`
const INTERNAL: u32 = 1;

/// A service that left a dead site, and when it had come how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// The service.
    pub service: String,
    /// The site it left.
    pub from: String,
    /// The sites it is answered from now.
    pub to: Vec<String>,
    /// The decision's id.
    pub decision: u64,
    /// The decision's reason.
    pub reason: String,
    /// When the first failed run ended; `None` where an earlier process saw it.
    pub first_failed: Option<HostTime>,
    /// Since when the site is Down.
    pub down: HostTime,
    /// When it was decided.
    pub decided: HostTime,
    /// When it was answered.
    pub published: HostTime,
}

/// One message for all of them; `draw` gives numbers that nobody else has.
pub(super) fn message(
    failovers: &[Failover],
    instance: Option<&str>,
    draw: &mut impl FnMut() -> u64,
) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let mut resource = vec![text("service.name", "detour"), text("service.version", version)];
    resource.extend(instance.map(|instance| text("service.instance.id", instance)));
    let spans: Vec<Value> = failovers.iter().flat_map(|failover| spans(failover, draw)).collect();
    let scope = json!({"name": "detour.failover", "version": version});
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]})
}

/// The whole, and the phases below it.
fn spans(failover: &Failover, draw: &mut impl FnMut() -> u64) -> Vec<Value> {
    let Failover { first_failed, down, decided, published, .. } = failover;
    let trace = format!("{:016x}{:016x}", draw(), draw());
    let whole = format!("{:016x}", draw());
    let span =
        |name: &str, id: &str, parent: &str, (from, to): (HostTime, HostTime), attributes: Vec<Value>| {
            json!({
                "traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": INTERNAL,
                "startTimeUnixNano": nanos(from), "endTimeUnixNano": nanos(to), "attributes": attributes,
            })
        };
    let attributes = vec![
        text("detour.service", &failover.service),
        text("detour.site.from", &failover.from),
        text("detour.sites", &failover.to.join(",")),
        text("detour.reason", &failover.reason),
        json!({"key": "detour.decision", "value": {"intValue": failover.decision.to_string()}}),
    ];
    let mut all = vec![span("failover", &whole, "", (first_failed.unwrap_or(*down), *published), attributes)];
    let phases = [
        ("detect", first_failed.map(|first| (first, *down))),
        ("decide", Some((*down, *decided))),
        ("publish", Some((*decided, *published))),
    ];
    for (phase, times) in phases {
        let id = format!("{:016x}", draw());
        all.extend(times.map(|times| span(phase, &id, &whole, times, Vec::new())));
    }
    all
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn nanos(at: HostTime) -> String {
    (u128::from(at.0) * 1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failover_is_one_trace_with_a_span_for_each_phase() {
        let failover = Failover {
            service: "app.example.com.".to_owned(),
            from: "fra".to_owned(),
            to: vec!["iad".to_owned()],
            decision: 3,
            reason: "fra Down".to_owned(),
            first_failed: Some(HostTime(1_000)),
            down: HostTime(1_200),
            decided: HostTime(1_220),
            published: HostTime(1_223),
        };
        let mut drawn = 0;
        let mut draw = || {
            drawn += 1;
            drawn
        };
        let later = Failover { first_failed: None, ..failover.clone() };
        let message = message(&[failover, later], Some("ns1"), &mut draw);
        let spans = message["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        let shown: Vec<String> = spans
            .iter()
            .map(|span| {
                let of = |key: &str| span[key].as_str().unwrap().trim_start_matches('0');
                let [id, parent] = ["spanId", "parentSpanId"].map(of);
                format!("{id}<{parent} {} {}", of("name"), of("startTimeUnixNano"))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "3< failover 1000000000",
                "4<3 detect 1000000000",
                "5<3 decide 1200000000",
                "6<3 publish 1220000000",
                // Nobody saw it fail first: it begins where it was Down.
                "9< failover 1200000000",
                "b<9 decide 1200000000",
                "c<9 publish 1220000000",
            ]
        );
        assert_eq!(spans[0]["endTimeUnixNano"], "1223000000");
        assert_eq!(spans[0]["traceId"], format!("{:016x}{:016x}", 1, 2));
        assert!(spans[..4].iter().all(|span| span["traceId"] == spans[0]["traceId"]));
        assert_ne!(spans[4]["traceId"], spans[0]["traceId"]);
        let attributes = &message["resourceSpans"][0]["resource"]["attributes"];
        assert_eq!(attributes[2]["value"]["stringValue"], "ns1");
    }
}
