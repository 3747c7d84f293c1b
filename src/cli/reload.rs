//! `detour reload`

use std::fmt::Write;
use std::process::ExitCode;

use reqwest::Method;

use super::client::{Client, ClientError, finish, pretty};
use crate::control::Reloaded;

/// What `reload` takes: nothing
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Reloads configuration and zones, or prints every problem.
pub async fn run(client: &Client, _args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    finish(said(client, json).await)
}

pub(super) async fn said(client: &Client, json: bool) -> Result<String, ClientError> {
    let answer = client.write(Method::POST, &["v1", "reload"], &serde_json::json!({})).await;
    let answer = answer.map_err(|error| match error {
        ClientError::Refused(mut problem) => {
            let old = "nothing was reloaded, the last good configuration serves:";
            problem.detail = format!("{old}\n{}", problem.detail);
            ClientError::Refused(problem)
        }
        error => error,
    })?;
    if json { Ok(pretty(&answer)) } else { Ok(render(&client.decode(&answer)?)) }
}

fn render(reloaded: &Reloaded) -> String {
    let mut out = format!("reloaded: services {}, zones {}\n", reloaded.services, reloaded.zones);
    for warning in &reloaded.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}
