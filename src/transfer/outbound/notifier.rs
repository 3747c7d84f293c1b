//! The teller: tells secondaries of every serial, and asks them until they have it. One task, over UDP, so a
//! secondary that is dead costs a datagram now and then and keeps nobody else waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::messages;
use super::schedule::{Act, Course, Looked, Outcome};
use crate::answer::Table;
use crate::dns::tsig::{self, Asked, Keys};
use crate::dns::{Name, RrType, Serial, name_in_message, rcode_name};
use crate::model::{Config, Peer, Told};
use crate::server::Metric;
use crate::sys::clock::wall_secs;
use crate::sys::histogram::{Distribution, Histogram, Unit};

/// The most secondaries of one zone that are told.
const MAX_OF_ZONE: usize = 64;
/// The most secondaries of all zones together.
const MAX_IN_ALL: usize = 100_000;
/// Datagrams sent before the answers to them are looked at.
const BURST: usize = 64;
/// Answers that are taken in from one socket before anything else is done.
const HEARD: usize = 1_024;
/// Messages whose answers are waited for: they are told apart by ids of 16 bits.
const MAX_FLIGHTS: usize = 32_768;
/// The longest answer that is read.
const ANSWER: usize = 4_096;
/// The port of name servers that are found by their names.
const PORT: u16 = 53;
/// The upper bounds of how long a failover takes to arrive, in microseconds.
const ARRIVED: [u64; 11] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    60_000_000,
    600_000_000,
];
/// The pause after a socket failed.
const PAUSE: Duration = Duration::from_millis(100);

/// One secondary of one zone, as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Secondary {
    /// The zone.
    pub zone: Name,
    /// Where it is told.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// The serial that is published here.
    pub published: Option<Serial>,
    /// The serial it acknowledged a NOTIFY of.
    pub acknowledged: Option<Serial>,
    /// The serial it had when it was last asked.
    pub serial: Option<Serial>,
    /// For how long it has lacked something, in milliseconds; zero where it is current.
    pub lag_ms: u64,
    /// How it went the last time, in words.
    pub outcome: String,
}

/// What is told to whom; shared by the task that tells and by those who look.
pub struct Teller {
    table: Arc<ArcSwap<Table>>,
    rules: ArcSwap<Rules>,
    news: Notify,
    courses: Mutex<BTreeMap<Key, Course>>,
    start: Instant,
    sent: [AtomicU64; 2],
    /// From the publish by which clients leave a dead site until a secondary has it.
    failovers: Histogram,
    /// Who is told of secondaries that have later serials than are published here.
    ahead: OnceLock<mpsc::Sender<(Name, Serial)>>,
}

type Key = (Name, Peer);

#[derive(Default)]
struct Rules {
    keys: Arc<Keys>,
    zones: BTreeMap<Name, Told>,
}

/// What was sent and may be answered.
struct Flight {
    key: Key,
    act: Act,
    serial: Serial,
    asked: Option<Asked>,
}

/// The task's own.
struct Line {
    sockets: [Option<UdpSocket>; 2],
    flights: HashMap<u16, Flight>,
    /// The ids of the last messages, the newest last: an answer to an earlier message to somebody says as much as
    /// one to the last.
    sent: VecDeque<u16>,
    random: RandomState,
    drawn: u64,
    /// What was looked at already: the rules, and the serial of each zone under them.
    rules: Arc<Rules>,
    seen: BTreeMap<Name, Serial>,
}

impl Teller {
    /// Somebody who has nothing to tell yet.
    pub fn new(table: Arc<ArcSwap<Table>>) -> Teller {
        Teller {
            table,
            rules: ArcSwap::default(),
            news: Notify::new(),
            courses: Mutex::default(),
            start: Instant::now(),
            sent: [AtomicU64::new(0), AtomicU64::new(0)],
            failovers: Histogram::new(Unit::Micros, &ARRIVED),
            ahead: OnceLock::new(),
        }
    }

    /// Has secondaries that have a later serial than is published here told of, from now on. What finds no room comes
    /// again when they are asked the next time.
    pub fn tell_ahead(&self, to: mpsc::Sender<(Name, Serial)>) {
        // Once, at a start.
        let _ = self.ahead.set(to);
    }

    /// Takes up who is told of what from now on.
    pub fn set(&self, config: &Config) {
        let zones = config.zones.iter().filter(|z| z.notify.name_servers || !z.notify.peers.is_empty());
        let zones = zones.map(|zone| (zone.name.clone(), zone.notify.clone())).collect();
        self.rules.store(Arc::new(Rules { keys: config.keys.clone(), zones }));
        self.published();
    }

    /// Something was published. Costs next to nothing, and waits for nobody.
    pub fn published(&self) {
        self.news.notify_one();
    }

    /// By this serial of a zone, published just now, clients leave a dead site.
    pub fn await_failover(&self, zone: &Name, serial: Serial) {
        let now = self.start.elapsed();
        let mut courses = self.lock();
        let of_zone = courses.range_mut(first_of(zone)..).take_while(|(key, _)| key.0 == *zone);
        of_zone.for_each(|(_, course)| course.await_failover(serial, now));
    }

    /// From the publish by which clients left a dead site until a secondary had it: one for each secondary.
    pub fn failovers(&self) -> Distribution {
        self.failovers.read()
    }

    /// Somebody at an address asked for a zone, or for what changed in it.
    pub fn came(&self, zone: &Name, ip: IpAddr) {
        let now = self.start.elapsed();
        let mut courses = self.lock();
        let of_zone = courses.range_mut(first_of(zone)..).take_while(|(key, _)| key.0 == *zone);
        of_zone.filter(|(key, _)| key.1.address.ip() == ip).for_each(|(_, course)| course.came(now));
        drop(courses);
        self.news.notify_one();
    }

    /// Every secondary that is told, by zone.
    pub fn secondaries(&self) -> Vec<Secondary> {
        let (now, table) = (self.start.elapsed(), self.table.load());
        let courses = self.lock();
        let each = courses.iter().map(|((zone, peer), course)| Secondary {
            zone: zone.clone(),
            address: peer.address,
            published: table.serial(zone),
            acknowledged: course.acknowledged,
            serial: course.has,
            lag_ms: course.behind_since.map_or(0, |since| now.saturating_sub(since).as_millis() as u64),
            outcome: match &course.outcome {
                Outcome::New => "to be told".to_owned(),
                Outcome::Unanswered(1) => "told, no answer yet".to_owned(),
                Outcome::Unanswered(times) => format!("told {times} times, no answer"),
                Outcome::Acknowledged => "told, transferring".to_owned(),
                Outcome::Current => "current".to_owned(),
                Outcome::Refused(why) => why.clone(),
            },
        });
        each.collect()
    }

    /// The same as metrics, and how much was sent.
    pub fn metrics(&self) -> Vec<Metric> {
        let kind = |kind: &str| vec![("kind", kind.to_owned())];
        let mut metrics = vec![
            ("detour_secondary_messages_total", kind("notify"), self.sent[0].load(Relaxed)),
            ("detour_secondary_messages_total", kind("soa"), self.sent[1].load(Relaxed)),
        ];
        for secondary in self.secondaries() {
            let labels = || {
                let zone = secondary.zone.to_string().trim_end_matches('.').to_owned();
                vec![("zone", zone), ("address", secondary.address.to_string())]
            };
            metrics.push(("detour_secondary_lag_seconds", labels(), secondary.lag_ms.div_ceil(1000)));
            for (name, serial) in [
                ("detour_secondary_serial", secondary.serial),
                ("detour_secondary_acknowledged_serial", secondary.acknowledged),
            ] {
                metrics.extend(serial.map(|serial| (name, labels(), u64::from(serial.0))));
            }
        }
        metrics
    }

    /// Tells and asks, for as long as it is let. `listen` is what this server listens on: messages come from
    /// there, as secondaries know it, though not from that port.
    pub async fn run(self: Arc<Teller>, listen: Vec<SocketAddr>) {
        let mut line = Line {
            sockets: [open(&listen, true).await, open(&listen, false).await],
            flights: HashMap::new(),
            sent: VecDeque::new(),
            random: RandomState::new(),
            drawn: 0,
            rules: Arc::default(),
            seen: BTreeMap::new(),
        };
        let mut bytes = vec![0; ANSWER];
        let bytes = &mut bytes[..];
        self.take_news(&mut line, &listen);
        loop {
            let due = self.lock().values().filter_map(Course::next).map(|(at, _)| at).min();
            let due = due.map(|due| self.start + due);
            tokio::select! {
                () = self.news.notified() => self.take_news(&mut line, &listen),
                ready = readable(&line.sockets) => {
                    if ready.and_then(|()| self.hear(&mut line, bytes)).is_err() {
                        sleep(PAUSE).await;
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    // Who has answered already is not told again.
                    if self.hear(&mut line, bytes).is_err() {
                        sleep(PAUSE).await;
                    }
                    self.send_due(&mut line).await;
                }
            }
        }
    }

    /// Takes in the answers that are there.
    fn hear(&self, line: &mut Line, bytes: &mut [u8]) -> io::Result<()> {
        for at in 0..line.sockets.len() {
            for _ in 0..HEARD {
                let Some(socket) = &line.sockets[at] else { break };
                match socket.try_recv_from(bytes) {
                    Ok((len, from)) => self.heard(line, bytes[..len].to_vec(), from),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Looks at every zone that somebody is told of: who is to be told, and what is published. Those that
    /// publish what they did before cost a look at their serial.
    fn take_news(&self, line: &mut Line, listen: &[SocketAddr]) {
        let (rules, table, now) = (self.rules.load_full(), self.table.load(), self.start.elapsed());
        let anew = !Arc::ptr_eq(&rules, &line.rules);
        if anew {
            line.seen.clear();
            line.rules = rules.clone();
            self.lock().retain(|(zone, _), _| rules.zones.contains_key(zone));
        }
        for (zone, told) in &rules.zones {
            let Some(serial) = table.serial(zone) else { continue };
            if line.seen.insert(zone.clone(), serial) == Some(serial) {
                continue;
            }
            let peers = peers(&table, zone, told, listen);
            let mut courses = self.lock();
            let of_zone = courses.range(first_of(zone)..).take_while(|(key, _)| key.0 == *zone);
            let gone = of_zone.filter(|(key, _)| !peers.contains(&key.1)).map(|(key, _)| key.clone());
            for key in gone.collect::<Vec<_>>() {
                courses.remove(&key);
            }
            for peer in peers {
                let key = (zone.clone(), peer);
                if courses.contains_key(&key) || courses.len() < MAX_IN_ALL {
                    courses.entry(key).or_default().published(serial, now);
                }
            }
        }
    }

    async fn send_due(&self, line: &mut Line) {
        let now = self.start.elapsed();
        let due: Vec<(Key, Act)> = {
            let courses = self.lock();
            let due = courses.iter().filter_map(|(key, course)| {
                let (at, act) = course.next()?;
                (at <= now).then(|| (key.clone(), act))
            });
            due.take(BURST).collect()
        };
        for (key, act) in due {
            let jitter = line.draw();
            if let Some(course) = self.lock().get_mut(&key) {
                course.sent(act, now, jitter);
            }
            self.send(line, key, act).await;
        }
    }

    async fn send(&self, line: &mut Line, key: Key, act: Act) {
        let (zone, peer) = &key;
        let Some(soa) = self.table.load().soa(zone) else { return };
        let serial = crate::dns::soa_serial(&soa);
        let mut id = line.draw() as u16;
        // There are fewer flights than ids.
        while line.flights.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        let mut message = match act {
            Act::Notify => messages::notify(id, &soa),
            Act::Look => messages::look(id, zone),
        };
        let rules = self.rules.load();
        let key_used = peer.key.as_ref().and_then(|name| rules.keys.get(name));
        let asked = key_used.map(|key| tsig::ask(&mut message, key, wall_secs()));
        let socket = &line.sockets[usize::from(peer.address.is_ipv6())];
        let sent = match socket {
            Some(socket) => socket.send_to(&message, peer.address).await.map(drop),
            None => Err(io::Error::other("no socket of its address family")),
        };
        if let Err(error) = sent {
            self.with(&key, |course| course.refused(format!("cannot be told: {error}")));
            return;
        }
        self.sent[usize::from(act == Act::Look)].fetch_add(1, Relaxed);
        line.flights.insert(id, Flight { key, act, serial, asked });
        line.sent.push_back(id);
        if line.sent.len() > MAX_FLIGHTS
            && let Some(oldest) = line.sent.pop_front()
        {
            line.flights.remove(&oldest);
        }
    }

    /// An answer came in, or what somebody wants us to take for one.
    fn heard(&self, line: &mut Line, mut message: Vec<u8>, from: SocketAddr) {
        let Some(id) = messages::answer_id(&message) else { return };
        let Some(flight) = line.flights.get_mut(&id).filter(|f| f.key.1.address == from) else { return };
        if let Some(asked) = &mut flight.asked
            && let Err(why) = asked.check(&mut message, wall_secs())
        {
            // The check is for one message: another answer to this one cannot be told true from false.
            let Some(flight) = line.flights.remove(&id) else { return };
            return self.with(&flight.key, |course| course.refused(why.to_string()));
        }
        let Some(verdict) = messages::verdict(&message, flight.act == Act::Notify) else { return };
        let Some(Flight { key, act, serial, .. }) = line.flights.remove(&id) else { return };
        let now = self.start.elapsed();
        match (act, verdict) {
            (_, Err(rcode)) => {
                let what = if act == Act::Notify { "NOTIFY" } else { "SOA" };
                self.with(&key, |course| course.refused(format!("{what}: {}", rcode_name(u16::from(rcode)))));
            }
            (Act::Notify, Ok(())) => self.with(&key, |course| course.acknowledged(serial, now)),
            (Act::Look, Ok(())) => {
                let Some(serial) = messages::serial(&message, &key.0) else { return };
                if let Some(ahead) = self.ahead.get()
                    && self.table.load().serial(&key.0).is_some_and(|published| serial.is_after(published))
                {
                    let _ = ahead.try_send((key.0.clone(), serial));
                }
                let (mut looked, jitter) = (Looked::default(), line.draw());
                self.with(&key, |course| looked = course.looked(serial, now, jitter));
                looked.failover.into_iter().for_each(|took| self.failovers.took(took));
                if let Some(took) = looked.caught_up {
                    info!("{} has {} serial {serial}, {took:.1?} after its publish", key.1.address, key.0);
                }
            }
        }
    }

    fn with(&self, key: &Key, change: impl FnOnce(&mut Course)) {
        if let Some(course) = self.lock().get_mut(key) {
            change(course);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Course>> {
        // Nothing that holds it can panic halfway through a change.
        self.courses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// A number nobody outside can know.
    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.random.hash_one(self.drawn)
    }
}

/// A key before all others of a zone.
fn first_of(zone: &Name) -> Key {
    (zone.clone(), Peer { address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), key: None })
}

/// Who is told of a zone: those the configuration names, and its name servers where it says so.
fn peers(table: &Table, zone: &Name, told: &Told, listen: &[SocketAddr]) -> BTreeSet<Peer> {
    let mut peers: BTreeSet<Peer> = told.peers.iter().cloned().collect();
    if told.name_servers {
        let at_apex = table.held(zone, zone);
        let of = |rtype| at_apex.iter().filter(move |set| set.rtype == rtype).flat_map(|set| &set.rdata);
        // The SOA's first field is the primary, which is told by nobody (RFC 1996 section 2.1).
        let primary = of(RrType::SOA).next().and_then(|rdata| name_in_message(rdata, 0));
        let servers = of(RrType::NS).filter_map(|rdata| Some(name_in_message(rdata, 0)?.0));
        for server in servers.filter(|server| primary.as_ref().is_none_or(|(name, _)| name != server)) {
            for set in table.rrsets_at(&server) {
                let ips = set.rdata.iter().filter_map(|rdata| ip(set.rtype, rdata));
                let ips = ips.filter(|ip| !listen.iter().any(|own| own.ip() == *ip));
                peers.extend(ips.map(|ip| Peer { address: SocketAddr::new(ip, PORT), key: None }));
            }
        }
    }
    peers.into_iter().take(MAX_OF_ZONE).collect()
}

fn ip(rtype: RrType, rdata: &[u8]) -> Option<IpAddr> {
    match rtype {
        RrType::A => Some(IpAddr::from(<[u8; 4]>::try_from(rdata).ok()?)),
        RrType::AAAA => Some(IpAddr::from(<[u8; 16]>::try_from(rdata).ok()?)),
        _ => None,
    }
}

/// A socket of one family at an address that is listened on; any, where none is named.
async fn open(listen: &[SocketAddr], v4: bool) -> Option<UdpSocket> {
    let own = listen.iter().map(SocketAddr::ip).find(|ip| ip.is_ipv4() == v4 && !ip.is_unspecified());
    let any = if v4 { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    match UdpSocket::bind((own.unwrap_or(any), 0)).await {
        Ok(socket) => Some(socket),
        Err(error) => {
            // A host without IPv6 is no trouble until a secondary has such an address, which status shows.
            if v4 {
                warn!(%error, "no socket to tell secondaries from");
            }
            None
        }
    }
}

/// Waits until one of the sockets has something to take in.
async fn readable([v4, v6]: &[Option<UdpSocket>; 2]) -> io::Result<()> {
    let ready = async |socket: &Option<UdpSocket>| match socket {
        Some(socket) => socket.readable().await,
        None => pending().await,
    };
    tokio::select! {
        ready = ready(v4) => ready,
        ready = ready(v6) => ready,
    }
}
