//! Counters: one tally per UDP worker, on cache lines of its own, and one for all of TCP; summed
//! only when somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::admission::Admission;
use crate::answer::{Answered, Kind, Limited, Standing};
use crate::dns::rcode_name;
use crate::sys::histogram::{Distribution, Unit};

/// Rcodes counted one by one, extended ones included (BADCOOKIE, 23, is the highest assigned).
const RCODES: usize = 24;

/// Shown from the first scrape on, counted or not, so that a rate over them always has a start.
const COMMON_RCODES: usize = 6;

/// What answers over a limit are counted by: each kind, and what became of it.
const LIMITED: usize = KINDS.len() * ACTIONS.len();
const KINDS: [&str; Kind::ALL.len()] = ["answer", "nodata", "nxdomain", "referral", "error"];
const ACTIONS: [&str; 3] = ["dropped", "truncated", "badcookie"];

/// What queries say by their cookies.
const STANDINGS: [&str; 4] = ["none", "client", "valid", "bad"];

/// The upper bounds of the sizes of answers, in bytes: powers of two, as a shift finds them.
const SIZES: [u64; 11] = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

/// How to add to a counter: [`owned`] or [`shared`].
pub(super) type Add = fn(&AtomicU64, u64);

/// Adds to a counter only the calling thread writes: no locked instruction.
pub(super) fn owned(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed) + more, Relaxed);
}

/// Adds to a counter many tasks write.
pub(super) fn shared(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Relaxed);
}

/// What one worker counts. 128 bytes, as x86 fetches cache lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Tally {
    queries: AtomicU64,
    answers: [AtomicU64; RCODES],
    truncated: AtomicU64,
    malformed: AtomicU64,
    send_errors: AtomicU64,
    receive_errors: AtomicU64,
    panics: AtomicU64,
    at_desk: AtomicU64,
    desk_full: AtomicU64,
    standings: [AtomicU64; STANDINGS.len()],
    limited: [AtomicU64; LIMITED],
    sizes: [AtomicU64; SIZES.len()],
    bytes: AtomicU64,
}

impl Tally {
    /// A query and what became of it.
    pub(super) fn answered(&self, answered: &Answered, add: Add) {
        add(&self.queries, 1);
        if answered.len == 0 && answered.limited.is_none() {
            add(&self.malformed, 1);
            return;
        }
        let standing = match answered.standing {
            Standing::None => 0,
            Standing::ClientOnly => 1,
            Standing::Valid => 2,
            Standing::Bad => 3,
        };
        add(&self.standings[standing], 1);
        if let Some((kind, how)) = answered.limited {
            add(&self.limited[kind as usize * ACTIONS.len() + how as usize], 1);
            if how == Limited::Dropped {
                return;
            }
        }
        add(&self.answers[usize::from(answered.rcode).min(RCODES - 1)], 1);
        if answered.truncated {
            add(&self.truncated, 1);
        }
        add(&self.sizes[size_class(answered.len)], 1);
        add(&self.bytes, answered.len as u64);
    }

    /// A query nothing could be made of.
    pub(super) fn malformed(&self, add: Add) {
        add(&self.queries, 1);
        add(&self.malformed, 1);
    }

    /// A message for the desk, which had room for it or not.
    pub(super) fn at_desk(&self, taken: bool, add: Add) {
        add(&self.queries, 1);
        add(if taken { &self.at_desk } else { &self.desk_full }, 1);
    }

    /// Answers the kernel did not take.
    pub(super) fn send_errors(&self, count: u64, add: Add) {
        if count > 0 {
            add(&self.send_errors, count);
        }
    }

    /// Tries to receive that the kernel answered with an error.
    pub(super) fn receive_errors(&self, count: u64, add: Add) {
        add(&self.receive_errors, count);
    }

    /// A query whose answering panicked: counted, said in the log, and survived.
    pub(super) fn panicked(&self, add: Add) {
        add(&self.queries, 1);
        add(&self.panics, 1);
        let count = self.panics.load(Relaxed);
        // A query that panics can be sent a million times: the log grows with its logarithm.
        if count.is_power_of_two() {
            tracing::error!(count, "answering a query panicked; it got no answer, please report it");
        }
    }
}

/// Which of [`SIZES`] an answer of so many bytes lies below.
fn size_class(len: usize) -> usize {
    // Of 64 and less the logarithm is 5, as 63 has it.
    let class = (len.saturating_sub(1) | 63).ilog2() as usize - 5;
    class.min(SIZES.len() - 1)
}

/// Where all counting ends up, shared by the workers, the connections and [`Counters`].
#[derive(Debug)]
pub(super) struct Tallies {
    /// One per UDP worker thread.
    pub(super) udp: Vec<Arc<Tally>>,
    /// One for all connections.
    pub(super) tcp: Arc<Tally>,
}

/// Sums of one transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    queries: u64,
    answers: [u64; RCODES],
    truncated: u64,
    malformed: u64,
    send_errors: u64,
    receive_errors: u64,
    panics: u64,
    at_desk: u64,
    desk_full: u64,
    standings: [u64; STANDINGS.len()],
    limited: [u64; LIMITED],
    sizes: [u64; SIZES.len()],
    bytes: u64,
}

#[cfg(test)]
impl Tally {
    /// Queries counted so far.
    pub(super) fn queries(&self) -> u64 {
        self.queries.load(Relaxed)
    }
}

impl Totals {
    fn add(&mut self, tally: &Tally) {
        self.queries += tally.queries.load(Relaxed);
        for (sum, counter) in self.answers.iter_mut().zip(&tally.answers) {
            *sum += counter.load(Relaxed);
        }
        self.truncated += tally.truncated.load(Relaxed);
        self.malformed += tally.malformed.load(Relaxed);
        self.send_errors += tally.send_errors.load(Relaxed);
        self.receive_errors += tally.receive_errors.load(Relaxed);
        self.panics += tally.panics.load(Relaxed);
        self.at_desk += tally.at_desk.load(Relaxed);
        self.desk_full += tally.desk_full.load(Relaxed);
        for (sum, counter) in self.standings.iter_mut().zip(&tally.standings) {
            *sum += counter.load(Relaxed);
        }
        for (sum, counter) in self.limited.iter_mut().zip(&tally.limited) {
            *sum += counter.load(Relaxed);
        }
        for (sum, counter) in self.sizes.iter_mut().zip(&tally.sizes) {
            *sum += counter.load(Relaxed);
        }
        self.bytes += tally.bytes.load(Relaxed);
    }
}

/// What was received and answered since the start, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    udp: Totals,
    tcp: Totals,
    tcp_connections: u64,
    tcp_evicted_total: u64,
    tcp_evicted_source: u64,
    tcp_open: u64,
}

/// A metric: its name (ending in `_total` where it only grows), its labels, its value.
pub type Metric = (&'static str, Vec<(&'static str, String)>, u64);

impl Counters {
    pub(super) fn read(tallies: &Tallies, admission: &Admission) -> Counters {
        let mut udp = Totals::default();
        tallies.udp.iter().for_each(|tally| udp.add(tally));
        let mut tcp = Totals::default();
        tcp.add(&tallies.tcp);
        Counters {
            udp,
            tcp,
            tcp_connections: admission.accepted(),
            tcp_evicted_total: admission.evicted_total(),
            tcp_evicted_source: admission.evicted_source(),
            tcp_open: admission.open() as u64,
        }
    }

    /// How large answers were, by transport; those of the desk, such as transfers, aside.
    pub fn sizes(&self) -> [(&'static str, Distribution); 2] {
        [("udp", &self.udp), ("tcp", &self.tcp)].map(|(transport, totals)| {
            let sizes = totals.sizes.iter().copied().chain([0]);
            (transport, Distribution::of(Unit::Bytes, &SIZES, sizes, totals.bytes))
        })
    }

    /// Every counter as a Prometheus metric.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for (transport, totals) in [("udp", &self.udp), ("tcp", &self.tcp)] {
            let label = || vec![("transport", transport.to_owned())];
            metrics.push(("detour_queries_total", label(), totals.queries));
            for (rcode, count) in totals.answers.iter().enumerate() {
                if *count > 0 || rcode < COMMON_RCODES {
                    let mut labels = label();
                    labels.push(("rcode", rcode_name(rcode as u16)));
                    metrics.push(("detour_answers_total", labels, *count));
                }
            }
            metrics.push(("detour_truncated_total", label(), totals.truncated));
            metrics.push(("detour_malformed_total", label(), totals.malformed));
            metrics.push(("detour_answer_panics_total", label(), totals.panics));
            metrics.push(("detour_desk_requests_total", label(), totals.at_desk));
            metrics.push(("detour_desk_dropped_total", label(), totals.desk_full));
            for (standing, count) in STANDINGS.iter().zip(totals.standings) {
                let mut labels = label();
                labels.push(("cookie", (*standing).to_owned()));
                metrics.push(("detour_cookies_total", labels, count));
            }
        }
        let limited = KINDS.iter().flat_map(|kind| ACTIONS.iter().map(move |action| (*kind, *action)));
        for ((kind, action), count) in limited.zip(self.udp.limited) {
            let labels = vec![("kind", kind.to_owned()), ("action", action.to_owned())];
            metrics.push(("detour_rate_limited_total", labels, count));
        }
        metrics.push(("detour_send_errors_total", vec![], self.udp.send_errors + self.tcp.send_errors));
        let label = vec![("transport", "udp".to_owned())];
        metrics.push(("detour_receive_errors_total", label, self.udp.receive_errors));
        metrics.push(("detour_tcp_connections_total", vec![], self.tcp_connections));
        for (why, count) in [("total", self.tcp_evicted_total), ("source", self.tcp_evicted_source)] {
            metrics.push(("detour_tcp_evicted_total", vec![("why", why.to_owned())], count));
        }
        metrics.push(("detour_tcp_open", vec![], self.tcp_open));
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::super::admission::Bounds;
    use super::*;

    /// The metric's value, its labels written `name=value,...`; none where it is not there.
    fn value(counters: &Counters, name: &str, labels: &str) -> Option<u64> {
        let written = |metric: &Metric| {
            metric.1.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
        };
        let metrics = counters.metrics();
        let mut found = metrics.iter().filter(|metric| metric.0 == name && written(metric) == labels);
        let value = found.next().map(|metric| metric.2);
        assert!(found.next().is_none(), "{name}{{{labels}}} twice");
        value
    }

    #[tokio::test]
    async fn workers_add_up_by_transport_and_rcode() {
        let tallies = Tallies { udp: vec![Arc::default(), Arc::default()], tcp: Arc::default() };
        let answer = |rcode, truncated| Answered { len: 12, rcode, truncated, ..Answered::default() };
        tallies.udp[0].answered(&answer(0, true), owned);
        tallies.udp[1].answered(&answer(0, false), owned);
        tallies.udp[1].answered(&answer(16, false), owned);
        tallies.udp[1].answered(&Answered::default(), owned);
        tallies.udp[1].malformed(owned);
        tallies.udp[1].send_errors(2, owned);
        tallies.udp[0].receive_errors(1, owned);
        let limited =
            |len, how| Answered { len, limited: Some((Kind::NxDomain, how)), ..Answered::default() };
        tallies.udp[0].answered(&limited(0, Limited::Dropped), owned);
        tallies.udp[1].answered(&limited(12, Limited::Truncated), owned);
        let known = Answered { standing: Standing::Valid, ..answer(0, false) };
        tallies.tcp.answered(&known, shared);
        tallies.tcp.answered(&answer(3, false), shared);
        // No rcode goes over the array's end, whatever it is.
        tallies.tcp.answered(&answer(200, false), shared);
        let admission = Admission::new("DNS", Bounds { total: 1, per_source: 1, kept_for_loopback: 0 });
        let _first = admission.admit("192.0.2.1".parse().unwrap()).await;
        let _second = admission.admit("192.0.2.2".parse().unwrap()).await;

        let counters = Counters::read(&tallies, &admission);
        for (name, labels, expect) in [
            ("detour_queries_total", "transport=udp", Some(7)),
            ("detour_queries_total", "transport=tcp", Some(3)),
            ("detour_answers_total", "transport=udp,rcode=NOERROR", Some(3)),
            ("detour_answers_total", "transport=udp,rcode=BADVERS", Some(1)),
            ("detour_answers_total", "transport=udp,rcode=REFUSED", Some(0)),
            ("detour_answers_total", "transport=udp,rcode=NOTAUTH", None),
            ("detour_answers_total", "transport=tcp,rcode=NXDOMAIN", Some(1)),
            ("detour_answers_total", "transport=tcp,rcode=BADCOOKIE", Some(1)),
            ("detour_truncated_total", "transport=udp", Some(1)),
            ("detour_malformed_total", "transport=udp", Some(2)),
            ("detour_answer_panics_total", "transport=tcp", Some(0)),
            ("detour_cookies_total", "transport=tcp,cookie=valid", Some(1)),
            ("detour_cookies_total", "transport=udp,cookie=none", Some(5)),
            ("detour_rate_limited_total", "kind=nxdomain,action=dropped", Some(1)),
            ("detour_rate_limited_total", "kind=nxdomain,action=truncated", Some(1)),
            ("detour_rate_limited_total", "kind=answer,action=badcookie", Some(0)),
            ("detour_send_errors_total", "", Some(2)),
            ("detour_receive_errors_total", "transport=udp", Some(1)),
            ("detour_tcp_connections_total", "", Some(2)),
            ("detour_tcp_evicted_total", "why=total", Some(1)),
            ("detour_tcp_evicted_total", "why=source", Some(0)),
            ("detour_tcp_open", "", Some(1)),
        ] {
            assert_eq!(value(&counters, name, labels), expect, "{name} {labels}");
        }
    }

    #[test]
    fn answers_are_counted_by_their_size() {
        for (len, below) in
            [(0, 64), (12, 64), (64, 64), (65, 128), (512, 512), (513, 1024), (65_535, 65_536)]
        {
            assert_eq!(SIZES[size_class(len)], below, "{len} bytes");
        }
        let tallies = Tallies { udp: vec![Arc::default()], tcp: Arc::default() };
        for len in [40, 100, 600, 0] {
            tallies.udp[0].answered(&Answered { len, ..Answered::default() }, owned);
        }
        let admission = Admission::new("DNS", Bounds { total: 1, per_source: 1, kept_for_loopback: 0 });
        let [(udp, sizes), (tcp, none)] = Counters::read(&tallies, &admission).sizes();
        assert_eq!((udp, tcp, none.count()), ("udp", "tcp", 0));
        assert_eq!((sizes.upto[3], sizes.sum, sizes.count()), ((512.0, 2), 740.0, 3));
    }

    #[test]
    fn a_tally_shares_its_cache_lines_with_nobody() {
        assert_eq!((align_of::<Tally>(), size_of::<Tally>() % 128), (128, 0));
    }
}
