//! What is on the screen, from the daemon: asked now and then, and at once where something else is looked for.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::api::bodies::HistoryBody;
use crate::api::overview::Overview;
use crate::cli::client::{Client, ClientError};
use crate::cli::explain;

/// How long one answer may take before people are told that none comes.
const PATIENCE: Duration = Duration::from_secs(4);
/// How many services are asked for at a time.
pub(super) const PAGE: usize = 200;
/// How many entries of the history.
const EVENTS: &str = "40";

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub search: String,
    /// Those alone that are not where they should be.
    pub off: bool,
    pub offset: usize,
    /// The whole chain behind this one.
    pub detail: Option<String>,
}

/// What came of it.
pub(super) enum Told {
    Picture {
        asked: Asked,
        picture: Box<Overview>,
        events: Vec<String>,
        detail: Option<String>,
    },
    /// None came, or a no: why; and why the daemon itself is not well, if it says so.
    Silent {
        why: String,
        reasons: Vec<String>,
    },
}

/// Asks until nobody listens any more.
pub(super) async fn run(
    client: Client,
    every: Duration,
    mut asked: watch::Receiver<Asked>,
    told: mpsc::Sender<Told>,
) {
    loop {
        let wanted = asked.borrow_and_update().clone();
        let got = timeout(PATIENCE, picture(&client, wanted)).await;
        let got = got.unwrap_or_else(|_| Err(format!("no answer within {}s", PATIENCE.as_secs())));
        let got = match got {
            Ok(picture) => picture,
            Err(why) => {
                // It waits for nothing, so it answers also where the engine does not.
                let health = timeout(PATIENCE, client.healthz()).await;
                let reasons = health.ok().and_then(Result::ok).map(|body| body.reasons).unwrap_or_default();
                Told::Silent { why, reasons }
            }
        };
        if told.send(got).await.is_err() {
            return;
        }
        // Who looks for something else does not wait.
        if let Ok(Err(_)) = timeout(every, asked.changed()).await {
            return;
        }
    }
}

async fn picture(client: &Client, asked: Asked) -> Result<Told, String> {
    let said = |error: ClientError| error.to_string();
    let (offset, limit) = (asked.offset.to_string(), PAGE.to_string());
    let mut query = vec![("search", &*asked.search), ("offset", &*offset), ("limit", &*limit)];
    if asked.off {
        query.push(("show", "off"));
    }
    let answer = client.get(&["v1", "overview"], &query).await.map_err(said)?;
    let picture: Box<Overview> = client.decode(&answer).map_err(said)?;
    let answer = client.get(&["v1", "history"], &[("limit", EVENTS)]).await.map_err(said)?;
    let page: HistoryBody = client.decode(&answer).map_err(said)?;
    let events = page.entries.into_iter().map(|entry| entry.text.replace('\n', " ")).collect();
    let detail = match &asked.detail {
        None => None,
        // A service that has gone says so in the place of its chain.
        Some(name) => Some(match client.get(&["v1", "explain"], &[("name", name)]).await {
            Ok(answer) => explain::render(name, &client.decode(&answer).map_err(said)?),
            Err(ClientError::Refused(problem)) => problem.detail,
            Err(other) => return Err(other.to_string()),
        }),
    };
    Ok(Told::Picture { asked, picture, events, detail })
}
