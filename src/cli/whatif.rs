//! `detour whatif`: which names would move where if a site failed, or were drained.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::json;

use super::client::{Client, ClientError, DONE, NO, finish};
use super::find::Way;
use super::recorded;
use super::show::{self, Table, list};
use crate::engine::Engine;
use crate::model::{Config, Seconds};
use crate::policy::Target;
use crate::simulate::{
    Consequence, LoadThen, Outlook, Player, Run, StudyError, Supposition, healthy, suppose,
};
use crate::sys::clock::wall;
use crate::time::{Offset, Time, by_host};

/// Services that are listed one by one; `--json` has all.
const MAX_ROWS: usize = 100;

/// What would follow if a site failed, or were drained
#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("supposed").args(["down", "up", "drain"]).required(true).multiple(true)))]
pub struct Args {
    /// Suppose that every probe of this site fails
    #[arg(long, value_name = "SITE")]
    down: Vec<String>,
    /// Suppose that every probe of this site passes
    #[arg(long, value_name = "SITE")]
    up: Vec<String>,
    /// Suppose that this is drained
    #[arg(long, value_name = "SITE|SERVICE[@SITE]")]
    drain: Vec<String>,
    /// Begin with the configuration file alone, everything working, and ask no daemon
    #[arg(long)]
    offline: bool,
    /// Ask no daemon: begin with the recording in this state_dir
    #[arg(long, value_name = "STATE_DIR", conflicts_with = "offline")]
    history: Option<PathBuf>,
}

/// Prints what would follow: from the running daemon, or where there is none, from its recording. Exit code 0
/// where every service would keep a site that works, 1 where one would not.
pub async fn run(args: &Args, asked: &Way<'_>, json: bool) -> anyhow::Result<ExitCode> {
    let outlook = if args.offline {
        work_out(args, offline(asked.config)?)?
    } else if args.history.is_some() {
        work_out(args, recorded_last(args, asked.config)?)?
    } else {
        match from_daemon(args, asked).await {
            Ok(outlook) => outlook,
            Err(error) if error.is_unreachable() && asked.control.is_none() => {
                let recorded = recorded_last(args, asked.config);
                let recorded = recorded.with_context(|| format!("{error}; and its recording"))?;
                eprintln!("{error}; this is from its recording");
                work_out(args, recorded)?
            }
            Err(error) => return finish(Err(error)),
        }
    };
    show::print(&if json { format!("{:#}", json!(outlook)) } else { render(&outlook) })?;
    let bad = !outlook.refused.is_empty()
        || outlook.moved.iter().chain(&outlook.stays).any(|consequence| consequence.stranded);
    Ok(ExitCode::from(if bad { NO } else { DONE }))
}

async fn from_daemon(args: &Args, asked: &Way<'_>) -> Result<Outlook, ClientError> {
    let client = asked.find().and_then(Client::new).map_err(|why| ClientError::Usage(format!("{why:#}")))?;
    client.decode(&client.write(Method::POST, &["v1", "whatif"], &supposition(args)).await?)
}

/// What the arguments suppose.
fn supposition(args: &Args) -> Supposition {
    let sites = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    let drain = args.drain.iter().cloned().map(Target::Word).collect();
    Supposition { down: sites(&args.down), up: sites(&args.up), drain, ..Supposition::default() }
}

/// The same in this process.
fn work_out(args: &Args, (engine, now, config): (Engine, Time, Config)) -> anyhow::Result<Outlook> {
    let supposition = supposition(args);
    supposition.check(&config)?;
    let offset = engine.offset();
    let outlook = by_host(offset, || suppose(engine, now, &config, &supposition));
    Ok(recorded::by_the_hosts_clock(offset, &outlook)?)
}

fn offline(path: &Path) -> anyhow::Result<(Engine, Time, Config)> {
    let load = recorded::load(path)?;
    // An engine of its own has no other clock than the host's.
    let (engine, now) = healthy(&load, wall().to_own(Offset::default()));
    Ok((engine, now, Config::clone(&load.config)))
}

/// The engine as the daemon's was half a second before its end at most, made anew from what was put into it.
fn recorded_last(args: &Args, path: &Path) -> anyhow::Result<(Engine, Time, Config)> {
    let recording = recorded::open(args.history.as_deref(), path)?.newest();
    let mut player = Player::new(Run::AsRecorded);
    recording.play::<StudyError>(|moment| player.take(&moment, &mut |_, _| ()))?;
    match (player.engine(), player.config()) {
        (Some(engine), Some(config)) => Ok((engine.clone(), player.now(), Config::clone(config))),
        _ => bail!("the recording holds no configuration yet"),
    }
}

/// The page for people.
fn render(outlook: &Outlook) -> String {
    let mut out = format!("as of {}\n", outlook.at);
    let is_stranded = |consequence: &&Consequence| consequence.stranded;
    let stranded: Vec<_> = outlook.moved.iter().chain(&outlook.stays).filter(is_stranded).collect();
    let moved: Vec<_> = outlook.moved.iter().filter(|one| !one.stranded).collect();
    let stays: Vec<_> = outlook.stays.iter().filter(|one| !one.stranded).collect();
    let lines = [
        ("would have no working site", stranded, false),
        ("would move", moved, true),
        ("would stay", stays, true),
    ];
    for (what, consequences, always) in lines {
        if always || !consequences.is_empty() {
            let _ = writeln!(out, "\n{} {what}", services(consequences.len()));
        }
        if consequences.is_empty() {
            continue;
        }
        let mut table = Table::new(["  service", "from", "to", "within", "because"]);
        for c in consequences.iter().take(MAX_ROWS) {
            let within = Seconds(Duration::from_millis(c.worst_ms)).to_string();
            let to = if c.stranded { format!("{} (NOTHING WORKS)", list(&c.to)) } else { list(&c.to) };
            table.row([format!("  {}", c.service.bare()), list(&c.from), to, within, why(c)]);
        }
        let _ = write!(out, "{table}");
        if consequences.len() > MAX_ROWS {
            let _ = writeln!(out, "  and {} more; --json lists all", consequences.len() - MAX_ROWS);
        }
    }
    let _ = writeln!(out, "\n{} not concerned", services(outlook.untouched));
    for (zone, changesets) in &outlook.changesets {
        let plural = if *changesets == 1 { "" } else { "s" };
        let _ = writeln!(out, "zone {}: {changesets} changeset{plural}", zone.bare());
    }
    for load in &outlook.loads {
        let over = if load.is_over() { " (OVER)" } else { "" };
        let LoadThen { site, before, after, capacity } = load;
        let _ = writeln!(out, "site {site}: load {before} -> {after} of {capacity}{over}");
    }
    for held in &outlook.held {
        let _ = writeln!(out, "would wait: {held}");
    }
    for refused in &outlook.refused {
        let _ = writeln!(out, "refused: {refused}");
    }
    out
}

fn why(c: &Consequence) -> String {
    if c.latched { format!("latched; {}", c.because) } else { c.because.clone() }
}

fn services(count: usize) -> String {
    if count == 1 { "1 service".to_owned() } else { format!("{count} services") }
}
