//! Signing what is answered (RFC 8945 section 5.3).

use std::sync::Arc;

use super::record::{Variables, put};
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
