//! `detour failback SERVICE`

use std::process::ExitCode;

use reqwest::Method;

use super::client::{Client, ClientError, finish, pretty, who};
use super::failover::render;
use crate::api::bodies::FailbackRequest;

/// What `failback` takes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A service's name
    pub service: String,
    /// Why; it is kept in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Lets a service go back and says what became of it.
pub async fn run(client: &Client, args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    finish(said(client, args, json).await)
}

pub(super) async fn said(client: &Client, args: &Args, json: bool) -> Result<String, ClientError> {
    let request = FailbackRequest { reason: args.reason.clone(), who: Some(who()) };
    let path = ["v1", "services", &args.service, "failback"];
    let answer = client.write(Method::POST, &path, &request).await?;
    let done = format!("failback {}", args.service);
    if json { Ok(pretty(&answer)) } else { Ok(render(&done, &client.decode(&answer)?)) }
}
