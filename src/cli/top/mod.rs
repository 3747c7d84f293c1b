//! `detour top`: the dashboard's first page in a terminal, for who has ssh and nothing else. It reads, and changes
//! nothing.
//!
//! ```text
//!   keys ──────────► Model ──► draw ──► terminal
//!   daemon ─► fetch ──┘  │
//!                ▲       └ what is looked for, which page, which name
//!                └───────┘
//! ```
//!
//! `model` and `draw` are plain values and functions, so a test looks at the very screen. The way to the daemon is
//! a task of its own: keys work, and the age of what is shown goes on, however long an answer takes.

mod draw;
mod fetch;
mod keys;
mod model;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use self::model::{Model, Then};
use super::client::{Client, DONE};
use crate::model::parse_duration;

/// Wrong usage.
const USAGE: u8 = 2;
/// How often the screen is drawn when nothing happens: it shows how old things are.
const REDRAW: Duration = Duration::from_millis(500);
/// How many keys may wait.
const MAX_KEYS: usize = 64;

/// What is served and why, as it changes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How often the daemon is asked
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = every)]
    every: Duration,
}

fn every(text: &str) -> Result<Duration, String> {
    let every = parse_duration(text).map_err(|why| format!("duration {text:?} {why}"))?;
    if every < Duration::from_millis(200) { Err("at least 200ms".to_owned()) } else { Ok(every) }
}

/// Shows it until `q`, or until a signal ends it.
pub async fn run(client: Client, args: &Args) -> anyhow::Result<ExitCode> {
    if !std::io::stdout().is_terminal() {
        eprintln!("detour top draws on a terminal, and this is none; `detour status` prints the same once");
        return Ok(ExitCode::from(USAGE));
    }
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut model = Model::new(client.address(), colour);
    let (asked, asking) = watch::channel(model.asked());
    let (told, mut answers) = mpsc::channel(4);
    let fetching = tokio::spawn(fetch::run(client, args.every, asking, told));
    // It puts the terminal back also where something panics.
    let mut terminal = ratatui::try_init()?;
    let (pressed, mut keys) = mpsc::channel(MAX_KEYS);
    let reading = keys::Reader::start(pressed);
    let ended = show(&mut terminal, &mut model, &asked, &mut answers, &mut keys).await;
    drop(reading);
    fetching.abort();
    ratatui::try_restore()?;
    ended?;
    Ok(ExitCode::from(DONE))
}

async fn show(
    terminal: &mut ratatui::DefaultTerminal,
    model: &mut Model,
    asked: &watch::Sender<fetch::Asked>,
    answers: &mut mpsc::Receiver<fetch::Told>,
    keys: &mut mpsc::Receiver<ratatui::crossterm::event::Event>,
) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut ends =
        [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?];
    let [term, hup, int] = &mut ends;
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        terminal.draw(|frame| draw::draw(frame, model, Instant::now()))?;
        let then = tokio::select! {
            Some(told) = answers.recv() => {
                model.take(told, Instant::now());
                Then::Go
            }
            event = keys.recv() => match event {
                Some(event) => model.press(&event),
                // The terminal is gone.
                None => Then::Quit,
            },
            _ = redraw.tick() => Then::Go,
            _ = term.recv() => Then::Quit,
            _ = hup.recv() => Then::Quit,
            _ = int.recv() => Then::Quit,
        };
        if then == Then::Quit {
            return Ok(());
        }
        asked.send_if_modified(|was| {
            let wanted = model.asked();
            let changed = *was != wanted;
            *was = wanted;
            changed
        });
    }
}
