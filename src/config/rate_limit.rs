//! `[server.rate_limit]`: how many answers over UDP one network gets.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use toml::Spanned;

use super::error::{ConfigError, short};
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::values;
use crate::model::RateLimit;
use crate::model::rate_limit::{is_public, within};

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
