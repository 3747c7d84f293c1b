//! `[server.rate_limit]`: how many answers over UDP one network gets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use toml::Spanned;

use super::error::{ConfigError, short};
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::{RateLimit, Server, ZoneSource, values};
use crate::dns::Network;

/// The highest rate: an interval of 100 microseconds, which the clock of answers still tells apart well.
const MAX_RATE: u32 = 10_000;
/// The rarest slip.
const MAX_SLIP: u32 = 100;
/// The longest window.
const MAX_WINDOW: Duration = Duration::from_secs(60);
/// The shortest window: one answer a second must fit.
const MIN_WINDOW: Duration = Duration::from_secs(1);
/// The most networks without a limit: each is looked at for each answer.
const MAX_EXEMPT: usize = 64;
/// The sizes of the table, in accounts.
const TABLE_SIZE: [u32; 2] = [1_024, 1 << 24];

/// Answers a second where the section does not say.
const DEFAULT_RATE: u32 = 100;
/// The longest prefixes that a `transfer` list can exempt whole: who may transfer from anywhere by a key is not known
/// by an address, which in a datagram can be forged.
const PEER_BITS: (u8, u8) = (24, 48);

/// Loopback, and the networks that nobody routes to from elsewhere: RFC 1918, 3927, 4193, 4291 and 6598.
const PRIVATE: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// Reads the section of a server that listens there. Without it, what listens on an address that is not private has a
/// limit; with it, everything has.
pub(super) fn read(
    item: Option<Item>,
    listen: &[SocketAddr],
    findings: &mut Findings,
) -> Result<Option<RateLimit>, Reported> {
    let listeners = |keep: fn(IpAddr) -> bool| {
        let mut ips: Vec<IpAddr> = listen.iter().map(SocketAddr::ip).filter(|ip| keep(*ip)).collect();
        ips.sort_unstable();
        ips.dedup();
        ips
    };
    let Some(item) = item else {
        let listeners = listeners(is_public);
        let limit = RateLimit { listeners, ..RateLimit::default() };
        return Ok((!limit.listeners.is_empty()).then_some(limit));
    };
    let mut section = Section::of("[server.rate_limit]".to_owned(), item, findings)?;
    let enabled = section.read("enabled", findings, values::boolean);
    let rate = || values::integer(0, MAX_RATE);
    let responses = section.read("responses_per_second", findings, rate());
    let nodata = section.read("nodata_per_second", findings, rate());
    let nxdomains = section.read("nxdomains_per_second", findings, rate());
    let referrals = section.read("referrals_per_second", findings, rate());
    let errors = section.read("errors_per_second", findings, rate());
    let slip = section.read("slip", findings, values::integer(0, MAX_SLIP));
    let window = section.read("window", findings, window);
    let v4_bits = section.read("ipv4_prefix", findings, values::integer(1, 32));
    let v6_bits = section.read("ipv6_prefix", findings, values::integer(1, 128));
    let exempt = section.read("exempt", findings, exempt);
    let table_size = section.read("table_size", findings, values::integer(TABLE_SIZE[0], TABLE_SIZE[1]));
    section.finish(findings);
    let default = RateLimit::default();
    let responses = or(responses, default.responses)?;
    let exempt = exempt?.map(Spanned::into_inner);
    let limit = RateLimit {
        responses,
        nodata: or(nodata, responses)?,
        nxdomains: or(nxdomains, responses)?,
        referrals: or(referrals, responses)?,
        errors: or(errors, responses)?,
        slip: or(slip, default.slip)?,
        window: or(window, default.window)?,
        v4_bits: or(v4_bits, default.v4_bits.into())? as u8,
        v6_bits: or(v6_bits, default.v6_bits.into())? as u8,
        exempt_peers: exempt.is_none(),
        exempt: exempt.unwrap_or(default.exempt),
        listeners: listeners(|_| true),
        table_size: or(table_size, default.table_size as u32)? as usize,
    };
    Ok(or(enabled, true)?.then_some(limit))
}

impl Default for RateLimit {
    fn default() -> RateLimit {
        RateLimit {
            responses: DEFAULT_RATE,
            nodata: DEFAULT_RATE,
            nxdomains: DEFAULT_RATE,
            referrals: DEFAULT_RATE,
            errors: DEFAULT_RATE,
            slip: 2,
            window: MIN_WINDOW,
            v4_bits: 24,
            v6_bits: 56,
            exempt: PRIVATE.to_vec(),
            exempt_peers: true,
            listeners: Vec::new(),
            table_size: 65_536,
        }
    }
}

impl RateLimit {
    /// All networks without a limit, those of the zones' peers included.
    pub fn exempt(&self, zones: &[ZoneSource]) -> Vec<(IpAddr, u8)> {
        let mut exempt = self.exempt.clone();
        if !self.exempt_peers {
            return exempt;
        }
        let whole = |ip: IpAddr| (ip, if ip.is_ipv4() { 32 } else { 128 });
        for zone in zones {
            exempt.extend(zone.primaries.iter().map(|primary| whole(primary.address.ip())));
            exempt.extend(zone.notify.peers.iter().map(|peer| whole(peer.address.ip())));
            let networks = zone.transfer.0.iter().filter_map(|allowed| allowed.from);
            let networks = networks.map(|network| (network.ip(), network.prefix()));
            let is_peer =
                |(ip, bits): &(IpAddr, u8)| *bits >= if ip.is_ipv4() { PEER_BITS.0 } else { PEER_BITS.1 };
            exempt.extend(networks.filter(is_peer));
        }
        exempt.sort_unstable();
        exempt.dedup();
        exempt
    }
}

/// Whether strangers may reach a listener there; on every address, they may.
pub fn is_public(ip: IpAddr) -> bool {
    !PRIVATE.iter().any(|(network, bits)| Network::of(*network, *bits).contains(ip))
}

/// How answers are limited, in one line; nothing where nobody could expect it.
pub fn describe(server: &Server) -> Option<String> {
    let listed = |ips: &[IpAddr]| ips.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
    if let Some(limit) = &server.rate_limit {
        let rate = match limit.responses {
            0 => "no limit on responses".to_owned(),
            rate => format!("{rate} responses per second to each network"),
        };
        return Some(format!("rate limit on {}: {rate}", listed(&limit.listeners)));
    }
    let public: Vec<IpAddr> = server.listen.iter().map(SocketAddr::ip).filter(|ip| is_public(*ip)).collect();
    (!public.is_empty()).then(|| {
        let public = listed(&public);
        format!("rate limit: off, so forged queries to {public} can flood others with its answers")
    })
}

fn window(item: Item, findings: &mut Findings) -> Result<Duration, Reported> {
    let window = values::duration(MAX_WINDOW)(item, findings)?;
    if window < MIN_WINDOW {
        let (key, value) = (item.key.to_owned(), format!("{}ms", window.as_millis()));
        let (min, max) = ("1s".to_owned(), "60s".to_owned());
        return Err(item.wrong(ConfigError::OutOfRange { key, value, min, max }, findings));
    }
    Ok(window)
}

/// The networks; an empty list is none, loopback included.
fn exempt(item: Item, findings: &mut Findings) -> Result<Vec<(IpAddr, u8)>, Reported> {
    let elements = item.elements("exempt networks", MAX_EXEMPT, findings)?;
    let read: Vec<_> = elements.map(|item| network(item, findings)).collect();
    read.into_iter().map(|network| network.map(Spanned::into_inner)).collect()
}

fn network(item: Item, findings: &mut Findings) -> Result<Spanned<(IpAddr, u8)>, Reported> {
    let text = item.text("a network", findings)?;
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let read = address.parse::<IpAddr>().ok().and_then(|address| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most && within(address, bits)).then_some((address, bits))
    });
    read.map(|network| Spanned::new(item.at(), network)).ok_or_else(|| {
        let (wanted, example) =
            ("a network", "\"192.0.2.0/24\" or \"2001:db8::/32\", no bit set past its length");
        item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings)
    })
}

/// Whether an address has no bit past its network's: one that has was probably meant otherwise.
fn within(address: IpAddr, bits: u8) -> bool {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_shl(bits.into()).unwrap_or(0) == 0,
        IpAddr::V6(address) => address.to_bits().checked_shl(bits.into()).unwrap_or(0) == 0,
    }
}
