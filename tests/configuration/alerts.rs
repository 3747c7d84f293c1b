//! `[alerts.NAME]`: what each receiver takes, and what is refused.

use std::time::Duration;

use detour::model::{AlertReceiver, AlertSeverity, AlertWay, MailSecurity};

use crate::refused::{END, check, check_head};
use crate::{Folder, HEAD, ZONE};

/// A whole configuration with these receivers; they begin on line 17.
fn folder(alerts: &str) -> Folder {
    let text = format!("{HEAD}[[service]]\nname = \"app.example.com\"\n{END}{alerts}\n");
    Folder::new(&[
        ("detour.toml", &text),
        ("example.com.zone", ZONE),
        ("key", "0123456789abcdef\n"),
        ("short", "0123456789\n"),
        ("empty", "\n"),
        ("url", "https://hooks.example.com/services/secret\n"),
        ("password", "pass word\n"),
    ])
}

fn receiver(alerts: &str) -> AlertReceiver {
    let loaded = folder(alerts).load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.config.alerts.len(), 1);
    AlertReceiver::clone(&loaded.config.alerts[0])
}

fn refused(alerts: &str, want: &str) {
    check_head(&folder(alerts).report(), &format!("detour.toml:{want}"));
}

#[test]
fn what_is_left_out() {
    let read = receiver("[alerts.hook]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/a?b=c\"");
    assert_eq!((&*read.id, read.severities.len(), &read.services), ("hook", 3, &None));
    assert_eq!((read.group_wait, read.timeout), (Duration::from_secs(5), Duration::from_secs(10)));
    let AlertWay::Webhook { url, key: None } = read.way else { panic!("{read:?}") };
    assert_eq!((url.secure, &*url.host, url.port, &*url.path), (false, "127.0.0.1", 8080, "/a?b=c"));

    let read = receiver("[alerts.p]\ntype = \"pagerduty\"\nrouting_key_file = \"key\"");
    let AlertWay::PagerDuty { url, routing_key } = &read.way else { panic!("{read:?}") };
    assert_eq!((url.secure, &*url.host, url.port), (true, "events.pagerduty.com", 443));
    assert_eq!(routing_key.reveal(), "0123456789abcdef");
    assert!(!format!("{read:?}").contains("0123456789abcdef"), "secrets are not for logs");
}

#[test]
fn what_is_said() {
    let read = receiver(
        "[alerts.chat]\ntype = \"slack\"\nurl_file = \"url\"\nseverities = [\"critical\"]\ngroup_wait = \"0s\"\n\
         timeout = \"3s\"\nservices = [\"*.example.com\"]\ntitle = \"{severity} {service}\"\n\
         text = \"{kind} at {site}, {time}:\\n{reason}\"",
    );
    assert_eq!(read.severities, [AlertSeverity::Critical]);
    let patterns = read.services.clone().unwrap();
    assert!(patterns[0].fits(&"a.b.example.com".parse().unwrap()));
    assert!(!patterns[0].fits(&"example.com".parse().unwrap()));
    assert!(!format!("{read:?}").contains("secret"), "a path can be one");
    // What is put in is not looked at again.
    let filled = read.title.unwrap().fill(|placeholder| format!("<{placeholder}>"));
    assert_eq!(filled, "<{severity}> <{service}>");

    let read = receiver(
        "[alerts.mail]\ntype = \"email\"\nserver = \"mail.example.com\"\nfrom = \"a@example.com\"\n\
         to = [\"b@example.com\", \"c@example.com\"]\nusername = \"u\"\npassword_file = \"password\"",
    );
    let AlertWay::Email(mail) = read.way else { panic!("{read:?}") };
    assert_eq!((mail.security, mail.port, mail.to.len()), (MailSecurity::StartTls, 587, 2));
    assert_eq!(mail.login.unwrap().1.reveal(), "pass word");

    let read = receiver("[alerts.script]\ntype = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"cat\"]");
    assert_eq!(read.way, AlertWay::Command(["/bin/sh", "-c", "cat"].map(str::to_owned).to_vec()));
}

#[test]
fn what_is_refused() {
    let hook = "[alerts.hook]\ntype = \"webhook\"\nurl = \"https://hooks.example.com/\"\n";
    check(
        &folder(&format!("{hook}title = \"{{servce}} moved\"")).report(),
        r#"
detour.toml:20:9: error: unknown placeholder "{servce}"
    title = "{servce} moved"
            ^^^^^^^^^^^^^^^^
    help: did you mean "{service}"? placeholders: {service}, {site}, {reason}, {time}, {severity}, {kind}
"#,
    );
    check(
        &folder(&format!("{hook}services = [\"*.example.com\", \"www.example.com\"]")).report(),
        r#"
detour.toml:20:30: error: no service fits "www.example.com."
    services = ["*.example.com", "www.example.com"]
                                 ^^^^^^^^^^^^^^^^^
    help: name a service of this file, or with "*.example.com" all that lie below a name
"#,
    );
    check(
        &folder("[alerts.mail]\ntype = \"email\"\nserver = \"mail.example.com\"\nsecurity = \"plain\"\n\
             from = \"a@example.com\"\nto = [\"b@example.com\"]\nusername = \"u\"\npassword_file = \"password\"")
        .report(),
        r#"
detour.toml:24:17: error: security "plain" would send the password in clear text
    password_file = "password"
                    ^^^^^^^^^^
    help: use security "starttls" or "tls", or a server on loopback
"#,
    );
    let with = |line: &str, want: &str| refused(&format!("{hook}{line}"), want);
    with("kee_file = \"key\"", "20:1: error: unknown key \"kee_file\" in [alerts.hook]");
    with(
        "routing_key_file = \"key\"",
        "20:1: error: \"routing_key_file\" means nothing to a webhook receiver",
    );
    with("severities = [\"loud\"]", "20:15: error: severities \"loud\" is unknown");
    with("severities = []", "20:14: error: \"severities\" is an empty list");
    with("group_wait = \"1h\"", "20:14: error: \"group_wait\" is 3600s, not between 0s and 600s");
    with("timeout = \"0s\"", "20:11: error: \"timeout\" is zero");
    with("url_file = \"url\"", "20:12: error: both \"url\" and \"url_file\"");
    with(
        "key_file = \"short\"",
        "20:12: error: cannot read the key of a webhook: it holds fewer than 16 bytes, which somebody could guess",
    );
    with(
        "key_file = \"empty\"",
        "20:12: error: cannot read the key of a webhook \"empty\": it does not hold one line of text",
    );
    refused("[alerts.x]\ntype = \"webhook\"", "17:1: error: [alerts.x] has no \"url\"");
    refused("[alerts.x]\nurl = \"https://a.example/\"", "17:1: error: [alerts.x] has no \"type\"");
    refused("[alerts.x]\ntype = \"sms\"", "18:8: error: type \"sms\" is unknown");
    refused(
        "[alerts.\"a/b\"]\ntype = \"slack\"",
        "17:9: error: \"a/b\" is not a key of at most 63 letters, digits, \"-\" and \"_\"",
    );
    refused(
        "[alerts.x]\ntype = \"slack\"\nurl = \"ftp://a.example/\"",
        "19:7: error: \"ftp://a.example/\" is not an http or https address",
    );
    refused(
        "[alerts.x]\ntype = \"slack\"\nurl = \"http://a.example/\"\nca = \"ca.pem\"",
        "20:1: error: \"ca\" means nothing to a slack receiver",
    );
    refused("[alerts.x]\ntype = \"pagerduty\"", "17:1: error: [alerts.x] has no \"routing_key_file\"");
    let command = "[alerts.x]\ntype = \"command\"\ncommand = [\"tell\"]";
    refused(command, "19:12: error: command \"tell\": not an absolute path");
    let mail = "[alerts.x]\ntype = \"email\"\nserver = \"m.example\"\nfrom = \"a@example.com\"\n";
    refused(
        &format!("{mail}to = [\"<b@example.com>\"]"),
        "21:7: error: \"<b@example.com>\" is not a mailbox",
    );
    refused(
        &format!("{mail}to = [\"b@example.com\"]\nusername = \"u\""),
        "17:1: error: [alerts.x] has no \"password_file\"",
    );
}
