//! What a request's signature is worth (RFC 8945 section 5.2), and the answer where it is worth nothing.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use super::algorithm::Algorithm;
use super::record::{self, Record, Variables, put};
use super::{Key, Keys, NOTAUTH};
use crate::dns::message::{Malformed, has_edns};
use crate::dns::{Name, name_in_message};

/// FORMERR (RFC 1035 section 4.1.1).
const FORMERR: u8 = 1;
/// The bits of a response's header that are its request's: operation and RD.
const ECHOED: u8 = 0x79;
/// QR.
const RESPONSE: u8 = 0x80;
/// An OPT record that says nothing but the largest datagram taken, 1,232 bytes (RFC 6891 section 6.1.2).
const OPT: [u8; 11] = [0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0];

/// What is wrong with a signature, by the words of RFC 8945 section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TsigError {
    /// It cannot be read, or stands where none belongs.
    #[error("the signature is malformed")]
    Malformed,
    /// It is not what the key makes of the message.
    #[error("BADSIG: the signature is wrong")]
    BadSig,
    /// No such key, or it signs otherwise.
    #[error("BADKEY: the key is unknown here, or has another algorithm")]
    BadKey,
    /// It was made too long ago, or by a clock that is ahead.
    #[error("BADTIME: the time of signing is too far from now")]
    BadTime,
    /// It is right and shorter than the algorithm makes it.
    #[error("BADTRUNC: the signature is cut too short")]
    BadTrunc,
}

impl TsigError {
    /// The number in the record's error field; zero for what no record can say.
    pub fn code(self) -> u16 {
        match self {
            TsigError::Malformed => 0,
            TsigError::BadSig => 16,
            TsigError::BadKey => 17,
            TsigError::BadTime => 18,
            TsigError::BadTrunc => 22,
        }
    }

    /// What the number in a record says.
    pub(super) fn from_code(code: u16) -> Option<TsigError> {
        [TsigError::BadSig, TsigError::BadKey, TsigError::BadTime, TsigError::BadTrunc]
            .into_iter()
            .find(|error| error.code() == code)
    }
}

/// A request that was signed with a known key, as far as that goes: nothing is said of what the key allows.
#[derive(Clone, Debug)]
pub struct Signed {
    key: Arc<Key>,
    mac: Box<[u8]>,
    message: Vec<u8>,
}

impl Signed {
    /// Who signed.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// What was signed: the message without the record, under the id it came with.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// How many bytes the signature adds to an answer, at most.
    pub fn record_len(&self) -> usize {
        self.key.record_len()
    }

    pub(super) fn mac(&self) -> &[u8] {
        &self.mac
    }
}

/// A request whose signature does not count.
#[derive(Clone, Debug)]
pub struct Refused {
    error: TsigError,
    /// What the answer's record says; where the request could not be read, it has none.
    record: Option<Answered>,
}

#[derive(Clone, Debug)]
struct Answered {
    name: Name,
    algorithm: Vec<u8>,
    time: u64,
    fudge: u16,
    /// Where the answer is signed, with what, after which signature.
    signed: Option<(Arc<Key>, Box<[u8]>)>,
    /// The time here, where that was what was wrong.
    here: Option<u64>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.record {
            Some(record) => write!(f, "key {}: {}", record.name, self.error),
            None => fmt::Display::fmt(&self.error, f),
        }
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// What is wrong.
    pub fn error(&self) -> TsigError {
        self.error
    }

    /// The key that was named, as far as it could be read; it need not exist.
    pub fn key(&self) -> Option<&Name> {
        self.record.as_ref().map(|record| &record.name)
    }

    /// The response code of the answer.
    pub fn rcode(&self) -> u8 {
        if self.error == TsigError::Malformed { FORMERR } else { NOTAUTH }
    }

    /// The answer to the request: its header and question, the response code, an OPT where the request has one, and
    /// the record that says what was wrong. That is signed but for a key or a signature that is wrong (RFC 8945 section 5.3.2). `None`
    /// for what is itself an answer, or too short to have one.
    pub fn answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        let header = request.first_chunk::<12>()?;
        if header[2] & RESPONSE != 0 {
            return None;
        }
        let mut answer = header[..2].to_vec();
        answer.extend_from_slice(&[RESPONSE | header[2] & ECHOED, self.rcode(), 0, 0, 0, 0, 0, 0, 0, 0]);
        let question = name_in_message(request, 12).and_then(|(_, end)| request.get(12..end + 4));
        if let (Some(question), [0, 1]) = (question, &header[4..6]) {
            answer[5] = 1;
            answer.extend_from_slice(question);
        }
        if has_edns(request) {
            answer[11] = 1;
            answer.extend_from_slice(&OPT);
        }
        let Some(record) = &self.record else { return Some(answer) };
        let here = record.here.map(u64::to_be_bytes);
        let other = here.as_ref().map_or(&[][..], |bytes| &bytes[2..]);
        let Answered { time, fudge, .. } = *record;
        let variables = Variables { time, fudge, error: self.error.code(), other };
        if let Some((key, mac)) = &record.signed {
            put(&mut answer, key, Some(mac), false, &variables);
        } else {
            let id = u16::from_be_bytes([header[0], header[1]]);
            record::append(&mut answer, &record.name, &record.algorithm, &variables, &[], id);
        }
        Some(answer)
    }
}

/// Says who signed a request: `None` where nobody did. `now` is in seconds since 1970. Errors: the signature
/// does not count, and the request is answered with that alone.
pub fn verify(keys: &Keys, message: &[u8], now: u64) -> Result<Option<Signed>, Refused> {
    let record = match record::find(message) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(None),
        Err(Malformed) => return Err(Refused { error: TsigError::Malformed, record: None }),
    };
    let refused = |error, signed: Option<&Arc<Key>>| {
        let answered = Answered {
            name: record.key.clone(),
            algorithm: record.algorithm.as_wire().to_vec(),
            time: record.variables.time,
            fudge: record.variables.fudge,
            signed: signed.map(|key| (key.clone(), record.mac.into())),
            here: (error == TsigError::BadTime).then_some(now),
        };
        // A record of a length that no algorithm makes is malformed, and gets no record in answer.
        Refused { error, record: (error != TsigError::Malformed).then_some(answered) }
    };
    // In this order: key, signature, time, length (RFC 8945 section 5.2).
    let algorithm = Algorithm::from_wire(&record.algorithm);
    let key = keys.get(&record.key).filter(|key| Some(key.algorithm()) == algorithm);
    let Some(key) = key else { return Err(refused(TsigError::BadKey, None)) };
    let mut running = key.running();
    record::digest_signed(&mut running, message, &record);
    record.variables.digest(&mut running, key.name(), &key.algorithm().wire());
    check_mac(key, &record, &running.finish()).map_err(|error| refused(error, None))?;
    if now.abs_diff(record.variables.time) > u64::from(record.variables.fudge) {
        return Err(refused(TsigError::BadTime, Some(key)));
    }
    if record.mac.len() < key.algorithm().mac_len() {
        return Err(refused(TsigError::BadTrunc, Some(key)));
    }
    let mut stripped = message.to_vec();
    record::strip(&mut stripped, record.at);
    Ok(Some(Signed { key: key.clone(), mac: record.mac.into(), message: stripped }))
}

/// Holds a record's signature against the right one, of which it may be the beginning alone (RFC 8945
/// section 5.2.2.1); whether that suffices is another matter.
pub(super) fn check_mac(key: &Key, record: &Record, right: &[u8]) -> Result<(), TsigError> {
    let (len, algorithm) = (record.mac.len(), key.algorithm());
    if len > algorithm.mac_len() || len < algorithm.least_mac_len() {
        return Err(TsigError::Malformed);
    }
    if bool::from(record.mac.ct_eq(&right[..len])) { Ok(()) } else { Err(TsigError::BadSig) }
}
