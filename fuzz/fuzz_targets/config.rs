//! Any text as a configuration: it is refused or accepted, and never panics.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Below what is no folder no zone file is found, so that an input means the same each time.
    let read = detour::config::check(Path::new("/dev/null/detour.toml"), text.to_owned());
    if let Err(report) = read {
        let _ = report.to_string();
    }
});
