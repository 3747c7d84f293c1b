//! `detour zone diff`: the record sets by which two files differ.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::input;
use crate::zone::{Name, RrSet, RrType, Serial, Zone, diff, soa_with_serial};

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The old zone file; or alone, the name of a zone: how a running daemon serves it otherwise than its
    /// file says, by updates
    pub(super) old: PathBuf,
    /// The new zone file
    pub(super) new: Option<PathBuf>,
    /// The zone's name; what the files say, or what they are called, when left out
    #[arg(long, value_name = "NAME")]
    origin: Option<Name>,
    /// Two serials alone are no difference
    #[arg(long)]
    ignore_serial: bool,
}

/// The differences to stdout, record by record, or with `--json` by record set. Exit code 1 when there is
/// one.
pub fn run(args: &Args, new: &Path, json: bool) -> Result<ExitCode> {
    let origin = args.origin.as_ref();
    let (old, new) = (input::good_zone(origin, &args.old)?, input::good_zone(origin, new)?);
    let (Some(old), Some(new)) = (old, new) else { return Ok(ExitCode::from(1)) };
    let sets = |zone: &Zone| -> Vec<RrSet> {
        let sets = zone.rrsets().map(|set| set.to_rrset());
        sets.map(|set| {
            if args.ignore_serial && set.rtype == RrType::SOA {
                soa_with_serial(&set, Serial(0))
            } else {
                set
            }
        })
        .collect()
    };
    let (removed, added) = diff(&sets(&old), &sets(&new));
    if json {
        println!("{:#}", json!({ "removed": as_json(&removed), "added": as_json(&added) }));
    } else {
        print(&removed, &added);
    }
    Ok(if removed.is_empty() && added.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Each record that goes or comes, those of one owner and type together.
fn print(removed: &[RrSet], added: &[RrSet]) {
    let key = |set: &RrSet| (set.owner.clone(), set.rtype);
    let mut keys: Vec<_> = removed.iter().chain(added).map(key).collect();
    keys.sort();
    keys.dedup();
    for at in keys {
        let lines = |sets: &[RrSet]| -> Vec<String> {
            sets.iter().find(|set| key(set) == at).map(|set| set.to_lines().collect()).unwrap_or_default()
        };
        let (old, new) = (lines(removed), lines(added));
        old.iter().filter(|line| !new.contains(line)).for_each(|line| println!("- {line}"));
        new.iter().filter(|line| !old.contains(line)).for_each(|line| println!("+ {line}"));
    }
}

fn as_json(sets: &[RrSet]) -> Vec<serde_json::Value> {
    let data = |set: &RrSet| -> Vec<String> {
        set.rdata.iter().map(|rdata| crate::zone::rdata_text(set.rtype, rdata)).collect()
    };
    let each = |set: &RrSet| json!({ "name": set.owner, "type": set.rtype.to_string(), "ttl": set.ttl, "data": data(set) });
    sets.iter().map(each).collect()
}
