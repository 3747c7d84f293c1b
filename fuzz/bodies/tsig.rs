//! Any bytes as a message that may be signed: a request to a server that knows the key, and an answer to a
//! request of ours. Neither panics; what is believed was signed, and a refusal is an answer that says so.

use std::sync::Arc;

use detour::dns::tsig::{Algorithm, Key, Keys, Stream, ask, verify};

/// When the seeds were signed.
pub const NOW: u64 = 1_800_000_000;

/// The key the seeds were signed with.
pub fn key() -> Key {
    Key::new("xfr".parse().expect("a name"), Algorithm::HmacSha256, *b"sixteen byte key")
}

/// The request whose answers are among the seeds.
pub fn request() -> Vec<u8> {
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\xfc\0\x01".to_vec()
}

/// Takes one input.
pub fn run(message: &[u8]) {
    let keys: Keys = [key()].into_iter().collect();
    match verify(&keys, message, NOW) {
        Ok(Some(signed)) => {
            let mut answer = signed.message().to_vec();
            let plain = answer.len();
            Stream::new(&signed).sign(&mut answer, NOW);
            assert!(answer.len() <= plain + signed.record_len());
            assert!(verify(&keys, &answer, NOW).is_err(), "an answer is no request");
        }
        Ok(None) => {}
        Err(refused) => {
            if let Some(answer) = refused.answer(message) {
                assert_eq!(answer[3] & 0xf, refused.rcode());
                assert!(answer.len() >= 12 && answer[2] & 0x80 != 0);
            }
        }
    }
    let mut asked = ask(&mut request(), &Arc::new(key()), NOW);
    let mut answer = message.to_vec();
    if asked.check(&mut answer, NOW).is_ok() {
        assert!(asked.finish().is_ok() && answer.len() < message.len());
    }
    let _ = asked.check(&mut message.to_vec(), NOW);
}
