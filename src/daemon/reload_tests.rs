//! A load reads and compiles what changed: whatever was edited in between, it comes to what a load of everything does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::tests::{query, update_to};
use super::{Running, start};
use crate::api::Daemon;
use crate::dns::{Name, RrSet};
use crate::zones;

/// Zones, one of them below another; a service is steered in the first.
const ZONES: [&str; 4] = ["example.com", "sub.example.com", "b.test", "c.test"];
const SEEDS: u64 = 6;
const EDITS: usize = 40;

/// Numbers from a seed (xorshift64*).
struct Lots(u64);

impl Lots {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

/// Files of two daemons, which are always the same.
struct Files {
    folders: [TempDir; 2],
    /// Lines beside SOA and NS.
    lines: [Vec<String>; 4],
    serials: [u32; 4],
    services: BTreeSet<usize>,
    has_updates: bool,
    is_broken: bool,
    version: usize,
}

impl Files {
    fn new(lots: &mut Lots) -> Files {
        let folders = [(); 2].map(|()| tempfile::tempdir_in("/dev/shm").unwrap());
        let lines = [(); 4].map(|()| (0..100).map(|n| format!("n{n} 60 A 192.0.2.{n}")).collect());
        let has_updates = lots.below(2) == 0;
        let services = BTreeSet::from([0]);
        let files =
            Files { folders, lines, serials: [7; 4], services, has_updates, is_broken: false, version: 0 };
        files.configure();
        (0..ZONES.len()).for_each(|zone| files.write(zone));
        files
    }

    fn everywhere(&self, each: impl Fn(&Path)) {
        self.folders.iter().for_each(|folder| each(folder.path()));
    }

    fn configure(&self) {
        let mut text = "[server]\nlisten = [\"127.0.0.1:0\"]\nreload = \"manual\"\n[control]\nlisten = \"127.0.0.1:0\"\n\
            [sites.fra]\n[probes.port]\ntype = \"tcp\"\nport = 1\ntimeout = \"1s\"\n"
            .to_owned();
        for zone in ZONES {
            let _ = write!(text, "[[zone]]\nname = \"{zone}\"\nfile = \"{zone}.zone\"\n");
            if self.has_updates && zone == ZONES[0] {
                text += "update = [{ from = \"127.0.0.0/8\" }]\n";
            }
        }
        for service in &self.services {
            let _ = write!(
                text,
                "[[service]]\nname = \"s{service}.{}\"\nprobes = [\"port\"]\nall_down = \"primary\"\n\
                 endpoints = [{{ site = \"fra\", addresses = [\"127.0.0.{}\"] }}]\n",
                ZONES[service % 2],
                service + 1
            );
        }
        self.everywhere(|folder| fs::write(folder.join("detour.toml"), &text).unwrap());
    }

    /// The second half of each zone lies in a file of its own; the third zone's files lie behind a link.
    fn write(&self, zone: usize) {
        let name = ZONES[zone];
        let (first, second) = self.lines[zone].split_at(self.lines[zone].len() / 2);
        let more = format!("{name}-{}.more", if zone == 2 { self.version } else { 0 });
        let head = format!("@ 60 SOA ns h {} 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n", self.serials[zone]);
        let broken = if self.is_broken && zone == 3 { "what is this\n" } else { "" };
        let main = format!("{head}{}\n$INCLUDE {more}\n{broken}", first.join("\n"));
        self.everywhere(|folder| {
            fs::write(folder.join(&more), second.join("\n") + "\n").unwrap();
            if zone == 2 {
                let real = folder.join(format!("real-{}", self.version));
                fs::write(&real, &main).unwrap();
                // As configuration maps are switched.
                let link = folder.join("link");
                std::os::unix::fs::symlink(real, &link).unwrap();
                fs::rename(link, folder.join(format!("{name}.zone"))).unwrap();
            } else {
                fs::write(folder.join(format!("{name}.zone")), &main).unwrap();
            }
        });
    }

    fn edit(&mut self, lots: &mut Lots) {
        let zone = lots.below(ZONES.len());
        let names = 100;
        self.version += 1;
        match lots.below(12) {
            0 => self.lines[zone].iter_mut().for_each(|line| *line = line.replace("192.0.2", "198.51.100")),
            1 => self.serials[zone] += 1,
            2 => {
                let at = lots.below(self.lines[zone].len());
                self.lines[zone].remove(at);
            }
            3 => self.lines[zone].push(format!("x{} 60 TXT t{}", lots.below(9), lots.below(9))),
            // At a steered name, at and below a cut, beside the zone below, a wildcard, an alias.
            4 => self.lines[zone].push(format!("s{} 60 A 192.0.2.{}", lots.below(3), lots.below(200))),
            5 => {
                self.lines[zone].push(format!("sub 60 NS ns{}.sub\nns{0}.sub 60 A 192.0.2.9", lots.below(3)));
            }
            6 => self.lines[zone].push(format!("*.w{} 60 A 192.0.2.{}", lots.below(3), lots.below(200))),
            7 => self.lines[zone].push(format!("c{} 60 CNAME n{}", self.version, lots.below(names))),
            8 => self.is_broken = !self.is_broken,
            9 => {
                let service = lots.below(4);
                if !self.services.remove(&service) {
                    self.services.insert(service);
                }
                return self.configure();
            }
            // Touched, no more.
            10 => {}
            _ => {
                let (line, octet) = (lots.below(self.lines[zone].len()), lots.below(200));
                self.lines[zone][line] = format!("y{} 60 A 192.0.2.{octet}", lots.below(50));
            }
        }
        let (zone, broken) = if self.is_broken { (3, true) } else { (zone, false) };
        self.write(zone);
        if !broken {
            self.write(3);
        }
    }
}

/// All that is served of a zone.
fn served(running: &Running, apex: &Name) -> BTreeSet<String> {
    let sets = running.handle.table().rrsets(apex);
    sets.iter().flat_map(RrSet::to_lines).collect()
}

/// The last step of a zone's journal.
fn step(running: &Running, apex: &Name) -> Option<BTreeSet<String>> {
    let journal = running.handle.journals.of(apex);
    let step = journal.step_to(journal.to()?)?;
    Some(step.into_transfer().iter().flat_map(RrSet::to_lines).collect())
}

/// What the engine knows of zones and services, but for the time.
async fn engine(running: &Running) -> String {
    let status = running.handle.status().await.unwrap().engine;
    let services: BTreeMap<_, _> =
        status.services.iter().map(|it| (&it.name, it.decision.as_ref().map(|made| &made.records))).collect();
    format!("{:?} {services:?}", status.zones)
}

async fn compare(some: &Running, all: &Running, after: &str) {
    for apex in ZONES.map(|zone| zone.parse().unwrap()) {
        assert_eq!(served(some, &apex), served(all, &apex), "{apex} after {after}");
        // Where two whole tables differ in what lies beside another zone, the journal begins anew.
        if let Some(expected) = step(all, &apex) {
            assert_eq!(step(some, &apex), Some(expected), "the journal of {apex} after {after}");
        }
    }
    assert_eq!(engine(some).await, engine(all).await, "{after}");
    for label in ["n1", "x1", "s0", "s1", "sub", "c1", "nope"] {
        let both = [query(some.addresses.dns[0], label).await, query(all.addresses.dns[0], label).await];
        assert_eq!(both[0], both[1], "{label} after {after}");
    }
}

async fn play(seed: u64) {
    let mut lots = Lots(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut files = Files::new(&mut lots);
    let paths: Vec<_> = files.folders.iter().map(|folder| folder.path().join("detour.toml")).collect();
    let (some, all) = (start(&paths[0]).await.unwrap(), start(&paths[1]).await.unwrap());
    zones::lock(&all.handle.sources).whole = true;
    let mut refused = 0;
    for edit in 0..EDITS {
        some.decided().await;
        all.decided().await;
        if files.has_updates && lots.below(3) == 0 {
            let (label, text) = (format!("x{}", lots.below(9)), format!("u{}", lots.below(9)));
            for running in [&some, &all] {
                update_to(running.addresses.dns[0], &label, text.as_bytes()).await;
            }
        } else {
            files.edit(&mut lots);
        }
        let after = format!("edit {edit} of seed {seed}");
        let (one, other) = (some.handle.reload(true).await.unwrap(), all.handle.reload(true).await.unwrap());
        let place = |text: &str, at: usize| text.replace(files.folders[at].path().to_str().unwrap(), "");
        match (one, other) {
            (Ok(one), Ok(other)) => {
                let (told, expected) = (one.warnings.join("\n"), other.warnings.join("\n"));
                assert_eq!(place(&told, 0), place(&expected, 1), "{after}");
                assert_eq!((one.services, other.zones_read), (other.services, ZONES.len()), "{after}");
            }
            (Err(one), Err(other)) => {
                assert_eq!(place(&one.problems, 0), place(&other.problems, 1), "{after}");
                refused += 1;
            }
            (one, other) => panic!("{after}: {one:?} and {other:?}"),
        }
        some.decided().await;
        all.decided().await;
        compare(&some, &all, &after).await;
    }
    assert!(refused < EDITS, "{refused} refused");
    some.stop().await;
    all.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_of_what_changed_comes_to_what_a_load_of_everything_does() {
    for seed in 1..=SEEDS {
        play(seed).await;
    }
}
