//! The answer table: query bytes in, answer bytes out. Pure, and on the way of every query.
//!
//! In: zones, when they are loaded ([`Table::compile`], [`Table::replace`]), and from then on other RRsets of
//! theirs ([`Table::change`]) and what decisions lay over them ([`Table::apply`]). Out: answers ([`answer`]), without allocating, waiting or panicking, whatever the
//! query holds. This room must never know what health is, how bytes come and go, or what a clock is:
//! who asks, and when, it is told ([`Asker`]).
//!
//! ```text
//!  zones ──compile──► Table ──clone, change, apply──► Table'     published by one pointer swap
//!                       │
//!  query ──► read ──► resolve ──► message ──► answer
//!              │         ├ a node: its RRset, copied │ a CNAME: on to its target │ none of the type: SOA
//!              │         ├ at or below a cut: the referral │ below a DNAME: on to what it makes
//!              │         └ nothing: up to the closest encloser, its wildcard, or NXDOMAIN
//!              ├ class CH: what the settings tell of this server
//!              └ no query: silence │ broken, foreign, unsupported: header, RCODE
//! ```
//!
//! `node` and `set` say how the table is laid out, `index` and `hash` how a name is found in it, `spread` and
//! `slots` how parts of it change, `grow` what a name's coming or going means for others, `clients` and `pick` who gets which answer where that depends on who asks.

mod against;
mod apply;
mod chaos;
mod clients;
mod compile;
mod cookie;
mod grow;
mod hash;
mod id;
mod index;
mod listing;
mod message;
mod names;
mod node;
mod pick;
mod query;
mod rate;
mod resolve;
mod set;
mod siphash;
mod slots;
mod spread;
mod table;
mod transfer;
mod walk;

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod tests;

pub use apply::ApplyError;
pub use clients::{ClientMap, ClientMapError, Found, MAX_RANGES};
pub use cookie::{Secret, Secrets, Standing};
pub use listing::Listing;
pub use rate::{Kind, Networks, Prefix, RateLimit, RateLimiter, Verdict};
pub use table::{ChoiceFor, Table};
pub use transfer::{Head, Outgoing};

use std::net::IpAddr;
use std::time::Duration;

use message::{Message, Opt};
use names::Sought;
use pick::Client;
use query::{CLASS_CH, Edns, Question, extended, rcode};
use set::QUESTION;

/// A UDP answer's size where the query has no EDNS (RFC 1035 section 4.2.1), and the least that EDNS can
/// ask for (RFC 6891 section 6.2.3).
pub const MIN_UDP_PAYLOAD: u16 = 512;
/// The largest message there is.
pub const MAX_MESSAGE_LEN: usize = 65_535;
/// How long a connection may be idle: who asks for it is told (RFC 7828), and `server` keeps it. RFC 7766
/// section 6.2.3 asks for a few seconds.
pub const TCP_IDLE: Duration = Duration::from_secs(10);
/// The longest NSID that is sent: with the longest question it still fits into the smallest answer.
pub const MAX_NSID_LEN: usize = 128;

/// What an operator chooses about answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name this server gives itself when asked (RFC 5001); at most [`MAX_NSID_LEN`] bytes of it.
    pub nsid: Option<Box<[u8]>>,
    /// The largest UDP message sent and announced, in bytes. 1232 passes everywhere without fragments.
    pub udp_payload: u16,
    /// Whether questions of class CH for the server's version and name are answered, not refused.
    pub chaos: bool,
    /// What DNS cookies are made with (RFC 9018); without secrets there are none.
    pub cookies: Option<Secrets>,
    /// Whether each answer begins with another record of its RRset; or they keep the order of their file.
    pub rotate: bool,
    /// How many answers over UDP one network gets; without it, as many as it asks for.
    pub rate_limit: Option<RateLimit>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            nsid: None,
            udp_payload: 1232,
            chaos: true,
            cookies: None,
            rotate: false,
            rate_limit: None,
        }
    }
}

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram: the answer's size is bounded by what the query offers.
    Udp,
    /// On a stream.
    Tcp,
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// How the query came.
    pub transport: Transport,
    /// The address it came from, and the answer goes to.
    pub ip: IpAddr,
    /// Seconds since 1970, in 32 bits that may wrap around.
    pub now: u32,
}

/// What became of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The answer's length in `out`; zero: say nothing.
    pub len: usize,
    /// The answer's RCODE, its extended bits included.
    pub rcode: u8,
    /// TC is set: the client is to ask again over TCP.
    pub truncated: bool,
    /// What its cookies say about who asked.
    pub standing: Standing,
    /// It is no plain query: a transfer, a NOTIFY, an UPDATE, or it is signed (RFC 8945); or it asks for what is
    /// not for everybody. The answer is what
    /// is said of it where nobody sees to such things.
    pub desk: bool,
    /// It is signed: what that is worth is for the desk to say, also where nothing else is (RFC 8945 section 5.2).
    pub signed: bool,
    /// What the answer was, and what was made of it, where it was over a limit.
    pub limited: Option<(Kind, Limited)>,
}

impl Answered {
    /// Whether the desk is to see to it. What is over a limit gets what all others get.
    pub fn is_for_desk(&self) -> bool {
        self.desk && self.limited.is_none()
    }
}

/// What becomes of an answer over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// It is not sent.
    Dropped,
    /// An empty one with TC is sent: over TCP there is no limit.
    Truncated,
    /// BADCOOKIE is sent, with a cookie that lifts the limit (RFC 7873 section 5.2.3).
    BadCookie,
}

/// The accounts of those who are answered, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'l> {
    /// The accounts.
    pub limiter: &'l RateLimiter,
    /// Microseconds since any moment; they only grow.
    pub micros: u64,
}

/// Answers a query from a table. `out` needs 512 bytes at least; the answer is never longer than `out`,
/// than the transport allows or than the client takes.
#[inline]
pub fn answer(table: &Table, settings: &Settings, asker: &Asker, query: &[u8], out: &mut [u8]) -> Answered {
    answer_to(false, None, table, settings, asker, query, out)
}

/// Does the same for somebody who may see all there is, also what is not for everybody.
pub fn answer_admitted(
    table: &Table,
    settings: &Settings,
    asker: &Asker,
    query: &[u8],
    out: &mut [u8],
) -> Answered {
    answer_to(true, None, table, settings, asker, query, out)
}

/// Does the same, and within limits where there is a gate: over UDP, for those who do not show by a cookie
/// that their address is their own.
#[inline]
pub fn answer_through(
    gate: Option<Gate<'_>>,
    table: &Table,
    settings: &Settings,
    asker: &Asker,
    query: &[u8],
    out: &mut [u8],
) -> Answered {
    answer_to(false, gate, table, settings, asker, query, out)
}

#[inline]
fn answer_to(
    admitted: bool,
    gate: Option<Gate<'_>>,
    table: &Table,
    settings: &Settings,
    asker: &Asker,
    query: &[u8],
    out: &mut [u8],
) -> Answered {
    let mut name = Sought::empty();
    let Some(query) = query::read(query, &mut name) else { return Answered::default() };
    let limit = limit(settings, asker.transport, query.edns).min(out.len());
    let (mut standing, mut cookies) = (Standing::None, None);
    if let (Some(secrets), Some(asked)) = (&settings.cookies, query.edns.and_then(|edns| edns.cookie)) {
        let judged = cookie::judge(secrets, asked, asker.ip, asker.now);
        (standing, cookies) = (judged.0, Some(judged.1));
    }
    let opt = query.edns.map(|edns| opt_of(settings, asker.transport, edns, cookies));
    let head = query.question.as_ref().map_or(QUESTION, |question| question.end);
    let Some(mut message) = Message::begin(&mut out[..limit], &query.bytes[..head], opt.as_ref()) else {
        return Answered::default();
    };
    message.turns = settings.rotate;
    let mut rcode = match (query.verdict, &query.question) {
        (Some(verdict), _) => verdict,
        (None, Some(question)) if question.class == CLASS_CH => {
            chaos::resolve(settings, &name, question, &mut message)
        }
        (None, Some(question)) => {
            let subnet = query.edns.and_then(|edns| edns.subnet);
            let id = u16::from_be_bytes([query.bytes[0], query.bytes[1]]);
            let client = Client { resolver: asker.ip, subnet, id, now: asker.now };
            resolve::resolve(table, &name, question, &client, admitted, &mut message)
        }
        // Without a question it can still ask for a cookie (RFC 7873 section 5.4).
        (None, None) if cookies.is_some() => rcode::NO_ERROR,
        (None, None) => rcode::FORM_ERR,
    };
    let private = rcode == rcode::PRIVATE;
    if private {
        rcode = rcode::REFUSED;
    }
    let not_ready = rcode == rcode::NOT_READY;
    if not_ready {
        rcode = rcode::SERV_FAIL;
    }
    let (desk, signed) = (query.desk || private, query.signed);
    let mut limited = None;
    if let Some(gate) = gate
        && asker.transport == Transport::Udp
        && standing != Standing::Valid
    {
        limited = judge(gate, asker.ip, rcode, &message, cookies.is_some());
        match limited.map(|(_, how)| how) {
            None => {}
            Some(Limited::Dropped) => {
                let rcode = rcode as u8;
                return Answered { len: 0, rcode, truncated: false, standing, desk, signed, limited };
            }
            Some(Limited::Truncated) => message.empty(head, true),
            Some(Limited::BadCookie) => {
                message.empty(head, false);
                rcode = rcode::BAD_COOKIE;
            }
        }
    }
    let truncated = message.truncated;
    let why = match (rcode, &query.question) {
        (rcode::REFUSED, Some(_)) if private => Some(extended::PROHIBITED),
        (rcode::REFUSED, Some(question)) => Some(why_refused(settings, question)),
        (rcode::SERV_FAIL, Some(_)) if not_ready => Some(extended::NOT_READY),
        (rcode::SERV_FAIL, Some(_)) => Some(extended::INVALID_DATA),
        _ => None,
    };
    let len = message.finish(query.question.is_some(), rcode, why, opt.as_ref());
    Answered { len, rcode: rcode as u8, truncated, standing, desk, signed, limited }
}

/// What is said in the OPT record of an answer.
#[inline]
fn opt_of<'a>(
    settings: &'a Settings,
    transport: Transport,
    edns: Edns<'a>,
    cookies: Option<cookie::Cookies>,
) -> Opt<'a> {
    Opt {
        edns,
        payload: settings.udp_payload.max(MIN_UDP_PAYLOAD),
        nsid: settings
            .nsid
            .as_deref()
            .filter(|_| edns.wants_nsid)
            .map(|nsid| &nsid[..nsid.len().min(MAX_NSID_LEN)]),
        cookies,
        // Over UDP it is passed over (RFC 7828 section 3.2.1).
        keepalive: (edns.wants_keepalive && transport == Transport::Tcp)
            .then_some((TCP_IDLE.as_millis() / 100) as u16),
    }
}

/// Whether an answer is more than its asker is given, as what, and what becomes of it.
#[inline]
fn judge(
    gate: Gate<'_>,
    asker: IpAddr,
    rcode: u16,
    message: &Message<'_>,
    has_cookies: bool,
) -> Option<(Kind, Limited)> {
    let (kind, subject) = account(rcode, message);
    match gate.limiter.judge(asker, kind, subject, gate.micros) {
        Verdict::Pass => None,
        Verdict::Drop => Some((kind, Limited::Dropped)),
        Verdict::Slip if has_cookies => Some((kind, Limited::BadCookie)),
        Verdict::Slip => Some((kind, Limited::Truncated)),
    }
}

/// What an answer is limited as, and with which others. Names that a wildcard or no name stands for have one
/// account, so that random names are no way around it; and an error has nothing to be about.
fn account(rcode: u16, message: &Message<'_>) -> (Kind, u32) {
    let [answers, authority, _] = message.counts();
    let kind = match rcode {
        rcode::NX_DOMAIN => Kind::NxDomain,
        rcode::NO_ERROR if answers == 0 && !message.truncated && message.authoritative => Kind::NoData,
        rcode::NO_ERROR if answers == 0 && authority > 0 => Kind::Referral,
        rcode::NO_ERROR | rcode::YX_DOMAIN => Kind::Answer,
        _ => return (Kind::Error, 0),
    };
    (kind, message.subject)
}

/// What REFUSED leaves open: whether this server has no answer or does not give it.
fn why_refused(settings: &Settings, question: &Question) -> u16 {
    if question.is_transfer() || question.class == CLASS_CH && !settings.chaos {
        extended::PROHIBITED
    } else {
        extended::NOT_AUTHORITATIVE
    }
}

fn limit(settings: &Settings, transport: Transport, edns: Option<Edns<'_>>) -> usize {
    match (transport, edns) {
        (Transport::Tcp, _) => MAX_MESSAGE_LEN,
        (Transport::Udp, None) => usize::from(MIN_UDP_PAYLOAD),
        (Transport::Udp, Some(edns)) => {
            usize::from(edns.payload.min(settings.udp_payload).max(MIN_UDP_PAYLOAD))
        }
    }
}
