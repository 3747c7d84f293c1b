//! Who may do what with a zone, and whom it is told to: networks and keys, and addresses with keys.

use std::net::SocketAddr;

use super::error::{ConfigError, short};
use super::keys::DraftKeys;
use super::report::Findings;
use super::section::{Item, Reported, Section};
use super::values;
use crate::dns::Network;
use crate::model::{Access, Allowed, Peer, Told};

/// The most entries of one list.
const MAX_ENTRIES: usize = 64;
/// The port of DNS.
const PORT: u16 = 53;

/// Reads a list of networks and keys: `["192.0.2.0/24", { from = "198.51.100.0/24", key = "xfr" }]`.
pub(super) fn access(item: Item, keys: &DraftKeys, findings: &mut Findings) -> Result<Access, Reported> {
    let read = item.list("entries", MAX_ENTRIES, findings, |item, findings| allowed(item, keys, findings))?;
    Ok(Access(read.into_iter().map(toml::Spanned::into_inner).collect()))
}

fn allowed(item: Item, keys: &DraftKeys, findings: &mut Findings) -> Result<Allowed, Reported> {
    if !is_table(item) {
        return Ok(Allowed { from: Some(network(item, findings)?), key: None });
    }
    let mut section = Section::of(format!("an entry of {}", item.key), item, findings)?;
    let from = section.read("from", findings, network);
    let key = section.read("key", findings, |item, findings| keys.find(item, findings));
    if let (Ok(None), Ok(None)) = (&from, &key) {
        section.missing("from", "from = \"192.0.2.0/24\", or key = \"xfr\"", findings);
    }
    section.finish(findings);
    let (from, key) = (from?.map(toml::Spanned::into_inner), key?.map(toml::Spanned::into_inner));
    if from.is_none() && key.is_none() { Err(Reported) } else { Ok(Allowed { from, key }) }
}

/// Reads whom a change is told to: `["ns", "192.0.2.7", { address = "192.0.2.8:5353", key = "xfr" }]`.
pub(super) fn told(item: Item, keys: &DraftKeys, findings: &mut Findings) -> Result<Told, Reported> {
    let read = item.list("entries", MAX_ENTRIES, findings, |item, findings| match item.value.get_ref() {
        toml::de::DeValue::String(text) if text == "ns" => Ok(None),
        _ => peer(item, keys, findings).map(Some),
    })?;
    let mut told = Told::default();
    for entry in read {
        match entry.into_inner() {
            None => told.name_servers = true,
            Some(peer) if told.peers.contains(&peer) => {}
            Some(peer) => told.peers.push(peer),
        }
    }
    Ok(told)
}

/// Reads one server: `"192.0.2.53"`, or `{ address = "192.0.2.53:5353", key = "xfr" }`.
pub(super) fn peer(item: Item, keys: &DraftKeys, findings: &mut Findings) -> Result<Peer, Reported> {
    if !is_table(item) {
        return Ok(Peer { address: address(item, findings)?, key: None });
    }
    let mut section = Section::of(format!("an entry of {}", item.key), item, findings)?;
    let address = section.need("address", "address = \"192.0.2.53\"", findings, address);
    let key = section.read("key", findings, |item, findings| keys.find(item, findings));
    section.finish(findings);
    Ok(Peer { address: address?.into_inner(), key: key?.map(toml::Spanned::into_inner) })
}

fn is_table(item: Item) -> bool {
    matches!(item.value.get_ref(), toml::de::DeValue::Table(_))
}

/// An address, port 53 unless it says another.
fn address(item: Item, findings: &mut Findings) -> Result<SocketAddr, Reported> {
    let text = item.text("an address", findings)?;
    let read = text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, PORT)));
    match read {
        Some(address) if !values::is_a_host(address.ip()) => {
            Err(item.wrong(ConfigError::NotAHost(address.ip()), findings))
        }
        Some(address) if address.port() != 0 => Ok(address),
        _ => {
            let (wanted, example) = ("an address of a server", "\"192.0.2.53\" or \"[2001:db8::53]:5353\"");
            Err(item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings))
        }
    }
}

/// Reads a network: `"192.0.2.0/24"`, or one address.
pub(super) fn network(item: Item, findings: &mut Findings) -> Result<Network, Reported> {
    let text = item.text("a network", findings)?;
    text.parse().map_err(|_| {
        let (wanted, example) =
            ("a network", "\"192.0.2.0/24\" or \"2001:db8::/32\", no bit set past its length");
        item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings)
    })
}
