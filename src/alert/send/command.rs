//! A command of this host, with the alert as JSON on its standard input.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncWriteExt;

use super::line::SendError;
use crate::alert::message::Message;
use crate::sys::command::{Group, bare};

/// Runs it to its end; exit code 0 is a delivery. Let go of, by its timeout or a reload, it is killed with
/// whomever it started.
pub(super) async fn run(words: &[String], message: &Message, body: &[u8]) -> Result<(), SendError> {
    let program = words.first().map_or("", String::as_str);
    let failed = |why: std::io::Error| SendError::again(format!("cannot run {program}: {why}"));
    let mut command = bare(program);
    command
        .args(words.iter().skip(1))
        .env("DETOUR_ALERT", &message.id)
        .env("DETOUR_STATE", message.state.word())
        .env("DETOUR_SEVERITY", message.severity.word())
        .env("DETOUR_KIND", message.kind.word())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut group = Group::spawn(&mut command).map_err(failed)?;
    let stdin = group.stdin();
    let writing = async {
        if let Some(mut stdin) = stdin {
            // A command that does not read its input has what it needs, or says otherwise by its exit code.
            let _ = stdin.write_all(body).await;
        }
    };
    let ((), ended) = tokio::join!(writing, group.wait());
    verdict(program, ended.map_err(failed)?)
}

fn verdict(program: &str, status: ExitStatus) -> Result<(), SendError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(SendError::again(format!("{program} ended with exit code {code}"))),
        (None, signal) => {
            Err(SendError::again(format!("{program} was killed by signal {}", signal.unwrap_or_default())))
        }
    }
}
