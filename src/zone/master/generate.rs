//! $GENERATE: one line for many entries, as BIND defines it.
//!
//! ```text
//! $GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE RDATA
//! ```
//!
//! In OWNER and RDATA, `$` is the number and `${OFFSET[,WIDTH[,BASE]]}` the number plus OFFSET, padded
//! with zeros to WIDTH, in base `d`, `o`, `x` or `X`, or as nibbles from the lowest up (`n`, `N`) for
//! ip6.arpa. `\$` and `$$` are a dollar. RDATA in one pair of quotes stands for what is between them.

use crate::dns::lex::{Fault, Lexer, Token, shown};

use super::entries::{Reader, Scope};

/// The most entries one $GENERATE may make.
pub const MAX_GENERATE: u64 = 65_536;
/// The widest number: more than any name holds.
const MAX_WIDTH: usize = 255;

/// What a bad `${...}` is told.
const BAD_MODIFIER: &str = "after ${ comes OFFSET[,WIDTH[,BASE]]}, like ${0,3,d}";

/// Reads the entries of a $GENERATE that begins at `at`; `lexer` stands after the word itself.
pub(super) fn generate(
    reader: &mut Reader<'_>,
    lexer: &mut Lexer<'_>,
    scope: &mut Scope,
    at: usize,
) -> Result<(), Fault> {
    let range = parse_range(&lexer.want("a range like 1-100")?)?;
    let owner = lexer.want("an owner name")?;
    let line = lexer.rest_of_line();
    let mut ahead = lexer.clone();
    // TTL, class and type: up to the first word that can be neither of the first two.
    let head_end = loop {
        let token = ahead.want("a record type")?;
        let is_head = token.text.first().is_some_and(u8::is_ascii_digit)
            || token.text.eq_ignore_ascii_case(b"IN")
            || token.text.eq_ignore_ascii_case(b"CLASS1");
        if !is_head {
            break ahead.offset() - lexer.offset();
        }
    };
    if ahead.in_parentheses() || head_end > line.len() {
        return Err(Fault::new(at, "a $GENERATE stands on one line, without parentheses before its RDATA"));
    }
    let (head, rdata) = line.split_at(head_end);
    let rdata = unquoted(ahead, rdata)?;
    reader.generating = Some(reader.pos(scope, at));
    let result = entries(reader, scope, range, &owner, head, &rdata);
    reader.generating = None;
    result.map_err(|message| Fault::new(at, message))
}

/// The RDATA's text: what is in its quotes, where one quoted word is all there is.
fn unquoted(mut lexer: Lexer<'_>, rdata: &[u8]) -> Result<Vec<u8>, Fault> {
    let word = lexer.next()?;
    match (word, lexer.next()?) {
        (Some(Token { text, quoted: true, .. }), None) => {
            let mut inner = Vec::with_capacity(text.len());
            let mut bytes = text.iter().peekable();
            while let Some(&byte) = bytes.next() {
                match (byte, bytes.peek()) {
                    (b'\\', Some(b'"')) => {}
                    // The other escapes are for the entry, their backslash's own among them.
                    (b'\\', Some(&&next)) => {
                        inner.extend([byte, next]);
                        bytes.next();
                    }
                    _ => inner.push(byte),
                }
            }
            Ok(inner)
        }
        _ => Ok(rdata.to_vec()),
    }
}

fn entries(
    reader: &mut Reader<'_>,
    scope: &mut Scope,
    range: impl Iterator<Item = i64>,
    owner: &Token<'_>,
    head: &[u8],
    rdata: &[u8],
) -> Result<(), String> {
    let mut entry = Vec::new();
    for number in range {
        entry.clear();
        expand(owner.text, number, &mut entry)?;
        entry.extend_from_slice(head);
        entry.push(b' ');
        expand(rdata, number, &mut entry)?;
        let mut lexer = Lexer::new(&entry);
        let read =
            lexer.want("an owner name").and_then(|owner| reader.owned_entry(&mut lexer, scope, &owner));
        // One fault is told, not one for each number.
        read.map_err(|fault| format!("{} (in the entry for {number}: {})", fault.message, shown(&entry)))?;
        if reader.full {
            break;
        }
    }
    Ok(())
}

/// `START-STOP[/STEP]`
fn parse_range(token: &Token<'_>) -> Result<impl Iterator<Item = i64> + use<>, Fault> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    let numbers = std::str::from_utf8(token.text).ok().and_then(|text| {
        let (range, step) = text.split_once('/').unwrap_or((text, "1"));
        let (start, stop) = range.split_once('-')?;
        Some((number(start)?, number(stop)?, number(step).filter(|&step| step > 0)?))
    });
    let (start, stop, step) = numbers
        .filter(|(start, stop, _)| start <= stop)
        .ok_or_else(|| token.is_not("a range; write START-STOP or START-STOP/STEP, like 1-100 or 0-254/2"))?;
    let count = u64::from((stop - start) / step) + 1;
    if count > MAX_GENERATE {
        let message =
            format!("{} makes {count} entries; one $GENERATE makes at most {MAX_GENERATE}", token.shown());
        return Err(Fault::new(token.at, message));
    }
    Ok((i64::from(start)..=i64::from(stop)).step_by(step as usize))
}

/// Appends a template with its dollars replaced.
fn expand(template: &[u8], number: i64, out: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = template;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = match (byte, tail) {
            (b'\\', [next, tail @ ..]) => {
                out.extend([byte, *next]);
                tail
            }
            (b'$', [b'$', tail @ ..]) => {
                out.push(b'$');
                tail
            }
            (b'$', [b'{', tail @ ..]) => {
                let end = tail.iter().position(|&byte| byte == b'}').ok_or(BAD_MODIFIER)?;
                push_modified(&tail[..end], number, out)?;
                &tail[end + 1..]
            }
            (b'$', _) => {
                out.extend_from_slice(number.to_string().as_bytes());
                tail
            }
            _ => {
                out.push(byte);
                tail
            }
        };
    }
    Ok(())
}

/// Appends the number as `OFFSET[,WIDTH[,BASE]]` says.
fn push_modified(modifier: &[u8], number: i64, out: &mut Vec<u8>) -> Result<(), String> {
    let mut parts = std::str::from_utf8(modifier).map_err(|_| BAD_MODIFIER)?.split(',');
    let offset: i32 = parts.next().unwrap_or_default().parse().map_err(|_| BAD_MODIFIER)?;
    let width: usize = parts.next().unwrap_or("0").parse().map_err(|_| BAD_MODIFIER)?;
    let base = parts.next().unwrap_or("d");
    if width > MAX_WIDTH || parts.next().is_some() {
        return Err(BAD_MODIFIER.to_owned());
    }
    let value = number + i64::from(offset);
    let Ok(value) = u64::try_from(value) else {
        return Err(format!("{number} and the offset {offset} make a negative number"));
    };
    let text = match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{value:0width$o}"),
        "x" => format!("{value:0width$x}"),
        "X" => format!("{value:0width$X}"),
        "n" => nibbles(value, width),
        "N" => nibbles(value, width).to_ascii_uppercase(),
        _ => return Err(format!("base \"{base}\" is unknown; there are d, o, x, X, n and N")),
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Hex digits from the lowest up, each a label. The width counts digits and dots, and a dot that it has
/// room for stands at the end.
fn nibbles(mut value: u64, width: usize) -> String {
    let mut text = String::new();
    loop {
        text.extend(char::from_digit((value & 15) as u32, 16));
        value >>= 4;
        if value == 0 && text.len() >= width {
            return text;
        }
        text.push('.');
        if value == 0 && text.len() >= width {
            return text;
        }
    }
}
