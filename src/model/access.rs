//! Who may do what with a zone, and whom it is told to.

use std::net::{IpAddr, SocketAddr};

use crate::dns::{Name, Network};

/// Who may do something; without an entry, nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access(pub Vec<Allowed>);

/// One entry of a list; who fits all of it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Where it must come from; without one, from anywhere.
    pub from: Option<Network>,
    /// The key it must be signed with; without one, none is asked for. At least one of the two is there.
    pub key: Option<Name>,
}

impl Access {
    /// Whether who sends from an address, signed with a key or not, is allowed.
    pub fn allows(&self, ip: IpAddr, key: Option<&Name>) -> bool {
        self.0.iter().any(|allowed| {
            allowed.from.is_none_or(|from| from.contains(ip))
                && allowed.key.as_ref().is_none_or(|wanted| key == Some(wanted))
        })
    }
}

/// A server at an address, and the key that it shares with this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    /// What messages to it are signed with.
    pub key: Option<Name>,
}

/// Whom a change of a zone is told to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// These.
    pub peers: Vec<Peer>,
    /// And the zone's name servers, but for the one its SOA names as its primary.
    pub name_servers: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fits_all_of_an_entry_is_allowed() {
        let key: Name = "xfr".parse().unwrap();
        let entry = |from: Option<&str>, key: Option<&Name>| Allowed {
            from: from.map(|from| from.parse().unwrap()),
            key: key.cloned(),
        };
        let check = |entries: &[Allowed], ip: &str, signed: Option<&Name>, expect: bool| {
            let access = Access(entries.to_vec());
            assert_eq!(access.allows(ip.parse().unwrap(), signed), expect, "{entries:?} {ip} {signed:?}");
        };
        check(&[], "192.0.2.1", Some(&key), false);
        let network = [entry(Some("192.0.2.0/24"), None)];
        check(&network, "192.0.2.1", None, true);
        check(&network, "192.0.2.1", Some(&key), true);
        check(&network, "192.0.3.1", None, false);
        check(&network, "::ffff:192.0.2.1", None, false);
        let both = [entry(Some("2001:db8::/32"), Some(&key))];
        check(&both, "2001:db8::1", Some(&key), true);
        check(&both, "2001:db8::1", None, false);
        check(&both, "2001:db9::1", Some(&key), false);
        check(&both, "2001:db8::1", Some(&"other".parse().unwrap()), false);
        check(&[entry(None, Some(&key)), network[0].clone()], "198.51.100.1", Some(&key), true);
    }
}
