//! TSIG (RFC 8945): who sent a message, and that nobody changed it on the way. Pure.
//!
//! In: messages, the keys that are known, and the time in seconds since 1970. Out: who signed and what they
//! said without the signature ([`verify`]), or why it does not count with the answer that says so
//! ([`Refused`]); answers with their signature ([`sign`], [`Stream`]); and, for those who ask, a signed request
//! and a check of what comes back ([`ask`], [`Asked`]). This part must never know what a key allows, where
//! secrets come from, what a message means, or what time it is but by `now`.
//!
//! ```text
//!   their request ──► verify ──┬─► None: nobody signed
//!                              ├─► Signed ──► sign, or Stream for many answers
//!                              └─► Refused ─► answer
//!   our request ────► ask ───────► Asked ───► check, for each answer ──► finish
//! ```
//!
//! A message that is sent twice is taken twice while its time holds: the times of earlier messages are not
//! kept (section 5.2.3 leaves it open), because many at once share a key, and their order on the way is not
//! that of their times. A transfer that is asked for twice harms nobody, nor does an update that says what
//! was said before.

mod algorithm;
mod client;
mod key;
mod record;
mod server;
mod sign;
#[cfg(test)]
mod tests;

pub use algorithm::{ALGORITHMS, Algorithm};
pub use client::{Asked, BadAnswer, MAX_UNSIGNED, ask};
pub use key::{Key, Keys};
pub use server::{Refused, Signed, TsigError, verify};
pub use sign::{Stream, sign};

/// The type of the record (RFC 8945 section 4.2).
const TSIG: u16 = 250;
/// The response code of a message whose signature does not count (RFC 8945 section 5.3.2).
const NOTAUTH: u8 = 9;
/// How far the clocks of two that sign may lie apart, in seconds (RFC 8945 section 10).
const FUDGE: u16 = 300;
