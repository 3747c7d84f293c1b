//! The ways to receivers: one message in, delivered or why not out.
//!
//! Each try has a connection or a process of its own, and its caller bounds it in time.

mod command;
mod http;
mod line;
mod mail;
mod payload;
mod smtp;

use self::http::Post;
pub(super) use self::line::{Line, SendError};
use super::message::Message;
use crate::model::{AlertReceiver, AlertWay};
use crate::time::HostTime;

impl Line {
    /// Delivers a message; `now` is when it is signed.
    pub async fn send(&self, now: HostTime, to: &AlertReceiver, message: &Message) -> Result<(), SendError> {
        match &to.way {
            AlertWay::Webhook { url, key } => {
                let body = payload::webhook(&to.id, message);
                let headers = payload::signed(now, message, &body, key.as_ref());
                http::post(self, to, &Post { url, headers, body, secret: None }).await
            }
            AlertWay::Slack { url } => {
                let body = payload::slack(message);
                http::post(self, to, &Post { url, headers: Vec::new(), body, secret: None }).await
            }
            AlertWay::PagerDuty { url, routing_key } => {
                // A part that is over changes nothing at what goes on.
                let Some(body) = payload::pagerduty(routing_key, message) else { return Ok(()) };
                let secret = Some(routing_key.reveal());
                http::post(self, to, &Post { url, headers: Vec::new(), body, secret }).await
            }
            AlertWay::Email(mail) => smtp::send(self, to, mail, message).await,
            AlertWay::Command(words) => {
                command::run(words, message, &payload::webhook(&to.id, message)).await
            }
        }
    }
}
