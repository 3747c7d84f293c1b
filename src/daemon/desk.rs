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
use crate::clock;
use crate::config::Config;
use crate::secondary::{Keeper, OPCODE_NOTIFY};
use crate::serve::{self, Replies, Request};
use crate::tsig::{self, Signed};
use crate::zone::OPCODE_UPDATE;

const QR: u8 = 0x80;
const NOT_IMP: u8 = 4;
const REFUSED: u8 = 5;
const HEADER: usize = 12;

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
    async fn reply(&self, request: &Request) -> Option<Vec<u8>> {
        let config = self.rules.load().config.clone();
        let signed = match tsig::verify(&config.keys, &request.bytes, clock::wall_secs()) {
            Ok(signed) => signed,
            Err(refused) => return refused.answer(&request.bytes),
        };
        let message = signed.as_ref().map_or(&request.bytes[..], Signed::message);
        let key = signed.as_ref().map(|signed| signed.key().name());
        let opcode = message.get(2)? >> 3 & 15;
        let mut answer = match opcode {
            OPCODE_UPDATE => update_desk::take(&config, &self.loader, message, key, request.peer.ip()).await,
            OPCODE_NOTIFY => notify_desk::take(&self.keeper, message, key, request.peer.ip())?,
            0 => bare(message, REFUSED)?,
            _ => bare(message, NOT_IMP)?,
        };
        if let Some(signed) = &signed {
            tsig::sign(&mut answer, signed, clock::wall_secs());
        }
        Some(answer)
    }
}

/// A header alone.
fn bare(message: &[u8], rcode: u8) -> Option<Vec<u8>> {
    let header = message.first_chunk::<HEADER>()?;
    let mut answer = vec![0; HEADER];
    answer[..2].copy_from_slice(&header[..2]);
    (answer[2], answer[3]) = (QR | header[2] & 0x79, rcode);
    Some(answer)
}
