//! `detour approve ID|--all`, `detour reject ID`: what an operator says to a proposed move.

use std::process::ExitCode;

use reqwest::Method;

use super::arguments;
use super::client::{Client, ClientError, finish, pretty, who};
use super::failover::render;
use crate::api::bodies::AnswerRequest;

/// What `approve` takes
#[derive(clap::Args, Debug)]
pub struct ApproveArgs {
    /// The proposal's number, as `detour status` shows it; or --all
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all", value_parser = arguments::proposal)]
    pub proposal: Option<u64>,
    /// All that wait
    #[arg(long)]
    pub all: bool,
    /// Why; it is kept in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Approve it although it takes a site over its capacity
    #[arg(long)]
    pub force: bool,
}

/// What `reject` takes
#[derive(clap::Args, Debug)]
pub struct RejectArgs {
    /// The proposal's number, as `detour status` shows it
    #[arg(value_name = "ID", value_parser = arguments::proposal)]
    pub proposal: u64,
    /// Why; it is kept in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// Has proposed moves made, and says what became of them.
pub async fn approve(client: &Client, args: &ApproveArgs, json: bool) -> anyhow::Result<ExitCode> {
    finish(said_approve(client, args, json).await)
}

/// Has a proposed move not made.
pub async fn reject(client: &Client, args: &RejectArgs, json: bool) -> anyhow::Result<ExitCode> {
    finish(said_reject(client, args, json).await)
}

pub(super) async fn said_approve(
    client: &Client,
    args: &ApproveArgs,
    json: bool,
) -> Result<String, ClientError> {
    let which = args.proposal.map_or_else(|| "all".to_owned(), |id| id.to_string());
    let request = AnswerRequest { reason: args.reason.clone(), who: Some(who()), force: args.force };
    say(client, "approve", &which, &request, json).await
}

pub(super) async fn said_reject(
    client: &Client,
    args: &RejectArgs,
    json: bool,
) -> Result<String, ClientError> {
    let request = AnswerRequest { reason: args.reason.clone(), who: Some(who()), force: false };
    say(client, "reject", &args.proposal.to_string(), &request, json).await
}

async fn say(
    client: &Client,
    what: &str,
    which: &str,
    request: &AnswerRequest,
    json: bool,
) -> Result<String, ClientError> {
    let answer = client.write(Method::POST, &["v1", "proposals", which, what], request).await?;
    let done = format!("{what} {which}");
    if json { Ok(pretty(&answer)) } else { Ok(render(&done, &client.decode(&answer)?)) }
}
