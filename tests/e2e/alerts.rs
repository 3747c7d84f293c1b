//! People are told: by real receivers, of a site that dies under the real daemon.

use std::fs;
use std::net::IpAddr;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::harness::{APP, Detour, MACHINE, Setup, config, own_address, until, zone};
use crate::inbox::{Inbox, Mailbox, Request};
use crate::peers::authority::Authority;
use crate::peers::ports::free_port;
use crate::site::{Site, sites};

const KEY: &str = "0123456789abcdef-signs";
const ROUTING_KEY: &str = "R0UT1NGKEY0123456789";
const REASON: &str = "fra Down: 3 of 3 failed, connection refused; iad is next in order and Up";

/// A daemon with a service at two sites and these receivers.
struct Told {
    fra: Site,
    iad: Site,
    detour: Detour,
    _machine: std::sync::RwLockReadGuard<'static, ()>,
}

impl Told {
    /// `edit` changes the configuration, to which `alerts` is appended.
    fn start(alerts: &str, files: &[(&str, &str)], edit: impl Fn(String) -> String) -> Told {
        let machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        let [fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
        let text = edit(config(&Setup::default(), fra.port, &fra.addresses, &iad.addresses));
        let zone = zone(1, "");
        let mut all = vec![("example.com.zone", &*zone), ("key", KEY), ("routing", ROUTING_KEY)];
        all.extend(files);
        let mut detour = Detour::spawn(&format!("{text}\n{alerts}"), &all);
        detour.await_listening();
        let told = Told { fra, iad, detour, _machine: machine };
        told.settles_on(told.fra.addresses[0]);
        told
    }

    fn settles_on(&self, address: IpAddr) {
        let address = address.to_string();
        until(&format!("{APP} answers {address}"), || {
            (self.detour.ask(APP, "A").data() == [&address]).then_some(())
        });
    }

    fn fra_dies(&mut self) {
        self.fra.kill();
        self.settles_on(self.iad.addresses[0]);
    }

    fn fra_comes_back(&mut self) {
        self.fra.revive();
        self.settles_on(self.fra.addresses[0]);
    }

    fn metric(&self, line: &str) -> bool {
        self.detour.get("/metrics").1.lines().any(|found| found == line)
    }

    fn folder(&self) -> std::path::PathBuf {
        self.detour.config_path().parent().unwrap().to_owned()
    }
}

/// Whether a webhook's signature is what its documentation says.
fn is_signed(request: &Request) -> bool {
    let signature = request.header("detour-signature").expect("it is signed");
    let (time, hex) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    hmac::verify(&key, format!("{time}.{}", request.body).as_bytes(), &bytes).is_ok()
}

/// A mail's text, without its headers.
fn text_of(mail: &serde_json::Value) -> String {
    let (_, body) = mail["data"].as_str().unwrap().split_once("\r\n\r\n").unwrap();
    String::from_utf8(STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap()
}

/// Every kind of receiver; the command appends what it is given to a file, once `there` is there.
fn everyone(hook: u16, chat: u16, pager: u16, mail: u16, folder: &str) -> String {
    let only = "severities = [\"critical\", \"info\"]\ngroup_wait = \"100ms\"\ntimeout = \"5s\"";
    format!(
        r#"
[alerts.hook]
type = "webhook"
url = "http://127.0.0.1:{hook}/told?by=detour"
key_file = "key"
{only}
[alerts.chat]
type = "slack"
url = "http://127.0.0.1:{chat}/services/T0/B0/s3cretpath"
{only}
[alerts.pager]
type = "pagerduty"
url = "http://127.0.0.1:{pager}/v2/enqueue"
routing_key_file = "routing"
{only}
[alerts.mail]
type = "email"
server = "127.0.0.1"
port = {mail}
security = "plain"
from = "detour@example.com"
to = ["oncall@example.com", "boss@example.com"]
title = "{{severity}}: {{service}} at {{site}}"
{only}
[alerts.script]
type = "command"
command = ["/bin/sh", "-c", "test -e $0/there && cat >> $0/told && echo >> $0/told", "{folder}"]
{only}
"#
    )
}

/// What the command was given.
fn told_to_script(folder: &std::path::Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(folder.join("told")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_dying_site_reaches_everyone_once() {
    let [hook, chat, pager] = [Inbox::open(), Inbox::open(), Inbox::open()];
    let (mail, folder) = (Mailbox::open(0, &[]), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("there"), "").unwrap();
    let ports = [hook.at.port(), chat.at.port(), pager.at.port(), mail.port];
    let shown = folder.path().display().to_string();
    let alerts = everyone(ports[0], ports[1], ports[2], ports[3], &shown);
    let mut told = Told::start(&alerts, &[], |text| text);
    let counts = || {
        [hook.requests().len(), chat.requests().len(), pager.requests().len(), mail.mails().len()]
            .into_iter()
            .chain([told_to_script(folder.path()).len()])
            .collect::<Vec<_>>()
    };

    told.fra_dies();
    until("everyone was told of the failover", || (counts() == [1; 5]).then_some(()));
    let request = hook.requests()[0].clone();
    let body = request.json();
    assert!(request.head.starts_with("POST /told?by=detour HTTP/1.1\r\n"), "{request:?}");
    assert!(is_signed(&request), "{request:?}");
    let want = [("kind", "failover"), ("state", "firing"), ("severity", "critical"), ("reason", REASON)];
    for (key, value) in want.into_iter().chain([("site", "fra"), ("receiver", "hook")]) {
        assert_eq!(body[key], value, "{body}");
    }
    assert_eq!(body["title"], format!("{APP} moved from fra to iad"));
    assert_eq!(body["services"], serde_json::json!([APP]));
    assert_eq!(request.header("detour-alert"), body["id"].as_str());

    let slack = chat.requests()[0].json();
    let text = slack["text"].as_str().unwrap();
    assert_eq!(text, format!(":red_circle: *{APP} moved from fra to iad*\n{REASON}"));

    let event = pager.requests()[0].json();
    assert_eq!((&event["event_action"], &event["routing_key"]), (&"trigger".into(), &ROUTING_KEY.into()));
    assert_eq!(event["payload"]["severity"], "critical");
    assert_eq!(event["payload"]["custom_details"]["text"], REASON);

    let mails = mail.mails();
    let data = mails[0]["data"].as_str().unwrap();
    assert_eq!(mails[0]["to"], serde_json::json!(["oncall@example.com", "boss@example.com"]));
    // Its title is the template's; longer than a line may be, it is in encoded words.
    let subject = format!("[detour] [critical] critical: {APP} at fra");
    let words: Vec<&str> =
        data.split("=?utf-8?B?").skip(1).filter_map(|word| word.split_once("?=")).map(|w| w.0).collect();
    let decoded: Vec<u8> = words.iter().flat_map(|word| STANDARD.decode(word).unwrap()).collect();
    assert_eq!(String::from_utf8(decoded).unwrap(), subject, "{data}");
    assert!(text_of(&mails[0]).contains(REASON), "{}", text_of(&mails[0]));

    assert_eq!(told_to_script(folder.path())[0]["reason"], REASON);

    told.fra_comes_back();
    until("everyone was told of the failback", || (counts() == [2; 5]).then_some(()));
    let back = hook.requests()[1].json();
    assert_eq!((&back["kind"], &back["state"]), (&"failback".into(), &"resolved".into()));
    assert_eq!(back["key"], body["key"]);
    let resolved = pager.requests()[1].json();
    assert_eq!((&resolved["event_action"], &resolved["dedup_key"]), (&"resolve".into(), &event["dedup_key"]));
    for receiver in ["hook", "chat", "pager", "mail", "script"] {
        let line = format!("detour_alerts_delivered_total{{receiver=\"{receiver}\"}} 2");
        until(&line, || told.metric(&line).then_some(()));
    }

    // Nobody learns a secret from what is shown.
    let mut public =
        [told.detour.log(), told.detour.told(&["status"]), told.detour.told(&["status", "--json"])];
    public[0].push_str(&told.detour.told(&["history", "--json"]));
    for secret in [KEY, ROUTING_KEY, "s3cretpath"] {
        assert!(public.iter().all(|text| !text.contains(secret)), "{secret} is shown");
    }
    assert!(public[1].contains("ALERTS TO"), "{}", public[1]);
}

#[test]
fn kill_9_between_decision_and_delivery() {
    let ports = [(); 4].map(|()| free_port());
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().display().to_string();
    let alerts = everyone(ports[0], ports[1], ports[2], ports[3], &shown);
    let mut told = Told::start(&alerts, &[], |text| text);

    // Nobody can be reached; the site dies, and the daemon with it.
    told.fra_dies();
    told.detour.kill();
    let [hook, chat, pager] = [0, 1, 2].map(|at| Inbox::at(ports[at], None));
    let mail = Mailbox::open(ports[3], &[]);
    fs::write(folder.path().join("there"), "").unwrap();
    told.detour.start_again();
    until("everyone was told after all", || {
        let told = [hook.requests().len(), chat.requests().len(), pager.requests().len(), mail.mails().len()];
        (told == [1; 4] && told_to_script(folder.path()).len() == 1).then_some(())
    });
    assert_eq!(hook.said("kind", "failover").unwrap()["reason"], REASON);
    assert!(is_signed(&hook.requests()[0]));
    assert!(chat.requests()[0].body.contains(REASON));
    assert_eq!(pager.requests()[0].json()["payload"]["custom_details"]["text"], REASON);
    assert!(text_of(&mail.mails()[0]).contains(REASON));

    // And once more: what was told is not told again, and its end is told by the next run.
    told.detour.kill();
    told.detour.start_again();
    told.fra_comes_back();
    until("the failback was told", || hook.said("kind", "failback"));
    assert_eq!(hook.requests().len(), 2);
}

#[test]
fn a_stuck_receiver_delays_nobody() {
    let (stuck, hook) = (Inbox::open(), Inbox::open());
    stuck.status.store(0, Ordering::Relaxed);
    let alerts = format!(
        "[alerts.stuck]\ntype = \"webhook\"\nurl = \"{}\"\ngroup_wait = \"0s\"\ntimeout = \"1s\"\n\
         [alerts.hook]\ntype = \"webhook\"\nurl = \"{}\"\ngroup_wait = \"0s\"\n",
        stuck.url(),
        hook.url()
    );
    let mut told = Told::start(&alerts, &[], |text| text);
    for round in 1..=2 {
        told.fra_dies();
        told.fra_comes_back();
        until("the other one was told", || {
            let count = |kind: &str| hook.requests().iter().filter(|r| r.json()["kind"] == kind).count();
            (count("failover") == round && count("failback") == round).then_some(())
        });
    }
    until("it is shown as failing", || {
        let status = told.detour.told(&["status"]);
        status.contains("FAILING").then_some(status)
    });
    assert!(told.metric("detour_alerts_failing{receiver=\"stuck\"} 1"));
    assert!(told.metric("detour_alerts_failing{receiver=\"hook\"} 0"));
    assert!(stuck.requests().is_empty());

    // It comes to itself, and is told all of it, in order.
    stuck.status.store(200, Ordering::Relaxed);
    let kinds = until("it was told everything", || {
        let kinds: Vec<String> =
            stuck.requests().iter().map(|r| r.json()["kind"].as_str().unwrap().to_owned()).collect();
        let moves: Vec<String> = kinds.into_iter().filter(|kind| kind.starts_with("fail")).collect();
        (moves.len() == 4).then_some(moves)
    });
    assert_eq!(kinds, ["failover", "failback", "failover", "failback"]);
}

#[test]
fn a_site_with_many_services_is_one_alert() {
    let hook = Inbox::open();
    let alerts = format!(
        "[alerts.hook]\ntype = \"webhook\"\nurl = \"{}\"\ngroup_wait = \"2s\"\nseverities = [\"critical\"]\n",
        hook.url()
    );
    let names = ["app", "a", "b", "c", "d", "e"].map(|label| format!("\"{label}.example.com\"")).join(", ");
    let mut told = Told::start(&alerts, &[], |text| {
        text.replace("name = \"app.example.com\"", &format!("names = [{names}]"))
    });
    told.fra_dies();
    let body = until("it was told", || hook.said("kind", "failover"));
    assert_eq!(body["title"], "fra: 6 services moved away, as their endpoints there are Down");
    assert_eq!((&body["count"], &body["site"]), (&6.into(), &"fra".into()));
    assert!(body["text"].as_str().unwrap().contains(&format!("a.example.com: {REASON}")), "{body}");
    told.fra_comes_back();
    let end = until("its end was told", || hook.said("state", "resolved"));
    assert_eq!((&end["key"], hook.requests().len()), (&body["key"], 2), "{end}");
}

#[test]
fn a_test_says_what_each_receiver_says() {
    let authority = Authority::new("a test authority");
    let identity = authority.pem(&["localhost"]);
    let (good, bad) = (Inbox::at(0, Some(&identity)), Inbox::open());
    bad.status.store(503, Ordering::Relaxed);
    let certificates = tempfile::tempdir().unwrap();
    let [certificate, key] = ["c.pem", "k.pem"].map(|name| certificates.path().join(name));
    fs::write(&certificate, &identity.0).unwrap();
    fs::write(&key, &identity.1).unwrap();
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    let mail = Mailbox::open(0, &[&certificate, &key, "detour", "p4ssw0rd"]);
    let alerts = format!(
        r#"
[alerts.good]
type = "webhook"
url_file = "good.url"
ca = "ca.pem"
[alerts.strangers]
type = "webhook"
url_file = "good.url"
[alerts.bad]
type = "slack"
url = "{}"
[alerts.mail]
type = "email"
server = "localhost"
port = {}
ca = "ca.pem"
username = "detour"
password_file = "password"
from = "detour@example.com"
to = ["oncall@example.com"]
"#,
        bad.url(),
        mail.port
    );
    let url = format!("https://localhost:{}/t0ken\n", good.at.port());
    let files = [("ca.pem", &*authority.pem), ("good.url", &*url), ("password", "p4ssw0rd\n")];
    let told = Told::start(&alerts, &files, |text| text);

    let ran = told.detour.cli(&["alert", "test"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let line =
        |id: &str| ran.stdout.lines().find(|line| line.starts_with(id)).unwrap_or_else(|| panic!("{ran:?}"));
    assert!(line("good ").ends_with("delivered"), "{ran:?}");
    assert!(line("mail ").ends_with("delivered"), "{ran:?}");
    assert!(line("bad ").contains("FAILED: 127.0.0.1 answered status 503: yes"), "{ran:?}");
    assert!(line("strangers ").contains("FAILED: TLS with localhost: invalid peer certificate"), "{ran:?}");
    assert!(!ran.stdout.contains("t0ken"), "{ran:?}");
    let body = good.requests()[0].json();
    assert_eq!((&body["kind"], &body["title"]), (&"test".into(), &"a test of the receiver good".into()));
    let mails = until("the mail is there", || Some(mail.mails()).filter(|mails| !mails.is_empty()));
    assert_eq!((&mails[0]["tls"], &mails[0]["user"]), (&true.into(), &"detour".into()));

    assert_eq!(told.detour.cli(&["alert", "test", "good"]).code, 0);
    let nobody = told.detour.cli(&["alert", "test", "nobody"]);
    assert!(nobody.code == 1 && nobody.stderr.contains("there is no receiver \"nobody\""), "{nobody:?}");

    // A wrong password is told as such, and not shown.
    fs::write(told.folder().join("password"), "wr0ngword\n").unwrap();
    told.detour.told(&["reload"]);
    let ran = told.detour.cli(&["alert", "test", "mail"]);
    assert!(ran.code == 1 && ran.stdout.contains("AUTH was answered 535"), "{ran:?}");
    assert!(!ran.stdout.contains("wr0ngword"), "{ran:?}");
}

#[test]
fn what_a_receiver_refuses_is_given_up_and_told() {
    let hook = Inbox::open();
    hook.status.store(400, Ordering::Relaxed);
    let alerts =
        format!("[alerts.hook]\ntype = \"webhook\"\nurl = \"{}\"\ngroup_wait = \"0s\"\n", hook.url());
    let mut told = Told::start(&alerts, &[], |text| text);
    told.fra_dies();
    let lost =
        format!("alert to hook given up: {APP} moved from fra to iad: 127.0.0.1 answered status 400: yes");
    until("the history tells of it", || told.detour.told(&["history"]).contains(&lost).then_some(()));
    assert!(!told.metric("detour_alerts_given_up_total{receiver=\"hook\"} 0"));

    // The next one is taken, and a receiver that is gone from the configuration leaves nothing behind.
    hook.status.store(200, Ordering::Relaxed);
    told.fra_comes_back();
    until("its end is told", || hook.said("kind", "failback"));
    let kept = told.detour.state_dir().join("alerts/hook.json");
    assert!(kept.exists());
    told.detour.edit_config("[alerts.hook]", "[alerts.other]");
    told.detour.told(&["reload"]);
    until("it is forgotten", || (!kept.exists()).then_some(()));
}

#[test]
fn a_command_that_hangs_is_killed_with_whom_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().display().to_string();
    let alerts = format!(
        "[alerts.script]\ntype = \"command\"\ntimeout = \"1s\"\n\
         command = [\"/bin/sh\", \"-c\", \"sleep 1000 & echo $! > $0/child; wait\", \"{shown}\"]\n"
    );
    let told = Told::start(&alerts, &[], |text| text);
    let ran = told.detour.cli(&["alert", "test"]);
    assert!(ran.code == 1 && ran.stdout.contains("no answer within 1s"), "{ran:?}");
    let child = fs::read_to_string(folder.path().join("child")).unwrap();
    let stat = format!("/proc/{}/stat", child.trim());
    until("nobody is left", || {
        let state = fs::read_to_string(&stat).ok();
        // One that nobody waits for any more may still be listed as dead.
        state.is_none_or(|stat| stat.contains(") Z ")).then_some(())
    });
}
