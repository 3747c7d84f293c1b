//! The words of a master file (RFC 1035 section 5.1): white space, quotes, parentheses and comments.

use crate::text::is_hidden;

/// A walk over one text's words. An entry ends with its line, but inside parentheses lines do not count.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// How many parentheses are open, and where the outermost is.
    depth: u32,
    opened_at: usize,
}

/// What a `#` is, in files that are not of this kind.
pub(crate) const COMMENT: &str = "comments in a zone file begin with \";\", not with \"#\"";

/// One word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    /// Without its quotes, escapes as written.
    pub(crate) text: &'a [u8],
    /// Its offset in the text.
    pub(crate) at: usize,
    /// Whether it stood in quotes.
    pub(crate) quoted: bool,
}

/// A part of an entry, parentheses aside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    /// A word, and how it is written: quotes and all.
    Word(Token<'a>, &'a [u8]),
    /// From its semicolon to the end of its line.
    Comment(&'a [u8]),
    /// The end of a line inside parentheses.
    LineEnd,
}

/// Something wrong at an offset of the text, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Fault {
        Fault { at, message: message.into() }
    }
}

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The most characters of a word that a message repeats.
const MAX_SHOWN: usize = 60;

impl Token<'_> {
    /// The word as a message shows it, in quotes.
    pub(crate) fn shown(&self) -> String {
        shown(self.text)
    }

    /// A fault of this word: it, and what it should have been.
    pub(crate) fn is_not(&self, expected: &str) -> Fault {
        Fault::new(self.at, format!("{} is not {expected}", self.shown()))
    }
}

/// Bytes as a message shows them: in quotes, bounded, without control characters.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_SHOWN * 4)]);
    let mut text: String =
        head.chars().take(MAX_SHOWN).map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect();
    if text.len() < head.len() || bytes.len() > MAX_SHOWN * 4 {
        text.push('…');
    }
    format!("\"{text}\"")
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Lexer<'a> {
        // Some editors put it before a text in UTF-8.
        let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Lexer { text, at, depth: 0, opened_at: 0 }
    }

    /// Whether all entries have been read.
    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Where the next word would be looked for.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Whether white space is next: at the start of a line it stands for the last owner.
    pub(crate) fn at_blank(&self) -> bool {
        matches!(self.text.get(self.at), Some(b' ' | b'\t'))
    }

    /// The entry's next word; `None` at its end.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, Fault> {
        loop {
            let Some(&byte) = self.text.get(self.at) else { return self.end_of_text() };
            match byte {
                b'\n' if self.depth == 0 => return Ok(None),
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b';' => self.skip_to_line_end(),
                b'(' => self.open(),
                b')' => self.close()?,
                b'"' => return self.quoted().map(Some),
                _ => return self.unquoted().map(Some),
            }
        }
    }

    /// The same with what [`Lexer::next`] leaves out, for who keeps a text's layout.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece<'a>>, Fault> {
        loop {
            let start = self.at;
            let Some(&byte) = self.text.get(start) else { return self.end_of_text().map(|_| None) };
            match byte {
                b'\n' if self.depth == 0 => return Ok(None),
                b'\n' => {
                    self.at += 1;
                    return Ok(Some(Piece::LineEnd));
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' => {
                    self.skip_to_line_end();
                    return Ok(Some(Piece::Comment(&self.text[start..self.at])));
                }
                b'(' => self.open(),
                b')' => self.close()?,
                _ => {
                    let token = if byte == b'"' { self.quoted()? } else { self.unquoted()? };
                    return Ok(Some(Piece::Word(token, &self.text[start..self.at])));
                }
            }
        }
    }

    fn open(&mut self) {
        if self.depth == 0 {
            self.opened_at = self.at;
        }
        self.depth = self.depth.saturating_add(1);
        self.at += 1;
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.at += 1;
        self.depth = self.depth.checked_sub(1).ok_or_else(|| {
            Fault::new(self.at - 1, "no parenthesis is open here; write \\) for the character")
        })?;
        Ok(())
    }

    /// The next word, which must not be missing; `expected` says what it is.
    pub(crate) fn want(&mut self, expected: &str) -> Result<Token<'a>, Fault> {
        self.next()?
            .ok_or_else(|| Fault::new(self.at, format!("the line ends too early: {expected} is missing")))
    }

    /// The entry must be at its end; `of` says what ends.
    pub(crate) fn want_end(&mut self, of: impl FnOnce() -> String) -> Result<(), Fault> {
        match self.next()? {
            None => Ok(()),
            Some(token) => {
                let message = if token.text.starts_with(b"#") {
                    COMMENT.to_owned()
                } else {
                    format!("{} stands after the end of {}; take it away", token.shown(), of())
                };
                Err(Fault::new(token.at, message))
            }
        }
    }

    /// Whether the next word is `\#` (RFC 3597 section 5); it is not taken.
    pub(crate) fn at_generic(&mut self) -> bool {
        let blanks = self.text[self.at..].iter().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
        self.at += blanks;
        match &self.text[self.at..] {
            [b'\\', b'#', after, ..] => ends_word(*after),
            rest => rest == b"\\#",
        }
    }

    /// What is left of this line, escapes, comments and all.
    pub(crate) fn rest_of_line(&self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        &rest[..line_len(rest)]
    }

    /// Whether a parenthesis is open.
    pub(crate) fn in_parentheses(&self) -> bool {
        self.depth > 0
    }

    /// Leaves the entry behind, whatever is left of it; the fault that hides its end, if there is one.
    pub(crate) fn skip_entry(&mut self) -> Option<Fault> {
        let mut fault = None;
        loop {
            match self.next() {
                Ok(None) => break,
                Err(found) if self.at_end() => fault = Some(found),
                Ok(Some(_)) | Err(_) => {}
            }
        }
        self.at = (self.at + 1).min(self.text.len());
        fault
    }

    fn end_of_text(&mut self) -> Result<Option<Token<'a>>, Fault> {
        match std::mem::take(&mut self.depth) {
            0 => Ok(None),
            _ => Err(Fault::new(self.opened_at, "this parenthesis is never closed; add the )")),
        }
    }

    /// Passes over what is left of this line, whatever it holds.
    pub(crate) fn skip_to_line_end(&mut self) {
        self.at += line_len(&self.text[self.at..]);
    }

    fn quoted(&mut self) -> Result<Token<'a>, Fault> {
        let open = self.at;
        self.skip_quoted()?;
        Ok(Token { text: &self.text[open + 1..self.at - 1], at: open, quoted: true })
    }

    /// From an opening quote past the closing one.
    fn skip_quoted(&mut self) -> Result<(), Fault> {
        let open = self.at;
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') if !matches!(self.text.get(self.at + 1), None | Some(b'\n')) => self.at += 2,
                None | Some(b'\n') => {
                    return Err(Fault::new(open, "this quote is not closed on its line; add the \""));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn unquoted(&mut self) -> Result<Token<'a>, Fault> {
        let start = self.at;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\\' if !matches!(self.text.get(self.at + 1), None | Some(b'\n')) => self.at += 2,
                // alpn="h2,h3" is one word (RFC 9460 section 2.1).
                b'"' if self.text[self.at - 1] == b'=' && self.at > start => self.skip_quoted()?,
                _ if ends_word(byte) => break,
                _ => self.at += 1,
            }
        }
        Ok(Token { text: &self.text[start..self.at], at: start, quoted: false })
    }
}

/// Whether an unquoted word ends before this byte.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"')
}

fn line_len(text: &[u8]) -> usize {
    text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of each entry, entries apart; a fault ends its entry.
    fn words(text: &str) -> Vec<Vec<String>> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut entries = Vec::new();
        while !lexer.at_end() {
            let mut entry = Vec::new();
            loop {
                match lexer.next() {
                    Ok(Some(token)) => entry.push(String::from_utf8_lossy(token.text).into_owned()),
                    Ok(None) => break,
                    Err(fault) => {
                        entry.push(format!("! {} {}", fault.at, fault.message));
                        break;
                    }
                }
            }
            if let Some(fault) = lexer.skip_entry() {
                entry.push(format!("! {} {}", fault.at, fault.message));
            }
            entries.push(entry);
        }
        entries
    }

    #[test]
    fn splits_entries_into_words() {
        let check = |text: &str, want: &[&[&str]]| assert_eq!(words(text), want, "{text:?}");
        check("", &[]);
        check("\n\n", &[&[], &[]]);
        check("a b\r\n c", &[&["a", "b"], &["c"]]);
        check("a;b\n;c\nd ; e", &[&["a"], &[], &["d"]]);
        check("a ( b ; x )\n c\n) d\ne", &[&["a", "b", "c", "d"], &["e"]]);
        check("a(b(c)d)e", &[&["a", "b", "c", "d", "e"]]);
        check("\"a b\" \"\" \"c;(\" d", &[&["a b", "", "c;(", "d"]]);
        check("\"a\"\"b\"c\"d\"", &[&["a", "b", "c", "d"]]);
        check(r#"a\ b \; \( "\"" \\ c"#, &[&[r"a\ b", r"\;", r"\(", r#"\""#, r"\\", "c"]]);
        check(r#"alpn="h2, h3" x="" y=z"#, &[&[r#"alpn="h2, h3""#, r#"x="""#, "y=z"]]);
    }

    #[test]
    fn says_where_words_break() {
        let check = |text: &str, want: &[&[&str]]| assert_eq!(words(text), want, "{text:?}");
        let unclosed = "! 2 this parenthesis is never closed; add the )";
        check("a ( b\nc ( d ) \n", &[&["a", "b", "c", "d", unclosed]]);
        check("a ) b\nc", &[&["a", "! 2 no parenthesis is open here; write \\) for the character"], &["c"]]);
        let quote = "! 2 this quote is not closed on its line; add the \"";
        check("a \"b\nc", &[&["a", quote], &["c"]]);
        check("a \"b\\\nc", &[&["a", quote], &["c"]]);
        check("a \"b\\", &[&["a", quote]]);
        check("a=\"b\nc", &[&["! 2 this quote is not closed on its line; add the \""], &["c"]]);
    }

    #[test]
    fn words_are_shown_bounded() {
        assert_eq!(shown(b"a\tb\xff"), "\"a\u{fffd}b\u{fffd}\"");
        assert_eq!(shown(&[b'x'; 1000]), format!("\"{}…\"", "x".repeat(60)));
    }
}
