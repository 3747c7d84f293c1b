//! What each kind of receiver is sent: JSON in the form that it takes.

use std::fmt::Write;

use ring::{digest, hmac};
use serde_json::{Value, json};

use crate::alert::message::{Message, State};
use crate::dns::Name;
use crate::model::{AlertSeverity, Secret};
use crate::time::HostTime;

/// The longest `dedup_key` and `summary` that PagerDuty takes, in characters.
const MAX_DEDUP_KEY: usize = 255;
const MAX_SUMMARY: usize = 1024;
/// The longest text of a message to Slack, in characters: it cuts at 40,000.
const MAX_SLACK: usize = 4_000;

/// The body of a webhook, and what a command is given.
pub(super) fn webhook(receiver: &str, message: &Message) -> Vec<u8> {
    bytes(&json!({
        "version": 1,
        "receiver": receiver,
        "id": message.id,
        "key": message.key,
        "state": message.state.word(),
        "severity": message.severity.word(),
        "kind": message.kind.word(),
        "time": message.at.to_string(),
        "site": message.site,
        "services": services(message),
        "count": message.count,
        "title": message.title,
        "text": message.text,
        "reason": message.reason,
    }))
}

/// The headers that go with a webhook's body. The signature is over the time, a dot and the body, so that one
/// that was overheard cannot be sent again later.
pub(super) fn signed(
    now: HostTime,
    message: &Message,
    body: &[u8],
    key: Option<&Secret>,
) -> Vec<(&'static str, String)> {
    let time = (now.0 / 1000).to_string();
    let mut headers = vec![("Detour-Alert", message.id.clone())];
    if let Some(key) = key {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.reveal().as_bytes());
        let mut signing = hmac::Context::with_key(&key);
        for part in [time.as_bytes(), b".", body] {
            signing.update(part);
        }
        headers.push(("Detour-Signature", format!("t={time},v1={}", hex(signing.sign().as_ref()))));
    }
    headers
}

/// A message of Slack's incoming webhooks.
pub(super) fn slack(message: &Message) -> Vec<u8> {
    let sign = match (message.state, message.severity) {
        (State::Resolved, _) => ":white_check_mark:",
        (_, AlertSeverity::Critical) => ":red_circle:",
        (_, AlertSeverity::Warning) => ":warning:",
        (_, AlertSeverity::Info) => ":information_source:",
    };
    let (title, text) = (for_slack(&message.title), for_slack(&message.text));
    bytes(&json!({ "text": format!("{sign} *{title}*\n{text}") }))
}

/// An event of PagerDuty's Events API v2; none for what neither begins nor ends an incident.
pub(super) fn pagerduty(routing_key: &Secret, message: &Message) -> Option<Vec<u8>> {
    let tests = message.kind == crate::alert::Kind::Test;
    let begins = message.state == State::Firing
        || message.state == State::Told && message.severity != AlertSeverity::Info;
    let action = match message.state {
        State::Resolved => "resolve",
        _ if begins || tests => "trigger",
        _ => return None,
    };
    let mut event = json!({
        "routing_key": routing_key.reveal(),
        "event_action": action,
        "dedup_key": dedup_key(&message.key),
    });
    if action == "trigger" {
        let summary: String = message.title.chars().take(MAX_SUMMARY).collect();
        event["payload"] = json!({
            "summary": summary,
            "source": message.site.as_deref().unwrap_or("detour"),
            "severity": message.severity.word(),
            "timestamp": message.at.to_string(),
            "component": message.services.first().map(Name::bare),
            "class": message.kind.word(),
            "custom_details": {
                "text": message.text,
                "services": services(message),
                "count": message.count,
            },
        });
    }
    Some(bytes(&event))
}

fn services(message: &Message) -> Vec<String> {
    message.services.iter().map(Name::bare).collect()
}

/// What is too long is told by its digest: equal keys stay equal.
fn dedup_key(key: &str) -> String {
    if key.chars().count() <= MAX_DEDUP_KEY {
        return key.to_owned();
    }
    hex(digest::digest(&digest::SHA256, key.as_bytes()).as_ref())
}

/// The three characters that mean something there, and no more than it shows.
fn for_slack(text: &str) -> String {
    let text: String = text.chars().take(MAX_SLACK).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String has no error.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 section 4.3, test case 2.
    #[test]
    fn hex_of_a_known_digest() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let signed = hmac::sign(&key, b"what do ya want for nothing?");
        let want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(signed.as_ref()), want);
    }

    #[test]
    fn long_keys_stay_apart() {
        let [a, b] = ["a", "b"].map(|end| dedup_key(&format!("{}{end}", "x".repeat(300))));
        assert_ne!(a, b);
        assert_eq!(a.len(), 64);
        assert_eq!(dedup_key("service app.example.com"), "service app.example.com");
    }

    #[test]
    fn slack_reads_no_markup_from_reasons() {
        assert_eq!(for_slack("a <!channel> & b"), "a &lt;!channel&gt; &amp; b");
    }
}
