//! `detour report`: an incident as people read it afterwards, in Markdown or HTML. From the daemon that runs, or
//! from a state directory while none does.

mod findings;
mod page;
mod review;
mod source;
mod standby;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use self::review::Known;
use self::source::Source;
use super::arguments;
use super::client::{DONE, NO};
use super::find::Way;
use super::show::{Table, list, print, span};
use crate::incident::Incident;
use crate::time::Time;

/// How many incidents `--list` shows.
const LISTED: usize = 50;

/// A review of an incident: what happened, why, how long it took, what to look at
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its number, as `--list` shows it; the latest when left out
    #[arg(value_parser = arguments::incident)]
    pub incident: Option<u64>,
    /// One HTML file that needs nothing else, instead of Markdown
    #[arg(long)]
    pub html: bool,
    /// The state_dir of a daemon that does not run
    #[arg(long, value_name = "STATE_DIR")]
    pub state: Option<PathBuf>,
    /// Into this file instead of on the screen
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What incidents there are
    #[arg(long, conflicts_with_all = ["incident", "html"])]
    pub list: bool,
}

/// Writes the review. Exit code 1 where there is no such incident.
pub async fn run(args: &Args, way: &Way<'_>, json: bool) -> anyhow::Result<ExitCode> {
    let source = match Source::find(args.state.as_deref(), way).await? {
        Ok(source) => source,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(error.exit_code()));
        }
    };
    let incidents = source.incidents(if args.list { LISTED } else { 1 }).await?;
    if args.list {
        let text = if json { format!("{:#}", json!(incidents)) } else { listed(&incidents, source.now()) };
        write(args.output.as_deref(), &text)?;
        return Ok(ExitCode::from(DONE));
    }
    let incident = match args.incident {
        Some(id) => source.incident(id).await?,
        None => incidents.into_iter().next(),
    };
    let Some(incident) = incident else {
        match args.incident {
            Some(id) => eprintln!("there is no incident {id}; `detour report --list` shows those there are"),
            None => eprintln!("there was no incident as far back as the history goes"),
        }
        return Ok(ExitCode::from(NO));
    };
    let held = source.held(&incident);
    let setup = source.config();
    let known = Known { incident: &incident, held, config: setup.as_deref(), now: source.now() };
    let text = match (json, args.html) {
        (true, _) => format!("{:#}", json!({ "incident": incident, "standby": known.held.as_ref().ok() })),
        (false, true) => known.page().html(),
        (false, false) => known.page().markdown(),
    };
    write(args.output.as_deref(), &text)?;
    Ok(ExitCode::from(DONE))
}

fn write(file: Option<&Path>, text: &str) -> anyhow::Result<()> {
    match file {
        None => print(text),
        Some(file) if file.as_os_str().is_empty() => bail!("-o needs a file name"),
        Some(file) => std::fs::write(file, format!("{}\n", text.trim_end()))
            .with_context(|| format!("cannot write {}", file.display())),
    }
}

fn listed(incidents: &[Incident], now: Time) -> String {
    if incidents.is_empty() {
        return "there was no incident as far back as the history goes".to_owned();
    }
    let mut table = Table::new(["ID", "BEGAN", "LASTED", "SITES", "SERVICES", "SUMMARY"]);
    for incident in incidents {
        let lasted = span(incident.ended.unwrap_or(now).since(incident.began));
        let lasted = if incident.is_open() { format!("{lasted}, goes on") } else { lasted };
        table.row([
            incident.id.to_string(),
            incident.began.to_string(),
            lasted,
            list(&incident.sites),
            incident.services_total.to_string(),
            incident.summary.clone(),
        ]);
    }
    table.to_string()
}
