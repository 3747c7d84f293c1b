//! `detour replay`: a changed configuration over recorded samples, and what it would have done otherwise;
//! `--advise` tries thresholds on them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};

use super::client::{DONE, NO};
use super::recorded;
use super::show::{self, Table, list};
use crate::engine::{Load, Undecided};
use crate::model::{Config, Seconds, parse_duration};
use crate::recording::{Gap, Moment, Recording};
use crate::simulate::{Advice, Cost, Decided, Ledger, Player, Run, StudyError, Truth, advise, candidates};
use crate::time::{HostTime, Time, by_host};

/// Differences that are listed one by one; `--json` has all.
const MAX_ROWS: usize = 200;

/// A changed configuration over recorded samples
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The state_dir of the daemon that recorded; it may be running
    #[arg(long, value_name = "STATE_DIR")]
    history: Option<PathBuf>,
    /// From when on: 2026-11-21T03:00:00Z, or 2h for so long ago
    #[arg(long, value_name = "TIME", value_parser = recorded::time_argument)]
    from: Option<String>,
    /// Until when
    #[arg(long, value_name = "TIME", value_parser = recorded::time_argument)]
    to: Option<String>,
    /// What fails for less was not worth moving away from
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    blip: Duration,
    /// Try thresholds on the recording, and propose some
    #[arg(long, requires = "rto")]
    advise: bool,
    /// The longest time to a client's new answer that the thresholds may lead to
    #[arg(long, value_name = "TIME", value_parser = duration)]
    rto: Option<Duration>,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|why| format!("duration {text:?} {why}"))
}

/// What is looked at.
struct Subject {
    recording: Recording,
    span: (Time, Time),
    blip: Duration,
}

/// One run through it.
struct Played {
    ledger: Ledger,
    truth: Truth,
    /// Files of the recording of which something is missing.
    gaps: Vec<Gap>,
    config: Option<Arc<Config>>,
}

/// Prints the comparison. Exit code 0, or 1 where no thresholds keep the promise.
pub fn run(args: &Args, config: &Path, given: bool, json: bool) -> anyhow::Result<ExitCode> {
    let from = args.from.as_deref().map(recorded::moment).transpose()?;
    let to = args.to.as_deref().map(recorded::moment).transpose()?;
    let span = (from.unwrap_or(HostTime(0)), to.unwrap_or(HostTime(u64::MAX)));
    if span.0 >= span.1 {
        bail!("--from must lie before --to");
    }
    if args.history.is_none() && !given {
        bail!("name the recording: --history STATE_DIR, or the configuration with -c");
    }
    let recording = recorded::open(args.history.as_deref(), config)?;
    let offset = recording.offset();
    let own = |at: Option<HostTime>, else_at| at.map_or(else_at, |at| at.to_own(offset));
    let span = (own(from, Time(0)), own(to, Time(u64::MAX)));
    let subject = Subject { recording: recording.since(span.0).until(span.1), span, blip: args.blip };
    by_host(offset, || on(&subject, args, config, given, json))
}

fn on(subject: &Subject, args: &Args, config: &Path, given: bool, json: bool) -> anyhow::Result<ExitCode> {
    let recorded = subject.play(Run::AsRecorded)?;
    for gap in &recorded.gaps {
        eprintln!("{gap}");
    }
    // Without a file it is held against itself: what was decided is shown.
    let load = if given { recorded::load(config)? } else { recorded_load(&recorded)? };
    if let Some(rto) = args.rto.filter(|_| args.advise) {
        return advice(subject, &recorded, &load, rto, json);
    }
    compare(subject, &recorded, given.then_some(load), json)
}

/// The load last recorded, as far as configurations go.
fn recorded_load(recorded: &Played) -> anyhow::Result<Load> {
    match &recorded.config {
        Some(config) => Ok(Load {
            config: config.clone(),
            zones: Vec::new(),
            regions: BTreeMap::new(),
            undecided: Undecided::default(),
        }),
        None => bail!("the recording holds no configuration yet"),
    }
}

impl Subject {
    fn play(&self, run: Run) -> Result<Played, StudyError> {
        let is_recorded = matches!(run, Run::AsRecorded);
        let (mut player, mut ledger, mut truth) = (Player::new(run), Ledger::default(), Truth::default());
        let gaps = self.recording.play::<StudyError>(|moment| {
            match moment {
                Moment::Input(at, _) if at > self.span.1 => return Ok(()),
                _ => {}
            }
            player.take(&moment, &mut |at, effect| {
                ledger.note(at, effect);
                if is_recorded {
                    truth.note(effect);
                }
            })
        })?;
        ledger.check()?;
        truth.check()?;
        Ok(Played { ledger, truth, gaps, config: player.config().cloned() })
    }

    fn cost(&self, played: &Played, truth: &Truth) -> Cost {
        let Some(config) = &played.config else { return Cost::default() };
        Cost::of(&played.ledger, truth, config, self.span, self.blip)
    }
}

fn compare(subject: &Subject, recorded: &Played, load: Option<Load>, json: bool) -> anyhow::Result<ExitCode> {
    let was = subject.cost(recorded, &recorded.truth);
    let Some(load) = load else {
        let all: Vec<(bool, &Decided)> = recorded.ledger.decisions.iter().map(|d| (true, d)).collect();
        let page = json!({ "recorded": was, "decisions": all.iter().map(entry).collect::<Vec<_>>() });
        let text = format!("{}\n{}", costs(&[("as recorded", &was)], subject.blip), lines(&all, ""));
        show::print(&if json { format!("{page:#}") } else { text })?;
        return Ok(ExitCode::from(DONE));
    };
    let other = subject.play(Run::With(load))?;
    let would = subject.cost(&other, &recorded.truth);
    let different = recorded.ledger.difference(&other.ledger);
    let of_span = |decided: &Decided| subject.span.0 <= decided.at && decided.at <= subject.span.1;
    let different: Vec<_> = different.into_iter().filter(|(_, decided)| of_span(decided)).collect();
    if json {
        let difference: Vec<Value> = different.iter().map(entry).collect();
        let page = json!({
            "recorded": was, "replayed": would, "difference": difference,
            "samples": { "recorded": recorded.ledger.samples, "replayed": other.ledger.samples },
            "refused": other.ledger.refused,
        });
        show::print(&format!("{page:#}"))?;
        return Ok(ExitCode::from(DONE));
    }
    let mut out = costs(&[("as recorded", &was), ("with the new one", &would)], subject.blip);
    let (of, taken) = (recorded.ledger.samples, other.ledger.samples);
    let _ = writeln!(out, "\n{taken} of {of} recorded samples are of probes that the new one would have run");
    if different.is_empty() {
        out.push_str("no decision differs\n");
    } else {
        let _ = writeln!(out, "decisions that differ: - as recorded, + with the new one");
        out.push_str(&lines(&different, "-+"));
    }
    show::print(&out)?;
    Ok(ExitCode::from(DONE))
}

fn costs(columns: &[(&str, &Cost)], blip: Duration) -> String {
    let mut table = Table::new(["", "decisions", "switches", "false failovers", "answers at a dead site"]);
    for (title, cost) in columns {
        let [decisions, switches, wrong] =
            [cost.decisions, cost.switches, cost.false_failovers.len()].map(|count| count.to_string());
        let dead = Seconds(Duration::from_millis(cost.dead_ms)).to_string();
        table.row([(*title).to_owned(), decisions, switches, wrong, dead]);
    }
    let mut out = table.to_string();
    let blip = Seconds(blip);
    let _ = writeln!(
        out,
        "dead is what failed for {blip} or longer; moving away from what failed for less is a false failover"
    );
    for (title, cost) in columns {
        for wrong in cost.false_failovers.iter().take(MAX_ROWS) {
            let failed = Seconds(Duration::from_millis(wrong.failed_ms));
            let (at, service, from) = (wrong.at, wrong.service.bare(), &wrong.from);
            let _ = writeln!(
                out,
                "{at}  false failover {title}: {service} left {from}, which failed for {failed}"
            );
        }
    }
    out
}

fn lines(decisions: &[(bool, &Decided)], marks: &str) -> String {
    let mut out = String::new();
    for (new, decided) in decisions.iter().take(MAX_ROWS) {
        let mark = match (marks.is_empty(), new) {
            (true, _) => "",
            (false, false) => "- ",
            (false, true) => "+ ",
        };
        let (at, service, sites) = (decided.at, decided.service.bare(), list(&decided.sites));
        let _ = writeln!(out, "{mark}{at}  {service} from {sites}, {}", decided.text);
    }
    if decisions.len() > MAX_ROWS {
        let _ = writeln!(out, "and {} more; --json lists all", decisions.len() - MAX_ROWS);
    }
    out
}

fn entry((new, decided): &(bool, &Decided)) -> Value {
    json!({
        "run": if *new { "replayed" } else { "recorded" },
        "at": decided.at, "service": decided.service, "sites": decided.sites, "text": decided.text,
    })
}

fn advice(
    subject: &Subject,
    recorded: &Played,
    load: &Load,
    rto: Duration,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let (zones, regions) = (load.zones.clone(), load.regions.clone());
    let mut tried: Vec<Advice> = Vec::new();
    for candidate in candidates() {
        let config = candidate.apply(&load.config);
        let (config, zones, regions) = (Arc::new(config), zones.clone(), regions.clone());
        let run = Run::With(Load { config: config.clone(), zones, regions, undecided: Undecided::default() });
        let played = subject.play(run)?;
        let cost = subject.cost(&played, &recorded.truth);
        tried.push(candidate.advice(&config, cost));
    }
    let best = advise(&tried, rto);
    if json {
        show::print(&format!("{:#}", json!({ "tried": tried, "best": best })))?;
    } else {
        show::print(&advised(&tried, best, load, rto))?;
    }
    Ok(ExitCode::from(if best.is_some() { DONE } else { NO }))
}

fn advised(tried: &[Advice], best: Option<&Advice>, load: &Load, rto: Duration) -> String {
    let heading =
        ["", "interval", "confirm", "fall", "detection", "worst case", "false failovers", "switches", "dead"];
    let mut table = Table::new(heading);
    let secs = |ms: u64| Seconds(Duration::from_millis(ms)).to_string();
    for advice in tried {
        let mark = match best {
            Some(best) if best.candidate == advice.candidate => "=>",
            _ if Duration::from_millis(advice.worst_ms) <= rto => "ok",
            _ => "",
        };
        let candidate = advice.candidate;
        table.row([
            mark.to_owned(),
            format!("x{}", candidate.interval),
            format!("x{}", candidate.confirm),
            candidate.fall.to_string(),
            secs(advice.detection_ms),
            secs(advice.worst_ms),
            advice.cost.false_failovers.len().to_string(),
            advice.cost.switches.to_string(),
            secs(advice.cost.dead_ms),
        ]);
    }
    let mut out = table.to_string();
    let Some(best) = best else {
        let _ =
            writeln!(out, "none of these keeps an rto of {}: lower ttl, interval or timeout", Seconds(rto));
        return out;
    };
    let _ = writeln!(
        out,
        "of those within {}, the fewest false failovers; of these, the fewest probes; then the most patient:",
        Seconds(rto)
    );
    for probe in &best.candidate.apply(&load.config).probes {
        let (interval, confirm) = (Seconds(probe.interval), Seconds(probe.confirm));
        let fall = probe.thresholds.fall;
        let _ = writeln!(
            out,
            "[probes.{}]  interval = \"{interval}\"  confirm = \"{confirm}\"  fall = {fall}",
            probe.id
        );
    }
    out.push_str("an interval shorter than the recorded one cannot be tried: its samples were not taken\n");
    out
}
