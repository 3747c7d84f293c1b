//! `detour healthz`: whether the daemon itself is well, for the health checks of containers and
//! supervisors.

use std::process::ExitCode;

use serde_json::json;

use super::client::{Client, NO, finish, pretty};

/// Asks the daemon how it is: exit code 0 when it is well, 1 when it is not.
pub async fn run(client: &Client, json: bool) -> anyhow::Result<ExitCode> {
    let health = client.healthz().await;
    let well = health.as_ref().is_ok_and(|body| body.status != "failing");
    let unwell = health.is_ok() && !well;
    let said = health.map(|body| {
        if json {
            return pretty(&json!(body));
        }
        let notes = body.notes.into_iter().map(|note| format!("note: {note}"));
        std::iter::once(body.status).chain(body.reasons).chain(notes).collect::<Vec<_>>().join("\n")
    });
    let exit = finish(said)?;
    Ok(if unwell { ExitCode::from(NO) } else { exit })
}
