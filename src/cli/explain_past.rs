//! `detour explain NAME --at TIME`: the chain as it was then. The recording is played up to that moment, and
//! the engine asked.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use serde_json::json;

use super::client::{DONE, NO};
use super::{explain, recorded, show};
use crate::api::bodies::ExplainBody;
use crate::dns::{Name, RrSet};
use crate::engine::{Effect, Explanation, Happened};
use crate::recording::{Moment, Recording};
use crate::simulate::{Player, Run, StudyError};
use crate::time::{Time, by_host};

/// How many commands and decisions before the moment are shown.
const MAX_SHOWN: usize = 8;

/// Prints the chain as it was. Exit code 1 where the recording does not reach back so far, or where the
/// name was not steered then.
pub fn run(args: &explain::Args, at: &str, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let name: Name = args.name.parse().map_err(|e| anyhow!("name \"{}\" {e}", args.name))?;
    let at = recorded::moment(at)?;
    let recording = recorded::open(args.history.as_deref(), config)?;
    let offset = recording.offset();
    by_host(offset, || explained(args, &name, at.to_own(offset), recording, json))
}

fn explained(
    args: &explain::Args,
    name: &Name,
    at: Time,
    recording: Recording,
    json: bool,
) -> anyhow::Result<ExitCode> {
    if at < recording.begins() {
        bail!("the recording begins at {}: what was before is not known", recording.begins());
    }
    let mut player = Player::new(Run::AsRecorded);
    let mut before: Vec<(Time, String)> = Vec::new();
    recording.until(at).play::<StudyError>(|moment| {
        let when = match &moment {
            Moment::Begin(head) => head.at,
            Moment::Input(when, _) => *when,
        };
        if when > at {
            return Ok(());
        }
        player.take(&moment, &mut |when, effect| {
            if let Effect::Record(what) = effect
                && concerns(what, name)
            {
                before.push((when, what.to_string().replace('\n', " ")));
                if before.len() > 2 * MAX_SHOWN {
                    before.drain(..MAX_SHOWN);
                }
            }
        })
    })?;
    before.drain(..before.len().saturating_sub(MAX_SHOWN));
    let Some(explanation) = player.engine().and_then(|engine| engine.explain(at, name)) else {
        eprintln!("{} was not steered at {at}", args.name);
        return Ok(ExitCode::from(NO));
    };
    let body = body(explanation);
    if json {
        let before: Vec<_> = before.iter().map(|(at, text)| json!({ "at": at, "text": text })).collect();
        show::print(&format!("{:#}", json!({ "explain": body, "before": before })))?;
        return Ok(ExitCode::from(DONE));
    }
    let mut out = explain::render(&args.name, &body);
    out.push_str("\nbefore:\n");
    for (at, text) in &before {
        let _ = writeln!(out, "  {at}  {text}");
    }
    show::print(&out)?;
    Ok(ExitCode::from(DONE))
}

/// Commands, whatever they were about; and decisions on this name.
fn concerns(what: &Happened, name: &Name) -> bool {
    match what {
        Happened::Decision(decision) => decision.service == *name,
        Happened::Command(_) | Happened::Expired(_) | Happened::Doubt(_) | Happened::Trust(_) => true,
        _ => false,
    }
}

/// As the daemon would have said it: what is published is what was decided.
fn body(explanation: Explanation) -> ExplainBody {
    let decision = explanation.service.decision.as_ref();
    let answered = decision.map(|decision| decision.records.clone()).unwrap_or_default();
    let because = decision.map(crate::policy::Decision::because);
    let answered_text = answered.iter().flat_map(RrSet::to_lines).collect();
    ExplainBody {
        explanation: Some(explanation),
        because,
        answered,
        answered_text,
        watches: Vec::new(),
        client: None,
    }
}
