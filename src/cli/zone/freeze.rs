//! `detour zone diff ZONE` and `detour zone freeze`: what updates changed in a zone that a daemon serves.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use reqwest::Method;

use crate::api::bodies::FreezeRequest;
use crate::cli::client::{Client, ClientError, NO, finish, pretty, who};
use crate::zones::{Frozen, ZoneEdits};

/// What to write back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The zone's name
    zone: String,
}

/// The edits, a line for each record; exit code 1 where there are any.
pub async fn diff(client: &Client, zone: &str, json: bool) -> Result<ExitCode> {
    let answer = match client.get(&["v1", "zones", zone, "edits"], &[]).await {
        Ok(answer) => answer,
        Err(error) => return finish(Err(error)),
    };
    let edits: ZoneEdits = client.decode(&answer)?;
    finish(Ok(if json { pretty(&answer) } else { render(&edits) }))?;
    Ok(if edits.records == 0 { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

fn render(edits: &ZoneEdits) -> String {
    if edits.records == 0 {
        return format!("{} is as {} says, but for what decisions write", edits.zone, edits.file.display());
    }
    let signed = |sign: char, lines: &[String]| {
        lines.iter().fold(String::new(), |mut out, line| {
            let _ = writeln!(out, "{sign} {line}");
            out
        })
    };
    signed('-', &edits.removed) + &signed('+', &edits.added)
}

/// Has the daemon write the edits into the zone's file.
pub async fn run(client: &Client, args: &Args, json: bool) -> Result<ExitCode> {
    finish(frozen(client, &args.zone, json).await)
}

async fn frozen(client: &Client, zone: &str, json: bool) -> Result<String, ClientError> {
    let request = FreezeRequest { who: Some(who()) };
    let answer = client.write(Method::POST, &["v1", "zones", zone, "freeze"], &request).await?;
    if json {
        return Ok(pretty(&answer));
    }
    let Frozen { file, records, serial, .. } = client.decode(&answer)?;
    Ok(format!("{}: {records} edited records written, serial {serial}", file.display()))
}
