//! The address of a CNAME target, which is an absolute name, by this host's resolver, and whose fault it is when there is none.
//!
//! That a name does not exist, or has no address, is what every client finds too: the endpoint has failed. A
//! resolver that does not answer, or says that it cannot tell, is this host's trouble, and nothing is known of the
//! endpoint: clients ask other resolvers.

use std::net::IpAddr;
use std::sync::Arc;

use dns_lookup::{AddrInfo, AddrInfoHints, LookupErrorKind, getaddrinfo};
use socket2::Type;
use tokio::sync::Semaphore;

use super::failure::bounded;
use crate::health::{Discard, Failure, Outcome};

/// CNAME targets being resolved at once. The host's resolver works on blocking threads and cannot be
/// interrupted, so a look-up may outlive the run that asked for it.
const MAX_LOOKUPS: usize = 128;
static LOOKUPS: Semaphore = Semaphore::const_new(MAX_LOOKUPS);

/// The first address of a CNAME target, in the order the host prefers (RFC 6724): a client that follows
/// the CNAME will most often take that one too. Else what that says of the endpoint.
pub(super) async fn resolve(name: &Arc<str>) -> Result<IpAddr, Outcome> {
    let Ok(permit) = LOOKUPS.acquire().await else {
        return Err(no_answer(name, "it is not asked any more")); // nobody closes it
    };
    let asked = name.clone();
    let lookup = tokio::task::spawn_blocking(move || {
        let _held_to_the_end = permit;
        first(&asked)
    });
    // A look-up ends by itself, or with this process.
    lookup.await.unwrap_or_else(|error| Err(no_answer(name, &error.to_string())))
}

/// The resolver has not answered within the run's time.
pub(super) fn too_late(name: &str) -> Outcome {
    no_answer(name, "no answer in time")
}

fn first(name: &str) -> Result<IpAddr, Outcome> {
    // Without a type each address would come three times.
    let hints = AddrInfoHints { socktype: Type::STREAM.into(), ..AddrInfoHints::default() };
    let absolute = absolute(name);
    let mut found = getaddrinfo(Some(&absolute), None, Some(hints)).map_err(|error| match error.kind() {
        LookupErrorKind::NoName => no_address(name, "there is no such name"),
        LookupErrorKind::NoData => no_address(name, "it has no address"),
        _ => no_answer(name, &error.to_string()),
    })?;
    match found.next() {
        Some(Ok(AddrInfo { sockaddr, .. })) => Ok(sockaddr.ip()),
        Some(Err(error)) => Err(no_answer(name, &error.to_string())),
        None => Err(no_address(name, "it has no address")),
    }
}

/// The name with its last dot: a CNAME target is absolute, and clients' resolvers add nothing to it. Without the dot
/// this host's would go on to the domains of its `search` list where the name does not exist.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn no_address(name: &str, why: &str) -> Outcome {
    Outcome::Failed(Failure::Resolve(bounded(&format!("{name}: {why}"))))
}

fn no_answer(name: &str, why: &str) -> Outcome {
    Outcome::Discarded(Discard::Local(bounded(&format!(
        "its resolver cannot tell the address of {name}: {why}"
    ))))
}
