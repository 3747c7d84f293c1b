//! A message as a mail: RFC 5322, its text in base64, so that no line is too long and none begins with a dot.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::alert::message::{Message, State};
use crate::model::EmailWay;
use crate::time::HostTime;

/// How many bytes of text go into one line of base64 (RFC 2045 section 6.8: at most 76 characters).
const LINE: usize = 57;
/// How many bytes go into one encoded word (RFC 2047 section 2: at most 75 characters, all counted).
const WORD: usize = 45;

/// The whole mail, each line ended by CR LF.
pub(super) fn compose(mail: &EmailWay, message: &Message) -> String {
    let state = if message.state == State::Resolved { "resolved" } else { message.severity.word() };
    let subject = format!("[detour] [{state}] {}", message.title);
    let host = mail.from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    // The same thing has the same first reference, so that its end is shown below its beginning.
    let thread = identifier(&message.key);
    let headers = [
        format!("Date: {}", date(message.at.as_shown())),
        format!("From: {}", mail.from),
        format!("To: {}", mail.to.join(",\r\n ")),
        format!("Subject: {}", unstructured(&subject)),
        format!("Message-ID: <{}.{}@{host}>", identifier(&message.id), message.at.0),
        format!("References: <{thread}@{host}>"),
        // RFC 3834 section 5: nobody's absence is an answer to it.
        "Auto-Submitted: auto-generated".to_owned(),
        format!("X-Detour-Key: {}", unstructured(&message.key)),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
        "Content-Transfer-Encoding: base64".to_owned(),
    ];
    let text = format!("{}\n\n{}\n\n{}\n", message.title, message.text, message.at);
    let body: Vec<String> = text.as_bytes().chunks(LINE).map(|line| STANDARD.encode(line)).collect();
    format!("{}\r\n\r\n{}\r\n", headers.join("\r\n"), body.join("\r\n"))
}

/// A header's text: as it is where it is plain and short, else in encoded words.
fn unstructured(text: &str) -> String {
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("=?");
    if plain && text.len() <= WORD {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // Never within a character: each word is decoded by itself (RFC 2047 section 5).
        let end = (1..=WORD.min(rest.len())).rev().find(|&end| rest.is_char_boundary(end));
        let (word, left) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        rest = left;
    }
    words.join("\r\n ")
}

/// What may stand on the left of a message identifier.
fn identifier(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let text: String = text.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    text.chars().take(200).collect()
}

/// `Sat, 21 Nov 2026 03:00:00 +0000` (RFC 5322 section 3.3).
fn date(at: HostTime) -> String {
    let text = at.to_string();
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<usize>().ok());
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // 1970-01-01 was a Thursday.
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let day = days[(at.0 / 86_400_000 % 7) as usize];
    let month = months[part(5, 7).unwrap_or(1).clamp(1, 12) - 1];
    let [year, dom, clock] =
        [text.get(..4), text.get(8..10), text.get(11..19)].map(Option::unwrap_or_default);
    format!("{day}, {dom} {month} {year} {clock} +0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_mail() {
        assert_eq!(date(HostTime(1_795_230_000_000)), "Sat, 21 Nov 2026 03:00:00 +0000");
        assert_eq!(date(HostTime(0)), "Thu, 01 Jan 1970 00:00:00 +0000");
    }

    #[test]
    fn subjects_stay_within_a_line() {
        assert_eq!(unstructured("app is back"), "app is back");
        let long = unstructured(&"ä€".repeat(60));
        assert!(long.split("\r\n ").all(|word| word.len() <= 75 && word.ends_with("?=")), "{long}");
        let decoded: Vec<u8> = long
            .split("\r\n ")
            .flat_map(|word| STANDARD.decode(&word[10..word.len() - 2]).unwrap())
            .collect();
        assert_eq!(String::from_utf8(decoded).unwrap(), "ä€".repeat(60));
        assert!(!unstructured("a\r\nBcc: x@example.com").contains("Bcc"));
    }
}
