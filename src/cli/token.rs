//! `detour token new`: a token for the API, and the line that lets its holder in.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::client::DONE;
use crate::config::is_token_name;
use crate::model::ApiRole;

/// What a token begins with, so that people and scanners for secrets know one.
const PREFIX: &str = "detour_";

/// Tokens of the API
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Make a token: it is printed once, with the line to add to the file that [control] tokens names
    New(NewArgs),
}

/// Make a token
#[derive(clap::Args, Debug)]
pub struct NewArgs {
    /// Who it is for, as the audit log names them: ana, prometheus
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What its holder may: viewer (read) or operator (read and write)
    #[arg(long, value_name = "ROLE", value_parser = ["viewer", "operator"])]
    pub role: String,
    /// The token and nothing else on standard output, the line on standard error
    #[arg(long)]
    pub bare: bool,
}

/// Makes one.
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::New(args) = command;
    if !is_token_name(&args.name) {
        bail!("\"{}\" is no name for a token: use 1 to 64 letters, digits or any of \"-_.@\"", args.name);
    }
    let Some(role) = ApiRole::of(&args.role) else { bail!("\"{}\" is no role", args.role) };
    let mut random = [0; 32];
    let mut source = File::open("/dev/urandom").context("no randomness: /dev/urandom")?;
    source.read_exact(&mut random).context("no randomness: /dev/urandom")?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let line = format!("{} {role} {}", args.name, hex(&Sha256::digest(&token)));
    if args.bare {
        println!("{token}");
        eprintln!("{line}");
    } else {
        println!("The token of {}, which is kept nowhere and not shown again:\n", args.name);
        println!("  {token}\n");
        println!("The line for the file that [control] tokens names:\n");
        println!("  {line}\n");
        println!(
            "Keep the token in a file that only its holder can read, for --token-file or DETOUR_TOKEN_FILE."
        );
    }
    Ok(ExitCode::from(DONE))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
