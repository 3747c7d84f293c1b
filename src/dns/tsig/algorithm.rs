//! The hash functions, by the names that messages and configurations give them.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::dns::Name;

/// How a message is signed (RFC 8945 section 6, table 3). MD5 and GSS-TSIG are not among them: the one is
/// broken, the other wants Kerberos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the algorithm's name")]
pub enum Algorithm {
    HmacSha1,
    HmacSha224,
    HmacSha256,
    /// The first half of the hash alone.
    HmacSha256To128,
    HmacSha384,
    /// The first half of the hash alone.
    HmacSha384To192,
    HmacSha512,
    /// The first half of the hash alone.
    HmacSha512To256,
}

/// Each algorithm, and the name it goes by, in the order of RFC 8945's table.
pub const ALGORITHMS: [(Algorithm, &str); 8] = [
    (Algorithm::HmacSha1, "hmac-sha1"),
    (Algorithm::HmacSha224, "hmac-sha224"),
    (Algorithm::HmacSha256, "hmac-sha256"),
    (Algorithm::HmacSha256To128, "hmac-sha256-128"),
    (Algorithm::HmacSha384, "hmac-sha384"),
    (Algorithm::HmacSha384To192, "hmac-sha384-192"),
    (Algorithm::HmacSha512, "hmac-sha512"),
    (Algorithm::HmacSha512To256, "hmac-sha512-256"),
];

impl Algorithm {
    /// The algorithm that text names, in whatever case.
    pub fn named(text: &str) -> Option<Algorithm> {
        let text = text.strip_suffix('.').unwrap_or(text);
        ALGORITHMS.into_iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(of, _)| of)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let named = ALGORITHMS.iter().find(|(algorithm, _)| *algorithm == self);
        named.map_or("", |(_, name)| name)
    }

    /// Its name as messages hold it, in lower case.
    pub(super) fn wire(self) -> Vec<u8> {
        let name = self.name().as_bytes();
        [&[name.len() as u8], name, &[0]].concat()
    }

    /// The algorithm that messages give this name.
    pub(super) fn from_wire(name: &Name) -> Option<Algorithm> {
        ALGORITHMS.into_iter().map(|(of, _)| of).find(|of| of.wire() == name.as_wire())
    }

    /// How long a signature is, in bytes.
    pub fn mac_len(self) -> usize {
        match self {
            Algorithm::HmacSha256To128 => 16,
            Algorithm::HmacSha1 => 20,
            Algorithm::HmacSha384To192 => 24,
            Algorithm::HmacSha224 => 28,
            Algorithm::HmacSha256 | Algorithm::HmacSha512To256 => 32,
            Algorithm::HmacSha384 => 48,
            Algorithm::HmacSha512 => 64,
        }
    }

    /// The shortest part of a signature that is worth a look, in bytes (RFC 8945 section 5.2.2.1).
    pub(super) fn least_mac_len(self) -> usize {
        (self.mac_len() / 2).max(10)
    }
}

/// A signature while it is made.
pub(super) struct Running {
    hash: Hash,
    len: usize,
}

enum Hash {
    Sha1(Hmac<Sha1>),
    Sha224(Hmac<Sha224>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Running {
    pub fn new(algorithm: Algorithm, secret: &[u8]) -> Running {
        /// HMAC takes keys of every length (RFC 2104 section 3), so there is no error.
        fn keyed<M: KeyInit>(secret: &[u8]) -> M {
            M::new_from_slice(secret).unwrap_or_else(|_| unreachable!("HMAC takes keys of every length"))
        }
        let hash = match algorithm {
            Algorithm::HmacSha1 => Hash::Sha1(keyed(secret)),
            Algorithm::HmacSha224 => Hash::Sha224(keyed(secret)),
            Algorithm::HmacSha256 | Algorithm::HmacSha256To128 => Hash::Sha256(keyed(secret)),
            Algorithm::HmacSha384 | Algorithm::HmacSha384To192 => Hash::Sha384(keyed(secret)),
            Algorithm::HmacSha512 | Algorithm::HmacSha512To256 => Hash::Sha512(keyed(secret)),
        };
        Running { hash, len: algorithm.mac_len() }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.hash {
            Hash::Sha1(hash) => hash.update(bytes),
            Hash::Sha224(hash) => hash.update(bytes),
            Hash::Sha256(hash) => hash.update(bytes),
            Hash::Sha384(hash) => hash.update(bytes),
            Hash::Sha512(hash) => hash.update(bytes),
        }
    }

    pub fn finish(self) -> Box<[u8]> {
        let mut mac = match self.hash {
            Hash::Sha1(hash) => hash.finalize().into_bytes().to_vec(),
            Hash::Sha224(hash) => hash.finalize().into_bytes().to_vec(),
            Hash::Sha256(hash) => hash.finalize().into_bytes().to_vec(),
            Hash::Sha384(hash) => hash.finalize().into_bytes().to_vec(),
            Hash::Sha512(hash) => hash.finalize().into_bytes().to_vec(),
        };
        mac.truncate(self.len);
        mac.into()
    }
}
