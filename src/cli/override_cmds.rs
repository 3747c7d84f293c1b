//! `detour drain`, `undrain`, `force-up`, `force-down`: what an operator forces, and on what.

use std::process::ExitCode;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::client::{Client, ClientError, finish, pretty, who};
use super::failover::render;
use crate::control::api::{ClearRequest, OverrideRequest};
use crate::control::{DaemonStatus, MAX_FOR};
use crate::engine::Status;
use crate::policy::{OverrideKind, Scope};
use crate::zone::Name;

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
    /// Do it although it breaks a safety rule
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
    let status = status(client).await?;
    let scope = scope(&args.target, &status.engine).map_err(ClientError::Usage)?;
    let done = format!("{kind} {scope}");
    let request = OverrideRequest {
        scope,
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
    let status = status(client).await?;
    let scope = scope_to_clear(&args.target, &status.engine).map_err(ClientError::Usage)?;
    let done = format!("undrain {scope}");
    let request = ClearRequest { scope, reason: args.reason.clone(), who: Some(who()) };
    let answer = client.write(Method::DELETE, &["v1", "overrides"], &request).await?;
    say(client, &done, &answer, json)
}

fn say(client: &Client, done: &str, answer: &Value, json: bool) -> Result<String, ClientError> {
    if json { Ok(pretty(answer)) } else { Ok(render(done, &client.decode(answer)?)) }
}

async fn status(client: &Client) -> Result<DaemonStatus, ClientError> {
    let answer = client.get(&["v1", "status"], &[]).await?;
    client.decode(&answer)
}

/// An override can outlive the site or service it is on; it can be cleared all the same.
fn scope_to_clear(target: &str, status: &Status) -> Result<Scope, String> {
    let in_force: Vec<&Scope> =
        status.overrides.iter().map(|o| &o.scope).filter(|scope| scope.to_string() == target).collect();
    if let [scope] = in_force[..] { Ok(scope.clone()) } else { scope(target, status) }
}

/// What a target means: only the daemon knows which names are sites and which are services. A name with
/// a dot at its end is never a site.
pub(super) fn scope(target: &str, status: &Status) -> Result<Scope, String> {
    let known: Vec<&str> = status.sites.iter().map(|site| &*site.id).collect();
    let no_site =
        |site: &str| format!("there is no site \"{site}\"; the configuration has {}", known.join(", "));
    let service = |text: &str| -> Option<Name> {
        let name: Name = text.parse().ok()?;
        status.services.iter().any(|service| service.name == name).then_some(name)
    };
    if let Some((name, site)) = target.rsplit_once('@') {
        let name = service(name)
            .ok_or_else(|| format!("there is no service \"{name}\"; `detour status` lists them"))?;
        let site = known.iter().find(|known| **known == site).ok_or_else(|| no_site(site))?;
        return Ok(Scope::Endpoint(name, (*site).into()));
    }
    let site = known.iter().find(|known| **known == target);
    match (site, service(target)) {
        (Some(_), Some(_)) => {
            Err(format!("\"{target}\" is a site and a service: write \"{target}.\" for the service"))
        }
        (Some(site), None) => Ok(Scope::Site((*site).into())),
        (None, Some(name)) => Ok(Scope::Service(name)),
        (None, None) => Err(format!(
            "\"{target}\" is neither a service (`detour status` lists them) nor a site ({})",
            known.join(", ")
        )),
    }
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
    use crate::control::fixture;

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

    #[test]
    fn a_target_is_a_site_or_a_service() {
        let mut status = fixture::status().engine;
        let app: Name = "app.example.com".parse().unwrap();
        assert_eq!(scope("fra", &status), Ok(Scope::Site("fra".into())));
        assert_eq!(scope("APP.example.com", &status), Ok(Scope::Service(app.clone())));
        assert_eq!(scope("app.example.com@iad", &status), Ok(Scope::Endpoint(app.clone(), "iad".into())));
        let check = |target: &str, part: &str| {
            let error = scope(target, &status).unwrap_err();
            assert!(error.contains(part), "{target}: {error}");
        };
        check("muc", "neither a service (`detour status` lists them) nor a site (fra, iad)");
        check("app.example.com@muc", "there is no site \"muc\"; the configuration has fra, iad");
        check("x@fra", "there is no service \"x\"");
        check("a..b", "neither");
        assert_eq!(scope_to_clear("app.example.com@iad", &status), scope("app.example.com@iad", &status));
        status.overrides[0].scope = Scope::Site("muc".into());
        assert_eq!(scope_to_clear("muc", &status), Ok(Scope::Site("muc".into())));
        status.sites[0].id = "app.example.com".into();
        assert!(scope("app.example.com", &status).unwrap_err().contains("is a site and a service"));
        assert_eq!(scope("app.example.com.", &status), Ok(Scope::Service(app)));
    }
}
