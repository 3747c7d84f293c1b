//! The desk: who sends what is no plain query, whether they may, and what they get.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::{debug, info};

use super::parse::{self, Asked};
use crate::answer::{self, Asker, MIN_UDP_PAYLOAD, Outgoing, Settings, Table, Transport};
use crate::dns::message::OPCODE_QUERY;
use crate::dns::tsig::{self, Keys, Signed};
use crate::dns::{Name, RrType, soa_serial};
use crate::model::{Access, Config};
use crate::server::{Desk, Metric, Replies, Request};
use crate::sys::clock::wall_secs;
use crate::transfer::outbound::Teller;
use crate::zones::Journals;

/// Transfers over TCP that are under way at once; further ones wait.
const AT_ONCE: usize = 32;
/// How long a transfer waits for another to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Room for an answer to a plain query that is signed.
const ANSWER: usize = 65_535;

const FORM_ERR: u8 = 1;
const SERV_FAIL: u8 = 2;
const REFUSED: u8 = 5;
const NOT_AUTH: u8 = 9;
/// Extended error (RFC 8914 section 4.19).
const PROHIBITED: u16 = 18;
/// Of a zone some of whose names have no answer yet (RFC 8914 section 4.15).
const NOT_READY: u16 = 14;
/// The header's bit that says an answer was cut.
const TC: u8 = 0x02;

/// Who sees to what is no plain query.
pub struct Office {
    table: Arc<ArcSwap<Table>>,
    settings: Arc<Settings>,
    journals: Arc<Journals>,
    teller: Arc<Teller>,
    rules: ArcSwap<Rules>,
    transfers: Arc<Semaphore>,
    tally: Arc<Tally>,
}

/// Who may do what, by the last load.
#[derive(Default)]
struct Rules {
    keys: Arc<Keys>,
    transfer: BTreeMap<Name, Access>,
    /// The zone that is answered to those alone who may have it.
    catalog: Option<Name>,
    open: bool,
}

#[derive(Default)]
struct Tally {
    whole: AtomicU64,
    incremental: AtomicU64,
    current: AtomicU64,
    refused: AtomicU64,
    bad_signatures: AtomicU64,
    bytes: AtomicU64,
}

impl Rules {
    /// Whether a name lies in a zone that is not for everybody, and the sender may have that.
    fn admits(&self, name: &Name, sender: &Sender) -> bool {
        let within = self.catalog.as_ref().filter(|catalog| name.is_at_or_below(catalog));
        let access = within.and_then(|catalog| self.transfer.get(catalog));
        access.is_some_and(|access| access.allows(sender.peer.ip(), sender.key()))
    }
}

/// Who sent a message, once its signature was looked at.
struct Sender {
    peer: SocketAddr,
    transport: Transport,
    signed: Option<Signed>,
}

impl Sender {
    fn key(&self) -> Option<&Name> {
        self.signed.as_ref().map(|signed| signed.key().name())
    }
}

impl Office {
    /// A desk over the published table, where nobody may do anything yet.
    pub fn new(
        table: Arc<ArcSwap<Table>>,
        settings: Arc<Settings>,
        journals: Arc<Journals>,
        teller: Arc<Teller>,
    ) -> Office {
        Office {
            teller,
            table,
            settings,
            journals,
            rules: ArcSwap::default(),
            transfers: Arc::new(Semaphore::new(AT_ONCE)),
            tally: Arc::default(),
        }
    }

    /// Takes up who may do what from now on.
    pub fn set(&self, config: &Config) {
        let zones = config.zones.iter();
        let transfer: BTreeMap<Name, Access> =
            zones.map(|zone| (zone.name.clone(), zone.transfer.clone())).collect();
        let allows = transfer.values().any(|access| !access.0.is_empty());
        let open = allows || !config.keys.is_empty();
        self.rules.store(Arc::new(Rules {
            keys: config.keys.clone(),
            transfer,
            catalog: config.catalog.clone(),
            open,
        }));
    }

    /// What was asked for and given, as metrics.
    pub fn metrics(&self) -> Vec<Metric> {
        let tally = &self.tally;
        let kind = |kind: &str| vec![("kind", kind.to_owned())];
        vec![
            ("detour_transfers_total", kind("axfr"), tally.whole.load(Relaxed)),
            ("detour_transfers_total", kind("ixfr"), tally.incremental.load(Relaxed)),
            ("detour_transfers_total", kind("current"), tally.current.load(Relaxed)),
            ("detour_transfers_refused_total", vec![], tally.refused.load(Relaxed)),
            ("detour_transfer_bytes_total", vec![], tally.bytes.load(Relaxed)),
            ("detour_tsig_errors_total", vec![], tally.bad_signatures.load(Relaxed)),
        ]
    }

    async fn see_to(&self, request: Request) -> Replies {
        let Request { bytes, peer, transport } = request;
        let rules = self.rules.load_full();
        let signed = match tsig::verify(&rules.keys, &bytes, wall_secs()) {
            Ok(signed) => signed,
            Err(refused) => {
                self.tally.bad_signatures.fetch_add(1, Relaxed);
                debug!(%peer, "a signature does not count: {refused}");
                return Box::new(refused.answer(&bytes).into_iter());
            }
        };
        let sender = Sender { peer, transport, signed };
        let message = sender.signed.as_ref().map_or(&bytes[..], Signed::message).to_vec();
        let asked = parse::read(&message);
        match (parse::opcode(&message), asked) {
            (Some(OPCODE_QUERY), Some(asked)) if matches!(asked.rtype, RrType::AXFR | RrType::IXFR) => {
                self.transfer(asked, sender, &rules).await
            }
            (_, asked) => self.plain(&message, asked, &sender, &rules),
        }
    }

    /// Answers a question, as it would be answered without a signature; of the catalog, only who may have it.
    fn plain(&self, message: &[u8], asked: Option<Asked>, sender: &Sender, rules: &Rules) -> Replies {
        let now = wall_secs();
        let asker = Asker { transport: sender.transport, ip: sender.peer.ip(), now: now as u32 };
        let mut out = vec![0; ANSWER];
        let admitted = asked.as_ref().is_some_and(|asked| rules.admits(&asked.apex, sender));
        let answer = if admitted { answer::answer_admitted } else { answer::answer };
        let answered = answer(&self.table.load(), &self.settings, &asker, message, &mut out);
        if answered.len == 0 {
            return Box::new(std::iter::empty());
        }
        out.truncate(answered.len);
        if let Some(signed) = &sender.signed {
            let limit = match sender.transport {
                Transport::Tcp => ANSWER,
                Transport::Udp => datagram(asked.as_ref().and_then(|asked| asked.payload), &self.settings),
            };
            if out.len() + signed.record_len() > limit {
                // Over TCP there is room for both (RFC 8945 section 5.3).
                let Some(asked) = asked else { return Box::new(std::iter::empty()) };
                out = asked.head.refuse(0, None);
                out[2] |= TC;
            }
            tsig::sign(&mut out, signed, now);
        }
        Box::new(std::iter::once(out))
    }

    async fn transfer(&self, asked: Asked, sender: Sender, rules: &Rules) -> Replies {
        let Asked { head, apex, rtype, class_in, payload, serial } = asked;
        let refuse = |rcode, why| {
            self.tally.refused.fetch_add(1, Relaxed);
            one(head.refuse(rcode, why), &sender)
        };
        let Some(access) = rules.transfer.get(&apex).filter(|_| class_in) else {
            return refuse(NOT_AUTH, None);
        };
        if !access.allows(sender.peer.ip(), sender.key()) {
            let count = self.tally.refused.load(Relaxed) + 1;
            // Anybody can ask a million times: the log grows with the logarithm.
            if count.is_power_of_two() {
                info!(peer = %sender.peer, count, "a transfer of {apex} was refused");
            }
            return refuse(REFUSED, Some(PROHIBITED));
        }
        self.teller.came(&apex, sender.peer.ip());
        let table = self.table.load_full();
        let Some(soa) = table.soa(&apex) else { return refuse(SERV_FAIL, None) };
        if table.waits_in(&apex) {
            return refuse(SERV_FAIL, Some(NOT_READY));
        }
        let current = soa_serial(&soa);
        let udp = sender.transport == Transport::Udp;
        let step = match (rtype, serial) {
            // Not defined over UDP (RFC 5936 section 4.2).
            (RrType::AXFR, _) if udp => return refuse(REFUSED, Some(PROHIBITED)),
            (RrType::IXFR, None) => return refuse(FORM_ERR, None),
            (RrType::IXFR, Some(has)) if has == current || has.is_after(current) => {
                self.tally.current.fetch_add(1, Relaxed);
                let mut single = Outgoing::sets(vec![soa], &apex, head);
                return signed_once(single.next(reserve(&sender)), &sender);
            }
            (RrType::IXFR, Some(has)) => self.journals.between(&apex, has, current),
            _ => None,
        };
        if udp {
            // What does not fit into one datagram is had over TCP (RFC 1995 section 2).
            let limit = datagram(payload, &self.settings).saturating_sub(reserve(&sender));
            let mut outgoing = step.map(|step| Outgoing::sets(step.into_transfer(), &apex, head.clone()));
            let whole = outgoing.as_mut().and_then(|outgoing| {
                let message = outgoing.next(reserve(&sender))?;
                (message.len() <= limit && outgoing.next(0).is_none()).then_some(message)
            });
            if whole.is_some() {
                self.tally.incremental.fetch_add(1, Relaxed);
                return signed_once(whole, &sender);
            }
            self.tally.current.fetch_add(1, Relaxed);
            let mut single = Outgoing::sets(vec![soa], &apex, head);
            return signed_once(single.next(reserve(&sender)), &sender);
        }
        let permit = timeout(PATIENCE, self.transfers.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return refuse(SERV_FAIL, None) };
        let (outgoing, form) = if let Some(step) = step {
            self.tally.incremental.fetch_add(1, Relaxed);
            (Some(Outgoing::sets(step.into_transfer(), &apex, head.clone())), "IXFR")
        } else {
            self.tally.whole.fetch_add(1, Relaxed);
            (Outgoing::zone(table, &apex, head.clone()), "AXFR")
        };
        let Some(outgoing) = outgoing else { return refuse(SERV_FAIL, None) };
        info!(peer = %sender.peer, "{form} of {apex} serial {current}");
        let stream = sender.signed.as_ref().map(tsig::Stream::new);
        Box::new(Sending { outgoing, stream, tally: self.tally.clone(), _permit: permit })
    }
}

impl Desk for Office {
    fn is_open(&self) -> bool {
        self.rules.load().open
    }

    fn take(&self, request: Request) -> Pin<Box<dyn Future<Output = Replies> + Send + '_>> {
        Box::pin(self.see_to(request))
    }
}

/// A transfer that is being sent.
struct Sending {
    outgoing: Outgoing,
    stream: Option<tsig::Stream>,
    tally: Arc<Tally>,
    _permit: OwnedSemaphorePermit,
}

impl Iterator for Sending {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut message = self.outgoing.next(self.stream.as_ref().map_or(0, tsig::Stream::record_len))?;
        if let Some(stream) = &mut self.stream {
            stream.sign(&mut message, wall_secs());
        }
        self.tally.bytes.fetch_add(message.len() as u64, Relaxed);
        Some(message)
    }
}

/// The bytes that a signature will take.
fn reserve(sender: &Sender) -> usize {
    sender.signed.as_ref().map_or(0, Signed::record_len)
}

/// The largest datagram for a sender that says, or does not, what it takes.
fn datagram(payload: Option<u16>, settings: &Settings) -> usize {
    usize::from(
        payload.map_or(MIN_UDP_PAYLOAD, |payload| payload.min(settings.udp_payload).max(MIN_UDP_PAYLOAD)),
    )
}

fn one(message: Vec<u8>, sender: &Sender) -> Replies {
    signed_once(Some(message), sender)
}

/// One message, signed if what it answers was.
fn signed_once(message: Option<Vec<u8>>, sender: &Sender) -> Replies {
    Box::new(
        message
            .map(|mut message| {
                if let Some(signed) = &sender.signed {
                    tsig::sign(&mut message, signed, wall_secs());
                }
                message
            })
            .into_iter(),
    )
}
