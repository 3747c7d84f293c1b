//! Any bytes as an UPDATE: reading them never panics; what they come to is a zone that can be written as a
//! file and read back, and that is undone by letting its edits go.

use detour::dns::message::has_edns;
use detour::dns::{MAX_RRSET_BYTES, Name, RrType, Serial, soa_with_serial};
use detour::zone::{Edits, Update, UpdateView, Zone, canonical_lines, effects, parse, write_edits};

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

fn read(apex: &Name, text: &[u8]) -> Option<Zone> {
    parse(apex, "fuzz", text, &mut |_| Err(String::new())).ok().map(|(zone, _)| zone)
}

/// Takes one input.
pub fn run(message: &[u8]) {
    let _ = has_edns(message);
    let Ok(apex) = "example".parse::<Name>() else { return };
    let Ok(update) = Update::read(message) else { return };
    let source = read(&apex, ZONE.as_bytes()).expect("the zone");
    let view = UpdateView::new(&source);
    let _ = update.check(&view);
    let Ok(changes) = update.changes() else { return };
    // The same rules, whatever zone the message is for.
    let Ok(wanted) = effects(&apex, &changes, &view, MAX_RRSET_BYTES) else { return };
    let wanted = wanted.into_iter().filter(|((owner, _), _)| owner.is_at_or_below(&apex));
    let mut edits = Edits::default();
    if edits.change(&source, wanted).is_err() {
        return;
    }
    let contents = edits.lay(&source);
    let lines = canonical_lines(&contents, true).map(|line| line + "\n").collect::<String>();
    let again = read(&apex, lines.as_bytes());
    assert_eq!(again.map(|zone| zone.fingerprint()), Some(contents.fingerprint()), "{lines}");
    assert_eq!(edits.settle(&source), [], "edits of their own source stay");

    let text = write_edits(ZONE.as_bytes(), &source, &edits, Serial(9)).expect("a sound file");
    let soa = soa_with_serial(&contents.soa(), Serial(9));
    let frozen = read(&apex, &text);
    if edits.change(&source, [((apex.clone(), RrType::SOA), Some(soa))]).is_ok() {
        let meant = edits.lay(&source).fingerprint();
        assert_eq!(frozen.map(|zone| zone.fingerprint()), Some(meant), "{}", text.escape_ascii());
    }
}
