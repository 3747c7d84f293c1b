//! Any bytes as an UPDATE: reading them never panics; what they come to is a zone that can be written as a
//! file and read back, and that is undone by letting its edits go.

use std::collections::BTreeSet;

use detour::answer::Table;
use detour::dns::message::has_edns;
use detour::dns::{MAX_RRSET_BYTES, Name, RrType, Serial, soa_with_serial};
use detour::zone::{
    Editing, Edits, Laid, Update, UpdateView, Zone, canonical_lines, effects, parse, write_edits,
};

const ZONE: &str = "$TTL 1h
@ SOA ns h ( 7 ; serial
   2h 1h 1w 5m )
  NS ns
  NS ns2 ; two
ns A 192.0.2.53
ns2 A 192.0.2.54
www 5m A 192.0.2.1
 A 192.0.2.2
 TXT \"hello\"
alias CNAME www
sub NS ns.sub
ns.sub A 192.0.2.9
$ORIGIN deep.example.
@ DNAME example.net.
";

/// What the edits of a zone may take, as by default.
const MAX_EDITS: usize = 64 << 20;

fn read(apex: &Name, text: &[u8]) -> Option<Zone> {
    parse(apex, "fuzz", text, &mut |_| Err(String::new())).ok().map(|(zone, _)| zone)
}

/// Takes one input.
pub fn run(message: &[u8]) {
    let _ = has_edns(message);
    let Ok(apex) = "example".parse::<Name>() else { return };
    let Ok(update) = Update::read(message) else { return };
    let source = read(&apex, ZONE.as_bytes()).expect("the zone");
    let view = UpdateView::new(Laid::plain(&source));
    let _ = update.check(&view);
    let Ok(changes) = update.changes() else { return };
    // The same rules, whatever zone the message is for.
    let Ok(wanted) = effects(&apex, &changes, &view, MAX_RRSET_BYTES) else { return };
    let wanted = wanted.into_iter().filter(|((owner, _), _)| owner.is_at_or_below(&apex));
    let mut edits = Edits::default();
    let mut editing = Editing::of(&edits);
    if editing.change(&source, wanted, MAX_EDITS).is_err() {
        return;
    }
    let (difference, changes) = (editing.difference(&source), editing.into_changes());
    edits.take(changes);
    let contents = edits.lay(&source);
    // A table that is changed is the table that its contents compile to.
    let mut table = Table::compile(std::slice::from_ref(&source), &[], 1);
    let sets = difference.sets.iter().map(|(owner, rtype, set)| (owner, *rtype, set.as_ref()));
    table.change(&apex, sets).expect("its own names");
    let compiled = Table::compile(std::slice::from_ref(&contents), &[], 1);
    assert_eq!(table.differences(&compiled, &apex, usize::MAX), Some(BTreeSet::new()));
    let lines = canonical_lines(&contents, true).map(|line| line + "\n").collect::<String>();
    let again = read(&apex, lines.as_bytes());
    assert_eq!(again.map(|zone| zone.fingerprint()), Some(contents.fingerprint()), "{lines}");
    assert_eq!(edits.settle(&source), [], "edits of their own source stay");

    let text = write_edits(ZONE.as_bytes(), &source, &edits, Serial(9)).expect("a sound file");
    let soa = soa_with_serial(&contents.soa(), Serial(9));
    let frozen = read(&apex, &text);
    if edits.change(&source, [((apex.clone(), RrType::SOA), Some(soa))], MAX_EDITS).is_ok() {
        let meant = edits.lay(&source).fingerprint();
        assert_eq!(frozen.map(|zone| zone.fingerprint()), Some(meant), "{}", text.escape_ascii());
    }
}
