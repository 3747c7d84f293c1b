//! `detour history`: what happened, the newest last.

use std::fmt::Write;
use std::process::ExitCode;

use super::arguments;
use super::client::{Client, ClientError, finish, pretty};
use crate::api::bodies::HistoryBody;

/// What happened
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only what concerns this service
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// How many entries, up to 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = arguments::entries)]
    pub limit: u16,
    /// Samples too
    #[arg(long)]
    pub samples: bool,
    /// Only what happened before the entry with this number (`seq` with --json)
    #[arg(long, value_name = "SEQ")]
    pub before: Option<u64>,
}

/// Prints one line for each entry.
pub async fn run(client: &Client, args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    finish(said(client, args, json).await)
}

pub(super) async fn said(client: &Client, args: &Args, json: bool) -> Result<String, ClientError> {
    let (limit, samples) = (args.limit.to_string(), args.samples.to_string());
    let before = args.before.map(|seq| seq.to_string());
    let mut query = vec![("limit", &*limit), ("samples", &*samples)];
    query.extend(before.as_deref().map(|seq| ("before", seq)));
    query.extend(args.service.as_deref().map(|name| ("service", name)));
    let answer = client.get(&["v1", "history"], &query).await?;
    if json { Ok(pretty(&answer)) } else { Ok(render(&client.decode(&answer)?)) }
}

/// The page for people.
pub(super) fn render(page: &HistoryBody) -> String {
    let mut out = String::new();
    if let Some(next) = page.next {
        let _ = writeln!(out, "(more: --before {next})");
    }
    for entry in page.entries.iter().rev() {
        // An entry is one line, whatever text is in it.
        let _ = writeln!(out, "{}", entry.text.replace('\n', " "));
    }
    if page.entries.is_empty() {
        out.push_str("nothing happened");
    }
    out
}
