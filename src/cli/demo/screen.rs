//! The demo's picture: redrawn in place on a terminal, one line for each change elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _, stdout};
use std::time::Duration;

use crate::cli::dns_client::Answer;
use crate::engine::Status;

/// What the picture shows.
pub struct Picture<'a> {
    /// The demo's clock.
    pub elapsed: Duration,
    /// What is going on, in words.
    pub stage: &'a str,
    /// Since the primary was switched off.
    pub since_failure: Option<Duration>,
    /// The engine's picture.
    pub status: &'a Status,
    /// What a DNS client sees.
    pub answer: &'a Answer,
}

/// Where the picture goes.
pub struct Screen {
    redraw: bool,
    drawn: usize,
    last: String,
}

impl Screen {
    /// Redraws in place where standard output is a terminal.
    pub fn new() -> Screen {
        Screen { redraw: stdout().is_terminal(), drawn: 0, last: String::new() }
    }

    /// Shows the picture.
    pub fn show(&mut self, picture: &Picture) {
        if self.redraw { self.draw(picture) } else { self.line(picture) }
    }

    /// Prints a line that stays.
    pub fn say(&mut self, text: &str) {
        self.drawn = 0;
        print(&format!("{text}\n"));
    }

    fn draw(&mut self, picture: &Picture) {
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to the picture's first line, and clear from there to the end of the screen.
            let _ = write!(text, "\x1b[{}A\x1b[J", self.drawn);
        }
        let body = lines(picture);
        self.drawn = body.len();
        // Without line wrap, so that a narrow terminal cuts a line and the count of lines stays true.
        text.push_str("\x1b[?7l");
        for line in body {
            let _ = writeln!(text, "{line}");
        }
        text.push_str("\x1b[?7h");
        print(&text);
    }

    fn line(&mut self, picture: &Picture) {
        let sites: Vec<String> =
            endpoints(picture.status).map(|(site, health, _)| format!("{site} {health}")).collect();
        let line = format!("{}  answer {}", sites.join(", "), answer(picture.answer));
        if line != self.last {
            print(&format!(
                "{:>5.1}s  {line}  serial {}\n",
                picture.elapsed.as_secs_f64(),
                serial(picture.status)
            ));
            self.last = line;
        }
    }
}

fn lines(picture: &Picture) -> Vec<String> {
    let mut lines =
        vec![format!("  {:>5.1}s  {}", picture.elapsed.as_secs_f64(), picture.stage), String::new()];
    for (site, health, serving) in endpoints(picture.status) {
        let colour = match health.as_str() {
            "Up" => "\x1b[32m",
            "Down" => "\x1b[31m",
            _ => "\x1b[33m",
        };
        let mark = if serving { "◄ answers" } else { "" };
        lines.push(format!("    {site:<12} {colour}{health:<8}\x1b[0m {mark}"));
    }
    lines.push(String::new());
    lines.push(format!("    answer  {}   serial {}", answer(picture.answer), serial(picture.status)));
    let reason = picture.status.services.first().and_then(|s| s.decision.as_ref());
    lines.push(format!("    because {}", reason.map(crate::policy::Decision::because).unwrap_or_default()));
    let since = picture.since_failure.map(|d| format!("    {:.1}s since the failure", d.as_secs_f64()));
    lines.push(since.unwrap_or_default());
    lines
}

/// Site, health and whether it is answered from, of the demo's one service.
fn endpoints(status: &Status) -> impl Iterator<Item = (String, String, bool)> {
    let endpoints = status.services.first().map(|service| service.endpoints.as_slice()).unwrap_or_default();
    let name =
        |id: &str| status.sites.iter().find(|s| *s.id == *id).map_or(id.to_owned(), |s| s.name.clone());
    endpoints.iter().map(move |e| (name(&e.site), e.health.to_string(), e.serving))
}

fn answer(answer: &Answer) -> String {
    let addresses: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
    format!("A {} TTL {}s", addresses.join(" "), answer.ttl)
}

fn serial(status: &Status) -> String {
    status.zones.first().map(|zone| zone.serial.to_string()).unwrap_or_default()
}

fn print(text: &str) {
    let mut out = stdout().lock();
    // A closed pipe (`detour demo | head`) must not end the demo with a panic.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
