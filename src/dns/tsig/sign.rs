//! Signing what is answered (RFC 8945 section 5.3).

use std::sync::Arc;

use super::record::{self, Variables};
use super::server::Signed;
use super::{FUDGE, Key};

/// Signs the one answer to a request. `response` is a whole message, its header included.
pub fn sign(response: &mut Vec<u8>, request: &Signed, now: u64) {
    Stream::new(request).sign(response, now);
}

/// The signatures of one answer's messages, each of which is signed.
#[derive(Debug)]
pub struct Stream {
    key: Arc<Key>,
    /// The signature before: at first the request's.
    mac: Box<[u8]>,
    begun: bool,
}

impl Stream {
    /// The answer to a request that was signed.
    pub fn new(request: &Signed) -> Stream {
        Stream { key: request.key().clone(), mac: request.mac().into(), begun: false }
    }

    /// How many bytes a signature adds to a message, at most.
    pub fn record_len(&self) -> usize {
        self.key.record_len()
    }

    /// Signs the next message, which is whole, its header included.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: u64) {
        let variables = Variables { time: now, fudge: FUDGE, error: 0, other: &[] };
        self.mac = put(message, &self.key, Some(&self.mac), self.begun, &variables);
        self.begun = true;
    }
}

/// Signs a message and gives the signature; `prior` is the one before it, where there is one.
pub(super) fn put(
    message: &mut Vec<u8>,
    key: &Key,
    prior: Option<&[u8]>,
    times_alone: bool,
    variables: &Variables,
) -> Box<[u8]> {
    let algorithm = key.algorithm().wire();
    let mut running = key.running();
    if let Some(prior) = prior {
        record::digest_mac(&mut running, prior);
    }
    running.update(message);
    if times_alone {
        variables.digest_times(&mut running);
    } else {
        variables.digest(&mut running, key.name(), &algorithm);
    }
    let mac = running.finish();
    let id = u16::from_be_bytes([message[0], message[1]]);
    record::append(message, key.name(), &algorithm, variables, &mac, id);
    mac
}
