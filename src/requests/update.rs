//! UPDATE at the desk (RFC 2136): a message in, the message that answers it out.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::dns::Name;
use crate::dns::message::{Header, OPCODE_UPDATE, RESPONSE, Writer, has_edns};
use crate::model::{Config, ZoneSource};
use crate::zone::{Update, UpdateError};
use crate::zones::{Ask, UpdateAsk};

/// How long an update waits for its turn and for the disk. Clients wait some seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest reason told in an answer, in bytes: it is to fit beside the longest zone and signature.
const MAX_REASON: usize = 200;
/// The largest UDP message that is taken, which an answer tells.
const PAYLOAD: u16 = 1232;
/// EDNS options (RFC 8914).
const EXTENDED_ERROR: u16 = 15;
/// Extended errors: Prohibited (RFC 8914 section 4.19), Other (section 4.1).
const PROHIBITED: u16 = 18;
const OTHER: u16 = 0;

/// Whether a configuration has somebody whose updates may be carried out.
pub fn is_open(config: &Config) -> bool {
    config.zones.iter().any(takes_updates)
}

fn takes_updates(zone: &ZoneSource) -> bool {
    !zone.update.is_empty() || !zone.forward_updates.0.is_empty()
}

/// The zone of an update that is to be handed on to its primary.
pub fn forwarded<'c>(
    config: &'c Config,
    message: &[u8],
    key: Option<&Name>,
    from: IpAddr,
) -> Option<&'c ZoneSource> {
    let update = Update::read(message).ok()?;
    let zone = config.zones.iter().find(|zone| zone.name == update.zone)?;
    zone.forward_updates.allows(from, key).then_some(zone)
}

/// Sees to an update, `message`, whose signature is that of `key` and cut off; gives the answer, to be signed
/// where the update was.
pub async fn take(
    config: &Config,
    loader: &mpsc::Sender<Ask>,
    message: &[u8],
    key: Option<&Name>,
    from: IpAddr,
) -> Vec<u8> {
    let outcome = match Update::read(message) {
        Ok(update) => carry_out(config, loader, update, key, from).await,
        Err(why) => Err(why),
    };
    answer(message, outcome.err().as_ref())
}

async fn carry_out(
    config: &Config,
    loader: &mpsc::Sender<Ask>,
    update: Update,
    key: Option<&Name>,
    from: IpAddr,
) -> Result<(), UpdateError> {
    // Who has no rule is told so here: a stranger keeps nobody who has one waiting.
    let zone = config.zones.iter().find(|zone| zone.name == update.zone);
    let zone = zone.ok_or_else(|| UpdateError::NotAuth(update.zone.clone()))?;
    if !zone.update.iter().any(|rule| rule.is_for(key, from)) {
        return Err(UpdateError::Refused(match zone.primaries.first() {
            Some(primary) if zone.update.is_empty() => {
                format!("{} comes from {}: send updates there", zone.name, primary.address)
            }
            _ => format!("no update rule of {} is for who sent this", zone.name),
        }));
    }
    let (reply, outcome) = oneshot::channel();
    let ask = Ask::Update(UpdateAsk { update, key: key.cloned(), from, reply });
    let asked = async {
        let late = || UpdateError::Failed("the daemon does not take updates just now".to_owned());
        loader.send(ask).await.map_err(|_| late())?;
        outcome.await.map_err(|_| late())?
    };
    let late = |_| UpdateError::Failed(format!("the update was not carried out within {PATIENCE:?}"));
    timeout(PATIENCE, asked).await.map_err(late)?
}

/// The answer to an update that no primary has answered.
pub fn not_forwarded(message: &[u8], why: String) -> Vec<u8> {
    answer(message, Some(&UpdateError::Failed(why)))
}

/// The answer: the header and zone section of the update (RFC 2136 section 3.8), and the reason where the
/// update has EDNS.
fn answer(message: &[u8], error: Option<&UpdateError>) -> Vec<u8> {
    let id = Header::read(message).map_or(0, |header| header.id);
    let rcode = error.map_or(0, UpdateError::rcode);
    let mut answer = Writer::new(id, RESPONSE | u16::from(OPCODE_UPDATE) << 11 | u16::from(rcode));
    if let Some(zone) = Update::zone_section(message) {
        answer = answer.question_as_it_is(zone);
    }
    if !has_edns(message) {
        return answer.finish();
    }
    let reason = error.map(|why| {
        let mut text = why.to_string();
        text.truncate((0..=MAX_REASON).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0));
        let code = if matches!(why, UpdateError::Refused(_)) { PROHIBITED } else { OTHER };
        let len = (text.len() + 2) as u16;
        [&EXTENDED_ERROR.to_be_bytes()[..], &len.to_be_bytes(), &code.to_be_bytes(), text.as_bytes()].concat()
    });
    answer.edns(PAYLOAD, &reason.unwrap_or_default()).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An update of `example`, with EDNS or without.
    fn message(edns: bool) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
        message.extend_from_slice(b"\x07example\0\x00\x06\x00\x01");
        if edns {
            message.extend_from_slice(b"\0\x00\x29\x04\xd0\0\0\0\0\0\0");
        }
        message
    }

    #[test]
    fn an_answer_says_why_where_it_can() {
        let plain = answer(&message(false), None);
        assert_eq!(plain[..12], [0x12, 0x34, 0xa8, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(plain[12..], message(false)[12..]);

        let why = UpdateError::Refused("é".repeat(200));
        let refused = answer(&message(false), Some(&why));
        assert_eq!((refused[3], refused.len()), (5, plain.len()));
        let told = answer(&message(true), Some(&why));
        assert_eq!(told[..12], [0x12, 0x34, 0xa8, 5, 0, 1, 0, 0, 0, 0, 0, 1]);
        let opt = &told[plain.len()..];
        assert_eq!(opt[..9], *b"\0\x00\x29\x04\xd0\0\0\0\0");
        assert_eq!(opt[9..17], [0, 206, 0, 15, 0, 202, 0, 18], "extended error 18");
        assert_eq!(std::str::from_utf8(&opt[17..]).unwrap(), "é".repeat(100));
        let other = answer(&message(true), Some(&UpdateError::Failed("x".to_owned())));
        assert_eq!((other[3], other[other.len() - 2]), (2, 0));
    }

    #[test]
    fn what_is_no_update_is_answered_all_the_same() {
        for message in [&b"\x12\x34\x28"[..], &message(true)[..20], &[]] {
            assert!(answer(message, Some(&UpdateError::Form("short"))).len() >= 12);
        }
    }
}
