//! A short run of every fuzz target in the ordinary tests: the seeds, and so many mutants of them, the same in
//! each run. It finds what shallow damage finds; how the fuzzer itself is run, which follows the code's
//! branches for as long as one likes, stands in fuzz/Cargo.toml.

use std::path::Path;

#[path = "../fuzz/bodies/config.rs"]
mod config;
#[path = "../fuzz/bodies/dns_reply.rs"]
mod dns_reply;
#[path = "peers/long.rs"]
mod long;
#[path = "../fuzz/bodies/message.rs"]
mod message;
#[path = "../fuzz/bodies/query.rs"]
mod query;
#[path = "../fuzz/bodies/transfer.rs"]
mod transfer;
#[path = "../fuzz/bodies/tsig.rs"]
mod tsig;
#[path = "../fuzz/bodies/update.rs"]
mod update;
#[path = "../fuzz/bodies/zone_file.rs"]
mod zone_file;
#[path = "../fuzz/bodies/zone_layout.rs"]
mod zone_layout;

/// SplitMix64: as much chance as a mutation needs.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Bytes that parsers treat apart from others.
const EDGES: [u8; 12] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff, b'\n', b'"', b'\\', b'('];

/// One to eight changes: a byte turned, set, added or taken, a piece doubled, moved, or grafted from another seed.
fn mutate(chance: &mut Chance, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(8) {
        let at = chance.below(bytes.len());
        let end = (at + 1 + chance.below(32)).min(bytes.len());
        match chance.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
            1 if !bytes.is_empty() => bytes[at] = EDGES[chance.below(EDGES.len())],
            2 => bytes.insert(at, chance.next() as u8),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.truncate(at),
            5 => {
                let piece = bytes[at..end].to_vec();
                let to = chance.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let other = &seeds[chance.below(seeds.len())];
                let from = chance.below(other.len());
                let piece = other[from..(from + 64).min(other.len())].to_vec();
                bytes.splice(at..end, piece);
            }
        }
    }
    bytes
}

fn run(target: &str, mutants: usize, body: fn(&[u8])) {
    let mutants = mutants * long::times() as usize;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).expect("seeds").map(|f| f.expect("a seed").path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).expect("its bytes")).collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for seed in &seeds {
        body(seed);
    }
    let mut chance = Chance(seeds.len() as u64);
    for number in 0..mutants {
        let mutant = mutate(&mut chance, &seeds);
        // Shown by the test's output when the body panics.
        let shown = Shown { target, number, mutant: &mutant };
        body(&mutant);
        std::mem::forget(shown);
    }
}

/// Names the mutant that the body panicked over.
struct Shown<'m> {
    target: &'m str,
    number: usize,
    mutant: &'m [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        eprintln!("{} mutant {}: \"{}\"", self.target, self.number, self.mutant.escape_ascii());
    }
}

#[test]
fn queries() {
    run("query", 40_000, query::run);
}

#[test]
fn messages() {
    run("message", 40_000, message::run);
    // What others send is read by the same reader.
    for of in ["dns_reply", "tsig", "update"] {
        run(of, 10_000, message::run);
    }
}

#[test]
fn zone_files() {
    run("zone_file", 1_500, zone_file::run);
}

#[test]
fn layouts_of_zone_files() {
    run("zone_layout", 1_500, zone_layout::run);
    run("zone_file", 1_500, zone_layout::run);
}

#[test]
fn configurations() {
    run("config", 3_000, config::run);
}

#[test]
fn answers_to_dns_probes() {
    run("dns_reply", 100_000, dns_reply::run);
}

#[test]
fn updates() {
    run("update", 40_000, update::run);
}

#[test]
fn signed_messages() {
    run("tsig", 30_000, tsig::run);
}

#[test]
fn transfers() {
    run("transfer", 20_000, transfer::run);
}
