//! `detour zone history`: the serials of a zone that a daemon serves, and what led to each.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use super::served;
use crate::api::zone_api::ZoneHistoryBody;
use crate::cli::arguments;
use crate::cli::client::{Client, ClientError, finish, pretty};

/// Which zone, and how much of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The zone's name
    zone: String,
    /// Only this serial: every record that went and came with it
    #[arg(long, value_name = "SERIAL", value_parser = arguments::serial, conflicts_with_all = ["limit", "before"])]
    serial: Option<u32>,
    /// How many serials, up to 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = arguments::entries)]
    limit: u16,
    /// Only what was published before the entry with this number (`seq` with --json)
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
}

/// A line for each serial, the newest last, and beneath it what led there.
pub async fn run(client: &Client, args: &Args, json: bool) -> Result<ExitCode> {
    match args.serial {
        Some(serial) => {
            let step = served::step(client, &args.zone, None, Some(serial)).await;
            finish(step.map(|(answer, step)| if json { pretty(&answer) } else { served::lines(&step) }))
        }
        None => finish(said(client, args, json).await),
    }
}

async fn said(client: &Client, args: &Args, json: bool) -> Result<String, ClientError> {
    let (limit, before) = (args.limit.to_string(), args.before.map(|seq| seq.to_string()));
    let mut query = vec![("limit", &*limit)];
    query.extend(before.as_deref().map(|seq| ("before", seq)));
    let answer = client.get(&["v1", "zones", &args.zone, "history"], &query).await?;
    if json { Ok(pretty(&answer)) } else { Ok(render(&client.decode(&answer)?)) }
}

/// The page for people.
fn render(page: &ZoneHistoryBody) -> String {
    let mut out = String::new();
    if let Some(next) = page.next {
        let _ = writeln!(out, "(more: --before {next})");
    }
    for serial in page.serials.iter().rev() {
        let _ = write!(out, "{}  {} -> {}", serial.at, serial.from, serial.to);
        if let Some((gone, come)) = serial.counts {
            let _ = write!(out, "  -{gone} +{come}");
        }
        let _ = match serial.by {
            Some(by) => writeln!(out, "  {by}"),
            None => writeln!(out),
        };
        for line in &serial.because {
            // One line, whatever text is in it.
            let _ = writeln!(out, "    {}", line.replace('\n', " "));
        }
        if serial.more > 0 {
            let _ = writeln!(out, "    and {} more", serial.more);
        }
    }
    if page.serials.is_empty() {
        out.push_str("no serial but the first was published\n");
    }
    if let Some((from, to)) = page.journal {
        let zone = page.zone.bare();
        let _ =
            writeln!(out, "records are kept from {from} to {to}: detour zone history {zone} --serial {to}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::zone_api::SerialBody;
    use crate::dns::Serial;
    use crate::engine::Cause;
    use crate::time::Time;

    #[test]
    fn each_serial_says_what_led_to_it() {
        let serial = |seq: u64, by, counts, because: &[&str], more| SerialBody {
            seq,
            at: Time(1000 * seq),
            from: Serial(seq as u32),
            to: Serial(seq as u32 + 1),
            by,
            counts,
            because: because.iter().map(|&text| text.to_owned()).collect(),
            more,
        };
        let page = ZoneHistoryBody {
            zone: "example.com".parse().unwrap(),
            serials: vec![
                serial(9, Some(Cause::Decisions), Some((1, 2)), &["decision 4: a", "decision 5:\nb"], 7),
                serial(8, None, None, &[], 0),
            ],
            next: Some(8),
            journal: Some((Serial(8), Serial(10))),
        };
        let want = "(more: --before 8)
1970-01-01T00:00:08.000Z  8 -> 9
1970-01-01T00:00:09.000Z  9 -> 10  -1 +2  decision
    decision 4: a
    decision 5: b
    and 7 more
records are kept from 8 to 10: detour zone history example.com --serial 10
";
        assert_eq!(render(&page), want);
    }
}
