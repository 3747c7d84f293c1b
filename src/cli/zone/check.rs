//! `detour zone check`: every error of zone files, and everything that is hardly meant.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use serde_json::json;

use super::input;
use crate::config::{ZoneText, load};
use crate::dns::Name;
use crate::sys::clock::wall_secs;
use crate::zone::{Lint, Problem, Promises, Severity};

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The zone files
    #[arg(required_unless_present = "list")]
    files: Vec<PathBuf>,
    /// The zone's name; what the file says, or what it is called, when left out
    #[arg(long, value_name = "NAME")]
    origin: Option<Name>,
    /// Say nothing of this lint; may be given more than once
    #[arg(long, value_name = "LINT")]
    allow: Vec<Lint>,
    /// Count this lint as an error; may be given more than once
    #[arg(long, value_name = "LINT")]
    deny: Vec<Lint>,
    /// The files are parts of zones, which others include: no SOA is asked for, and lints of whole zones are not looked for
    #[arg(long)]
    fragment: bool,
    /// Name every lint and what it finds
    #[arg(long)]
    list: bool,
}

/// Problems to stderr (or, as JSON, to stdout), a line for each file to stdout. Exit code 1 with any error
/// or denied lint.
pub fn run(args: &Args, config: Option<&Path>, json: bool) -> Result<ExitCode> {
    if args.list {
        for lint in Lint::ALL {
            println!("{lint:18}{}", lint.about());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(both) = args.allow.iter().find(|lint| args.deny.contains(lint)) {
        bail!("{both} is both allowed and denied; keep one");
    }
    let (mut promises, folders) = config.map(from_config).transpose()?.unwrap_or_default();
    promises.now = Some(wall_secs());
    let (mut good, mut told) = (true, Vec::new());
    for path in &args.files {
        let parsed = if args.fragment {
            let ZoneText { text, mut includes } = input::read(path, &folders)?;
            let shown = path.display().to_string();
            input::fragment(args.origin.as_ref(), &shown, &text, &mut |name| includes.read(name))
        } else {
            input::linted(args.origin.as_ref(), path, &folders, &promises)?
        };
        let (zone, problems) = match parsed {
            Ok((zone, problems)) => (Some(zone), problems),
            Err(problems) => (None, problems),
        };
        let problems: Vec<Problem> = problems.into_iter().filter_map(|problem| args.judge(problem)).collect();
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        good &= errors == 0;
        if json {
            told.extend(problems.iter().map(as_json));
            continue;
        }
        input::tell(&problems);
        let (errors, warnings) = (count(errors, "error"), count(problems.len() - errors, "warning"));
        match zone {
            Some(_) if args.fragment => println!("{}: {errors}, {warnings}", path.display()),
            Some(zone) => println!(
                "{}: {}, serial {}, {}; {errors}, {warnings}",
                path.display(),
                zone.apex(),
                zone.serial().0,
                count(zone.len(), "record")
            ),
            None => println!("{}: {errors}, {warnings}", path.display()),
        }
    }
    if json {
        println!("{:#}", json!({ "ok": good, "problems": told }));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl Args {
    /// The problem as it is told, with its lint's name; `None` where that is allowed.
    fn judge(&self, problem: Problem) -> Option<Problem> {
        let Some(lint) = problem.lint else { return Some(problem) };
        let denied = self.deny.contains(&lint);
        let severity = if denied { Severity::Error } else { problem.severity };
        let message = format!("{} [{lint}]", problem.message);
        (!self.allow.contains(&lint)).then_some(Problem { severity, message, ..problem })
    }
}

fn as_json(problem: &Problem) -> serde_json::Value {
    json!({
        "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
        "lint": problem.lint.map(Lint::name),
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
    })
}

/// The TTL of each service of a configuration, and where its zone files may include files from.
fn from_config(config: &Path) -> Result<(Promises, Vec<PathBuf>)> {
    let loaded = load(config).map_err(|report| anyhow!("{report}"))?;
    let services = loaded.config.services.iter();
    let ttls = services.map(|service| (service.name.clone(), service.ttl)).collect();
    Ok((Promises { ttls, now: None }, loaded.config.server.include_folders.clone()))
}

fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
