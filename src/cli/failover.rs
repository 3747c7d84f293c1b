//! `detour failover SERVICE --to SITE`

use std::fmt::Write;
use std::process::ExitCode;

use reqwest::Method;

use super::client::{Client, ClientError, finish, pretty, who};
use super::show::list;
use crate::api::bodies::{CommandBody, FailoverRequest};

/// What `failover` takes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A service's name
    pub service: String,
    /// The site to move to
    #[arg(long, value_name = "SITE")]
    pub to: String,
    /// Why; it is kept in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Moves a service and says what became of it.
pub async fn run(client: &Client, args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    finish(said(client, args, json).await)
}

pub(super) async fn said(client: &Client, args: &Args, json: bool) -> Result<String, ClientError> {
    let request = FailoverRequest { to: args.to.clone(), reason: args.reason.clone(), who: Some(who()) };
    let path = ["v1", "services", &args.service, "failover"];
    let answer = client.write(Method::POST, &path, &request).await?;
    let done = format!("failover {} to {}", args.service, args.to);
    if json { Ok(pretty(&answer)) } else { Ok(render(&done, &client.decode(&answer)?)) }
}

/// What a command led to, for people.
pub(super) fn render(done: &str, body: &CommandBody) -> String {
    let mut out = format!("{done}: done\n");
    for d in &body.decisions {
        let decision = &d.decision;
        let (name, from) = (decision.service.bare(), list(&decision.sites));
        let _ = writeln!(out, "{name} from {from}, TTL {}s: {}", decision.ttl, d.because);
    }
    let lost: Vec<_> = body.decisions.iter().filter(|d| d.decision.reason.serving.is_none()).collect();
    if let Some(first) = lost.first() {
        let (name, others) = (first.decision.service.bare(), lost.len() - 1);
        let others = if others == 0 { String::new() } else { format!(" and {others} more services") };
        let _ = writeln!(out, "WARNING: no endpoint of {name}{others} works; see `detour status`");
    }
    if body.decisions.is_empty() {
        out.push_str("no answer changes\n");
    }
    out
}
