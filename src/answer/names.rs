//! Names as the answer path handles them: borrowed wire bytes, and one buffer for the name looked up.

use crate::dns::MAX_NAME_LEN;

/// Compression pointers begin with two set bits (RFC 1035 section 4.1.4).
pub(super) const POINTER: u16 = 0xc000;

/// The length of the uncompressed name `bytes` begins with, its zero included.
pub(super) fn name_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += 1 + len;
        if len > 63 || at > MAX_NAME_LEN {
            return None;
        }
        if len == 0 {
            return Some(at);
        }
    }
}

/// A name without its first label; `None` for the root.
#[inline]
pub(super) fn parent(name: &[u8]) -> Option<&[u8]> {
    match name[0] {
        0 => None,
        len => Some(&name[1 + usize::from(len)..]),
    }
}

/// A name and all above it, up to the root.
pub(super) fn up(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(name), |name| parent(name))
}

/// Whether `name`, which may be followed by more bytes, is `other` or lies below it.
pub(super) fn is_at_or_below(name: &[u8], other: &[u8]) -> bool {
    let Some(len) = name_len(name) else { return false };
    up(&name[..len]).any(|suffix| suffix.eq_ignore_ascii_case(other))
}

/// How much of `name` to keep and where in `owner` the rest of it is, if a pointer there saves anything.
/// Cases count, so that the record can be read back as it was. The owner's first label is left out where
/// it is `*`: no message holds it.
pub(super) fn common_suffix(name: &[u8], owner: &[u8]) -> Option<(usize, usize)> {
    let known = if owner.starts_with(b"\x01*") { &owner[2..] } else { owner };
    up(name)
        // A pointer takes two bytes; the root's zero alone is shorter.
        .take_while(|suffix| suffix.len() > 2)
        .find(|suffix| suffix.len() <= known.len() && up(known).any(|own| own == *suffix))
        .map(|suffix| (name.len() - suffix.len(), owner.len() - suffix.len()))
}

/// The room for a name: a whole number of blocks, so that folding case leaves no odd bytes to the end.
const ROOM: usize = MAX_NAME_LEN.next_multiple_of(BLOCK);
/// What one vector instruction of every x86-64 and ARM64 takes.
const BLOCK: usize = 16;

/// The name being looked up: in lower case, since names compare without case (RFC 4343 section 3).
#[derive(Clone)]
pub(super) struct Sought {
    bytes: [u8; ROOM],
    len: u8,
    labels: u8,
}

impl Sought {
    /// No name yet; to be made where it stays, as moving its bytes costs more than finding its node.
    #[inline]
    pub(super) fn empty() -> Sought {
        Sought { bytes: [0; ROOM], len: 0, labels: 0 }
    }

    /// Takes the uncompressed name that `from` begins with, into an empty one; `None` where there is none.
    /// A pointer in a question could only lead back into the header, so it is refused.
    #[inline]
    pub(super) fn read(&mut self, from: &[u8]) -> Option<()> {
        let (mut at, mut labels) = (0, 0);
        loop {
            let len = usize::from(*from.get(at)?);
            if len > 63 {
                return None;
            }
            at += 1 + len;
            if len == 0 {
                break;
            }
            if at >= MAX_NAME_LEN {
                return None;
            }
            labels += 1;
        }
        self.len = at as u8;
        self.labels = labels;
        self.bytes[..at].copy_from_slice(&from[..at]);
        // Length bytes are below 64 and no letters, so the whole name folds at once.
        for block in self.bytes.as_chunks_mut::<BLOCK>().0.iter_mut().take(at.div_ceil(BLOCK)) {
            block.make_ascii_lowercase();
        }
        Some(())
    }

    /// Takes the possibly compressed name at `at` in a message this server has written.
    pub(super) fn follow(message: &[u8], mut at: usize) -> Option<Sought> {
        let mut sought = Sought::empty();
        let mut len = 0;
        loop {
            at = label_at(message, at)?;
            let label = message.get(at..=at + usize::from(message[at]))?;
            let to = sought.bytes[..MAX_NAME_LEN].get_mut(len..len + label.len())?;
            to.copy_from_slice(label);
            len += label.len();
            if label.len() == 1 {
                break;
            }
            sought.labels += 1;
            at += label.len();
        }
        sought.len = len as u8;
        sought.bytes[..len].make_ascii_lowercase();
        Some(sought)
    }

    #[inline]
    pub(super) fn name(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(super) fn labels(&self) -> usize {
        usize::from(self.labels)
    }
}

/// Where the label that `at` holds or points to begins. Pointers lead backwards, so this ends.
pub(super) fn label_at(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let first = *message.get(at)?;
        if first < 0xc0 {
            return Some(at);
        }
        let to = usize::from(u16::from_be_bytes([first, *message.get(at + 1)?]) & !POINTER);
        if to >= at {
            return None;
        }
        at = to;
    }
}

/// Where the name at `at` continues after its first `skip` bytes (whole labels, as if uncompressed).
pub(super) fn suffix_at(message: &[u8], at: usize, mut skip: usize) -> Option<usize> {
    let mut at = label_at(message, at)?;
    while skip > 0 {
        let len = 1 + usize::from(message[at]);
        skip = skip.checked_sub(len)?;
        at = label_at(message, at + len)?;
    }
    Some(at)
}

/// Whether the names at two places of a message this server has written are the same.
pub(super) fn same_name(message: &[u8], mut a: usize, mut b: usize) -> bool {
    loop {
        let Some((at_a, at_b)) = label_at(message, a).zip(label_at(message, b)) else { return false };
        if at_a == at_b {
            return true;
        }
        let len = 1 + usize::from(message[at_a]);
        let labels = message.get(at_a..at_a + len).zip(message.get(at_b..at_b + len));
        if !labels.is_some_and(|(of_a, of_b)| of_a.eq_ignore_ascii_case(of_b)) {
            return false;
        }
        if len == 1 {
            return true;
        }
        (a, b) = (at_a + len, at_b + len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;

    fn wire(text: &str) -> Vec<u8> {
        text.parse::<Name>().expect("a name").as_wire().to_vec()
    }

    #[test]
    fn reads_names_within_the_limits_alone() {
        let check = |bytes: &[u8], want: Option<(usize, usize)>| {
            let mut sought = Sought::empty();
            let read = sought.read(bytes).map(|()| (sought.name().len(), sought.labels()));
            assert_eq!(read, want, "{bytes:?}");
        };
        check(b"\0", Some((1, 0)));
        check(b"\x03WwW\x01.\0more", Some((7, 2)));
        check(b"", None);
        check(b"\x03ww", None);
        check(b"\x03www", None);
        check(b"\xc0\x0c", None);
        check(b"\x40", None);
        check(&[&[1, b'a'].repeat(127)[..], &[0]].concat(), Some((255, 127)));
        check(&[&[1, b'a'].repeat(126)[..], &[2, b'b', b'b', 0]].concat(), None);
        for text in ["WwW.", "FifteenBytes.1.", "SixteenBytes.11.", "Seventeen.Bytes1."] {
            let mut sought = Sought::empty();
            sought.read(&wire(text)).unwrap();
            assert_eq!(sought.name(), wire(&text.to_lowercase()));
        }
    }

    #[test]
    fn follows_pointers_backwards_alone() {
        let message = b"\x03Com\0\x01a\xc0\x00\xc0\x05\xc0\x0b";
        assert_eq!(Sought::follow(message, 5).unwrap().name(), b"\x01a\x03com\0");
        assert_eq!(Sought::follow(message, 9).unwrap().name(), b"\x01a\x03com\0");
        assert!(Sought::follow(message, 11).is_none(), "to itself");
        assert_eq!(suffix_at(message, 9, 2), Some(0));
        assert_eq!(suffix_at(message, 9, 6), Some(4));
        assert_eq!(suffix_at(message, 9, 1), None, "not a whole label");
    }

    #[test]
    fn names_are_the_same_by_their_labels() {
        let message = b"\x03Com\0\x01a\xc0\x00\x01A\x03cOM\0\x01b\xc0\x00";
        for (a, b, same) in
            [(5, 9, true), (9, 5, true), (5, 5, true), (0, 11, true), (5, 16, false), (5, 0, false)]
        {
            assert_eq!(same_name(message, a, b), same, "{a} {b}");
        }
    }

    #[test]
    fn suffixes_are_shared_at_label_borders() {
        let check = |name: &str, owner: &str, want| {
            assert_eq!(common_suffix(&wire(name), &wire(owner)), want, "{name} {owner}");
        };
        check("a.example.com", "b.example.com", Some((2, 2)));
        check("example.com", "b.example.com", Some((0, 2)));
        check("xample.com", "example.com", Some((7, 8)));
        check("a.net", "b.com", None);
        check(".", "com", None);
        check("*.com", "*.com", Some((2, 2)));
        // The label "\003com" with its length byte looks like the end of the other name.
        check(r"a.com", r"b\003com", None);
    }

    #[test]
    fn below_means_whole_labels() {
        assert!(is_at_or_below(b"\x01A\x07Example\x03com\0more", &wire("example.com")));
        assert!(is_at_or_below(&wire("example.com"), &wire(".")));
        assert!(!is_at_or_below(&wire("anexample.com"), &wire("example.com")));
        assert!(!is_at_or_below(b"\x09", &wire(".")));
    }
}
