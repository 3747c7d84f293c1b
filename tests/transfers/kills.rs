//! kill -9 in the middle of everything that changes a zone, with NSD, Knot DNS and BIND as its secondaries: what is
//! there afterwards is whole, and they follow without a full transfer.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{self, until};
use crate::ports::free_port;
use crate::primary::{FIRST, MORE, Primary, applied};
use crate::servers::{KEY, Kind, SECRET, Secondary, dig, records};

/// How often the daemon is killed, unless `DETOUR_KILLS` says.
const KILLS: u32 = 12;
/// From how many of the last contents the journal is followed after each kill.
const BACK: usize = 8;
/// The names that updates change in turn.
const NAMES: u32 = 8;
/// Where the test itself asks from, so that its transfers are told from those of the secondaries.
const OURS: &str = "127.0.0.9";

/// What was asked for so far.
#[derive(Default)]
struct Asked {
    killed: AtomicBool,
    /// The last update that was sent; how many were acknowledged, and the last of them for each name.
    sent: AtomicU32,
    acknowledged: AtomicU32,
    last: [AtomicU32; NAMES as usize],
    flips: AtomicU32,
    /// Versions of the file.
    files: AtomicU32,
    reloads: AtomicU32,
}

impl Asked {
    /// One update after the other: each changes two records of two names.
    fn update(&self, primary: &Primary) {
        loop {
            let n = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
            let mut script = format!("server 127.0.0.1 {}\nzone example.com\n", primary.dns().port());
            for name in ["u", "v"].map(|half| format!("{half}{}.example.com", n % NAMES)) {
                script = format!("{script}del {name} TXT\nadd {name} 60 TXT {n}\n");
            }
            if nsupdate(&(script + "send\n")) {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                self.last[(n % NAMES) as usize].store(n, Ordering::Relaxed);
            } else {
                assert!(self.killed.load(Ordering::Relaxed), "update {n} was refused");
                return;
            }
        }
    }

    fn flip(&self, primary: &Primary) {
        while !self.killed.load(Ordering::Relaxed) {
            let n = self.flips.fetch_add(1, Ordering::Relaxed);
            let away: &[&str] = &["drain", "fra", "--reason", "a test"];
            primary.detour.cli(if n.is_multiple_of(2) { away } else { &["undrain", "fra"] });
        }
    }

    fn reload(&self, primary: &Primary) {
        while !self.killed.load(Ordering::Relaxed) {
            self.write_file(primary);
            primary.detour.cli(&["reload"]);
            self.reloads.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Another version of the zone file, all of it at once.
    fn write_file(&self, primary: &Primary) {
        let n = self.files.fetch_add(1, Ordering::Relaxed) + 1;
        let file = harness::zone(FIRST + n, &format!("{MORE}f{} A 192.0.2.1\nfile TXT {n}\n", n % 5));
        primary.detour.replace("example.com.zone", file.as_bytes());
    }

    /// All of that at once, until the daemon is killed.
    fn until_killed(&self, primary: &Primary, after: Duration) {
        self.killed.store(false, Ordering::Relaxed);
        thread::scope(|scope| {
            scope.spawn(|| self.update(primary));
            scope.spawn(|| self.flip(primary));
            scope.spawn(|| self.reload(primary));
            thread::sleep(after);
            self.killed.store(true, Ordering::Relaxed);
            primary.detour.signal("KILL");
        });
    }
}

/// Whether an update, signed, was carried out.
pub fn nsupdate(script: &str) -> bool {
    let key = format!("hmac-sha256:{KEY}:{SECRET}");
    let mut client = Command::new("nsupdate")
        .args(["-t", "1", "-r", "0", "-y", &key])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("./test installs it");
    client.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    client.wait().unwrap().success()
}

/// All that a server has, and the serial it has it under; `None` while it cannot be had.
fn whole(port: u16) -> Option<(u32, BTreeSet<String>)> {
    let args = ["+noall", "+answer", "+onesoa", "-b", OURS, "example.com", "AXFR"];
    let zone = records(&dig(([127, 0, 0, 1], port).into(), &args));
    let soa = zone.iter().find(|line| line.contains(" IN SOA "))?;
    Some((soa.split(' ').nth(6)?.parse().ok()?, zone))
}

/// What it says at the names that updates change, which two of a kind agree on.
fn updated(zone: &BTreeSet<String>, half: char, k: u32) -> Option<u32> {
    let begin = format!("{half}{k}.example.com. 60 IN TXT ");
    let line = zone.iter().find_map(|line| line.strip_prefix(&begin))?;
    line.trim_matches('"').parse().ok()
}

/// Transfers of the whole zone to others than the test itself.
fn full_transfers(primary: &Primary) -> Vec<String> {
    let log = primary.detour.log();
    let full = log.lines().filter(|line| line.contains("AXFR of example.com.") && !line.contains(OURS));
    full.map(str::to_owned).collect()
}

#[test]
fn kill_9_leaves_zone_and_journal_whole_and_secondaries_follow_without_a_full_transfer() {
    let kills = std::env::var("DETOUR_KILLS").ok().map_or(KILLS, |kills| kills.parse().expect("a number"));
    let ports = [free_port(), free_port(), free_port()];
    let told: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let zone = format!(
        "transfer = [\"127.0.0.0/8\"]\nnotify = [{}]\nupdate = [{{ key = \"{KEY}\" }}]",
        told.join(", ")
    );
    let mut primary = Primary::start(free_port(), "", &zone);
    let port = primary.dns().port();
    let secondaries = [Kind::Nsd, Kind::Knot, Kind::Bind];
    let secondaries: Vec<Secondary> = secondaries
        .into_iter()
        .zip(ports)
        .map(|(kind, port)| Secondary::new(kind, port, primary.dns(), &["example.com"], false))
        .collect();
    secondaries.iter().for_each(Secondary::start);
    for secondary in &secondaries {
        until("each has the zone", || secondary.serial("example.com"));
    }
    let first = full_transfers(&primary);
    assert_eq!(first.len(), secondaries.len(), "each had it whole once: {first:#?}");

    let asked = Asked::default();
    let (mut random, mut past) = (0x5eed_u32, vec![whole(port).unwrap()]);
    let (mut followed, mut moved) = (0, 0);
    for round in 1..=kills {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        asked.until_killed(&primary, Duration::from_millis(u64::from(random >> 16) % 400));
        primary.detour.kill();
        // What a start finds: all as it was, another file, services that answer otherwise, other services.
        let config = primary.detour.config();
        match round % 4 {
            1 => asked.write_file(&primary),
            2 => {
                let (head, tail) = config.split_once("endpoints = [\n").unwrap();
                let mut lines: Vec<&str> = tail.lines().collect();
                lines.swap(0, 1);
                let tail = lines.join("\n");
                primary.detour.write_config(&format!("{head}endpoints = [\n{tail}\n"));
            }
            3 => {
                let [from, to] =
                    if config.contains("\"app.example") { ["app", "api"] } else { ["api", "app"] };
                let name = |label: &str| format!("\"{label}.example.com\"");
                primary.detour.write_config(&config.replace(&name(from), &name(to)));
            }
            _ => {}
        }
        primary.detour.start_again();
        let at_start = primary.detour.serial();
        assert!(at_start >= past.last().unwrap().0, "round {round}: the serial went back to {at_start}");

        // The zone: what was acknowledged is there, nothing by half, and the file as it is.
        let (serial, zone) = until("the zone is had", || whole(port));
        for (last, k) in asked.last.iter().zip(0..) {
            let (last, sent) = (last.load(Ordering::Relaxed), asked.sent.load(Ordering::Relaxed));
            let held = updated(&zone, 'u', k);
            assert_eq!(updated(&zone, 'v', k), held, "round {round}: half of an update");
            let held = held.unwrap_or(0);
            assert!(
                (last..=sent).contains(&held),
                "round {round}: update {last} was kept, and {held} is there"
            );
        }
        let file = format!("file.example.com. 300 IN TXT \"{}\"", asked.files.load(Ordering::Relaxed));
        assert!(zone.contains(&file), "round {round}: no {file} in {zone:#?}");
        moved += u32::from(past.last().unwrap().0 != serial);

        // The journal: from each of these it leads there.
        past.push((serial, zone));
        let now = until("the zone stands still", || {
            let now = whole(port)?;
            let lines = |from: u32| {
                let from = format!("IXFR={from}");
                dig(primary.dns(), &["+noall", "+answer", "+tcp", "-b", OURS, "example.com", &from])
            };
            let newest = &past[past.len().saturating_sub(BACK)..];
            let differences: Vec<_> = newest.iter().map(|(from, _)| (from, lines(*from))).collect();
            (whole(port)? == now).then_some((now, differences))
        });
        let ((serial, zone), differences) = now;
        for (from, lines) in differences {
            let before = &past.iter().rfind(|(serial, _)| serial == from).unwrap().1;
            let same = lines.len() == 1 && *from == serial;
            assert!(
                same || applied(before, &lines).as_ref() == Some(&zone),
                "round {round}: IXFR from {from} to {serial} is not what changed: {lines:#?}"
            );
            followed += 1;
        }
        past.push((serial, zone));

        // The secondaries.
        for (secondary, port) in secondaries.iter().zip(ports) {
            until(&format!("{:?} has what the primary has", secondary.kind), || {
                let (serial, theirs) = whole(port)?;
                (serial == primary.detour.serial() && whole(primary.dns().port())? == (serial, theirs))
                    .then_some(())
            });
        }
        let full = full_transfers(&primary);
        assert_eq!(full.len(), first.len(), "round {round}: a whole zone for who had one: {full:#?}");
    }
    // Knot DNS says so, too.
    let knot = secondaries[1].log();
    let full = knot.lines().filter(|line| line.contains("AXFR, incoming") && line.contains("started"));
    assert_eq!(full.count(), 1, "{knot}");
    let log = primary.detour.log();
    let differences =
        log.lines().filter(|line| line.contains("IXFR of example.com.") && !line.contains(OURS));
    println!(
        "{kills} kills in {} updates, {} flips and {} reloads of {} files; {moved} starts had another serial; \
         {followed} differences led to the zone; {} to the secondaries, {} whole zones, {} of them at first",
        asked.acknowledged.load(Ordering::Relaxed),
        asked.flips.load(Ordering::Relaxed),
        asked.reloads.load(Ordering::Relaxed),
        asked.files.load(Ordering::Relaxed),
        differences.count(),
        full_transfers(&primary).len(),
        first.len(),
    );
}
