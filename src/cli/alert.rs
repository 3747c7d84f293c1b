//! `detour alert test [RECEIVER]`

use std::process::ExitCode;

use reqwest::Method;

use super::client::{Client, ClientError, DONE, NO, finish, pretty};
use super::show::{Table, print, printable};
use crate::api::bodies::{TestBody, TestRequest};

/// What can be done about receivers.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Send a test to one receiver, or to all: exit 0 when each has taken it
    Test(Args),
}

/// What `alert test` takes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name, as in `[alerts.NAME]`; all when left out
    pub receiver: Option<String>,
}

/// Has the daemon send a test and says what came of it.
pub async fn run(client: &Client, command: &Command, json: bool) -> anyhow::Result<ExitCode> {
    let Command::Test(args) = command;
    match said(client, args, json).await {
        Ok((text, all)) => {
            print(&text)?;
            Ok(ExitCode::from(if all { DONE } else { NO }))
        }
        Err(error) => finish(Err(error)),
    }
}

/// What to print, and whether every receiver has taken it.
pub(super) async fn said(client: &Client, args: &Args, json: bool) -> Result<(String, bool), ClientError> {
    let request = TestRequest { receiver: args.receiver.clone() };
    let answer = client.write(Method::POST, &["v1", "alerts", "test"], &request).await?;
    let body: TestBody = client.decode(&answer)?;
    let all = body.receivers.iter().all(|tested| tested.error.is_none());
    Ok((if json { pretty(&answer) } else { render(&body) }, all))
}

fn render(body: &TestBody) -> String {
    if body.receivers.is_empty() {
        return "no receiver of alerts is configured\n".to_owned();
    }
    let mut table = Table::new(["RECEIVER", "TYPE", "TEST"]);
    for tested in &body.receivers {
        let outcome = match &tested.error {
            None => "delivered".to_owned(),
            Some(why) => format!("FAILED: {}", printable(why)),
        };
        table.row([tested.id.clone(), tested.way.clone(), outcome]);
    }
    table.to_string()
}
