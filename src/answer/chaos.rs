//! Class CHAOS: what the server says about itself (RFC 4892), under names that lie in no zone.

use super::message::{Full, Message};
use super::names::Sought;
use super::query::{Question, rcode};
use super::{MAX_NSID_LEN, Settings};
use crate::dns::RrType;

/// What this server is called where somebody asks for its version.
const VERSION: &[u8] = concat!("detour ", env!("CARGO_PKG_VERSION")).as_bytes();

const VERSION_BIND: &[u8] = b"\x07version\x04bind\0";
const VERSION_SERVER: &[u8] = b"\x07version\x06server\0";
const HOSTNAME_BIND: &[u8] = b"\x08hostname\x04bind\0";
const ID_SERVER: &[u8] = b"\x02id\x06server\0";

/// Writes the answer to a question of class CH and gives its RCODE. What is not known, or not to be told
/// (RFC 4892 section 3), is refused.
pub(super) fn resolve(
    settings: &Settings,
    name: &Sought,
    question: &Question,
    message: &mut Message<'_>,
) -> u16 {
    if !settings.chaos || !matches!(question.rtype, RrType::TXT | RrType::ANY) {
        return rcode::REFUSED;
    }
    let text = match name.name() {
        VERSION_BIND | VERSION_SERVER => Some(VERSION),
        HOSTNAME_BIND | ID_SERVER => settings.nsid.as_deref(),
        _ => None,
    };
    let Some(text) = text else { return rcode::REFUSED };
    message.authoritative = true;
    // It always fits: name and text are shorter than the smallest answer.
    if let Err(Full) = message.push_chaos_text(&text[..text.len().min(MAX_NSID_LEN)]) {
        message.truncated = true;
    }
    rcode::NO_ERROR
}
