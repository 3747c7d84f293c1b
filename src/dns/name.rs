//! Domain names, in wire form.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest name on the wire, the root's zero byte included (RFC 1035 section 2.3.4).
pub const MAX_NAME_LEN: usize = 255;
/// The longest label (RFC 1035 section 2.3.4).
pub const MAX_LABEL_LEN: usize = 63;

/// An absolute domain name, uncompressed and in lower case (owner names compare without case,
/// RFC 4343; an answer echoes the case of its question anyway).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, examples("app.example.com."))]
pub struct Name(Arc<[u8]>);

/// Its wire form, which compares and hashes as the name does.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Why text or bytes are not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, a leading dot, or nothing at all.
    #[error("has an empty label")]
    EmptyLabel,
    /// A label over [`MAX_LABEL_LEN`].
    #[error("has a label of more than 63 bytes")]
    LabelTooLong,
    /// A name over [`MAX_NAME_LEN`].
    #[error("is longer than 255 bytes")]
    NameTooLong,
    /// A backslash followed by neither three digits up to 255 nor another character.
    #[error("has a bad escape: write \\DDD with a number up to 255, or \\ before one character")]
    BadEscape,
    /// Bytes that stop in mid-name or hold a compression pointer.
    #[error("is not an uncompressed wire-form name")]
    BadWire,
}

impl Name {
    /// The root.
    pub fn root() -> Name {
        Name(Arc::from(&[0u8][..]))
    }

    /// Parses text (`www.example.com`, `\.` and `\046` escapes allowed). Without a trailing dot it is
    /// taken relative to `origin`.
    pub fn parse(text: &[u8], origin: &Name) -> Result<Name, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 1 + origin.0.len());
        push_wire(text, &origin.0, &mut wire)?;
        wire.make_ascii_lowercase();
        Ok(Name(wire.into()))
    }

    /// Takes an uncompressed wire-form name, folding its case.
    pub fn from_wire(wire: &[u8]) -> Result<Name, NameError> {
        match split_wire(wire) {
            Some((_, [])) => Ok(Name(wire.to_ascii_lowercase().into())),
            _ => Err(NameError::BadWire),
        }
    }

    /// The name's bytes: length-prefixed labels, then a zero.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// As people write it: without the dot at its end. The root is `.`.
    pub fn bare(&self) -> String {
        let mut text = self.to_string();
        if text.len() > 1 {
            text.pop();
        }
        text
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether the first label is `*` (RFC 4592 section 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// The labels, leftmost first, the root's empty one left out.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let len = usize::from(rest[0]);
            if len == 0 {
                return None;
            }
            let label = &rest[1..=len];
            rest = &rest[1 + len..];
            Some(label)
        })
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        let len = usize::from(self.0[0]);
        (len != 0).then(|| Name(self.0[1 + len..].into()))
    }

    /// Whether `self` is `other` or lies below it.
    pub fn is_at_or_below(&self, other: &Name) -> bool {
        wire_is_at_or_below(&self.0, &other.0)
    }
}

/// Whether a name is another or lies below it, both in wire form and lower case.
pub(crate) fn wire_is_at_or_below(mine: &[u8], theirs: &[u8]) -> bool {
    let mut at = 0;
    loop {
        let rest = &mine[at..];
        if rest.len() <= theirs.len() {
            return rest == theirs;
        }
        at += 1 + usize::from(rest[0]);
    }
}

/// The text of a valid name in wire form.
pub(crate) fn text_of(wire: &[u8]) -> String {
    let mut text = String::new();
    let _ = print_wire(wire, &mut text); // writing to a String cannot fail
    text
}

/// Appends the wire form of a name in text, its case kept; what it leaves in `wire` after an error is
/// for the caller to cut off. `@` is `origin`, and a name without a trailing dot is relative to it.
pub(crate) fn push_wire(text: &[u8], origin: &[u8], wire: &mut Vec<u8>) -> Result<(), NameError> {
    let start = wire.len();
    match text {
        b"@" => wire.extend_from_slice(origin),
        b"." => wire.push(0),
        _ => {
            let mut label = push_label(text, wire)?;
            while let Some(rest) = label.filter(|rest| !rest.is_empty()) {
                label = push_label(rest, wire)?;
            }
            match label {
                Some(_) => wire.push(0),
                None => wire.extend_from_slice(origin),
            }
        }
    }
    if wire.len() - start > MAX_NAME_LEN { Err(NameError::NameTooLong) } else { Ok(()) }
}

/// Appends the first label of `text`; what follows its dot, or `None` where no dot ends it.
fn push_label<'a>(text: &'a [u8], wire: &mut Vec<u8>) -> Result<Option<&'a [u8]>, NameError> {
    let len_at = wire.len();
    wire.push(0);
    let mut at = 0;
    let rest = loop {
        match text.get(at) {
            None => break None,
            Some(b'.') => break Some(&text[at + 1..]),
            Some(b'\\') => {
                let (byte, len) = unescape(&text[at..]).ok_or(NameError::BadEscape)?;
                wire.push(byte);
                at += len;
            }
            Some(&byte) => {
                wire.push(byte);
                at += 1;
            }
        }
    };
    match wire.len() - len_at - 1 {
        0 => Err(NameError::EmptyLabel),
        len @ 1..=MAX_LABEL_LEN => {
            wire[len_at] = len as u8;
            Ok(rest)
        }
        _ => Err(NameError::LabelTooLong),
    }
}

/// The byte that the escape at the start of `text` stands for and the length of its text (RFC 1035
/// section 5.1): `\DDD` with a number up to 255, or `\` before anything but a digit.
pub(crate) fn unescape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [_, a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = [a, b, c].iter().fold(0u16, |sum, &&digit| sum * 10 + u16::from(digit - b'0'));
            u8::try_from(value).ok().map(|byte| (byte, 4))
        }
        [_, b'0'..=b'9', ..] | [_] | [] => None,
        [_, byte, ..] => Some((*byte, 2)),
    }
}

/// The uncompressed name that `bytes` begins with, and what follows it.
pub(crate) fn split_wire(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += 1 + len;
        if len > MAX_LABEL_LEN || at > MAX_NAME_LEN {
            return None;
        }
        if len == 0 {
            return bytes.split_at_checked(at);
        }
    }
}

/// Writes the text of a valid uncompressed name.
pub(crate) fn print_wire(wire: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    let mut rest = wire;
    while let [len @ 1..=u8::MAX, tail @ ..] = rest {
        let (label, tail) = tail.split_at(usize::from(*len));
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    write!(out, "\\{}", char::from(byte))?;
                }
                0x21..=0x7e => out.write_char(char::from(byte))?,
                _ => write!(out, "\\{byte:03}")?,
            }
        }
        out.write_char('.')?;
        rest = tail;
    }
    if wire.len() == 1 { out.write_char('.') } else { Ok(()) }
}

/// With the trailing dot and RFC 1035 escapes: `www.example.com.`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_wire(&self.0, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Relative to the root, so `example.com` and `example.com.` are the same.
impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text.as_bytes(), &Name::root())
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|e| serde::de::Error::custom(format!("name \"{text}\" {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    #[test]
    fn text_round_trips() {
        for text in
            [".", "com.", "www.example.com.", "*.example.com.", r"a\.b.example.", r"\000\255\032.example."]
        {
            assert_eq!(name(text).to_string(), text);
            assert_eq!(Name::from_wire(name(text).as_wire()), Ok(name(text)));
        }
        assert_eq!(name("WWW.Example.COM"), name("www.example.com."));
    }

    #[test]
    fn relative_names_take_the_origin() {
        let origin = name("example.com");
        assert_eq!(Name::parse(b"www", &origin).unwrap(), name("www.example.com"));
        assert_eq!(Name::parse(b"@", &origin).unwrap(), origin);
    }

    #[test]
    fn refuses_what_is_no_name() {
        let check = |text: &str, want| assert_eq!(text.parse::<Name>(), Err(want), "{text}");
        check("", NameError::EmptyLabel);
        check("a..b", NameError::EmptyLabel);
        check(".a", NameError::EmptyLabel);
        check(&"a".repeat(64), NameError::LabelTooLong);
        check(&"abcdefg.".repeat(32), NameError::NameTooLong);
        check(r"a\256", NameError::BadEscape);
        check(r"a\", NameError::BadEscape);
        check(r"a\1", NameError::BadEscape);
    }

    #[test]
    fn knows_what_lies_below() {
        assert!(name("a.example.com").is_at_or_below(&name("example.com")));
        assert!(name("example.com").is_at_or_below(&name("example.com")));
        assert!(name("example.com").is_at_or_below(&Name::root()));
        assert!(!name("notexample.com").is_at_or_below(&name("example.com")));
        assert!(!name("com").is_at_or_below(&name("example.com")));
        assert_eq!(name("a.b").parent(), Some(name("b")));
        assert_eq!(Name::root().parent(), None);
    }
}
