//! `detour heartbeat`: calls in for a site, once or for as long as it runs. It needs no configuration: it
//! runs at the site, where there is none.

mod call;

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use rustls::ClientConfig;
use tokio::time::{Instant, sleep_until, timeout};

use super::client::{DONE, NO, UNREACHABLE};
use super::show::printable;
use super::trust::token;
use crate::api::Problem;
use crate::model::parse_duration;

/// How much of a command's first line is told, in bytes.
const MAX_LINE: u64 = 200;
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What `heartbeat` takes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Whom to call: https://HOST:8054/v1/heartbeat/SERVICE/SITE, or http:// where the daemon is told no certificate
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    pub url: Url,
    /// The file that holds the endpoint's token, and nothing else
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// The PEM file of the authorities to trust over https, instead of those this host trusts
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Go on calling this often: 10s, 1m; once when left out
    #[arg(long, value_name = "TIME", value_parser = parse_every)]
    pub every: Option<Duration>,
    /// Say that the site is not well, and why
    #[arg(long, value_name = "TEXT", conflicts_with = "command")]
    pub fail: Option<String>,
    /// Run this before each call: where it fails, its first line is why the site is not well
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Calls; with `--every`, for ever: what goes wrong is printed, and the next call may do better.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut due = Instant::now();
    loop {
        // Read each time: a new token, or a new authority, is taken up without a restart.
        let code = match token(&args.token_file)
            .and_then(|token| Ok((token, call::trust(&args.url, args.ca.as_deref())?)))
        {
            Ok((token, trust)) => call(args, trust, &token).await,
            Err(why) => {
                eprintln!("error: {why:#}");
                NO
            }
        };
        let Some(every) = args.every else { return Ok(ExitCode::from(code)) };
        due = (due + every).max(Instant::now());
        sleep_until(due).await;
    }
}

/// One call; what the process is to end with.
async fn call(args: &Args, trust: Option<Arc<ClientConfig>>, token: &str) -> u8 {
    let sick = match &args.fail {
        Some(why) => Some(why.clone()),
        None => ask_command(&args.command).await,
    };
    let mut url = args.url.clone();
    if let (Some(_), Ok(mut segments)) = (&sick, url.path_segments_mut()) {
        segments.pop_if_empty().push("fail");
    }
    let posted = call::post(&url, trust, token, sick.clone().unwrap_or_default());
    let why = match timeout(CALL_TIMEOUT, posted).await {
        Ok(Ok((StatusCode::NO_CONTENT, _))) => {
            return match sick {
                // What a command found wrong is told; that it is wrong is the answer here.
                Some(why) if args.fail.is_none() => {
                    eprintln!("told: {}", printable(&why));
                    NO
                }
                _ => DONE,
            };
        }
        Ok(Ok((status, body))) => {
            let why = serde_json::from_slice(&body)
                .map_or_else(|_| status.to_string(), |problem: Problem| problem.detail);
            eprintln!("error: {} says {}: {}", args.url, status.as_u16(), printable(&why));
            return NO;
        }
        Ok(Err(error)) => error.root_cause().to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    eprintln!("error: cannot reach {}: {}", args.url, printable(&why));
    UNREACHABLE
}

/// Why the site is not well by the command; nothing where it succeeds, or there is none.
async fn ask_command(words: &[String]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let name = program.clone();
    // It may take long; then there is no beat for so long, which says just that.
    let ended = tokio::task::spawn_blocking(move || first_line(command)).await;
    match ended.map_err(std::io::Error::other).and_then(|ended| ended) {
        Ok((status, _)) if status.success() => None,
        Ok((status, line)) if line.is_empty() => Some(format!("{name}: {status}")),
        Ok((_, line)) => Some(line),
        Err(error) => Some(format!("{name}: {error}")),
    }
}

/// Runs it to its end; how it ended, and the first line of what it printed, on whichever of its outputs.
fn first_line(mut command: Command) -> std::io::Result<(std::process::ExitStatus, String)> {
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // It holds the other ends of the pipe, which would not end before they are closed.
    drop(command);
    let (mut reader, mut line) = (BufReader::new(reader), Vec::new());
    reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    std::io::copy(&mut reader, &mut std::io::sink())?;
    let status = child.wait()?;
    Ok((status, String::from_utf8_lossy(&line).trim().to_owned()))
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url: Url =
        text.parse().map_err(|_| "write it whole: https://HOST:8054/v1/heartbeat/SERVICE/SITE".to_owned())?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err("it begins with https:// or http://".to_owned());
    }
    if !url.path().starts_with("/v1/heartbeat/") {
        return Err("its path is /v1/heartbeat/SERVICE/SITE".to_owned());
    }
    Ok(url)
}

fn parse_every(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(every) if every >= Duration::from_secs(1) => Ok(every),
        Ok(_) => Err("at least 1s".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(script: &str, want: Option<&str>) {
        let words = ["sh", "-c", script].map(str::to_owned);
        assert_eq!(ask_command(&words).await.as_deref(), want, "{script}");
    }

    #[tokio::test]
    async fn a_commands_first_line_is_why() {
        assert_eq!(ask_command(&[]).await, None);
        check("echo fine", None).await;
        check("echo disk full; echo more; exit 3", Some("disk full")).await;
        check("echo disk full >&2; exit 3", Some("disk full")).await;
        check("exit 3", Some("sh: exit status: 3")).await;
        // More than a pipe holds, and no line in it.
        let long = "x".repeat(MAX_LINE as usize);
        check("head -c 200000 /dev/zero | tr '\\0' x; exit 1", Some(&long)).await;
        let missing = ask_command(&["/nowhere/at-all".to_owned()]).await.unwrap();
        assert!(missing.starts_with("/nowhere/at-all: "), "{missing}");
    }

    #[test]
    fn urls_are_those_of_a_heartbeat() {
        for scheme in ["http", "https"] {
            assert!(
                parse_url(&format!("{scheme}://192.0.2.1:8054/v1/heartbeat/app.example.com/fra")).is_ok()
            );
        }
        for bad in ["http://192.0.2.1:8054/", "ftp://192.0.2.1/v1/heartbeat/a/b", "192.0.2.1:8054"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
