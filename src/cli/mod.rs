//! The command line: one file for each command. In: arguments. Out: text for people or `--json` for
//! programs, and an exit code: 0 done, 1 the answer is no or a check failed, 2 wrong usage, 3 the
//! daemon can't be reached.
//!
//! `serve`, `demo`, `check`, `heartbeat`, `zone`, `simulate`, `replay`, `explain --at` and (where no daemon runs) `whatif` and `report` work
//! here, the last four on what a daemon recorded; `top` has a screen of its own; every other command is a client of a running daemon's API and
//! knows no more of it than any other client.

#[macro_use]
mod output;

mod alert;
mod answer;
mod arguments;
mod check;
mod client;
mod demo;
mod dns_client;
mod explain;
mod explain_past;
mod failback;
mod failover;
mod find;
mod healthz;
mod heartbeat;
mod history;
mod logging;
mod moving;
mod override_cmds;
mod recorded;
mod reload;
mod replay;
mod report;
mod serve;
mod show;
mod simulate;
mod status;
#[cfg(test)]
mod tests;
mod token;
mod top;
mod trust;
mod whatif;
mod zone;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::client::Client;
use self::find::Way;
use crate::policy::OverrideKind;
use crate::sys::command::{guard, init};

/// Where the configuration is looked for when nobody says.
const DEFAULT_CONFIG: &str = "detour.toml";
/// Where the file of a token is named when the command line does not.
const TOKEN_FILE: &str = "DETOUR_TOKEN_FILE";

/// An authoritative DNS server that routes around a dead site.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// The configuration file [default: detour.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The daemon's control address; the configuration file's when left out
    #[arg(long, global = true, value_name = "ADDR", value_parser = find::control_argument)]
    control: Option<String>,
    /// The file of the token to show to the daemon; DETOUR_TOKEN_FILE when left out
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust the certificate authorities in this file, of a daemon that speaks TLS
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Here(Here),
    #[command(flatten)]
    There(There),
}

/// Commands that work in this process.
#[derive(Debug, Subcommand)]
enum Here {
    /// Serve DNS in the foreground; SIGHUP reloads, SIGTERM ends in order
    Serve(serve::Args),
    /// End the commands that a killed daemon left behind; the daemon starts this itself
    #[command(name = guard::COMMAND, hide = true)]
    Guard,
    /// Two real sites on loopback, one fails and recovers: watch the answers move
    Demo(demo::Args),
    /// Every problem of a configuration and its zone files, and each service's worst-case failover time
    Check,
    /// Play a timeline of samples and commands, against a configuration or a setup of its own
    Simulate(simulate::Args),
    /// What would follow if a site failed or were drained: which names move where, and why
    Whatif(whatif::Args),
    /// A changed configuration over recorded samples: what it would have done otherwise
    Replay(replay::Args),
    /// What a running daemon serves and why, as it changes, in a terminal
    Top(top::Args),
    /// A review of an incident: what happened, why, how long it took, what to look at
    Report(report::Args),
    /// Call in for a site, so that its heartbeat probe passes
    Heartbeat(heartbeat::Args),
    /// Tokens of the API
    #[command(subcommand)]
    Token(token::Command),
    /// Check, lay out, compare, export and import zone files
    #[command(subcommand)]
    Zone(zone::Command),
}

/// Commands that a running daemon carries out.
#[derive(Debug, Subcommand)]
enum There {
    /// What is served now, and why
    Status(status::Args),
    /// What happened
    History(history::Args),
    /// The whole chain behind a service's answer, from samples to records
    Explain(explain::Args),
    /// Take a site, a service or an endpoint out of use
    Drain(override_cmds::Args),
    /// Clear what drain, force-up or force-down set
    Undrain(override_cmds::ClearArgs),
    /// Count a site, a service or an endpoint as Up, whatever samples say
    ForceUp(override_cmds::Args),
    /// Count a site, a service or an endpoint as Down, whatever samples say
    ForceDown(override_cmds::Args),
    /// Move a service to a site, and hold it there until failback
    Failover(failover::Args),
    /// Let a service return to the endpoint it prefers, at once
    Failback(failback::Args),
    /// Have a proposed move made, or all of them that wait
    Approve(answer::ApproveArgs),
    /// Have a proposed move not made, as long as its reason lasts
    Reject(answer::RejectArgs),
    /// Try out the receivers of alerts
    #[command(subcommand)]
    Alert(alert::Command),
    /// Load configuration and zone files anew, all or nothing
    Reload(reload::Args),
    /// Whether the daemon itself is well: exit 0 when it is
    Healthz,
}

/// Runs one command.
pub fn main(cli: &Cli) -> ExitCode {
    // Neither takes a runtime.
    let alone = match &cli.command {
        Command::Here(Here::Guard) => Some(guard::run().map(|()| 0)),
        Command::Here(Here::Serve(_)) if init::is_first() => Some(init::run()),
        Command::Here(Here::Serve(_)) => init::take_signals().err().map(Err),
        _ => None,
    };
    match alone {
        Some(Ok(code)) => return ExitCode::from(code),
        Some(Err(e)) => {
            eprintln!("detour: {e}");
            return ExitCode::from(client::NO);
        }
        None => {}
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("detour: the runtime could not be started: {e}");
            return ExitCode::from(client::NO);
        }
    };
    let code = runtime.block_on(run(cli)).unwrap_or_else(|e| {
        if output::reader_is_gone(&e) {
            return ExitCode::SUCCESS;
        }
        eprintln!("detour: {e:#}");
        ExitCode::from(client::NO)
    });
    // A load that is under way on a thread of its own holds up nobody's end.
    runtime.shutdown_background();
    code
}

async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let config = cli.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    let in_environment = std::env::var_os(TOKEN_FILE).filter(|file| !file.is_empty()).map(PathBuf::from);
    let way = Way {
        control: cli.control.as_deref(),
        config: &config,
        named: cli.config.is_some(),
        token_file: cli.token_file.as_deref().or(in_environment.as_deref()),
        ca: cli.ca.as_deref(),
    };
    match &cli.command {
        Command::Here(Here::Serve(args)) => serve::run(&config, args).await,
        // It has been run without a runtime.
        Command::Here(Here::Guard) => Ok(ExitCode::SUCCESS),
        Command::Here(Here::Demo(args)) => demo::run(args).await,
        Command::Here(Here::Check) => check::run(&config),
        Command::Here(Here::Simulate(args)) => simulate::run(args, cli.config.as_deref(), cli.json),
        Command::Here(Here::Whatif(args)) => whatif::run(args, &way, cli.json).await,
        Command::Here(Here::Replay(args)) => replay::run(args, &config, cli.config.is_some(), cli.json),
        Command::Here(Here::Report(args)) => report::run(args, &way, cli.json).await,
        Command::There(There::Explain(args)) if args.at.is_some() => {
            explain_past::run(args, args.at.as_deref().unwrap_or_default(), &config, cli.json)
        }
        Command::Here(Here::Token(command)) => token::run(command),
        Command::Here(Here::Heartbeat(args)) => heartbeat::run(args).await,
        Command::Here(Here::Zone(command)) if command.is_for_daemon() => {
            zone::ask(&Client::new(way.find()?)?, command, cli.json).await
        }
        Command::Here(Here::Zone(command)) => zone::run(command, cli.config.as_deref(), cli.json).await,
        Command::Here(Here::Top(args)) => top::run(Client::new(way.find()?)?, args).await,
        Command::There(command) => ask(&Client::new(way.find()?)?, command, cli.json).await,
    }
}

async fn ask(client: &Client, command: &There, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        There::Status(args) => status::run(client, args, json).await,
        There::History(args) => history::run(client, args, json).await,
        There::Explain(args) => explain::run(client, args, json).await,
        There::Drain(args) => override_cmds::set(client, OverrideKind::Drain, args, json).await,
        There::Undrain(args) => override_cmds::clear(client, args, json).await,
        There::ForceUp(args) => override_cmds::set(client, OverrideKind::ForceUp, args, json).await,
        There::ForceDown(args) => override_cmds::set(client, OverrideKind::ForceDown, args, json).await,
        There::Failover(args) => failover::run(client, args, json).await,
        There::Failback(args) => failback::run(client, args, json).await,
        There::Approve(args) => answer::approve(client, args, json).await,
        There::Reject(args) => answer::reject(client, args, json).await,
        There::Alert(command) => alert::run(client, command, json).await,
        There::Reload(args) => reload::run(client, args, json).await,
        There::Healthz => healthz::run(client, json).await,
    }
}
