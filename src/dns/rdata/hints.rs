//! The address hints of SVCB and HTTPS records (RFC 9460 section 7.3): what they say, and hints that are left open for
//! whoever decides on the addresses.
//!
//! An open hint is written `ipv4hint=auto`. In RDATA it is the parameter with an empty value, which never stands on
//! the wire: [`close_hints`] gives it the addresses that are answered, or takes it out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dns::RrType;
use crate::dns::name::split_wire;

const KEYS: [(u16, &str); 2] = [(4, "ipv4hint"), (6, "ipv6hint")];

/// The types that have hints.
pub fn has_hints(rtype: RrType) -> bool {
    [RrType::SVCB, RrType::HTTPS].contains(&rtype)
}

/// Takes the parameters that are `auto` out of a record's text: the rest, and their keys.
pub(super) fn take_auto(text: &str) -> (String, Vec<u16>) {
    let mut keys = Vec::new();
    let rest = text.split_whitespace().filter(|word| {
        let open = KEYS.iter().find(|(_, name)| {
            word.split_once('=').is_some_and(|(key, value)| {
                key.eq_ignore_ascii_case(name) && ["auto", "\"auto\""].contains(&value)
            })
        });
        keys.extend(open.map(|(key, _)| *key));
        open.is_none()
    });
    let rest: Vec<&str> = rest.collect();
    (rest.join(" "), keys)
}

/// The RDATA with these parameters left open. Errors: that one stands there already.
pub(super) fn open(rdata: &[u8], keys: &[u16]) -> Result<Box<[u8]>, String> {
    let (head, mut params) = split(rdata).ok_or("it is broken")?;
    for key in keys {
        if params.iter().any(|(known, _)| known == key) {
            return Err("a hint is auto, or a list of addresses, and not both".to_owned());
        }
        params.push((*key, &[]));
    }
    Ok(joined(head, params))
}

/// The RDATA of an SVCB or HTTPS record whose open hints are these addresses; `None` where none is open. A hint without
/// an address is left out.
pub fn close_hints(rdata: &[u8], v4: &[Ipv4Addr], v6: &[Ipv6Addr]) -> Option<Box<[u8]>> {
    let (head, params) = split(rdata)?;
    let is_open = |(key, value): &(u16, &[u8])| value.is_empty() && KEYS.iter().any(|(hint, _)| hint == key);
    if !params.iter().any(is_open) {
        return None;
    }
    let fours: Vec<u8> = v4.iter().flat_map(Ipv4Addr::octets).collect();
    let sixes: Vec<u8> = v6.iter().flat_map(Ipv6Addr::octets).collect();
    let closed = params.iter().map(|param| match param {
        (4, []) => (4, &fours[..]),
        (6, []) => (6, &sixes[..]),
        other => *other,
    });
    Some(joined(head, closed.filter(|param| !is_open(param)).collect()))
}

/// The addresses that the hints of an SVCB or HTTPS record name, and the name they are of, in wire form: the record's
/// target, or a root for its owner.
pub fn hints(rdata: &[u8]) -> Option<(&[u8], Vec<IpAddr>)> {
    let (head, params) = split(rdata)?;
    let mut addresses = Vec::new();
    for (key, value) in params {
        match key {
            4 => addresses.extend(value.as_chunks::<4>().0.iter().map(|octets| IpAddr::from(*octets))),
            6 => addresses.extend(value.as_chunks::<16>().0.iter().map(|octets| IpAddr::from(*octets))),
            _ => {}
        }
    }
    Some((&head[2..], addresses))
}

/// SvcParams: each key and its value.
type Params<'a> = Vec<(u16, &'a [u8])>;

/// Priority and target, and the parameters.
fn split(rdata: &[u8]) -> Option<(&[u8], Params<'_>)> {
    let (target, mut rest) = split_wire(rdata.get(2..)?)?;
    let head = &rdata[..2 + target.len()];
    let mut params = Vec::new();
    while let [k0, k1, l0, l1, after @ ..] = rest {
        let (value, after) = after.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
        params.push((u16::from_be_bytes([*k0, *k1]), value));
        rest = after;
    }
    rest.is_empty().then_some((head, params))
}

fn joined(head: &[u8], mut params: Vec<(u16, &[u8])>) -> Box<[u8]> {
    params.sort_by_key(|(key, _)| *key);
    let mut rdata = head.to_vec();
    for (key, value) in params {
        rdata.extend(key.to_be_bytes());
        rdata.extend((value.len() as u16).to_be_bytes()); // at most 64 addresses, or what was parsed
        rdata.extend(value);
    }
    rdata.into()
}

#[cfg(test)]
mod tests {
    use super::super::{rdata_from_text, rdata_text, steered_rdata_from_text};
    use super::*;

    #[test]
    fn open_hints_become_the_addresses_that_are_answered() {
        let check = |text: &str, v4: &[&str], v6: &[&str], want: &str| {
            let rdata = steered_rdata_from_text(RrType::HTTPS, text).unwrap();
            let v4: Vec<Ipv4Addr> = v4.iter().map(|text| text.parse().unwrap()).collect();
            let v6: Vec<Ipv6Addr> = v6.iter().map(|text| text.parse().unwrap()).collect();
            let closed = close_hints(&rdata, &v4, &v6).unwrap_or(rdata);
            assert_eq!(rdata_text(RrType::HTTPS, &closed), want, "{text}");
        };
        let both = "1 . ipv6hint=auto alpn=h2 ipv4hint=auto port=8443";
        let want = "1 . alpn=\"h2\" port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1";
        check(both, &["192.0.2.1", "192.0.2.2"], &["2001:db8::1"], want);
        check(both, &["192.0.2.1"], &[], "1 . alpn=\"h2\" port=8443 ipv4hint=192.0.2.1");
        check("1 . ipv4hint=192.0.2.9", &["192.0.2.1"], &[], "1 . ipv4hint=192.0.2.9");
        check("1 . alpn=h2", &["192.0.2.1"], &[], "1 . alpn=\"h2\"");
        assert!(steered_rdata_from_text(RrType::HTTPS, "1 . ipv4hint=auto ipv4hint=192.0.2.1").is_err());
        assert!(
            rdata_from_text(RrType::HTTPS, "1 . ipv4hint=auto").is_err(),
            "a zone file cannot follow decisions"
        );
    }

    #[test]
    fn hints_are_read_with_the_name_they_are_of() {
        let rdata =
            rdata_from_text(RrType::SVCB, "1 app.example.com. ipv4hint=192.0.2.1 ipv6hint=2001:db8::1")
                .unwrap();
        let (target, found) = hints(&rdata).unwrap();
        assert_eq!(target, b"\x03app\x07example\x03com\0");
        assert_eq!(found, ["192.0.2.1".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
        assert_eq!(hints(b"\0\x01"), None);
    }
}
