//! `detour reload`

use std::fmt::Write;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use reqwest::Method;

use super::client::{Client, ClientError, NO, finish, pretty};
use crate::api::bodies::ReloadRequest;
use crate::zones::Reloaded;

/// The status of a reload that would remove too much.
const CONFLICT: u16 = 409;

/// What `reload` takes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Load it even where it removes services, or more records than `max_loss` allows
    #[arg(long)]
    force: bool,
}

/// Reloads configuration and zones, or prints every problem. What would remove too much is loaded if whoever sits at
/// the terminal says so.
pub async fn run(client: &Client, args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    match said(client, args.force, json).await {
        Err(ClientError::Refused(problem)) if problem.status == CONFLICT && !json && is_attended() => {
            eprintln!("{}", problem.detail);
            if confirmed("Load it all the same? [y/N] ")? {
                finish(said(client, true, json).await)
            } else {
                Ok(ExitCode::from(NO))
            }
        }
        outcome => finish(outcome),
    }
}

/// Whether somebody can be asked.
fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn confirmed(question: &str) -> io::Result<bool> {
    eprint!("{question}");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

pub(super) async fn said(client: &Client, force: bool, json: bool) -> Result<String, ClientError> {
    let answer = client.write(Method::POST, &["v1", "reload"], &ReloadRequest { force }).await;
    let answer = answer.map_err(|error| match error {
        ClientError::Refused(mut problem) => {
            let old = "nothing was reloaded, still running the previous configuration:";
            problem.detail = format!("{old}\n{}", problem.detail);
            ClientError::Refused(problem)
        }
        error => error,
    })?;
    if json { Ok(pretty(&answer)) } else { Ok(render(&client.decode(&answer)?)) }
}

fn render(reloaded: &Reloaded) -> String {
    let Reloaded { services, zones, zones_read, .. } = reloaded;
    let mut out = format!("reloaded: services {services}, zones {zones}; files read of {zones_read} zones\n");
    for warning in &reloaded.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}
