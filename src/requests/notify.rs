//! NOTIFY at the desk (RFC 1996): a message in, the message that answers it out.

use std::net::IpAddr;

use tracing::debug;

use crate::dns::Name;
use crate::model::{Config, ZoneSource};
use crate::transfer::inbound::{Keeper, NotifyFrom, NotifyRcode, notify};

/// Whether a configuration has a zone that comes from a primary.
pub fn is_open(config: &Config) -> bool {
    config.zones.iter().any(ZoneSource::is_transferred)
}

/// Sees to a NOTIFY, `message`, whose signature is that of `key` and cut off; gives the answer, to be signed
/// where the NOTIFY was.
pub fn take(keeper: &Keeper, message: &[u8], key: Option<&Name>, from: IpAddr) -> Option<Vec<u8>> {
    let rcode = match notify::read(message) {
        Ok(told) => {
            let from_whom = keeper.notified(&told.zone, from, key, told.serial);
            debug!("NOTIFY of {} from {from}: {from_whom:?}", told.zone);
            match from_whom {
                NotifyFrom::Primary => NotifyRcode::NoError,
                NotifyFrom::Stranger => NotifyRcode::Refused,
                NotifyFrom::NoSecondary => NotifyRcode::NotAuth,
            }
        }
        Err(rcode) => rcode,
    };
    notify::answer(message, rcode)
}
