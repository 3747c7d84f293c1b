//! What people read, and what the exit codes are.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;

use super::client::{Client, ClientError, DONE, NO, UNREACHABLE, finish, of_this_process, who};
use super::find::Found;
use super::{alert, answer, explain, failback, failover, history, override_cmds, reload, status};
use crate::api::bodies::{CommandBody, ExplainBody, HistoryBody};
use crate::api::fixed::served;
use crate::api::{Problem, fixture};
use crate::condition::{ConditionKind, Conditions, Summary};
use crate::dns::RrSet;
use crate::engine::{Action, Happened};
use crate::health::Health;
use crate::policy::{OverrideKind, Scope};
use crate::state::Entry;
use crate::time::Time;

fn because() -> String {
    fixture::reason().to_string()
}

#[test]
fn status_is_six_tables() {
    let because = because();
    let want = format!(
        "\
detour 0.1.0, up 2h 5m, /etc/detour/detour.toml
DNS on 127.0.0.1:5353, [::1]:5353
last load 5m 0s ago: taken up

SITE  NAME       UP  SUSPECT  DOWN  UNKNOWN  SERVES  OVERRIDE
fra   Frankfurt  0   0        2     0        0       drain by ana@ops1: disk swap, 50m 0s left
iad   iad        2   0        0     0        2       -

SERVICE          FROM       HEALTH  TTL  SINCE   REASON
app.example.com  iad        Up      30s  3m 12s  {because} [hold: 40s left]
www.example.com  iad        Up      30s  3m 12s  {because} [latched: waits for `detour failback`]
new.example.com  zone file  -       -    -       no decision yet

CHECK                             HEALTH  SINCE   LAST SAMPLE  BECAUSE
web@192.0.2.10 (app.example.com)  Down    3m 12s  2s ago       3 of 3 failed, connection refused

ALERTS TO  TYPE       QUEUED  DELIVERED  LAST     LAST ERROR
oncall     pagerduty  2       7          11m 40s  FAILING, 5s ago: no answer within 10s

ZONE         SERIAL      FILE        SERVICES
example.com  2026112102  2026112100  3

OVERRIDE ON  KIND   SINCE   LEFT    WHO       REASON
fra          drain  10m 0s  50m 0s  ana@ops1  disk swap
"
    );
    assert_eq!(status::render(&fixture::status()), want);
}

#[test]
fn a_check_that_has_not_run_is_not_yet_checked() {
    let mut status = fixture::status();
    let check = &mut status.engine.checks[0];
    (check.health, check.since, check.last_sample_age_ms) = (Health::Unknown, Time(0), None);
    check.recent.clear();
    let shown = status::render(&status);
    assert!(shown.contains("not yet checked  -      -"), "{shown}");
    let mut explained = fixture::explanation();
    explained.checks = vec![status.engine.checks[0].clone()];
    let body = ExplainBody {
        explanation: Some(explained),
        because: None,
        answered: vec![],
        answered_text: vec![],
        watches: vec![],
        client: None,
    };
    let shown = explain::render("app.example.com", &body);
    assert!(shown.contains("not yet checked") && !shown.contains("Unknown"), "{shown}");
}

#[test]
fn whoever_has_no_name_in_the_environment_is_named_by_the_host() {
    let id = std::process::Command::new("id").arg("-un").output().unwrap();
    assert_eq!(of_this_process(), String::from_utf8(id.stdout).unwrap().trim());
}

#[test]
fn what_is_wrong_stands_at_the_top_of_the_status() {
    let mut wrong = Conditions::default();
    let since = fixture::NOW - Duration::from_secs(300);
    wrong.set(ConditionKind::NoStandby, "b.example.com", since, "b.example.com has no standby: iad Down");
    let mut status = fixture::status();
    status.conditions = Summary::of(&wrong);
    let shown = status::render(&status);
    assert!(
        shown.contains("\nok, but note:\n    warning: b.example.com has no standby: iad Down (for 5m 0s)\n"),
        "{shown}"
    );
    wrong.set(ConditionKind::DeadSite, "a.example.com", since, "a.example.com is answered from fra");
    status.conditions = Summary::of(&wrong);
    let shown = status::render(&status);
    assert!(
        shown.contains(
            "\nDEGRADED:\n    critical: a.example.com is answered from fra (for 5m 0s)\n    warning: "
        ),
        "{shown}"
    );
}

#[test]
fn status_says_what_is_odd() {
    let mut picture = fixture::status();
    picture.last_load.ok = false;
    picture.last_load.problems = Some("detour.toml:3:1: error: unknown key\n3 | x".to_owned());
    picture.warnings = vec!["example.com.zone:9:1: warning: no glue".to_owned()];
    picture.engine.checks.clear();
    picture.engine.overrides.clear();
    let text = status::render(&picture);
    let check = |part: &str| assert!(text.contains(part), "{part} is not in\n{text}");
    check(
        "last load 5m 0s ago: REFUSED, the last good one serves\n    detour.toml:3:1: error: unknown key\n",
    );
    check("warning:\n    example.com.zone:9:1: warning: no glue\n");
    check("\nevery check is Up\n");
    check("\nno override\n");
}

fn explained(addr: [u8; 4]) -> ExplainBody {
    let answered = vec![fixture::a_records("app.example.com", addr, 30)];
    ExplainBody {
        explanation: Some(fixture::explanation()),
        because: Some(because()),
        answered_text: answered.iter().flat_map(RrSet::to_lines).collect(),
        answered,
        watches: vec![],
        client: None,
    }
}

#[test]
fn explain_tells_the_whole_story() {
    let because = because();
    let want = format!(
        "\
app.example.com in zone example.com, serial 2026112102, at 2026-11-21T03:00:00.000Z
policy failover: fra, iad; failback auto after 60s; all_down keep; TTL 30s, 5s while Suspect

endpoint fra: Down
  192.0.2.10: Down
    check web@192.0.2.10 (app.example.com), every 5s: Down for 3m 12s: 3 of 3 failed, connection refused
      2026-11-21T02:59:53.000Z  connection refused in 1.2ms from local
      2026-11-21T02:59:58.000Z  connection refused in 1.2ms from local

endpoint iad: Up, answered
  198.51.100.10: Up, answered
    check web@198.51.100.10 (app.example.com), every 5s: Up for 3m 12s: 1 of 1 ok
      2026-11-21T02:59:53.000Z  ok in 1.2ms from local
      2026-11-21T02:59:58.000Z  ok in 1.2ms from local

decision 12, 3m 12s ago: iad, TTL 30s
  because {because}
  answered from there for 3m 12s
  hold: 40s left, until 2026-11-21T03:00:40.000Z
  app.example.com. 30 IN A 198.51.100.10

the table answers:
  app.example.com. 30 IN A 198.51.100.10

next:
  fra is used again 60s after it is Up
"
    );
    assert_eq!(explain::render("app.example.com", &explained([198, 51, 100, 10])), want);
}

#[test]
fn explain_shows_an_answer_that_is_not_the_decision() {
    let text = explain::render("app.example.com", &explained([192, 0, 2, 10]));
    assert!(text.contains("  app.example.com. 30 IN A 192.0.2.10\n  this is NOT what was decided"), "{text}");
}

#[test]
fn explain_knows_names_that_are_not_steered() {
    let body = ExplainBody { explanation: None, because: None, ..explained([192, 0, 2, 1]) };
    let want = "plain is not steered: the zone file's records are answered\n\nthe table answers:\n  \
                app.example.com. 30 IN A 192.0.2.1\n";
    assert_eq!(explain::render("plain", &body), want);
}

#[test]
fn history_ends_with_the_newest() {
    let entry = |seq, fresh| Entry { seq, at: fixture::NOW, what: Happened::Started { fresh } }.into();
    let page = HistoryBody { entries: vec![entry(9, false), entry(8, true)], next: Some(8) };
    let want = "\
(more: --before 8)
2026-11-21T03:00:00.000Z  started without an earlier state
2026-11-21T03:00:00.000Z  started with the state of the last run
";
    assert_eq!(history::render(&page), want);
    assert_eq!(history::render(&HistoryBody { entries: vec![], next: None }), "nothing happened");
}

#[test]
fn a_command_says_what_it_led_to() {
    let decision = fixture::decision(13, "app.example.com", "iad", [198, 51, 100, 10]);
    let body = CommandBody { decisions: vec![decision.into()] };
    let want = format!("drain fra: done\napp.example.com from iad, TTL 30s: {}\n", because());
    assert_eq!(failover::render("drain fra", &body), want);
    let mut lost = fixture::decision(14, "app.example.com", "fra", [192, 0, 2, 10]);
    lost.reason.serving = None;
    let told = failover::render("drain fra", &CommandBody { decisions: vec![lost.into()] });
    assert!(told.ends_with("WARNING: no endpoint of app.example.com works; see `detour status`\n"), "{told}");
    let nothing = failover::render("drain fra", &CommandBody { decisions: vec![] });
    assert_eq!(nothing, "drain fra: done\nno answer changes\n");
}

fn client_of(addr: std::net::SocketAddr) -> Client {
    Client::new(Found::plain(addr, "detour.toml")).unwrap()
}

#[tokio::test]
async fn nobody_there_is_not_a_no() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = client_of(addr).get(&["v1", "status"], &[]).await.unwrap_err();
    assert_eq!(error.exit_code(), UNREACHABLE);
    let want =
        format!("cannot reach the daemon at {addr} (detour.toml): Connection refused (os error 111); ");
    assert!(error.to_string().starts_with(&want), "{error}");
}

/// A server that says one thing.
async fn says(head: &str, body: &str) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    addr
}

#[tokio::test]
async fn a_no_is_told_from_another_program() {
    let problem = r#"{"title":"Not Found","status":404,"detail":"there is no service \"x.\""}"#;
    let client = client_of(says("404 Not Found", problem).await);
    let error = client.get(&["v1", "services", "x"], &[]).await.unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().as_str()), (NO, "there is no service \"x.\""));
    assert!(matches!(error, ClientError::Refused(Problem { status: 404, .. })));

    for (head, body) in [("200 OK", "<html>"), ("404 Not Found", "<html>"), ("302 Found\r\nlocation: /", "")]
    {
        let error = client_of(says(head, body).await).get(&["v1"], &[]).await.unwrap_err();
        assert!(matches!(error, ClientError::Foreign { .. }), "{head}: {error}");
        assert_eq!(error.exit_code(), NO);
    }
}

/// Every command, as the command line calls it, against control on a real socket.
#[tokio::test]
async fn every_command_reaches_the_daemon() {
    let served = served().await;
    let client = client_of(served.addr);
    let done = |said: Result<String, ClientError>, json: bool| {
        let said = said.unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&said).is_ok(), json, "{said}");
    };
    for json in [false, true] {
        done(status::said(&client, json).await, json);
        let service = Some("app.example.com".to_owned());
        let args = history::Args { service, limit: 2, samples: true, before: Some(4) };
        done(history::said(&client, &args, json).await, json);
        done(
            explain::said(
                &client,
                &explain::Args { name: "app.example.com".to_owned(), at: None, history: None, from: None },
                json,
            )
            .await,
            json,
        );
        done(reload::said(&client, false, json).await, json);

        let (target, reason) = ("app.example.com@fra".to_owned(), "disk swap".to_owned());
        let for_time = Some(Duration::from_secs(60));
        let args = override_cmds::Args { target: target.clone(), reason, for_time, force: false };
        done(override_cmds::said_set(&client, OverrideKind::ForceDown, &args, json).await, json);
        let scope = Scope::Endpoint(fixture::name("app.example.com"), "fra".into());
        let until = Some(fixture::NOW + Duration::from_secs(60));
        let told = served.told();
        assert_eq!((told.reason.as_str(), told.who), ("disk swap", who()));
        assert_eq!(
            told.action,
            Action::Override { scope: scope.clone(), kind: OverrideKind::ForceDown, until, force: false }
        );
        let args = override_cmds::ClearArgs { target, reason: None };
        done(override_cmds::said_clear(&client, &args, json).await, json);
        assert_eq!(served.told().action, Action::Clear { scope });

        let reason = "looks right".to_owned();
        let args =
            answer::ApproveArgs { proposal: Some(7), all: false, reason: reason.clone(), force: false };
        done(answer::said_approve(&client, &args, json).await, json);
        let told = served.told();
        let seven = Action::Approve { proposal: Some(7), force: false };
        assert_eq!((told.action, told.reason), (seven, reason.clone()));
        let args = answer::ApproveArgs { proposal: None, all: true, reason: reason.clone(), force: true };
        done(answer::said_approve(&client, &args, json).await, json);
        assert_eq!(served.told().action, Action::Approve { proposal: None, force: true });
        let args = answer::RejectArgs { proposal: 7, reason };
        done(answer::said_reject(&client, &args, json).await, json);
        assert_eq!(served.told().action, Action::Reject { proposal: 7 });

        let service = fixture::name("app.example.com");
        let args = failover::Args { service: service.to_string(), to: "iad".to_owned(), reason: None };
        done(failover::said(&client, &args, json).await, json);
        assert_eq!(served.told().action, Action::Failover { service: service.clone(), to: "iad".into() });
        let args = failback::Args { service: service.to_string(), reason: Some("fixed".to_owned()) };
        done(failback::said(&client, &args, json).await, json);
        let told = served.told();
        assert_eq!((told.action, told.reason.as_str()), (Action::Failback { service }, "fixed"));
    }
}

#[tokio::test]
async fn a_no_ends_with_1() {
    let served = served().await;
    let client = client_of(served.addr);
    let no = |said: Result<String, ClientError>, part: &str| {
        let error = said.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(finish(Err(error)).unwrap(), ExitCode::from(NO));
    };
    let args = failover::Args { service: "app.example.com".into(), to: "fra".into(), reason: None };
    no(failover::said(&client, &args, false).await, "fra is Down: 3 of 3 failed");
    let args = explain::Args { name: "none.example.com".into(), at: None, history: None, from: None };
    no(explain::said(&client, &args, false).await, "is no service, and the zones hold no record there");
    let clear = |target: &str| override_cmds::ClearArgs { target: target.into(), reason: None };
    no(override_cmds::said_clear(&client, &clear("iad"), false).await, "there is no override on \"iad\"");
    no(override_cmds::said_clear(&client, &clear("muc"), true).await, "\"muc\" is neither a service");
    assert_eq!(client.healthz().await.unwrap().status, "ok");
    served.daemon.failing.store(true, Ordering::Relaxed);
    assert_eq!(client.healthz().await.unwrap().status, "failing");
    no(
        reload::said(&client, false, true).await,
        "still running the previous configuration:\ndetour.toml:3:1: error",
    );
    assert_eq!(finish(Ok(String::new())).unwrap(), ExitCode::from(DONE));
}

#[tokio::test]
async fn a_test_of_receivers_says_what_each_says() {
    let served = served().await;
    let client = client_of(served.addr);
    let test = |receiver: Option<&str>| alert::Args { receiver: receiver.map(str::to_owned) };
    let (text, all) = alert::said(&client, &test(None), false).await.unwrap();
    assert_eq!((&*text, all), ("RECEIVER  TYPE       TEST\noncall    pagerduty  delivered\n", true));
    served.daemon.failing.store(true, Ordering::Relaxed);
    let (text, all) = alert::said(&client, &test(Some("oncall")), false).await.unwrap();
    assert!(text.ends_with("FAILED: no answer within 10s\n") && !all, "{text}");
    let error = alert::said(&client, &test(Some("nobody")), false).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no receiver \"nobody\"; `detour status` lists them");
}
