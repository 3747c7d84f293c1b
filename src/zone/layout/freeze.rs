//! Edits written into a master file: its lines, comments and order stay; records that went are taken out of
//! it, and those that came stand behind the last record of their owner.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::dns::lex::{Fault, Lexer};
use crate::dns::rdata::parse_rdata;
use crate::dns::ttl::parse_ttl;
use crate::dns::{Name, RrSet, RrType, Serial, record_ttl, soa_with_serial};
use crate::zone::{Edits, Zone};

use super::{LayoutError, located};

/// One record in the text.
struct Entry {
    owner: Name,
    rtype: RrType,
    rdata: Vec<u8>,
    /// As the line says, or `$TTL`, or the last line that said one; `None` where none of them is in this text.
    ttl: Option<u32>,
    /// Where a TTL would be written that the line leaves to an earlier one, without a `$TTL`; `None` where it says its
    /// own, or has `$TTL`'s.
    inherits: Option<usize>,
    /// From the start of its line to that of the next entry's.
    at: Range<usize>,
    /// The owner as written; `None` where it is the last one's.
    written: Option<Range<usize>>,
    /// The words of its RDATA, of an SOA alone.
    words: Vec<Range<usize>>,
}

/// The text of `source`'s file with the edits in it and another serial. Whoever writes it to a file makes
/// sure first that it means what it should: records that came by $INCLUDE or $GENERATE cannot be taken out.
pub fn write_edits(
    text: &[u8],
    source: &Zone,
    edits: &Edits,
    serial: Serial,
) -> Result<Vec<u8>, LayoutError> {
    let entries = entries(text, source.apex()).map_err(|fault| located(text, fault))?;
    let mut work = Work { text, out: BTreeMap::new(), last: BTreeMap::new() };
    for (at, entry) in entries.iter().enumerate() {
        work.last.insert(entry.owner.clone(), at);
    }
    let mut gone = BTreeSet::new();
    let mut came: BTreeMap<&Name, Vec<RrSet>> = BTreeMap::new();
    for (owner, rtype, edit) in edits.iter() {
        let before = source.rrset(owner, rtype);
        let after = edit.over(owner, rtype, before.as_ref());
        let same_ttl =
            rtype == RrType::RRSIG || before.as_ref().map(|set| set.ttl) == after.as_ref().map(|set| set.ttl);
        // A line may say another TTL than the RRset has, which is the lowest of its lines'.
        let stays = |entry: &Entry| {
            let in_set = |set: &RrSet| {
                entry.ttl == Some(record_ttl(rtype, set.ttl, &entry.rdata))
                    && set.rdata.iter().any(|stays| **stays == *entry.rdata)
            };
            same_ttl && after.as_ref().is_some_and(in_set)
        };
        let theirs = entries.iter().enumerate().filter(|(_, e)| e.owner == *owner && e.rtype == rtype);
        let leave: Vec<usize> = theirs.filter(|(_, entry)| !stays(entry)).map(|(at, _)| at).collect();
        let held = |rdata: &[u8]| before.as_ref().is_some_and(|set| set.rdata.iter().any(|r| **r == *rdata));
        if rtype == RrType::SOA {
            // In its place, for it stands first wherever people look for it.
            for (&at, set) in leave.iter().zip(after.iter()) {
                work.replace(&entries[at], lines(&soa_with_serial(set, serial)));
            }
            continue;
        }
        let left = |rdata: &[u8]| leave.iter().any(|&at| entries[at].rdata == rdata);
        let new = after.map(|set| RrSet {
            rdata: set.rdata.iter().filter(|r| !same_ttl || !held(r) || left(r)).cloned().collect(),
            ..set
        });
        gone.extend(leave);
        came.entry(owner).or_default().extend(new.filter(|set| !set.rdata.is_empty()));
    }
    for (owner, sets) in came {
        let lines: Vec<u8> = sets.iter().flat_map(lines).collect();
        work.insert(&entries, owner, lines);
    }
    work.take_out(&entries, &gone);
    work.keep_ttls(&entries, &gone, source);
    work.number(&entries, serial);
    Ok(work.done())
}

/// Absolute and with everything said: it stands wherever it is put.
fn lines(set: &RrSet) -> Vec<u8> {
    set.to_lines().flat_map(|line| (line + "\n").into_bytes()).collect()
}

/// What becomes of a text: for a place, how many of its bytes go and what comes there.
struct Work<'a> {
    text: &'a [u8],
    out: BTreeMap<usize, (usize, Vec<u8>)>,
    /// The last entry of each owner.
    last: BTreeMap<Name, usize>,
}

impl Work<'_> {
    fn replace(&mut self, entry: &Entry, with: Vec<u8>) {
        self.out.insert(entry.at.start, (entry.at.len(), with));
    }

    /// Behind the last record of the owner, or at the end. An entry that goes by the owner before it stays
    /// with the same one: the lines are of its owner, or nothing follows.
    fn insert(&mut self, entries: &[Entry], owner: &Name, lines: Vec<u8>) {
        let at = self.last.get(owner).map_or(self.text.len(), |&at| entries[at].at.end);
        let needs_end = at > 0 && self.text[at - 1] != b'\n';
        let (_, held) = self.out.entry(at).or_default();
        held.splice(0..0, needs_end.then_some(b'\n').into_iter().chain(lines));
    }

    /// An entry that went by the owner of one that goes says it itself from then on.
    fn take_out(&mut self, entries: &[Entry], gone: &BTreeSet<usize>) {
        let mut lost = false;
        for (at, entry) in entries.iter().enumerate() {
            lost = lost && entry.written.is_none();
            if gone.contains(&at) {
                let (len, _) = self.out.entry(entry.at.start).or_default();
                *len = entry.at.len();
                lost |= entry.written.is_some();
            } else if lost {
                let (_, held) = self.out.entry(entry.at.start).or_default();
                held.extend_from_slice(entry.owner.to_string().as_bytes());
                lost = false;
            }
        }
    }

    /// A line that left its TTL to an earlier one says it itself where what stands before it has changed.
    fn keep_ttls(&mut self, entries: &[Entry], gone: &BTreeSet<usize>, source: &Zone) {
        let mut from = 0;
        for (at, entry) in entries.iter().enumerate() {
            let replaced = self.out.get(&entry.at.start).is_some_and(|(goes, _)| *goes > 0);
            if gone.contains(&at) || replaced {
                continue;
            }
            if let Some(place) = entry.inherits {
                if self.out.range(from..=entry.at.start).next().is_none() {
                    continue;
                }
                // As it was read: all of a set have one TTL.
                let Some(set) = source.rrset(&entry.owner, entry.rtype) else { continue };
                self.out.insert(place, (0, format!("{} ", set.ttl).into_bytes()));
            }
            from = entry.at.end;
        }
    }

    /// Another serial, in the place of the old one.
    fn number(&mut self, entries: &[Entry], serial: Serial) {
        for soa in entries.iter().filter(|entry| entry.rtype == RrType::SOA) {
            let replaced = self.out.get(&soa.at.start).is_some_and(|(goes, _)| *goes > 0);
            if let Some(word) = soa.words.get(2).filter(|_| !replaced) {
                self.out.insert(word.start, (word.len(), serial.to_string().into_bytes()));
            }
        }
    }

    fn done(self) -> Vec<u8> {
        let (mut done, mut at) = (Vec::with_capacity(self.text.len()), 0);
        for (place, (goes, comes)) in self.out {
            done.extend_from_slice(self.text.get(at..place).unwrap_or_default());
            done.extend_from_slice(&comes);
            at = at.max(place + goes);
        }
        done.extend_from_slice(&self.text[at.min(self.text.len())..]);
        done
    }
}

/// The records that stand in the text itself, those of files it includes aside.
fn entries(text: &[u8], apex: &Name) -> Result<Vec<Entry>, Fault> {
    let mut lexer = Lexer::new(text);
    let (mut origin, mut last, mut default) = (apex.clone(), apex.clone(), None);
    let mut last_ttl = None;
    let mut entries = Vec::new();
    while !lexer.at_end() {
        let start = lexer.offset();
        let blank = lexer.at_blank();
        let Some(first) = lexer.next()? else {
            lexer.skip_entry();
            continue;
        };
        let first_at = first.at..lexer.offset();
        if !blank && !first.quoted && first.text.starts_with(b"$") {
            if first.text.eq_ignore_ascii_case(b"$ORIGIN") {
                let token = lexer.want("a domain name")?;
                origin = name(token.text, &origin, token.at)?;
            }
            if first.text.eq_ignore_ascii_case(b"$TTL") {
                default = parse_ttl(lexer.want("a TTL")?.text);
            }
            lexer.skip_entry();
            continue;
        }
        let (mut token, mut explicit) = (first, None);
        let mut written = None;
        if !blank {
            last = name(first.text, &origin, first.at)?;
            written = Some(first_at);
            token = lexer.want("a record type")?;
        }
        let head = token.at;
        let rtype = loop {
            let is_class =
                token.text.eq_ignore_ascii_case(b"IN") || token.text.eq_ignore_ascii_case(b"CLASS1");
            let said = parse_ttl(token.text);
            explicit = said.or(explicit);
            if !is_class && said.is_none() {
                break RrType::from_text(token.text).ok_or_else(|| token.is_not("a record type"))?;
            }
            token = lexer.want("a record type")?;
        };
        let mut words = Vec::new();
        let mut ahead = lexer.clone();
        while rtype == RrType::SOA
            && let Some(word) = ahead.next()?
        {
            words.push(word.at..ahead.offset());
        }
        let mut rdata = Vec::new();
        parse_rdata(&mut lexer, rtype, origin.as_wire(), &mut rdata)?;
        lexer.skip_entry();
        last_ttl = explicit.or(last_ttl);
        entries.push(Entry {
            owner: last.clone(),
            rtype,
            rdata,
            ttl: explicit.or(default).or(last_ttl),
            inherits: (explicit.is_none() && default.is_none()).then_some(head),
            at: start..lexer.offset(),
            written,
            words,
        });
    }
    Ok(entries)
}

fn name(text: &[u8], origin: &Name, at: usize) -> Result<Name, Fault> {
    Name::parse(text, origin).map_err(|why| Fault::new(at, format!("a name {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::rdata_from_text;
    use crate::zone::parse;

    const FILE: &str = "\
$ORIGIN example.
$TTL 1h
@  SOA ns h (
     7      ; the serial, by hand
     2h 1h 1w 5m )
   NS  ns   ; our own
; hosts
ns    A 192.0.2.53
www 5m A 192.0.2.1 ; the old one
    5m A 192.0.2.2
       TXT \"two words\" ; stays
$ORIGIN sub.example.
a A 192.0.2.9

; the end";

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes(), &"example.".parse().unwrap()).unwrap()
    }

    fn zone(text: &[u8]) -> Zone {
        parse(&name("@"), "zone", text, &mut |_| Err(String::new())).unwrap().0
    }

    fn set(owner: &str, rtype: RrType, ttl: u32, texts: &[&str]) -> ((Name, RrType), Option<RrSet>) {
        let rdata = texts.iter().map(|text| rdata_from_text(rtype, text).unwrap());
        let wanted = (!texts.is_empty()).then(|| RrSet::new(name(owner), rtype, ttl, rdata));
        ((name(owner), rtype), wanted)
    }

    /// The text with these edits in it, which means what the edits laid over the file do.
    fn written(wanted: &[((Name, RrType), Option<RrSet>)]) -> String {
        let source = zone(FILE.as_bytes());
        let mut edits = Edits::default();
        edits.change(&source, wanted.iter().cloned(), usize::MAX).unwrap();
        let text = write_edits(FILE.as_bytes(), &source, &edits, Serial(12)).unwrap();
        let soa = soa_with_serial(&edits.lay(&source).soa(), Serial(12));
        edits.change(&source, [((name("@"), RrType::SOA), Some(soa))], usize::MAX).unwrap();
        assert_eq!(zone(&text).fingerprint(), edits.lay(&source).fingerprint(), "{}", text.escape_ascii());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn comments_and_order_stay() {
        let text = written(&[
            set("www", RrType::A, 300, &["192.0.2.2", "192.0.2.3"]),
            set("new", RrType::TXT, 60, &["x"]),
        ]);
        let expect = FILE
            .replace("7      ;", "12      ;")
            .replace("www 5m A 192.0.2.1 ; the old one\n    5m A", "www.example.    5m A")
            .replace("; stays\n", "; stays\nwww.example. 300 IN A 192.0.2.3\n");
        assert_eq!(text, expect + "\nnew.example. 60 IN TXT \"x\"\n");
    }

    #[test]
    fn whatever_goes_the_rest_keeps_its_owner() {
        assert!(!written(&[set("www", RrType::A, 0, &[]), set("www", RrType::TXT, 0, &[])]).contains("www"));
        assert!(written(&[set("www", RrType::A, 0, &[])]).contains("www.example.       TXT"));
        let text = written(&[set("www", RrType::A, 7, &["192.0.2.1", "192.0.2.2"])]);
        assert!(text.contains("www.example. 7 IN A 192.0.2.1\nwww.example. 7 IN A 192.0.2.2\n"), "{text}");
        written(&[set("a.sub", RrType::A, 0, &[]), set("b.sub", RrType::A, 9, &["192.0.2.8"])]);
        written(&[set("@", RrType::NS, 3600, &["ns.example.", "ns2.example."])]);
    }

    /// The fuzzer found it: the one that stayed had the TTL of the one that went.
    #[test]
    fn a_line_without_a_ttl_says_it_where_its_set_has_another() {
        let file = FILE.replace("    5m A 192.0.2.2", "    A 192.0.2.2");
        let source = zone(file.as_bytes());
        let mut edits = Edits::default();
        edits.change(&source, [set("www", RrType::A, 300, &["192.0.2.2"])], usize::MAX).unwrap();
        let text =
            String::from_utf8(write_edits(file.as_bytes(), &source, &edits, Serial(12)).unwrap()).unwrap();
        assert!(text.contains("www.example.       TXT"), "{text}");
        assert!(text.contains("www.example. 300 IN A 192.0.2.2\n"), "{text}");
        assert!(!text.contains("192.0.2.1"), "{text}");
    }

    #[test]
    fn a_file_without_a_ttl_directive_takes_edits_and_every_other_line_keeps_its_ttl() {
        let file = FILE.replace("$TTL 1h\n", "").replace("@  SOA", "@ 2h SOA");
        let source = zone(file.as_bytes());
        let check = |wanted: &[((Name, RrType), Option<RrSet>)]| {
            let mut edits = Edits::default();
            edits.change(&source, wanted.iter().cloned(), usize::MAX).unwrap();
            let text = write_edits(file.as_bytes(), &source, &edits, Serial(12)).unwrap();
            let soa = soa_with_serial(&edits.lay(&source).soa(), Serial(12));
            edits.change(&source, [((name("@"), RrType::SOA), Some(soa))], usize::MAX).unwrap();
            assert_eq!(
                zone(&text).fingerprint(),
                edits.lay(&source).fingerprint(),
                "{}",
                text.escape_ascii()
            );
            String::from_utf8(text).unwrap()
        };
        // Behind the last line of ns, whose TTL is the SOA's, as that of the line after it was.
        let text = check(&[set("ns", RrType::TXT, 60, &["new"])]);
        assert!(text.contains("ns.example. 60 IN TXT \"new\"\nwww 5m A"), "{text}");
        let text = check(&[set("www", RrType::A, 0, &[])]);
        assert!(text.contains("www.example.       300 TXT"), "{text}");
        let text = check(&[set("www", RrType::TXT, 9, &["x"])]);
        assert!(text.contains("\na 300 A 192.0.2.9"), "{text}");
        check(&[set("ns", RrType::A, 77, &["192.0.2.53"]), set("a.sub", RrType::A, 0, &[])]);
        check(&[set("@", RrType::SOA, 60, &["other.example. h.example. 9 8 7 6 5"])]);
    }

    #[test]
    fn an_soa_that_was_edited_stands_where_it_stood() {
        let text = written(&[set("@", RrType::SOA, 60, &["other.example. h.example. 9 8 7 6 5"])]);
        let soa = "$TTL 1h\nexample. 60 IN SOA other.example. h.example. 12 8 7 6 5\n   NS  ns";
        assert!(text.contains(soa), "{text}");
    }

    #[test]
    fn an_soa_edit_is_none_once_the_file_has_it() {
        let source = zone(FILE.as_bytes());
        let mut edits = Edits::default();
        edits
            .change(&source, [set("@", RrType::SOA, 60, &["o.example. h.example. 9 8 7 6 5"])], usize::MAX)
            .unwrap();
        let text = write_edits(FILE.as_bytes(), &source, &edits, Serial(12)).unwrap();
        assert_eq!(edits.settle(&zone(&text)).len(), 1);
        assert!(edits.is_empty());
    }
}
