//! `[probes.KEY]` of `type = "dns"`

use toml::Spanned;

use super::super::error::{ConfigError, short};
use super::super::report::Findings;
use super::super::section::{Item, Read, Reported, Section, or};
use super::super::values;
use crate::dns::{RCODES, RrType, rdata_from_text};
use crate::model::{DnsProbe, Matching};

/// The most records in `expect.records`.
const MAX_RECORDS: usize = 32;
/// The longest of them, in bytes of text.
const MAX_RECORD_TEXT: usize = 4_096;

/// `name`, `qtype`, `transport`, `recursion` and `expect`.
pub(super) fn read(section: &mut Section, findings: &mut Findings) -> Result<DnsProbe, Reported> {
    let name = section.read("name", findings, values::name);
    let qtype = section.read("qtype", findings, qtype);
    let transport =
        section.read("transport", findings, |item, findings| values::word(item, &["udp", "tcp"], findings));
    let recursion = section.read("recursion", findings, values::boolean);
    let qtype = or(qtype, RrType::A);
    // Records cannot be read without their type, so one mistake in it is not told twice.
    let expect = match (section.item("expect"), qtype) {
        (Some(item), Ok(qtype)) => read_expect(item, qtype, findings),
        _ => Ok(Expect::default()),
    };
    let (expect, name) = (expect?, name?.map(Spanned::into_inner));
    Ok(DnsProbe {
        name,
        qtype: qtype?,
        tcp: or(transport, "udp")? == "tcp",
        recursion: or(recursion, false)?,
        rcode: expect.rcode,
        authoritative: expect.authoritative,
        records: expect.records,
        empty: expect.empty,
        matching: expect.matching,
    })
}

struct Expect {
    rcode: u8,
    authoritative: Option<bool>,
    records: Vec<Box<[u8]>>,
    empty: bool,
    matching: Matching,
}

impl Default for Expect {
    fn default() -> Expect {
        Expect { rcode: 0, authoritative: None, records: Vec::new(), empty: false, matching: Matching::All }
    }
}

fn read_expect(item: Item, qtype: RrType, findings: &mut Findings) -> Result<Expect, Reported> {
    let mut section = Section::of("\"expect\"".to_owned(), item, findings)?;
    let rcode = section.read("rcode", findings, |item, findings| {
        let word = values::word(item, &RCODES, findings)?;
        // The words are the table's own, so each has its place in it.
        Ok(RCODES.iter().position(|rcode| *rcode == word).unwrap_or_default() as u8)
    });
    let authoritative = section.read("authoritative", findings, values::boolean);
    let rcode = or(rcode, 0);
    let (empty, records): (Read<_>, Read<_>) = if rcode.unwrap_or_default() == 0 {
        let empty = section.read("empty", findings, values::boolean);
        let records = section.read("records", findings, |item, findings| {
            item.list("records", MAX_RECORDS, findings, |item, findings| record(item, qtype, findings))
        });
        (empty, records)
    } else {
        section.refuse_unasked(&["records", "empty"], "an answer that is not NOERROR", findings);
        (Ok(None), Ok(None))
    };
    if let (Ok(Some(empty)), Ok(Some(_))) = (&empty, &records)
        && *empty.get_ref()
    {
        findings.push(&empty.span(), ConfigError::Beside("empty", "records"));
    }
    let matching = if let Ok(None) = &records {
        section.refuse_unasked(&["match"], "an answer without \"records\"", findings);
        Ok(Matching::All)
    } else {
        or(section.read("match", findings, matching), Matching::All)
    };
    section.finish(findings);
    let records = or(records, Vec::new())?.into_iter().map(Spanned::into_inner).collect();
    let authoritative = authoritative?.map(Spanned::into_inner);
    Ok(Expect { rcode: rcode?, authoritative, records, empty: or(empty, false)?, matching: matching? })
}

fn matching(item: Item, findings: &mut Findings) -> Result<Matching, Reported> {
    Ok(match values::word(item, &["all", "any", "exact"], findings)? {
        "any" => Matching::Any,
        "exact" => Matching::Exact,
        _ => Matching::All,
    })
}

/// A type that records in a zone can have: one question for it has one answer.
fn qtype(item: Item, findings: &mut Findings) -> Result<RrType, Reported> {
    let text = item.text("a record type", findings)?;
    RrType::from_text(text.as_bytes()).filter(|rtype| !rtype.is_meta()).ok_or_else(|| {
        let (wanted, example) = ("a type of records in a zone", "\"AAAA\" or \"TYPE65280\"");
        item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings)
    })
}

fn record(item: Item, qtype: RrType, findings: &mut Findings) -> Result<Box<[u8]>, Reported> {
    let text = values::line(MAX_RECORD_TEXT)(item, findings)?;
    rdata_from_text(qtype, &text).map_err(|why| {
        let error = ConfigError::BadRecord { text: short(&text), rtype: qtype, why };
        item.wrong(error, findings)
    })
}
