//! `detour zone rollback`: a served zone holds again what it held at an earlier serial.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use reqwest::Method;

use crate::api::bodies::RollbackRequest;
use crate::cli::arguments;
use crate::cli::client::{Client, ClientError, finish, pretty, who};
use crate::dns::{Name, Serial};
use crate::zones::RolledBack;

/// What to put back, and why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The zone's name
    zone: String,
    /// The serial whose records come back, as a new serial
    #[arg(value_parser = arguments::serial)]
    serial: u32,
    /// Why; it is kept in the history
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Has the daemon do it.
pub async fn run(client: &Client, args: &Args, json: bool) -> Result<ExitCode> {
    finish(said(client, args, json).await)
}

async fn said(client: &Client, args: &Args, json: bool) -> Result<String, ClientError> {
    let Args { zone, serial, reason } = args;
    let request = RollbackRequest { serial: Serial(*serial), reason: reason.clone(), who: Some(who()) };
    let answer = client.write(Method::POST, &["v1", "zones", zone, "rollback"], &request).await?;
    if json { Ok(pretty(&answer)) } else { Ok(render(&client.decode(&answer)?)) }
}

fn render(done: &RolledBack) -> String {
    let RolledBack { zone, to, serial, counts: (gone, come), left } = done;
    let zone = zone.bare();
    let mut out = format!("{zone}: as at serial {to}, now serial {serial}; records -{gone} +{come}\n");
    if !left.is_empty() {
        let left: Vec<String> = left.iter().map(Name::bare).collect();
        let _ = writeln!(out, "steered, left to decisions: {}", left.join(", "));
    }
    let _ = writeln!(out, "these are edits: `detour zone freeze {zone}` writes them into its file");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_put_back_is_named() {
        let done = |left: &[&str]| RolledBack {
            zone: "example.com".parse().unwrap(),
            to: Serial(5),
            serial: Serial(9),
            counts: (1, 2),
            left: left.iter().map(|name| name.parse().unwrap()).collect(),
        };
        let first = "example.com: as at serial 5, now serial 9; records -1 +2\n";
        let last = "these are edits: `detour zone freeze example.com` writes them into its file\n";
        assert_eq!(render(&done(&[])), format!("{first}{last}"));
        let left = "steered, left to decisions: app.example.com, www.example.com\n";
        assert_eq!(render(&done(&["app.example.com", "www.example.com"])), format!("{first}{left}{last}"));
    }
}
