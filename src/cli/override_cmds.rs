//! `detour drain`, `undrain`, `force-up`, `force-down`: what an operator forces, and on what.

use std::process::ExitCode;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::client::{Client, ClientError, finish, pretty, who};
use super::failover::render;
use crate::api::MAX_FOR;
use crate::api::bodies::{ClearRequest, OverrideRequest};
use crate::policy::{OverrideKind, Target};

/// What `drain`, `force-up` and `force-down` take
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A site, a service, or a service's endpoint: fra, app.example.com, app.example.com@fra
    #[arg(value_name = "SITE|SERVICE[@SITE]")]
    pub target: String,
    /// Why; it is kept in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// For how long: 30m, 1h, 1h30m; until undrain when left out
    #[arg(long = "for", value_name = "TIME", value_parser = parse_for)]
    pub for_time: Option<Duration>,
    /// Do it although it breaks a safety rule, or takes the last endpoint that works out of use
    #[arg(long)]
    pub force: bool,
}

/// What `undrain` takes
#[derive(clap::Args, Debug)]
pub struct ClearArgs {
    /// As it was given to drain, force-up or force-down
    #[arg(value_name = "SITE|SERVICE[@SITE]")]
    pub target: String,
    /// Why; it is kept in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Sets an override of the given kind.
pub async fn set(client: &Client, kind: OverrideKind, args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    finish(said_set(client, kind, args, json).await)
}

/// Clears an override, of whatever kind.
pub async fn clear(client: &Client, args: &ClearArgs, json: bool) -> anyhow::Result<ExitCode> {
    finish(said_clear(client, args, json).await)
}

pub(super) async fn said_set(
    client: &Client,
    kind: OverrideKind,
    args: &Args,
    json: bool,
) -> Result<String, ClientError> {
    let done = format!("{kind} {}", args.target);
    let request = OverrideRequest {
        scope: Target::Word(args.target.clone()),
        kind,
        reason: args.reason.clone(),
        who: Some(who()),
        for_secs: args.for_time.map(|time| time.as_secs()),
        force: args.force,
    };
    let answer = client.write(Method::POST, &["v1", "overrides"], &request).await?;
    say(client, &done, &answer, json)
}

pub(super) async fn said_clear(client: &Client, args: &ClearArgs, json: bool) -> Result<String, ClientError> {
    let done = format!("undrain {}", args.target);
    let scope = Target::Word(args.target.clone());
    let request = ClearRequest { scope, reason: args.reason.clone(), who: Some(who()) };
    let answer = client.write(Method::DELETE, &["v1", "overrides"], &request).await?;
    say(client, &done, &answer, json)
}

fn say(client: &Client, done: &str, answer: &Value, json: bool) -> Result<String, ClientError> {
    if json { Ok(pretty(answer)) } else { Ok(render(done, &client.decode(answer)?)) }
}

/// `90s`, `30m`, `1h30m`, `2d`: whole numbers, each with its unit.
fn parse_for(text: &str) -> Result<Duration, String> {
    let bad = || format!("write it as 90s, 30m, 1h30m or 2d, at most {} days", MAX_FOR.as_secs() / 86_400);
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let unit = match &rest[digits..].chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(bad()),
        };
        let count: u64 = rest[..digits].parse().map_err(|_| bad())?;
        total = count.checked_mul(unit).and_then(|secs| total.checked_add(secs)).ok_or_else(bad)?;
        rest = &rest[digits + 1..];
    }
    let time = Duration::from_secs(total);
    if time.is_zero() || time > MAX_FOR { Err(bad()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let check = |text: &str, want: Option<u64>| {
            assert_eq!(parse_for(text).ok(), want.map(Duration::from_secs), "{text}");
        };
        check("90s", Some(90));
        check("1h30m", Some(5_400));
        check("366d", Some(366 * 86_400));
        for bad in ["", "90", "h", "0s", "1x", "367d", "1h 30m", "-1h", "1é", "99999999999999999999s"] {
            check(bad, None);
        }
    }
}
