//! The desk: who sees to messages that are no plain queries.
//!
//! In: a message and where it came from. Out: the message that answers it. A signature is verified first, and
//! what was signed is answered with one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::messages::Ask;
use super::{notify_desk, update_desk};
use crate::answer::{Asker, MAX_MESSAGE_LEN, Settings, Table, answer};
use crate::clock;
use crate::config::Config;
use crate::secondary::{Keeper, OPCODE_NOTIFY};
use crate::serve::{self, Replies, Request};
use crate::tsig::{self, Signed};
use crate::zone::OPCODE_UPDATE;

/// What the desk goes by; another one after each load.
pub struct Rules {
    config: Arc<Config>,
    open: bool,
}

impl Rules {
    /// Those of a configuration.
    pub fn of(config: &Arc<Config>) -> Rules {
        Rules { open: update_desk::is_open(config) || notify_desk::is_open(config), config: config.clone() }
    }
}

/// The desk of a running daemon.
pub struct Desk {
    pub rules: Arc<ArcSwap<Rules>>,
    pub loader: mpsc::Sender<Ask>,
    pub keeper: Arc<Keeper>,
    pub table: Arc<ArcSwap<Table>>,
    pub settings: Arc<Settings>,
}

impl serve::Desk for Desk {
    fn is_open(&self) -> bool {
        self.rules.load().open
    }

    fn take(&self, request: Request) -> Pin<Box<dyn Future<Output = Replies> + Send + '_>> {
        Box::pin(async move {
            let reply = self.reply(&request).await;
            Box::new(reply.into_iter()) as Replies
        })
    }
}

impl Desk {
    /// What is answered to a message whose signature is cut off, as if it never had one.
    fn plain(&self, request: &Request, message: &[u8]) -> Option<Vec<u8>> {
        let asker = Asker {
            transport: request.transport,
            ip: request.peer.ip(),
            now: clock::wall_secs() as u32, // as it may wrap around
        };
        let mut answered = vec![0; MAX_MESSAGE_LEN];
        let len = answer(&self.table.load(), &self.settings, &asker, message, &mut answered).len;
        answered.truncate(len);
        Some(answered).filter(|answered| !answered.is_empty())
    }

    async fn reply(&self, request: &Request) -> Option<Vec<u8>> {
        let config = self.rules.load().config.clone();
        let signed = match tsig::verify(&config.keys, &request.bytes, clock::wall_secs()) {
            Ok(signed) => signed,
            Err(refused) => return refused.answer(&request.bytes),
        };
        let message = signed.as_ref().map_or(&request.bytes[..], Signed::message);
        let key = signed.as_ref().map(|signed| signed.key().name());
        let opcode = message.get(2)? >> 3 & 15;
        let mut reply = match opcode {
            OPCODE_UPDATE => update_desk::take(&config, &self.loader, message, key, request.peer.ip()).await,
            OPCODE_NOTIFY => notify_desk::take(&self.keeper, message, key, request.peer.ip())?,
            _ => self.plain(request, message)?,
        };
        if let Some(signed) = &signed {
            tsig::sign(&mut reply, signed, clock::wall_secs());
        }
        Some(reply)
    }
}
