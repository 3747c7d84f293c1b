//! Entries one by one: owner, TTL, class, type, RDATA, and what each may leave out.

use crate::dns::lex::{COMMENT, Fault, Lexer, Token};
use crate::dns::name::{push_wire, text_of, wire_is_at_or_below};
use crate::dns::rdata::parse_rdata;
use crate::dns::ttl::{MAX_TTL, parse_ttl};
use crate::dns::{Name, RrType, record_ttl};

use super::Include;
use super::lint::Lint;
use super::problem::{Findings, Pos, Source};
use super::stage::{MAX_RECORDS, Stage};

/// Everything read so far.
pub(super) struct Reader<'a> {
    pub(super) apex: &'a Name,
    pub(super) include: &'a mut Include<'a>,
    pub(super) stage: Stage,
    /// Where owners are put together: one room for all.
    pub(super) name: Vec<u8>,
    pub(super) findings: Findings,
    pub(super) sources: Vec<Source<'a>>,
    /// Where the $GENERATE stands whose entries are being read.
    pub(super) generating: Option<Pos>,
    /// Whether a bound was met and nothing more is read.
    pub(super) full: bool,
}

/// What the entries of one file leave to each other.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The file's number.
    pub(super) source: u16,
    /// How many files include this one.
    pub(super) depth: usize,
    /// What relative names end with, in wire form.
    pub(super) origin: Vec<u8>,
    /// From $TTL (RFC 2308 section 4).
    pub(super) default_ttl: Option<u32>,
    /// The last one given with a record: what counts without a $TTL (RFC 1035 section 5.1).
    pub(super) last_ttl: Option<u32>,
    /// Whose the entries are that begin with white space.
    pub(super) owner: Owner,
}

/// An entry's owner.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    /// No entry has named one yet.
    None,
    /// Its number on the stage.
    Known(u32),
    /// It was reported, so its other entries need not be.
    Refused,
}

impl Scope {
    /// The scope a zone's file begins with.
    pub(super) fn new(apex: &Name) -> Scope {
        let origin = apex.as_wire().to_vec();
        Scope { source: 0, depth: 0, origin, default_ttl: None, last_ttl: None, owner: Owner::None }
    }
}

/// What stands before RDATA.
struct Head {
    /// And where it stands.
    ttl: Option<(u32, usize)>,
    rtype: RrType,
}

impl Reader<'_> {
    /// Reads all entries of one file; what they leave to those after an `$INCLUDE` of it is in the scope that comes
    /// back.
    pub(super) fn read(&mut self, text: &[u8], mut scope: Scope) -> Scope {
        let mut lexer = Lexer::new(text);
        while !lexer.at_end() && !self.full {
            if let Err(fault) = self.entry(&mut lexer, &mut scope) {
                self.findings.fault(scope.source, fault);
            }
            if let Some(fault) = lexer.skip_entry() {
                self.findings.fault(scope.source, fault);
            }
        }
        scope
    }

    fn entry(&mut self, lexer: &mut Lexer<'_>, scope: &mut Scope) -> Result<(), Fault> {
        let blank = lexer.at_blank();
        let Some(first) = lexer.next()? else { return Ok(()) };
        if first.text.starts_with(b"#") && !first.quoted {
            return self.hash(lexer, scope, &first, blank);
        }
        if blank {
            return self.record(lexer, scope, first, first.at);
        }
        if first.text.starts_with(b"$") && !first.quoted {
            return self.directive(lexer, scope, &first);
        }
        self.owned_entry(lexer, scope, &first)
    }

    /// An entry that begins with a `#`. An owner may be called so, and what is none was meant for a comment.
    fn hash<'t>(
        &mut self,
        lexer: &mut Lexer<'t>,
        scope: &mut Scope,
        first: &Token<'t>,
        blank: bool,
    ) -> Result<(), Fault> {
        let (mut line, owner) = (lexer.clone(), scope.owner);
        let read = if blank {
            self.record(lexer, scope, *first, first.at)
        } else {
            self.owned_entry(lexer, scope, first)
        };
        read.map_err(|_| {
            // A parenthesis in a comment opens nothing.
            line.skip_to_line_end();
            *lexer = line;
            scope.owner = owner;
            Fault::new(first.at, COMMENT)
        })
    }

    /// An entry that begins with its owner.
    pub(super) fn owned_entry(
        &mut self,
        lexer: &mut Lexer<'_>,
        scope: &mut Scope,
        owner: &Token<'_>,
    ) -> Result<(), Fault> {
        scope.owner = Owner::Refused;
        scope.owner = Owner::Known(self.owner(scope, owner)?);
        let next = lexer.want("a record type")?;
        self.record(lexer, scope, next, owner.at)
    }

    /// The number of an owner name.
    fn owner(&mut self, scope: &Scope, token: &Token<'_>) -> Result<u32, Fault> {
        let name = &mut self.name;
        name.clear();
        push_wire(token.text, &scope.origin, name)
            .map_err(|why| Fault::new(token.at, format!("name {} {why}", token.shown())))?;
        name.make_ascii_lowercase();
        if !wire_is_at_or_below(name, self.apex.as_wire()) {
            let message = format!(
                "{} lies outside the zone {}; take it away, or end the name without a dot",
                text_of(name),
                self.apex
            );
            return Err(Fault::new(token.at, message));
        }
        Ok(self.stage.owners.insert(name))
    }

    /// An entry from what follows its owner; `at` is where it begins.
    fn record<'t>(
        &mut self,
        lexer: &mut Lexer<'t>,
        scope: &mut Scope,
        next: Token<'t>,
        at: usize,
    ) -> Result<(), Fault> {
        let owner = match scope.owner {
            Owner::Known(owner) => owner,
            Owner::Refused => return Ok(()),
            Owner::None => {
                let message = "no owner stands before this line for it to share; begin it with a name, or @";
                return Err(Fault::new(at, message));
            }
        };
        if !self.stage.has_room() {
            self.full = true;
            return Err(Fault::new(
                at,
                format!("the zone is too large: more than {MAX_RECORDS} records or 4 GB"),
            ));
        }
        let head = head(lexer, next)?;
        let explicit = head.ttl.map(|(ttl, at)| self.bounded_ttl(scope, ttl, at));
        let start = self.stage.begin();
        if let Err(fault) = parse_rdata(lexer, head.rtype, &scope.origin, &mut self.stage.rdata) {
            self.stage.rdata.truncate(start);
            return Err(fault);
        }
        let ttl =
            self.ttl(scope, explicit, head.rtype, at).inspect_err(|_| self.stage.rdata.truncate(start))?;
        let pos = self.pos(scope, at);
        let own = record_ttl(head.rtype, ttl, self.stage.rdata_of(start));
        if own != ttl {
            let message = format!(
                "the RRSIG has a TTL of {ttl} and was made for one of {own}, which it gets (RFC 4034 section 3)"
            );
            self.findings.warning(Lint::TtlDiffers, pos, message);
        }
        self.stage.push(owner, head.rtype, own, start, pos);
        Ok(())
    }

    /// The TTL of the record whose RDATA was read last.
    fn ttl(
        &mut self,
        scope: &mut Scope,
        explicit: Option<u32>,
        rtype: RrType,
        at: usize,
    ) -> Result<u32, Fault> {
        if explicit.is_some() {
            scope.last_ttl = explicit;
        }
        if let Some(ttl) = explicit.or(scope.default_ttl).or(scope.last_ttl) {
            return Ok(ttl);
        }
        if let (RrType::SOA, Some(minimum)) = (rtype, self.stage.rdata.last_chunk()) {
            // What TTLs meant before there was a $TTL (RFC 1035 section 3.3.13).
            let ttl = self.bounded_ttl(scope, u32::from_be_bytes(*minimum), at);
            scope.last_ttl = Some(ttl);
            let message = format!(
                "the SOA has no TTL and there is no $TTL: taking its minimum, {ttl}; add \"$TTL {ttl}\" above"
            );
            self.findings.warning(Lint::DefaultTtl, self.pos(scope, at), message);
            return Ok(ttl);
        }
        // Once is enough: the next record without one is not reported.
        scope.last_ttl = Some(0);
        Err(Fault::new(
            at,
            "the record has no TTL, and nothing before it gives one; begin the file with \"$TTL 1h\"",
        ))
    }

    /// A TTL as it may be: one over [`MAX_TTL`] counts as 0 (RFC 2181 section 8).
    pub(super) fn bounded_ttl(&mut self, scope: &Scope, ttl: u32, at: usize) -> u32 {
        if ttl <= MAX_TTL {
            return ttl;
        }
        let message = format!("a TTL of {ttl} counts as 0: the longest is {MAX_TTL} (RFC 2181 section 8)");
        self.findings.warning(Lint::TtlTooLong, self.pos(scope, at), message);
        0
    }

    /// The place of an offset in the file being read.
    pub(super) fn pos(&self, scope: &Scope, at: usize) -> Pos {
        self.generating.unwrap_or(Pos { source: scope.source, at: at as u32 })
    }
}

/// TTL and class in either order, then the type (RFC 1035 section 5.1).
fn head<'t>(lexer: &mut Lexer<'t>, next: Token<'t>) -> Result<Head, Fault> {
    let (mut ttl, mut class) = (None, false);
    let mut token = next;
    loop {
        if token.text.first().is_some_and(u8::is_ascii_digit) {
            let value =
                parse_ttl(token.text).ok_or_else(|| token.is_not("a TTL; write seconds, or like 1h30m"))?;
            if ttl.replace((value, token.at)).is_some() {
                return Err(Fault::new(token.at, "the record has two TTLs; keep one"));
            }
        } else if is_class_in(token.text) {
            if std::mem::replace(&mut class, true) {
                return Err(Fault::new(token.at, "the record has two classes; keep one"));
            }
        } else {
            return Ok(Head { ttl, rtype: rtype(&token)? });
        }
        token = lexer.want("a record type")?;
    }
}

fn is_class_in(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"IN") || text.eq_ignore_ascii_case(b"CLASS1")
}

fn rtype(token: &Token<'_>) -> Result<RrType, Fault> {
    let text = token.text;
    let Some(rtype) = RrType::from_text(text) else {
        let is_class = [&b"CH"[..], b"HS", b"CS"].iter().any(|class| text.eq_ignore_ascii_case(class))
            || text.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"CLASS"));
        let expected = if is_class {
            "a class served here; write IN, or leave it out"
        } else {
            "a record type; write a mnemonic like AAAA, or TYPEnnn (RFC 3597)"
        };
        return Err(token.is_not(expected));
    };
    if rtype.is_meta() {
        return Err(Fault::new(token.at, format!("{rtype} records exist in messages only; take it away")));
    }
    Ok(rtype)
}
