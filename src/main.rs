//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    detour::cli::main(&detour::cli::Cli::parse())
}
