//! The layout of master files: the same records, order and comments, in straight columns.
//!
//! In: a file's bytes. Out: its bytes as everybody writes them who uses this, or where its words break.
//! It sees words and comments, not records: what a name, a TTL or RDATA says is left as it is written, and
//! names stay relative. It must never know what a record means, but for two things: where its head ends
//! (at its type), and that an SOA in parentheses has one number to a line.
//!
//! ```text
//! text ─► lex ─► items (entry) ─► lines, in columns (lines) ─► text
//! ```
//!
//! Laying out twice gives what laying out once gave, and the result means what the file meant: both are
//! held by properties (`tests`) and by a fuzz target.

mod entry;
mod freeze;
mod lines;
#[cfg(test)]
mod tests;

use crate::dns::lex::{Fault, Lexer};
use crate::dns::{Name, RrType};

use entry::Item;

pub use freeze::write_edits;

/// Why a text cannot be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct LayoutError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and the way out.
    pub message: String,
}

/// The text in straight columns: the same words, order and comments. Lines end with LF, at most one
/// empty line stands between others, and none at either end.
pub fn lay_out(text: &[u8]) -> Result<Vec<u8>, LayoutError> {
    let mut items = Vec::new();
    each_item(text, |item| items.push(item))?;
    Ok(lines::print(&items))
}

/// What a zone's file says its apex is: the SOA's owner, where that is absolute or follows an absolute
/// $ORIGIN. `None` where it says nothing of it, or has no SOA.
pub fn declared_apex(text: &[u8]) -> Option<Name> {
    let (mut origin, mut owner, mut apex) = (None, None, None);
    let resolve = |name: &[u8], origin: &Option<Name>| match (origin, name) {
        (Some(origin), _) => Name::parse(name, origin).ok(),
        (None, [.., b'.']) => Name::parse(name, &Name::root()).ok(),
        (None, _) => None,
    };
    let _ = each_item(text, |item| match item {
        _ if apex.is_some() => {}
        Item::Directive { words, .. } if *words[0] == *b"$ORIGIN" => {
            origin = words.get(1).and_then(|name| resolve(name, &origin));
        }
        Item::Record(record) => {
            if let Some(name) = record.owner {
                owner = resolve(name, &origin);
            }
            if record.rtype == RrType::SOA {
                apex = Some(owner.take());
            }
        }
        _ => {}
    });
    apex.flatten()
}

/// Whether a file holds an SOA, so that it is a zone's own and not one that others include.
pub fn has_soa(text: &[u8]) -> bool {
    let mut found = false;
    let _ = each_item(text, |item| {
        found |= matches!(item, Item::Record(record) if record.rtype == RrType::SOA);
    });
    found
}

fn each_item<'a>(text: &'a [u8], mut each: impl FnMut(Item<'a>)) -> Result<(), LayoutError> {
    let mut lexer = Lexer::new(text);
    while !lexer.at_end() {
        entry::read(&mut lexer, text, &mut each).map_err(|fault| located(text, fault))?;
    }
    Ok(())
}

fn located(text: &[u8], fault: Fault) -> LayoutError {
    let line = text[..fault.at.min(text.len())].split(|&byte| byte == b'\n').count();
    LayoutError { line, message: fault.message }
}
