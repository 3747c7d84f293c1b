//! `detour zone diff` where a daemon serves one side: serial against serial, or what is served against a file.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::Value;

use super::diff::{self, Args};
use super::input;
use crate::api::zone_api::{RecordsBody, ZoneBody, ZoneDiffBody};
use crate::cli::client::{Client, ClientError, NO, finish, pretty};
use crate::dns::Name;

/// From one serial to another; without `to` to what is served, without `from` that one step.
pub async fn step(
    client: &Client,
    zone: &str,
    from: Option<u32>,
    to: Option<u32>,
) -> Result<(Value, ZoneDiffBody), ClientError> {
    let (from, to) = (from.map(|serial| serial.to_string()), to.map(|serial| serial.to_string()));
    let query = [("from", from), ("to", to)];
    let query: Vec<_> = query.iter().filter_map(|(key, value)| value.as_deref().map(|v| (*key, v))).collect();
    let answer = client.get(&["v1", "zones", zone, "diff"], &query).await?;
    let step = client.decode(&answer)?;
    Ok((answer, step))
}

/// A line for each record that goes or comes.
pub fn lines(step: &ZoneDiffBody) -> String {
    diff::lines(&step.removed, &step.added).join("\n")
}

/// Serial against serial; exit code 1 when anything but the serial differs, or that without
/// `--ignore-serial`.
pub async fn serials(
    client: &Client,
    args: &Args,
    from: u32,
    to: Option<u32>,
    json: bool,
) -> Result<ExitCode> {
    let zone = args.old.display().to_string();
    let (answer, mut step) = match step(client, &zone, Some(from), to).await {
        Ok(found) => found,
        Err(error) => return finish(Err(error)),
    };
    if args.ignore_serial {
        diff::drop_serials(&mut step.removed, &mut step.added);
    }
    let same = step.removed.is_empty() && step.added.is_empty();
    if json {
        finish(Ok(if args.ignore_serial { pretty(&serde_json::to_value(&step)?) } else { pretty(&answer) }))?;
    } else if !same {
        finish(Ok(lines(&step)))?;
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// What is served against a file: what would go and come, were the file served as it is. What decisions write
/// is marked.
pub async fn file(client: &Client, args: &Args, file: &Path, json: bool) -> Result<ExitCode> {
    let zone = args.old.display().to_string();
    let answer = match client.get(&["v1", "zones", &zone], &[]).await {
        Ok(answer) => answer,
        Err(error) => return finish(Err(error)),
    };
    let served: ZoneBody = client.decode(&answer)?;
    let apex: Name = zone.parse()?;
    if args.origin.as_ref().is_some_and(|origin| *origin != apex) {
        bail!("--origin names another zone than {apex}");
    }
    let Some(parsed) = input::good_zone(Some(&apex), file, &[])? else { return Ok(ExitCode::from(NO)) };
    let steered: BTreeSet<(Name, String)> = served
        .records
        .iter()
        .filter(|set| set.decision.is_some())
        .map(|set| (set.records.name.clone(), set.records.rtype.clone()))
        .collect();
    let old: Vec<RecordsBody> = served.records.into_iter().map(|set| set.records).collect();
    let new = parsed.rrsets().flat_map(|set| set.to_rrset().by_covered());
    let new = new.map(|set| RecordsBody::from(&set));
    let (mut removed, mut added) = diff::only(old, new.collect());
    if args.ignore_serial {
        diff::drop_serials(&mut removed, &mut added);
    }
    if json {
        let steered: Vec<_> = steered.iter().map(|(name, rtype)| format!("{name} {rtype}")).collect();
        println!("{:#}", serde_json::json!({ "removed": removed, "added": added, "steered": steered }));
    } else {
        let mark = |line: String| {
            // `- owner TTL IN TYPE data`
            let mut words = line.split(' ').skip(1);
            let owner = words.next().and_then(|owner| owner.parse().ok());
            let rtype = words.nth(2).map(str::to_owned);
            let decided = owner.zip(rtype).is_some_and(|key| steered.contains(&key));
            if decided { format!("{line} ; steered") } else { line }
        };
        let lines: Vec<String> = diff::lines(&removed, &added).into_iter().map(mark).collect();
        if !lines.is_empty() {
            finish(Ok(lines.join("\n")))?;
        }
    }
    Ok(if removed.is_empty() && added.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}
