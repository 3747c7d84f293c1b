//! Entries taken apart: what stands in which column, and which comment belongs where.

use std::borrow::Cow;

use crate::dns::RrType;
use crate::dns::lex::{Fault, Lexer, Piece, Token};
use crate::dns::ttl::parse_ttl;

/// One thing in a file, from top to bottom.
pub(super) enum Item<'a> {
    /// An empty line.
    Blank,
    /// A line that is a comment alone.
    Comment(&'a [u8]),
    /// Lines that stay as they are: white space in the RDATA of a $GENERATE is part of a template.
    Verbatim(&'a [u8]),
    /// $TTL and the like: never empty, the directive's name in capitals.
    Directive { words: Vec<Cow<'a, [u8]>>, comment: Option<&'a [u8]> },
    /// An entry that makes a record.
    Record(Record<'a>),
}

pub(super) struct Record<'a> {
    /// As written; `None` where it is the last one's.
    pub(super) owner: Option<&'a [u8]>,
    pub(super) ttl: Option<&'a [u8]>,
    pub(super) class: Option<Vec<u8>>,
    pub(super) rtype: RrType,
    /// The type as written, in capitals.
    pub(super) type_text: Vec<u8>,
    /// RDATA, line by line; never empty. Of all but the first line, each has a word or a comment.
    pub(super) lines: Vec<Line<'a>>,
}

/// A part of RDATA on one line.
#[derive(Default)]
pub(super) struct Line<'a> {
    pub(super) words: Vec<&'a [u8]>,
    pub(super) comment: Option<&'a [u8]>,
}

/// The words before an SOA's numbers.
const SOA_NAMES: usize = 2;
/// How many words an SOA's RDATA has, but in the form of RFC 3597.
const SOA_WORDS: usize = 7;

/// Takes the next entry of `text`, with the line end after it.
pub(super) fn read<'a>(
    lexer: &mut Lexer<'a>,
    text: &'a [u8],
    each: &mut impl FnMut(Item<'a>),
) -> Result<(), Fault> {
    let start = lexer.offset();
    let blank = lexer.at_blank();
    let mut pieces = Vec::new();
    while let Some(piece) = lexer.next_piece()? {
        if let Piece::Word(token, raw) = piece {
            check_word(&token, raw)?;
        }
        pieces.push(piece);
    }
    let end = lexer.offset();
    lexer.skip_entry();
    let first = pieces.iter().find_map(|piece| match piece {
        Piece::Word(token, _) => Some(*token),
        _ => None,
    });
    let Some(first) = first else {
        if pieces.is_empty() {
            each(Item::Blank);
        }
        comments(&pieces).for_each(|comment| each(Item::Comment(comment)));
        return Ok(());
    };
    if blank || first.quoted || !first.text.starts_with(b"$") {
        return record(&pieces, blank, each);
    }
    if first.text.eq_ignore_ascii_case(b"$GENERATE") {
        each(Item::Verbatim(&text[start..end]));
        return Ok(());
    }
    let mut words: Vec<Cow<'a, [u8]>> = words(&pieces).map(|(_, raw)| Cow::Borrowed(raw)).collect();
    words[0] = Cow::Owned(words[0].to_ascii_uppercase());
    let mut comments: Vec<_> = comments(&pieces).collect();
    let comment = comments.pop();
    for comment in comments {
        each(Item::Comment(comment));
    }
    each(Item::Directive { words, comment });
    Ok(())
}

/// A word that ends with a lone backslash would take in the white space put after it.
fn check_word(token: &Token<'_>, raw: &[u8]) -> Result<(), Fault> {
    let backslashes = raw.iter().rev().take_while(|&&byte| byte == b'\\').count();
    if !token.quoted && backslashes % 2 == 1 {
        return Err(Fault::new(
            token.at,
            "the line ends in the middle of an escape; write \\\\ for a backslash",
        ));
    }
    Ok(())
}

fn words<'p, 'a>(pieces: &'p [Piece<'a>]) -> impl Iterator<Item = (Token<'a>, &'a [u8])> + use<'p, 'a> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Word(token, raw) => Some((*token, *raw)),
        _ => None,
    })
}

fn comments<'p, 'a>(pieces: &'p [Piece<'a>]) -> impl Iterator<Item = &'a [u8]> + use<'p, 'a> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Comment(text) => Some(text.trim_ascii_end()),
        _ => None,
    })
}

fn record<'a>(pieces: &[Piece<'a>], blank: bool, each: &mut impl FnMut(Item<'a>)) -> Result<(), Fault> {
    let mut owner = None;
    let (mut ttl, mut class) = (None, None);
    for (at, piece) in pieces.iter().enumerate() {
        let (token, raw) = match piece {
            Piece::Word(token, raw) => (token, *raw),
            // What stands between the words of the head goes before the entry.
            Piece::Comment(text) => {
                each(Item::Comment(text.trim_ascii_end()));
                continue;
            }
            Piece::LineEnd => continue,
        };
        let is_class = token.text.eq_ignore_ascii_case(b"IN") || token.text.eq_ignore_ascii_case(b"CLASS1");
        if owner.is_none() && !blank {
            owner = Some(raw);
        } else if parse_ttl(token.text).is_some() && ttl.is_none() {
            ttl = Some(raw);
        } else if is_class && class.is_none() {
            class = Some(raw.to_ascii_uppercase());
        } else {
            let rtype = RrType::from_text(token.text).ok_or_else(|| {
                token.is_not("a record type; write a mnemonic like AAAA, or TYPEnnn (RFC 3597)")
            })?;
            let rest = &pieces[at + 1..];
            let in_lines = rest.iter().any(|piece| matches!(piece, Piece::LineEnd));
            let is_soa = rtype == RrType::SOA && in_lines && words(rest).count() == SOA_WORDS;
            let lines = if is_soa { soa_lines(rest) } else { lines(rest) };
            let type_text = raw.to_ascii_uppercase();
            each(Item::Record(Record { owner, ttl, class, rtype, type_text, lines }));
            return Ok(());
        }
    }
    let end = words(pieces).last().map_or(0, |(token, raw)| token.at + raw.len());
    Err(Fault::new(end, "the line ends too early: a record type is missing"))
}

/// RDATA in the lines it is written in; what is all on one line needs no parentheses.
fn lines<'a>(pieces: &[Piece<'a>]) -> Vec<Line<'a>> {
    let mut lines = vec![Line::default()];
    for piece in pieces {
        match piece {
            Piece::LineEnd => lines.push(Line::default()),
            Piece::Word(_, raw) => last(&mut lines).words.push(raw),
            Piece::Comment(text) => last(&mut lines).comment = Some(text.trim_ascii_end()),
        }
    }
    let mut first = true;
    lines.retain(|line| std::mem::take(&mut first) || !line.words.is_empty() || line.comment.is_some());
    if lines.len() == 2 && lines[0].words.is_empty() && lines[0].comment.is_none() {
        lines.remove(0);
    }
    lines
}

/// An SOA's names on the first line, and each of its numbers on one of its own.
fn soa_lines<'a>(pieces: &[Piece<'a>]) -> Vec<Line<'a>> {
    let mut lines = vec![Line::default()];
    let (mut count, mut same_line) = (0, true);
    for piece in pieces {
        match piece {
            Piece::LineEnd => same_line = false,
            Piece::Word(_, raw) if count < SOA_NAMES => {
                lines[0].words.push(raw);
                (count, same_line) = (count + 1, lines.len() == 1);
            }
            Piece::Word(_, raw) => {
                lines.push(Line { words: vec![raw], comment: None });
                (count, same_line) = (count + 1, true);
            }
            Piece::Comment(text) => {
                let comment = Some(text.trim_ascii_end());
                if same_line && last(&mut lines).comment.is_none() {
                    last(&mut lines).comment = comment;
                } else {
                    lines.push(Line { words: Vec::new(), comment });
                }
            }
        }
    }
    lines
}

fn last<'l, 'a>(lines: &'l mut Vec<Line<'a>>) -> &'l mut Line<'a> {
    if lines.is_empty() {
        lines.push(Line::default());
    }
    let at = lines.len() - 1;
    &mut lines[at]
}
