//! Signing what is asked, and holding the answers against it (RFC 8945 sections 5.3.1 and 5.4).

use std::sync::Arc;

use super::algorithm::Running;
use super::record::{self, Variables, put};
use super::server::check_mac;
use super::{FUDGE, Key, TsigError};

/// The most messages in a row that a stream may leave unsigned (RFC 8945 section 5.3.1).
pub const MAX_UNSIGNED: u32 = 99;

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// The first and the last message are signed, and one in a hundred between them.
    #[error("the answer is not signed")]
    Unsigned,
    /// It was signed with another key than was asked with.
    #[error("the answer is signed with another key, or by another algorithm")]
    OtherKey,
    /// Something is wrong with the signature.
    #[error("of the answer: {0}")]
    Tsig(TsigError),
    /// The server did not take our signature.
    #[error("the server refused our signature: {0}")]
    Refused(TsigError),
    /// The same, for a reason that has no name here.
    #[error("the server refused our signature with error {0}")]
    RefusedFor(u16),
}

/// Signs a request with a key; `request` is a whole message, `now` in seconds since 1970.
pub fn ask(request: &mut Vec<u8>, key: &Arc<Key>, now: u64) -> Asked {
    let variables = Variables { time: now, fudge: FUDGE, error: 0, other: &[] };
    let mac = put(request, key, None, false, &variables);
    let mut asked = Asked { key: key.clone(), running: key.running(), unsigned: 0, begun: false };
    record::digest_mac(&mut asked.running, &mac);
    asked
}

/// What the answers to a signed request are held against, one after the other.
pub struct Asked {
    key: Arc<Key>,
    /// The last signature, and the messages since.
    running: Running,
    unsigned: u32,
    begun: bool,
}

impl Asked {
    /// Checks the next message and takes its signature off, where it has one. Errors: it and all that follows
    /// are not to be believed.
    pub fn check(&mut self, message: &mut Vec<u8>, now: u64) -> Result<(), BadAnswer> {
        let found = record::find(message).map_err(|_| BadAnswer::Tsig(TsigError::Malformed))?;
        let Some(record) = found else {
            self.unsigned += 1;
            if !self.begun || self.unsigned > MAX_UNSIGNED {
                return Err(BadAnswer::Unsigned);
            }
            self.running.update(message);
            return Ok(());
        };
        let algorithm = self.key.algorithm().wire();
        if record.key != *self.key.name() || record.algorithm.as_wire() != algorithm {
            return Err(BadAnswer::OtherKey);
        }
        // A server that knows not the key, or takes the signature for wrong, cannot sign (section 5.3.2).
        let refusal = TsigError::from_code(record.variables.error);
        if let (Some(refusal @ (TsigError::BadKey | TsigError::BadSig)), []) = (refusal, record.mac) {
            return Err(BadAnswer::Refused(refusal));
        }
        let mut running = std::mem::replace(&mut self.running, self.key.running());
        record::digest_signed(&mut running, message, &record);
        if self.begun {
            record.variables.digest_times(&mut running);
        } else {
            record.variables.digest(&mut running, self.key.name(), &algorithm);
        }
        check_mac(&self.key, &record, &running.finish()).map_err(BadAnswer::Tsig)?;
        match (record.variables.error, refusal) {
            (0, _) => {}
            (_, Some(refusal)) => return Err(BadAnswer::Refused(refusal)),
            (code, None) => return Err(BadAnswer::RefusedFor(code)),
        }
        if now.abs_diff(record.variables.time) > u64::from(record.variables.fudge) {
            return Err(BadAnswer::Tsig(TsigError::BadTime));
        }
        if record.mac.len() < self.key.algorithm().mac_len() {
            return Err(BadAnswer::Tsig(TsigError::BadTrunc));
        }
        record::digest_mac(&mut self.running, record.mac);
        (self.begun, self.unsigned) = (true, 0);
        let at = record.at;
        record::strip(message, at);
        Ok(())
    }

    /// Whether what was checked may be the end: the last message is signed.
    pub fn finish(&self) -> Result<(), BadAnswer> {
        if self.begun && self.unsigned == 0 { Ok(()) } else { Err(BadAnswer::Unsigned) }
    }
}
