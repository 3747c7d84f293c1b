//! RFC 2136, section by section.

use proptest::prelude::*;

use super::*;
use crate::dns::message::{OPCODE_UPDATE, has_edns};
use crate::dns::{MAX_RRSET_BYTES, RrSet, rdata_from_text};
use crate::zone::{Edits, Laid, Zone, canonical_lines, parse};

const ZONE: &str = "$TTL 60\n@ SOA ns h 5 2 3 4 5\n@ NS ns\n@ NS ns2\nns A 192.0.2.53\nns2 A 192.0.2.54\nwww A 192.0.2.1\nwww A 192.0.2.2\nwww TXT hello\nalias CNAME www\n";
const ANY: u16 = CLASS_ANY;
const NONE: u16 = CLASS_NONE;
const IN: u16 = CLASS_IN;

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes(), &"example.".parse().unwrap()).unwrap()
}

fn zone_of(text: &str) -> Zone {
    parse(&name("@"), "zone", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0
}

/// One record as a message has it: `www 60 IN A 192.0.2.1`; without RDATA where there is no more text.
fn record(owner: &str, ttl: u32, class: u16, rtype: RrType, text: &str) -> Vec<u8> {
    let rdata = if text.is_empty() { Box::default() } else { rdata_from_text(rtype, text).unwrap() };
    raw(owner, ttl, class, rtype, &rdata)
}

fn raw(owner: &str, ttl: u32, class: u16, rtype: RrType, rdata: &[u8]) -> Vec<u8> {
    let mut out = name(owner).as_wire().to_vec();
    out.extend_from_slice(&rtype.0.to_be_bytes());
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    out.extend_from_slice(rdata);
    out
}

fn message(prerequisites: &[Vec<u8>], updates: &[Vec<u8>]) -> Vec<u8> {
    let mut out =
        vec![0, 7, OPCODE_UPDATE << 3, 0, 0, 1, 0, prerequisites.len() as u8, 0, updates.len() as u8, 0, 0];
    out.extend_from_slice(b"\x07example\0\x00\x06\x00\x01");
    out.extend(prerequisites.concat());
    out.extend(updates.concat());
    out
}

/// The RCODE and the zone that comes of it, SOA aside.
fn update_of(zone: &Zone, prerequisites: &[Vec<u8>], updates: &[Vec<u8>]) -> Result<Zone, u8> {
    let update = Update::read(&message(prerequisites, updates)).map_err(|why| why.rcode())?;
    let view = UpdateView::new(Laid::plain(zone));
    update.check(&view).map_err(|why| why.rcode())?;
    let changes = update.changes().map_err(|why| why.rcode())?;
    let wanted = effects(&update.zone, &changes, &view, MAX_RRSET_BYTES).map_err(|why| why.rcode())?;
    Ok(edited(zone, wanted).lay(zone))
}

/// The edits that have a zone hold this.
fn edited(zone: &Zone, wanted: Wanted) -> Edits {
    let mut edits = Edits::default();
    edits.change(zone, wanted, usize::MAX).unwrap();
    edits
}

/// RFC 6672 section 2.3.
#[test]
fn a_name_below_the_apex_has_no_dname_beside_a_delegation() {
    let zone = zone_of(ZONE);
    let ns = |owner: &str| record(owner, 60, IN, RrType::NS, "ns.example.net.");
    let dname = |owner: &str| record(owner, 60, IN, RrType::DNAME, "other.example.net.");
    let types = |updates: &[Vec<u8>], owner: &str| -> Vec<RrType> {
        update_of(&zone, &[], updates).unwrap().types_at(&name(owner)).collect()
    };
    assert_eq!(types(&[ns("f"), dname("f")], "f"), [RrType::NS]);
    assert_eq!(types(&[dname("f"), ns("f")], "f"), [RrType::DNAME]);
    let gone = record("f", 0, ANY, RrType::NS, "");
    assert_eq!(types(&[ns("f"), gone, dname("f")], "f"), [RrType::DNAME]);
    assert!(types(&[dname("@")], "@").contains(&RrType::DNAME));
}

fn lines(zone: &Zone) -> Vec<String> {
    canonical_lines(zone, true).filter(|line| !line.starts_with('$')).collect()
}

/// What goes (`-`) and comes (`+`).
fn changed(updates: &[Vec<u8>]) -> Vec<String> {
    let zone = zone_of(ZONE);
    let (before, after) = (lines(&zone), lines(&update_of(&zone, &[], updates).unwrap()));
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let came = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(came).collect()
}

fn rcode(prerequisites: &[Vec<u8>], updates: &[Vec<u8>]) -> u8 {
    update_of(&zone_of(ZONE), prerequisites, updates).map_or_else(|rcode| rcode, |_| 0)
}

#[test]
fn section_2_3_the_zone() {
    let check = |change: fn(&mut Vec<u8>), want: Result<(), u8>| {
        let mut message = message(&[], &[]);
        change(&mut message);
        assert_eq!(Update::read(&message).map(drop).map_err(|why| why.rcode()), want);
    };
    check(|_| {}, Ok(()));
    check(|m| m[5] = 0, Err(1));
    check(|m| m[5] = 2, Err(1));
    check(|m| m[22] = 1, Err(1)); // ZTYPE is not SOA
    check(|m| m[24] = 3, Err(9)); // class CH
    check(|m| m.push(0), Err(1));
    check(|m| m.truncate(20), Err(1));
    check(|m| m.truncate(5), Err(1));
    check(|m| m[9] = 1, Err(1)); // a record that is not there
    check(|m| (m[8], m[9]) = (255, 255), Err(1));
}

#[test]
fn section_3_2_prerequisites() {
    let check = |want: u8, prerequisite: Vec<u8>| assert_eq!(rcode(&[prerequisite], &[]), want);
    // 2.4.1: an RRset exists, whatever it holds.
    check(0, record("www", 0, ANY, RrType::A, ""));
    check(8, record("www", 0, ANY, RrType::AAAA, ""));
    check(8, record("nowhere", 0, ANY, RrType::A, ""));
    // 2.4.3: it does not.
    check(7, record("www", 0, NONE, RrType::A, ""));
    check(0, record("www", 0, NONE, RrType::AAAA, ""));
    // 2.4.4: a name is in use; 2.4.5: it is not. An empty non-terminal is not.
    check(0, record("www", 0, ANY, RrType::ANY, ""));
    check(3, record("nowhere", 0, ANY, RrType::ANY, ""));
    check(6, record("www", 0, NONE, RrType::ANY, ""));
    check(0, record("nowhere", 0, NONE, RrType::ANY, ""));
    // What is wrong with the message comes first.
    check(1, record("www", 1, ANY, RrType::A, ""));
    check(1, record("www", 0, ANY, RrType::A, "192.0.2.1"));
    check(1, record("www", 0, NONE, RrType::ANY, "\\# 1 00"));
    check(1, record("www", 0, ANY, RrType::AXFR, ""));
    check(1, record("www", 0, 3, RrType::A, "192.0.2.1"));
    check(1, raw("www", 0, IN, RrType::A, &[192, 0, 2]));
    check(10, record("www.example.net.", 0, ANY, RrType::A, ""));
}

/// 2.4.2: an RRset is as given, all of it, whatever its order.
#[test]
fn section_3_2_3_an_rrset_is_as_given() {
    let a = |last: &str| record("www", 0, IN, RrType::A, &format!("192.0.2.{last}"));
    assert_eq!(rcode(&[a("2"), a("1")], &[]), 0);
    assert_eq!(rcode(&[a("2"), a("1"), a("1")], &[]), 0);
    assert_eq!(rcode(&[a("2")], &[]), 8);
    assert_eq!(rcode(&[a("1"), a("2"), a("3")], &[]), 8);
    assert_eq!(rcode(&[record("nowhere", 0, IN, RrType::A, "192.0.2.1")], &[]), 8);
    assert_eq!(rcode(&[a("2"), a("1"), record("www", 0, IN, RrType::TXT, "other")], &[]), 8);
}

#[test]
fn section_3_4_1_all_is_looked_at_before_anything_is_done() {
    let good = || record("new", 5, IN, RrType::A, "192.0.2.9");
    let check = |want: u8, bad: Vec<u8>| {
        assert_eq!(rcode(&[], &[good(), bad]), want);
    };
    check(0, good());
    check(10, record("www.example.net.", 5, IN, RrType::A, "192.0.2.9"));
    check(1, record("new", 5, IN, RrType::ANY, "\\# 0"));
    check(1, record("new", 5, IN, RrType::AXFR, "\\# 0"));
    check(1, record("new", 5, IN, RrType::OPT, "\\# 0"));
    check(1, raw("new", 5, IN, RrType::A, &[]));
    check(1, raw("new", 5, IN, RrType::MX, &[0, 10]));
    check(1, record("new", u32::MAX, IN, RrType::A, "192.0.2.9"));
    check(1, record("new", 5, ANY, RrType::A, ""));
    check(1, record("new", 0, ANY, RrType::A, "192.0.2.9"));
    check(1, record("new", 0, NONE, RrType::ANY, ""));
    check(1, record("new", 5, NONE, RrType::A, "192.0.2.9"));
    check(1, record("new", 0, 3, RrType::A, "192.0.2.9"));
    // Types that are not known are data (RFC 3597).
    check(0, record("new", 5, IN, RrType(65280), "\\# 2 0102"));
}

#[test]
fn section_3_4_2_2_adding() {
    assert_eq!(changed(&[record("new", 5, IN, RrType::A, "192.0.2.9")]), ["+ new 5 IN A 192.0.2.9"]);
    assert_eq!(changed(&[record("www", 60, IN, RrType::A, "192.0.2.1")]), [""; 0], "it is there");
    // All of an RRset have one TTL, the last one given.
    assert_eq!(
        changed(&[record("www", 9, IN, RrType::A, "192.0.2.1")]),
        [
            "- www 60 IN A 192.0.2.1",
            "- www 60 IN A 192.0.2.2",
            "+ www 9 IN A 192.0.2.1",
            "+ www 9 IN A 192.0.2.2"
        ]
    );
    // A CNAME takes the place of a CNAME, and stands beside nothing.
    assert_eq!(
        changed(&[record("alias", 60, IN, RrType::CNAME, "ns.example.")]),
        ["- alias 60 IN CNAME www.example.", "+ alias 60 IN CNAME ns.example."]
    );
    assert_eq!(changed(&[record("www", 60, IN, RrType::CNAME, "ns.example.")]), [""; 0]);
    assert_eq!(changed(&[record("alias", 60, IN, RrType::A, "192.0.2.9")]), [""; 0]);
    // In their order: what frees the name comes first.
    let freed = [record("alias", 0, ANY, RrType::CNAME, ""), record("alias", 60, IN, RrType::A, "192.0.2.9")];
    assert_eq!(changed(&freed), ["- alias 60 IN CNAME www.example.", "+ alias 60 IN A 192.0.2.9"]);
    // The SOA moves forward alone, and only at the apex.
    let soa = |owner, serial| {
        record(owner, 60, IN, RrType::SOA, &format!("ns.example. h.example. {serial} 2 3 4 5"))
    };
    assert_eq!(changed(&[soa("@", 4)]), [""; 0]);
    assert_eq!(changed(&[soa("@", 5)]), [""; 0]);
    assert_eq!(changed(&[soa("www", 9)]), [""; 0]);
    assert_eq!(
        changed(&[soa("@", 9)]),
        ["- @ 60 IN SOA ns.example. h.example. 5 2 3 4 5", "+ @ 60 IN SOA ns.example. h.example. 9 2 3 4 5"]
    );
}

/// RFC 4034 section 3: a signature has the TTL of what it covers, whatever others the name has.
#[test]
fn section_3_4_2_2_signatures_keep_their_own_ttls() {
    let text = |ttl, covered| format!("{covered} 13 2 {ttl} 20300101000000 20200101000000 1 example. AAAA");
    let zone = zone_of(&format!("{ZONE}@ 172800 RRSIG {}\n", text(172_800, "NS")));
    let add = record("@", 3600, IN, RrType::RRSIG, &text(3600, "AAAA"));
    let after = lines(&update_of(&zone, &[], &[add]).unwrap());
    let signatures: Vec<&String> = after.iter().filter(|line| line.contains("RRSIG")).collect();
    assert_eq!(signatures.len(), 2);
    assert!(signatures[0].starts_with("@ 172800 IN RRSIG NS "), "{signatures:?}");
    assert!(signatures[1].starts_with("@ 3600 IN RRSIG AAAA "), "{signatures:?}");
}

#[test]
fn section_3_4_2_3_removing_rrsets_and_names() {
    let a = ["- www 60 IN A 192.0.2.1", "- www 60 IN A 192.0.2.2"];
    assert_eq!(changed(&[record("www", 0, ANY, RrType::A, "")]), a);
    let all = [a[0], a[1], "- www 60 IN TXT \"hello\""];
    assert_eq!(changed(&[record("www", 0, ANY, RrType::ANY, "")]), all);
    assert_eq!(changed(&[record("nowhere", 0, ANY, RrType::ANY, "")]), [""; 0]);
    // The apex keeps its SOA and NS.
    for rtype in [RrType::ANY, RrType::SOA, RrType::NS] {
        assert_eq!(changed(&[record("@", 0, ANY, rtype, "")]), [""; 0]);
    }
}

#[test]
fn section_3_4_2_4_removing_records() {
    assert_eq!(changed(&[record("www", 0, NONE, RrType::A, "192.0.2.1")]), ["- www 60 IN A 192.0.2.1"]);
    assert_eq!(changed(&[record("www", 0, NONE, RrType::A, "192.0.2.9")]), [""; 0]);
    assert_eq!(
        changed(&[record("alias", 0, NONE, RrType::CNAME, "WWW.example.")]),
        ["- alias 60 IN CNAME www.example."],
        "names compare without case"
    );
    // Not the SOA, and not the apex's last NS.
    let ns = |target| record("@", 0, NONE, RrType::NS, target);
    assert_eq!(changed(&[ns("ns.example."), ns("ns2.example.")]), ["- @ 60 IN NS ns.example."]);
    let soa = record("@", 0, NONE, RrType::SOA, "ns.example. h.example. 5 2 3 4 5");
    assert_eq!(changed(&[soa]), [""; 0]);
}

#[test]
fn names_may_be_compressed_and_in_upper_case() {
    let mut record = b"\x03NEW\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x05\x00\x06\x03NS3\xc0\x0c".to_vec();
    assert_eq!(changed(&[record.clone()]), ["+ new 5 IN NS ns3.example."]);
    record[5] = 0x30;
    assert_eq!(rcode(&[], &[record]), 1, "a pointer forwards");
}

#[test]
fn what_follows_sees_what_came_before() {
    let zone = zone_of(ZONE);
    let mut view = UpdateView::new(Laid::plain(&zone));
    let run = |view: &UpdateView<'_>, prerequisites: &[Vec<u8>], updates: &[Vec<u8>]| {
        let update = Update::read(&message(prerequisites, updates)).unwrap();
        let changes = update.changes().unwrap();
        update.check(view).and_then(|()| effects(&update.zone, &changes, view, MAX_RRSET_BYTES))
    };
    let free = || [record("lock", 0, NONE, RrType::ANY, "")];
    let wanted = run(&view, &free(), &[record("lock", 5, IN, RrType::TXT, "mine")]).unwrap();
    view.take(wanted);
    assert_eq!(run(&view, &free(), &[]), Err(UpdateError::YxDomain(name("lock"))));
    assert_eq!(view.types_at(&name("lock")), [RrType::TXT].into());
    let wanted = run(&view, &[], &[record("lock", 0, ANY, RrType::ANY, "")]).unwrap();
    assert_eq!(wanted.len(), 1);
    view.take(wanted);
    assert_eq!(run(&view, &free(), &[]).map(|wanted| wanted.len()), Ok(0));
}

/// What decisions lay over a zone, and the serial it has by that, count as what the zone holds (section 3.2).
#[test]
fn section_3_2_prerequisites_are_of_what_is_served() {
    let zone = zone_of(ZONE);
    let mut view = UpdateView::new(Laid::plain(&zone));
    let soa = |serial| format!("ns.example. h.example. {serial} 2 3 4 5");
    let rdata = |rtype, text: &str| [rdata_from_text(rtype, text).unwrap()];
    view.serve(&name("@"), || vec![RrSet::new(name("@"), RrType::SOA, 60, rdata(RrType::SOA, &soa(7)))]);
    view.serve(&name("www"), || vec![RrSet::new(name("www"), RrType::A, 5, rdata(RrType::A, "192.0.2.20"))]);
    let run = |view: &UpdateView<'_>, prerequisites: &[Vec<u8>], updates: &[Vec<u8>]| {
        let update = Update::read(&message(prerequisites, updates)).unwrap();
        let changes = update.changes().unwrap();
        let wanted = update.check(view).and_then(|()| effects(&update.zone, &changes, view, MAX_RRSET_BYTES));
        wanted.map(|wanted| wanted.len()).map_err(|why| why.rcode())
    };
    let check = |want, prerequisite: Vec<u8>| assert_eq!(run(&view, &[prerequisite], &[]), want);
    check(Ok(0), record("@", 0, IN, RrType::SOA, &soa(7)));
    check(Err(8), record("@", 0, IN, RrType::SOA, &soa(5)));
    check(Ok(0), record("www", 0, IN, RrType::A, "192.0.2.20"));
    check(Err(8), record("www", 0, IN, RrType::A, "192.0.2.1"));
    check(Err(8), record("www", 0, ANY, RrType::TXT, ""));
    check(Ok(0), record("ns", 0, IN, RrType::A, "192.0.2.53"));
    // The serial moves forward from the one that is served (section 3.4.2.2).
    for (serial, changes) in [(6, 0), (7, 0), (8, 1)] {
        assert_eq!(run(&view, &[], &[record("@", 60, IN, RrType::SOA, &soa(serial))]), Ok(changes));
    }
    // What an earlier update made counts before what is served.
    let update = Update::read(&message(&[], &[record("www", 0, ANY, RrType::A, "")])).unwrap();
    let wanted = effects(&update.zone, &update.changes().unwrap(), &view, MAX_RRSET_BYTES).unwrap();
    view.take(wanted);
    assert_eq!(run(&view, &[record("www", 0, NONE, RrType::ANY, "")], &[]), Ok(0));
}

#[test]
fn what_depends_on_the_served_soa_is_known() {
    let soa = |owner, class| record(owner, 0, class, RrType::SOA, "ns.example. h.example. 5 2 3 4 5");
    let check = |want: bool, prerequisites: &[Vec<u8>], updates: &[Vec<u8>]| {
        assert_eq!(Update::read(&message(prerequisites, updates)).unwrap().depends_on_soa(), want);
    };
    check(true, &[soa("@", IN)], &[]);
    check(true, &[], &[soa("@", IN)]);
    check(false, &[record("@", 0, ANY, RrType::SOA, "")], &[soa("@", NONE)]);
    check(false, &[soa("www", IN)], &[record("www", 5, IN, RrType::A, "192.0.2.9")]);
}

/// What says something of the zone as a whole stands at its apex alone.
#[test]
fn types_of_the_apex_are_refused_elsewhere() {
    let digest = "00".repeat(32);
    for (rtype, text) in [
        (RrType::NSEC3PARAM, "1 0 0 -".to_owned()),
        (RrType::CDS, format!("1 13 2 {digest}")),
        (RrType::CDNSKEY, "257 3 13 AQID".to_owned()),
        (RrType::DNSKEY, "256 3 13 AQID".to_owned()),
        (RrType::CSYNC, "5 3 A NS".to_owned()),
        (RrType::ZONEMD, format!("5 1 1 {}", "00".repeat(48))),
    ] {
        assert_eq!(rcode(&[], &[record("www", 5, IN, rtype, &text)]), 5, "{rtype}");
        assert_eq!(rcode(&[], &[record("@", 5, IN, rtype, &text)]), 0, "{rtype}");
        // What came by a file may be taken out.
        assert_eq!(rcode(&[], &[record("www", 0, NONE, rtype, &text)]), 0, "{rtype}");
    }
    // No key of a zone (RFC 4034 section 2.1.1).
    assert_eq!(rcode(&[], &[record("www", 5, IN, RrType::DNSKEY, "0 3 13 AQID")]), 0);
}

#[test]
fn an_rrset_grows_up_to_its_bound() {
    let text = |i: u32| format!("t{i:03}");
    let zone = zone_of(&(0..8).fold(ZONE.to_owned(), |zone, i| zone + "big TXT " + &text(i) + "\n"));
    let run = |updates: &[Vec<u8>], max| {
        let update = Update::read(&message(&[], updates)).unwrap();
        let wanted =
            effects(&update.zone, &update.changes().unwrap(), &UpdateView::new(Laid::plain(&zone)), max);
        wanted.map(|wanted| wanted.len()).map_err(|why| why.to_string())
    };
    let add = |i| record("big", 60, IN, RrType::TXT, &text(i));
    let name_len = name("big").as_wire().len();
    let size = |records: usize| name_len + records * (12 + 5);
    assert_eq!(run(&[add(8)], size(9)), Ok(1));
    let refused = run(&[add(8), add(9)], size(9)).unwrap_err();
    assert!(
        refused.contains(&format!("TXT records of big.example. would take {} bytes", size(10))),
        "{refused}"
    );
    // What is larger already may shrink, and stay as large.
    let remove = |i| record("big", 0, NONE, RrType::TXT, &text(i));
    assert_eq!(run(&[remove(0)], size(3)), Ok(1));
    assert_eq!(run(&[remove(0), add(8)], size(3)), Ok(1));
    assert!(run(&[add(8)], size(3)).is_err());
}

/// One change of few owners, types and contents.
fn change() -> impl Strategy<Value = Vec<u8>> {
    (0..5u8, 0..4u8, 0..3u8, 1..3u32, 0..3u8).prop_map(|(owner, form, rtype, ttl, content)| {
        let owner = ["www", "alias", "new", "@", "a.new"][usize::from(owner)];
        let rtype = [RrType::A, RrType::TXT, RrType::CNAME][usize::from(rtype)];
        let text = match rtype {
            RrType::A => format!("192.0.2.{content}"),
            RrType::CNAME => format!("n{content}.example."),
            _ => format!("t{content}"),
        };
        match form {
            0 => record(owner, ttl, IN, rtype, &text),
            1 => record(owner, 0, ANY, rtype, ""),
            2 => record(owner, 0, ANY, RrType::ANY, ""),
            _ => record(owner, 0, NONE, rtype, &text),
        }
    })
}

proptest! {
    /// Whatever was asked for, what undoes it by RRsets brings the zone back.
    #[test]
    fn an_update_and_its_inverse_leave_nothing(updates in prop::collection::vec(change(), 0..8)) {
        let zone = zone_of(ZONE);
        let update = Update::read(&message(&[], &updates)).unwrap();
        let mut view = UpdateView::new(Laid::plain(&zone));
        let wanted = effects(&update.zone, &update.changes().unwrap(), &view, MAX_RRSET_BYTES).unwrap();
        let mut edits = edited(&zone, wanted.clone());
        let between = edits.lay(&zone);

        // A name never holds a CNAME and something else.
        for set in between.rrsets().filter(|set| set.rtype == RrType::CNAME) {
            prop_assert_eq!(between.rrsets_at(&set.to_rrset().owner).len(), 1);
        }
        view.take(wanted.clone());
        let mut inverse = Vec::new();
        for (owner, rtype) in wanted.keys() {
            inverse.push(Change::RemoveSet(owner.clone(), *rtype));
        }
        for (owner, rtype) in wanted.keys() {
            if let Some(set) = zone.rrset(owner, *rtype) {
                inverse.extend(set.rdata.iter().map(|rdata| Change::Add {
                    owner: owner.clone(),
                    rtype: *rtype,
                    ttl: set.ttl,
                    rdata: rdata.clone(),
                }));
            }
        }
        let undone = effects(&update.zone, &inverse, &view, MAX_RRSET_BYTES).unwrap();
        edits.change(&zone, undone, usize::MAX).unwrap();
        prop_assert!(edits.is_empty(), "{edits:?}");
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut whole = message(&[], &[]);
        whole[7] = 3;
        whole[9] = 3;
        whole.extend(&bytes);
        for message in [&bytes, &whole] {
            if let Ok(update) = Update::read(message) {
                let zone = zone_of(ZONE);
                let _ = update.check(&UpdateView::new(Laid::plain(&zone)));
                let _ = update.changes().map(|changes| effects(&update.zone, &changes, &UpdateView::new(Laid::plain(&zone)), MAX_RRSET_BYTES));
            }
            has_edns(message);
        }
    }
}
