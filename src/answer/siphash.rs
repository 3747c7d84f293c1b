//! SipHash-2-4, the keyed hash that makes server cookies (RFC 9018 section 4.4).
//!
//! The standard library's `SipHasher` is deprecated and the hash it uses elsewhere has fewer rounds, which
//! would not be understood by other servers of the same address.

/// The state's start: "somepseudorandomlygeneratedbytes", in four words.
const START: [u64; 4] =
    [0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];

/// The hash of `bytes` under a key, in the order its bytes are sent.
pub(super) fn siphash(key: [u8; 16], bytes: &[u8]) -> [u8; 8] {
    let [low, high] = [word(&key[..8]), word(&key[8..])];
    let mut state = [START[0] ^ low, START[1] ^ high, START[2] ^ low, START[3] ^ high];
    let mut words = bytes.chunks_exact(8);
    for chunk in &mut words {
        absorb(&mut state, word(chunk));
    }
    // The last word ends in the length's lowest byte.
    absorb(&mut state, word(words.remainder()) | (bytes.len() as u64) << 56);
    state[2] ^= 0xff;
    for _ in 0..4 {
        round(&mut state);
    }
    (state[0] ^ state[1] ^ state[2] ^ state[3]).to_le_bytes()
}

/// Up to eight bytes as a little-endian word.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    round(state);
    state[0] ^= word;
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of SipHash's authors: the key 00 01 .. 0f, the input 00 01 .. of a length.
    #[test]
    fn gives_what_its_authors_say() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let check = |len: u8, want: u64| {
            let bytes: Vec<u8> = (0..len).collect();
            assert_eq!(u64::from_le_bytes(siphash(key, &bytes)), want, "{len} bytes");
        };
        check(0, 0x726f_db47_dd0e_0e31);
        check(1, 0x74f8_39c5_93dc_67fd);
        check(7, 0xab02_00f5_8b01_d137);
        check(8, 0x93f5_f579_9a93_2462);
        check(15, 0xa129_ca61_49be_45e5);
    }
}
