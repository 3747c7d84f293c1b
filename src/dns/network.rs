//! Networks of clients: an address and how many of its bits count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network, no bit set past its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    ip: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is not an address and a number.
    #[error("{0:?} is no network: write it as 192.0.2.0/24 or 2001:db8::/32")]
    Syntax(String),
    /// The prefix is longer than the address.
    #[error("{0:?}: the prefix is longer than the address, which has {1} bits")]
    TooLong(String, u8),
    /// Bits past the prefix are set, so it is not clear what is meant.
    #[error("{0:?} has bits set past its prefix: write {1}")]
    Past(String, Network),
}

impl Network {
    /// The network of an address: bits past the prefix are cleared. A prefix longer than the address is
    /// the whole address.
    pub fn of(ip: IpAddr, prefix: u8) -> Network {
        match ip {
            IpAddr::V4(ip) => {
                let prefix = prefix.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Network { ip: Ipv4Addr::from_bits(ip.to_bits() & mask).into(), prefix }
            }
            IpAddr::V6(ip) => {
                let prefix = prefix.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Network { ip: Ipv6Addr::from_bits(ip.to_bits() & mask).into(), prefix }
            }
        }
    }

    /// Whether an address lies in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.ip.is_ipv4() && Network::of(ip, self.prefix) == *self
    }

    /// Its first address.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Whether an address lies in it.
    pub fn holds(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.ip.is_ipv4() && Network::of(ip, self.prefix) == *self
    }

    /// How many bits count.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// `192.0.2.0/24`; an address alone is the network of that address.
    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let syntax = || NetworkError::Syntax(text.to_owned());
        let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip: IpAddr = ip.parse().map_err(|_| syntax())?;
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), |prefix| prefix.parse().map_err(|_| syntax()))?;
        if prefix > bits {
            return Err(NetworkError::TooLong(text.to_owned(), bits));
        }
        let network = Network::of(ip, prefix);
        if network.ip == ip { Ok(network) } else { Err(NetworkError::Past(text.to_owned(), network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_read_as_they_print() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::/33", "2001:db8::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.1".parse::<Network>().unwrap().to_string(), "192.0.2.1/32");
    }

    #[test]
    fn what_is_no_network_says_what_is() {
        let check = |text: &str, want: &str| {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        };
        check("ten/8", "192.0.2.0/24");
        check("10.0.0.0/", "192.0.2.0/24");
        check("10.0.0.0/33", "32 bits");
        check("::/129", "128 bits");
        check("10.0.0.1/8", "write 10.0.0.0/8");
        check("2001:db8::1/32", "write 2001:db8::/32");
    }
}
