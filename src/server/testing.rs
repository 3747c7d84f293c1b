//! What this room's tests share: answers without a zone, and a server on loopback.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::counters::Counters;
use super::responder::{Reader, Responder};
use super::running::{Limits, Running};
use super::sampler::Taps;
use super::sockets::Sockets;
use crate::answer::{Answered, Transport};

/// A test that would wait longer than this has found a server that hangs.
pub(super) const TOO_LONG: Duration = Duration::from_secs(20);

/// Answers a query with its bytes in reverse, so that no two answers are the same; with the word
/// `silent`, `big` (the longest answer there is) or `panic`, does that. What
/// begins with `desk` is for the desk.
#[derive(Clone)]
pub(super) struct Reverse;

impl Responder for Reverse {
    type Reader = Reverse;

    fn reader(&self) -> Reverse {
        Reverse
    }
}

impl Reader for Reverse {
    fn current(&mut self, _: Transport) -> impl FnMut(IpAddr, &[u8], &mut [u8]) -> Answered {
        |_, query, out| {
            let len = match query {
                b"" | b"silent" => 0,
                b"big" => out.len(),
                b"panic" => panic!("a query that panics"),
                query => {
                    out.iter_mut().zip(query.iter().rev()).for_each(|(to, from)| *to = *from);
                    query.len()
                }
            };
            Answered { len, desk: query.starts_with(b"desk"), ..Answered::default() }
        }
    }
}

/// Serves [`Reverse`] on `listen` with `threads` workers.
pub(super) fn serve(listen: &str, threads: usize, limits: Limits) -> (Running, SocketAddr) {
    let sockets = Sockets::bind(&[listen.parse().unwrap()], threads).unwrap();
    let address = sockets.addresses()[0];
    (Running::start(sockets, &Reverse, None, &Taps::new().0, limits, &Handle::current()), address)
}

/// What [`Reverse`] answers.
pub(super) fn reversed(query: &[u8]) -> Vec<u8> {
    query.iter().rev().copied().collect()
}

/// One metric's value, summed over its labels but those that contradict `label`.
pub(super) fn metric(counters: &Counters, name: &str, label: &str) -> u64 {
    let fits = |labels: &[(&str, String)]| label.is_empty() || labels.iter().any(|(_, value)| value == label);
    counters
        .metrics()
        .iter()
        .filter(|metric| metric.0 == name && fits(&metric.1))
        .map(|metric| metric.2)
        .sum()
}

/// Waits until `condition` holds.
pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TOO_LONG, holds).await.unwrap_or_else(|_| panic!("never: {what}"));
}
