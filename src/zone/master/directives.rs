//! $ORIGIN, $TTL and $INCLUDE; $GENERATE has its own file.

use std::borrow::Cow;

use crate::dns::lex::{Fault, Lexer, Token};
use crate::dns::name::push_wire;
use crate::dns::rdata::parse_escaped;
use crate::dns::ttl::parse_ttl;

use super::entries::{Reader, Scope};
use super::problem::Source;
use super::{MAX_TEXT_LEN, generate};

/// How deep files may include files: enough for any layout, and an end to those that include themselves.
pub const MAX_INCLUDE_DEPTH: usize = 8;
/// How many files one zone may include.
pub const MAX_INCLUDES: usize = 10_000;

impl Reader<'_> {
    pub(super) fn directive(
        &mut self,
        lexer: &mut Lexer<'_>,
        scope: &mut Scope,
        name: &Token<'_>,
    ) -> Result<(), Fault> {
        match &name.text.to_ascii_uppercase()[..] {
            b"$ORIGIN" => {
                let token = lexer.want("a domain name")?;
                let origin = origin(scope, &token)?;
                lexer.want_end(|| "$ORIGIN".to_owned())?;
                scope.origin = origin;
                Ok(())
            }
            b"$TTL" => {
                let token = lexer.want("a TTL")?;
                let ttl = parse_ttl(token.text)
                    .ok_or_else(|| token.is_not("a TTL; write seconds, or like 1h30m"))?;
                lexer.want_end(|| "$TTL".to_owned())?;
                scope.default_ttl = Some(self.bounded_ttl(scope, ttl, token.at));
                Ok(())
            }
            b"$INCLUDE" => self.include(lexer, scope),
            b"$GENERATE" => generate::generate(self, lexer, scope, name.at),
            _ => Err(name.is_not("a directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE")),
        }
    }

    /// `$INCLUDE FILE [ORIGIN]`: the file is read with the scope of this place. Its origin and its last owner end with it
    /// (RFC 1035 section 5.1 says so of the origin); TTLs go on, as in BIND and NSD: a `$TTL` is in force until the next
    /// one (RFC 2308 section 4).
    fn include(&mut self, lexer: &mut Lexer<'_>, scope: &mut Scope) -> Result<(), Fault> {
        let path = lexer.want("a file name")?;
        let origin = match lexer.next()? {
            Some(token) => origin(scope, &token)?,
            None => scope.origin.clone(),
        };
        lexer.want_end(|| "$INCLUDE".to_owned())?;
        if scope.depth == MAX_INCLUDE_DEPTH {
            let message =
                format!("files include each other more than {MAX_INCLUDE_DEPTH} deep; is this a circle?");
            return Err(Fault::new(path.at, message));
        }
        // The first source is the zone's own file.
        let number = self.sources.len();
        if number > MAX_INCLUDES {
            self.full = true;
            return Err(Fault::new(path.at, format!("the zone includes more than {MAX_INCLUDES} files")));
        }
        let mut name = Vec::new();
        let name = parse_escaped(path.text, &mut name).and_then(|()| String::from_utf8(name).ok());
        let name = name.ok_or_else(|| path.is_not("a file name in UTF-8"))?;
        let (file, text) =
            (self.include)(&name).map_err(|why| Fault::new(path.at, format!("$INCLUDE: {why}")))?;
        if text.len() > MAX_TEXT_LEN {
            return Err(Fault::new(
                path.at,
                format!("the file is longer than {MAX_TEXT_LEN} bytes; split it"),
            ));
        }
        self.sources.push(Source { file, text: Cow::Borrowed(&[]) });
        let inner = Scope { source: number as u16, depth: scope.depth + 1, origin, ..scope.clone() };
        let left = self.read(&text, inner);
        (scope.default_ttl, scope.last_ttl) = (left.default_ttl, left.last_ttl);
        self.sources[number].text = Cow::Owned(text);
        Ok(())
    }
}

/// The wire form of a name that becomes an origin.
fn origin(scope: &Scope, token: &Token<'_>) -> Result<Vec<u8>, Fault> {
    let mut origin = Vec::new();
    push_wire(token.text, &scope.origin, &mut origin)
        .map_err(|why| Fault::new(token.at, format!("name {} {why}", token.shown())))?;
    Ok(origin)
}
