//! Times in answers are the host's.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::super::fixed::served;
use super::super::fixture;
use super::Answer;
use crate::time::Offset;

const HOUR: i64 = 3_600_000;

/// The same answers, where the host's clock was set so far ahead since all of that happened.
async fn answers(ahead: i64) -> Vec<Answer> {
    let served = served().await;
    served.daemon.ahead.store(ahead, Ordering::Relaxed);
    let mut answers = Vec::new();
    for path in ["/v1/status", "/v1/overview", "/v1/history", "/metrics"] {
        let answer = served.send("GET", path, &[], "").await;
        assert_eq!(answer.0, 200, "{path}: {}", answer.2);
        answers.push(answer);
    }
    answers
}

#[tokio::test]
async fn people_are_shown_times_by_the_hosts_clock() {
    let (before, after) = (answers(0).await, answers(HOUR).await);
    let (was, is) = (before[0].json(), after[0].json());
    for at in ["/started", "/engine/now", "/last_load/at"] {
        let [was, is] = [&was, &is].map(|body| body.pointer(at).and_then(Value::as_i64).expect(at));
        assert_eq!(is - was, HOUR, "{at}");
    }
    let [was, is] = [&before[1], &after[1]].map(|body| body.json()["now"].as_i64().expect("now"));
    assert_eq!(is - was, HOUR, "the dashboard's");
    for (answer, ahead) in [(&before[2], 0), (&after[2], HOUR)] {
        let at = fixture::NOW.on_host(Offset(ahead));
        let entry = &answer.json()["entries"][0];
        let text = entry["text"].as_str().unwrap();
        assert!(text.starts_with(&at.to_string()), "{text}");
        assert_eq!(entry["at"], at.0);
    }
    let [was, is] = [&before[3], &after[3]].map(|metrics| {
        let line = metrics.2.lines().find(|line| line.starts_with("detour_start_time_seconds "));
        line.and_then(|line| line.split(' ').nth(1)?.parse::<f64>().ok()).expect("a start")
    });
    assert!((is - was - 3600.0).abs() < 1e-3, "{was} {is}");
}
