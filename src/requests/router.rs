//! The router: who sees to a message that is no plain query.
//!
//! In: a message and where it came from. Out: the messages that answer it. Updates and NOTIFY are seen to here;
//! transfers and what is signed, at the [`Office`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::transfer::Office;
use super::{forward, notify, update};
use crate::dns::message::{OPCODE_NOTIFY, OPCODE_UPDATE};
use crate::dns::tsig::{self, Signed};
use crate::model::Config;
use crate::server::{self, Metric, Replies, Request};
use crate::sys::clock;
use crate::transfer::inbound::Keeper;
use crate::zones::Ask;

/// What the router goes by; another one after each load.
struct Rules {
    config: Arc<Config>,
    open: bool,
}

impl Rules {
    /// Those of a configuration.
    fn of(config: &Arc<Config>) -> Rules {
        Rules { open: update::is_open(config) || notify::is_open(config), config: config.clone() }
    }
}

/// Who is given every message that is no plain query.
pub struct RequestRouter {
    rules: ArcSwap<Rules>,
    loader: mpsc::Sender<Ask>,
    office: Arc<Office>,
    keeper: Arc<Keeper>,
    /// Updates that were carried out, and those that were not.
    updates_done: AtomicU64,
    updates_refused: AtomicU64,
}

impl server::Desk for RequestRouter {
    fn is_open(&self) -> bool {
        self.rules.load().open || self.office.is_open()
    }

    fn take(&self, request: Request) -> Pin<Box<dyn Future<Output = Replies> + Send + '_>> {
        match request.bytes.get(2).map(|byte| byte >> 3 & 15) {
            Some(opcode @ (OPCODE_UPDATE | OPCODE_NOTIFY)) => {
                Box::pin(async move { Box::new(self.reply(opcode, &request).await.into_iter()) as Replies })
            }
            _ => self.office.take(request),
        }
    }
}

impl RequestRouter {
    /// A router that goes by this configuration. Updates go to the loader.
    pub fn new(
        config: &Arc<Config>,
        loader: mpsc::Sender<Ask>,
        office: Arc<Office>,
        keeper: Arc<Keeper>,
    ) -> RequestRouter {
        let rules = ArcSwap::from_pointee(Rules::of(config));
        let (updates_done, updates_refused) = (AtomicU64::new(0), AtomicU64::new(0));
        RequestRouter { rules, loader, office, keeper, updates_done, updates_refused }
    }

    /// Goes by another configuration from now on.
    pub fn set(&self, config: &Arc<Config>) {
        self.rules.store(Arc::new(Rules::of(config)));
    }

    /// What became of updates, as metrics.
    pub fn metrics(&self) -> Vec<Metric> {
        let result = |result: &str| vec![("result", result.to_owned())];
        vec![
            ("detour_updates_total", result("done"), self.updates_done.load(Ordering::Relaxed)),
            ("detour_updates_total", result("refused"), self.updates_refused.load(Ordering::Relaxed)),
        ]
    }

    /// A signature is verified first, and what was signed is answered with one.
    async fn reply(&self, opcode: u8, request: &Request) -> Option<Vec<u8>> {
        let config = self.rules.load().config.clone();
        let signed = match tsig::verify(&config.keys, &request.bytes, clock::wall_secs()) {
            Ok(signed) => signed,
            Err(refused) => {
                self.count(opcode, false);
                return refused.answer(&request.bytes);
            }
        };
        let message = signed.as_ref().map_or(&request.bytes[..], Signed::message);
        let key = signed.as_ref().map(|signed| signed.key().name());
        let from = request.peer.ip();
        let forwarded = || update::forwarded(&config, message, key, from);
        let mut reply = if opcode == OPCODE_NOTIFY {
            notify::take(&self.keeper, message, key, from)?
        } else if let Some(zone) = forwarded() {
            match forward::forward(zone, &request.bytes, request.peer).await {
                Ok(answer) => {
                    self.count(opcode, answer.get(3).is_some_and(|flags| flags % 16 == 0));
                    // With the signature it has: it is the primary's.
                    return Some(answer);
                }
                Err(why) => update::not_forwarded(message, why),
            }
        } else {
            update::take(&config, &self.loader, message, key, from).await
        };
        self.count(opcode, reply.get(3).is_some_and(|flags| flags % 16 == 0));
        if let Some(signed) = &signed {
            tsig::sign(&mut reply, signed, clock::wall_secs());
        }
        Some(reply)
    }

    fn count(&self, opcode: u8, done: bool) {
        if opcode == OPCODE_UPDATE {
            let count = if done { &self.updates_done } else { &self.updates_refused };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
