//! How many answers over UDP one network gets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::{RateLimit, Server, ZoneSource};
use crate::dns::Network;

/// Answers a second where the section does not say.
const DEFAULT_RATE: u32 = 100;
/// The window where the section does not say.
const WINDOW: Duration = Duration::from_secs(1);
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

impl Default for RateLimit {
    fn default() -> RateLimit {
        RateLimit {
            responses: DEFAULT_RATE,
            nodata: DEFAULT_RATE,
            nxdomains: DEFAULT_RATE,
            referrals: DEFAULT_RATE,
            errors: DEFAULT_RATE,
            slip: 2,
            window: WINDOW,
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

/// Whether an address has no bit past its network's: one that has was probably meant otherwise.
pub fn within(address: IpAddr, bits: u8) -> bool {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_shl(bits.into()).unwrap_or(0) == 0,
        IpAddr::V6(address) => address.to_bits().checked_shl(bits.into()).unwrap_or(0) == 0,
    }
}
