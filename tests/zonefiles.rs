//! `detour zone` as people run it, and beside the tools of BIND, NSD and Knot DNS: they agree on what is a
//! zone and on what it holds, and what is imported from them is answered as they answer it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

#[path = "zonefiles/commands.rs"]
mod commands;
#[path = "zonefiles/imports.rs"]
mod imports;
#[path = "peers/nameserver.rs"]
#[allow(dead_code, reason = "each target uses its own part")]
mod nameserver;
#[path = "zonefiles/others.rs"]
mod others;
#[path = "peers/ports.rs"]
mod ports;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The sample zone of the README, and what it includes.
const SAMPLE: &str = include_str!("../zones/example.com.zone");
const SAMPLE_HOSTS: &str = include_str!("../zones/example.com.hosts.zone");

/// A folder with files.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::create_dir_all(folder.path(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path(name), text).unwrap();
        }
        folder
    }

    fn sample() -> Folder {
        Folder::new(&[("example.com.zone", SAMPLE), ("example.com.hosts.zone", SAMPLE_HOSTS)])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `detour zone` in the folder.
    fn zone(&self, args: &[&str]) -> Ran {
        run(env!("CARGO_BIN_EXE_detour"), &[&["zone"], args].concat(), self.0.path())
    }
}

/// What a program said, and whether it was content.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(program: &str, args: &[&str], folder: &Path) -> Ran {
    let output = Command::new(program).args(args).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; ./test installs what is needed"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

impl Ran {
    /// It ended with this exit code.
    #[track_caller]
    fn ended(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }
}
