//! `detour simulate SCENARIO`: a timeline of samples and commands in, the decisions they lead to out. What
//! the file expects makes it a test.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::client::{DONE, NO};
use super::{recorded, show};
use crate::engine::{Effect, Happened, Load};
use crate::model::Seconds;
use crate::simulate::scenario::{self, Maps, Scenario, Told, Wrong, zero};

/// The longest scenario, in bytes.
const MAX_SCENARIO: u64 = 4 << 20;

/// Play a timeline of samples and commands
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The timeline; docs/knowing.md has its language
    #[arg(value_name = "SCENARIO")]
    file: PathBuf,
}

/// Plays the file and prints what happens. Exit code 0 where all that is expected came true, 1 where
/// something did not, or where the scenario or the configuration cannot be read.
pub fn run(args: &Args, config: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let shown = args.file.display().to_string();
    let text = read(&args.file)?;
    let Staged { scenario, load, maps } = match staged(&text, config)? {
        Ok(staged) => staged,
        Err(Wrong { line, why }) => {
            eprintln!("{shown}:{line}: {why}");
            return Ok(ExitCode::from(NO));
        }
    };
    let mut page = Page { line: 0, text: String::new(), entries: Vec::new() };
    let played = scenario::run(scenario, load, maps, |told| page.add(&told));
    let failure = played.as_ref().err().map(|wrong| format!("{shown}:{}: {}", wrong.line, wrong.why));
    if json {
        let expectations = played.as_ref().ok();
        let page = json!({ "timeline": page.entries, "expectations": expectations, "failure": failure });
        show::print(&format!("{page:#}"))?;
    } else {
        let mut text = page.text;
        if let Ok(expectations) = played {
            let _ = writeln!(text, "{shown}: {expectations} expectations hold");
        }
        show::print(&text)?;
    }
    if let Some(failure) = failure {
        eprintln!("{failure}");
        return Ok(ExitCode::from(NO));
    }
    Ok(ExitCode::from(DONE))
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let read = file.take(MAX_SCENARIO + 1).read_to_string(&mut text);
    let read = read.with_context(|| format!("cannot read {}", path.display()))?;
    if read as u64 > MAX_SCENARIO {
        bail!("{} is longer than {MAX_SCENARIO} bytes", path.display());
    }
    Ok(text)
}

/// What is played.
struct Staged {
    scenario: Scenario,
    load: Load,
    /// What sorts the clients of a configuration.
    maps: Option<Maps>,
}

/// The scenario, and what it begins with: the configuration, or what its own setup comes to.
fn staged(text: &str, config: Option<&Path>) -> anyhow::Result<Result<Staged, Wrong>> {
    let Some(path) = config else {
        let staged = scenario::parse(text).and_then(|scenario| {
            let load = scenario::load(&scenario.setup).map_err(|why| Wrong { line: 1, why })?;
            Ok(Staged { scenario, load, maps: None })
        });
        return Ok(staged);
    };
    let (load, maps) = recorded::load_with_maps(path)?;
    let sites = load.config.sites.iter().map(|site| site.id.to_string()).collect();
    Ok(scenario::parse_for(text, Some(sites)).map(|scenario| Staged { scenario, load, maps: Some(maps) }))
}

/// What is printed: a line for each thing that happened, samples aside.
struct Page {
    line: usize,
    text: String,
    entries: Vec<Value>,
}

impl Page {
    fn add(&mut self, told: &Told) {
        match told {
            Told::Line(step) => self.line = step.line,
            Told::Effect(_, Effect::Record(Happened::Sample(_))) => {}
            Told::Effect(at, Effect::Record(what)) => {
                let after = at.since(zero());
                self.push(after, &what.to_string(), &serde_json::to_value(what).unwrap_or_default());
            }
            Told::Effect(at, Effect::Refused(why)) => {
                self.push(at.since(zero()), &format!("refused: {why}"), &json!({ "event": "refused" }));
            }
            Told::Effect(..) => {}
        }
    }

    fn push(&mut self, after: Duration, text: &str, event: &Value) {
        let text = text.replace('\n', " ");
        let _ = writeln!(self.text, "{:>9}  {text}", Seconds(after).to_string());
        let at_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.entries.push(json!({ "at_ms": at_ms, "line": self.line, "text": text, "event": event }));
    }
}
