//! `detour whatif`: which names would move where if a site failed, or were drained.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde_json::json;

use super::client::{DONE, NO};
use super::show::{self, Table, bare, list};
use super::{override_cmds, recorded};
use crate::config::{Config, Seconds, SiteId};
use crate::engine::Engine;
use crate::policy::Scope;
use crate::study::{Consequence, Outlook, Player, Run, StudyError, Supposition, healthy, suppose};
use crate::time::Time;

/// Services that are listed one by one; `--json` has all.
const MAX_ROWS: usize = 100;

/// What would follow if a site failed, or were drained
#[derive(clap::Args, Debug)]
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
    /// Begin with the configuration file alone, everything working, and not with the daemon's recording
    #[arg(long)]
    offline: bool,
    /// The daemon's state_dir; the configuration's when left out
    #[arg(long, value_name = "STATE_DIR", conflicts_with = "offline")]
    history: Option<PathBuf>,
}

/// Prints what would follow. Exit code 0 where every service would keep a site that works, 1 where one
/// would not.
pub fn run(args: &Args, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    if args.down.is_empty() && args.up.is_empty() && args.drain.is_empty() {
        bail!("suppose something: --down SITE, --up SITE or --drain SITE|SERVICE[@SITE]");
    }
    let (engine, now, config) = if args.offline { offline(config)? } else { recorded_last(args, config)? };
    let site = |name: &String| -> anyhow::Result<SiteId> {
        let found = config.sites.iter().find(|site| *site.id == **name);
        let known = || config.sites.iter().map(|site| &*site.id).collect::<Vec<_>>().join(", ");
        found
            .map(|site| site.id.clone())
            .ok_or_else(|| anyhow!("there is no site \"{name}\"; there are {}", known()))
    };
    let status = engine.status(now);
    let scope = |text: &String| override_cmds::scope(text, &status).map_err(|why| anyhow!("{why}"));
    let supposition = Supposition {
        down: args.down.iter().map(site).collect::<Result<_, _>>()?,
        up: args.up.iter().map(site).collect::<Result<_, _>>()?,
        drain: args.drain.iter().map(scope).collect::<Result<Vec<Scope>, _>>()?,
    };
    let outlook = suppose(engine, now, &config, &supposition);
    show::print(&if json { format!("{:#}", json!(outlook)) } else { render(&outlook) })?;
    let bad = !outlook.refused.is_empty()
        || outlook.moved.iter().chain(&outlook.stays).any(|consequence| consequence.stranded);
    Ok(ExitCode::from(if bad { NO } else { DONE }))
}

fn offline(path: &Path) -> anyhow::Result<(Engine, Time, Config)> {
    let load = recorded::load(path)?;
    let (engine, now) = healthy(&load, recorded::moment("0s")?);
    Ok((engine, now, Config::clone(&load.config)))
}

/// The engine as the daemon's was half a second ago at most, made anew from what was put into it. The
/// daemon itself is not asked, and not kept from anything.
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
    let lines = [
        (format!("{} would move", services(outlook.moved.len())), &outlook.moved),
        (format!("{} would stay", services(outlook.stays.len())), &outlook.stays),
    ];
    for (title, consequences) in lines {
        let _ = writeln!(out, "\n{title}");
        if consequences.is_empty() {
            continue;
        }
        let mut table = Table::new(["  service", "from", "to", "within", "because"]);
        for c in consequences.iter().take(MAX_ROWS) {
            let within = Seconds(Duration::from_millis(c.worst_ms)).to_string();
            let to = if c.stranded { format!("{} (NOTHING WORKS)", list(&c.to)) } else { list(&c.to) };
            table.row([format!("  {}", bare(&c.service)), list(&c.from), to, within, why(c)]);
        }
        let _ = write!(out, "{table}");
        if consequences.len() > MAX_ROWS {
            let _ = writeln!(out, "  and {} more; --json lists all", consequences.len() - MAX_ROWS);
        }
    }
    let _ = writeln!(out, "\n{} not concerned", services(outlook.untouched));
    for (zone, changesets) in &outlook.changesets {
        let plural = if *changesets == 1 { "" } else { "s" };
        let _ = writeln!(out, "zone {}: {changesets} changeset{plural}", bare(zone));
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
