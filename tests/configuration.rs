//! Configurations, good and bad, as `detour check`, `detour serve` and a reload see them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

#[path = "configuration/advice.rs"]
mod advice;
#[path = "configuration/alerts.rs"]
mod alerts;
#[path = "configuration/arbitrary.rs"]
mod arbitrary;
#[path = "configuration/bad.rs"]
mod bad;
#[path = "configuration/catalog.rs"]
mod catalog;
#[path = "configuration/control.rs"]
mod control;
#[path = "configuration/good.rs"]
mod good;
#[path = "configuration/http_tls.rs"]
mod http_tls;
#[path = "configuration/judgement.rs"]
mod judgement;
#[path = "configuration/kinds.rs"]
mod kinds;
#[path = "configuration/moving.rs"]
mod moving;
#[path = "configuration/observing.rs"]
mod observing;
#[path = "peers/mod.rs"]
mod peers;
#[path = "configuration/refused.rs"]
mod refused;
#[path = "configuration/secondaries.rs"]
mod secondaries;
#[path = "configuration/services.rs"]
mod services;
#[path = "configuration/tcp_icmp_exec.rs"]
mod tcp_icmp_exec;
#[path = "configuration/transfers.rs"]
mod transfers;
#[path = "configuration/updates.rs"]
mod updates;
#[path = "configuration/zones.rs"]
mod zones;

use std::path::{Path, PathBuf};

use detour::config::{Loaded, Report, load};
use tempfile::TempDir;

/// A zone file without fault, for `example.com`.
const ZONE: &str = "\
$TTL 1h
@      SOA ns1 hostmaster 1 1h 15m 1w 5m
       NS ns1
       MX 10 mail
ns1    A 192.0.2.53
mail   A 192.0.2.25
app    A 192.0.2.10
txt    TXT \"text\"
sub    NS ns.sub
ns.sub A 192.0.2.54
old    DNAME new
";

/// What goes before a `[[service]]` to make a whole configuration; 12 lines.
const HEAD: &str = r#"[sites.fra]
[sites.iad]
[probes.web]
type = "http"
host = "app.example.com"

[probes.db]
type = "tcp"
port = 5432
[[zone]]
name = "example.com"
file = "example.com.zone"
"#;

/// A folder with a `detour.toml` and files beside it.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, content) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Loaded, Report> {
        load(&self.path("detour.toml"))
    }

    /// What is reported, the folder's path left out.
    fn shown(&self, problems: &impl ToString) -> String {
        problems.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }

    /// Every error of a load that has to fail.
    fn report(&self) -> String {
        self.shown(&self.load().expect_err("it should be refused"))
    }
}

/// The sample configuration, with everything after the head replaced by `rest`.
fn folder(rest: &str) -> Folder {
    Folder::new(&[("detour.toml", &format!("{HEAD}{rest}")), ("example.com.zone", ZONE)])
}

/// What loads, when it has to.
fn loaded(text: &str) -> Loaded {
    let folder = Folder::new(&[("detour.toml", text), ("example.com.zone", ZONE)]);
    folder.load().unwrap_or_else(|report| panic!("{report}"))
}

/// The head has two probes and two sites, of which most services here use one.
fn warns_of_the_unused_alone(loaded: &Loaded) {
    let unused = ["is not used by any service", "has no endpoint", "nothing to fail over to"];
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().all(|warning| unused.iter().any(|why| warning.contains(why))), "{warnings:?}");
}

#[test]
fn the_sample_loads_without_a_word() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones/detour.toml");
    let loaded = load(&path).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings, [], "{:?}", loaded.warnings.first().map(ToString::to_string));
    assert_eq!(loaded.config.services[0].name, "app.example.com".parse().unwrap());
    assert_eq!(loaded.zones.len(), 1);
}
