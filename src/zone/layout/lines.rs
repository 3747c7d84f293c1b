//! Items in columns: owner, TTL, class, type, RDATA, comment.

use super::entry::{Item, Record};

/// The widest owner that others are aligned with; what is wider pushes its own line only.
const MAX_OWNER: usize = 24;
/// The same of a type.
const MAX_TYPE: usize = 10;
/// The longest line that comments of its neighbours are aligned with.
const MAX_BODY: usize = 76;
/// Between two columns.
const GAP: usize = 2;

/// What a line is, for comments to be aligned among those of a kind that stand together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Its comment, if there is one, stands right behind it.
    Alone,
    /// A record, or its first line.
    Record,
    /// A record's later line.
    Continued,
}

struct Printed<'a> {
    kind: Kind,
    body: Vec<u8>,
    comment: Option<&'a [u8]>,
}

/// How wide each column is, over all of a file; 0 for one that nobody uses.
struct Columns {
    owner: usize,
    ttl: usize,
    class: usize,
    rtype: usize,
}

/// The items as text.
pub(super) fn print(items: &[Item<'_>]) -> Vec<u8> {
    let columns = Columns::of(items);
    let mut lines = Vec::with_capacity(items.len());
    let alone = |body: Vec<u8>, comment| Printed { kind: Kind::Alone, body, comment };
    let mut blank = false;
    for item in items {
        if matches!(item, Item::Blank) {
            blank = !lines.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            lines.push(alone(Vec::new(), None));
        }
        match item {
            Item::Blank => {}
            Item::Comment(comment) => lines.push(alone(Vec::new(), Some(comment))),
            Item::Verbatim(text) => lines.push(alone(text.to_vec(), None)),
            Item::Directive { words, comment } => lines.push(alone(words.join(&b' '), *comment)),
            Item::Record(record) => columns.print(record, &mut lines),
        }
    }
    let mut out = Vec::new();
    for together in lines.chunk_by(|a, b| a.kind == b.kind && a.comment.is_some() && b.comment.is_some()) {
        let widest = together.iter().map(|line| width(&line.body)).filter(|&width| width <= MAX_BODY).max();
        for line in together {
            out.extend_from_slice(&line.body);
            if let Some(comment) = line.comment {
                if !line.body.trim_ascii_start().is_empty() {
                    let to = if line.kind == Kind::Alone { 0 } else { widest.unwrap_or(0) };
                    pad(&mut out, width(&line.body), to);
                }
                out.extend_from_slice(comment);
            }
            out.push(b'\n');
        }
    }
    out
}

impl Columns {
    fn of(items: &[Item<'_>]) -> Columns {
        let mut columns = Columns { owner: 0, ttl: 0, class: 0, rtype: 0 };
        for item in items {
            let Item::Record(record) = item else { continue };
            let owner = record.owner.map_or(0, width);
            if owner <= MAX_OWNER {
                columns.owner = columns.owner.max(owner);
            }
            columns.ttl = columns.ttl.max(record.ttl.map_or(0, width));
            columns.class = columns.class.max(record.class.as_deref().map_or(0, width));
            columns.rtype = columns.rtype.max(width(&record.type_text).min(MAX_TYPE));
        }
        columns
    }

    /// Where RDATA begins, unless something wide stands before it.
    fn rdata(&self) -> usize {
        [self.ttl, self.class].iter().filter(|&&width| width > 0).map(|width| width + GAP).sum::<usize>()
            + self.owner
            + self.rtype
            + 2 * GAP
    }

    fn print<'a>(&self, record: &Record<'a>, lines: &mut Vec<Printed<'a>>) {
        let mut body = record.owner.unwrap_or_default().to_vec();
        let written = width(&body);
        pad(&mut body, written, self.owner);
        for (text, column) in [(record.ttl, self.ttl), (record.class.as_deref(), self.class)] {
            if column > 0 {
                let text = text.unwrap_or_default();
                body.extend_from_slice(text);
                pad(&mut body, width(text), column);
            }
        }
        body.extend_from_slice(&record.type_text);
        let count = record.lines.len();
        for (at, line) in record.lines.iter().enumerate() {
            let mut rdata = line.words.join(&b' ');
            let bracket = match at {
                0 if count > 1 => Some(b'('),
                _ if at > 0 && at + 1 == count => Some(b')'),
                _ => None,
            };
            if let Some(bracket) = bracket {
                rdata.extend_from_slice(if rdata.is_empty() { b"" } else { b" " });
                rdata.push(bracket);
            }
            if at > 0 {
                body.resize(self.rdata(), b' ');
            } else if !rdata.is_empty() {
                pad(&mut body, width(&record.type_text), self.rtype);
            }
            body.extend_from_slice(&rdata);
            let kind = if at == 0 { Kind::Record } else { Kind::Continued };
            lines.push(Printed { kind, body: std::mem::take(&mut body), comment: line.comment });
        }
    }
}

/// Fills a column of `to` characters of which `written` are there, and the gap after it.
fn pad(out: &mut Vec<u8>, written: usize, to: usize) {
    let spaces = to.saturating_sub(written) + GAP;
    out.resize(out.len() + spaces, b' ');
}

/// In characters, as far as it is UTF-8.
fn width(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count()
}
