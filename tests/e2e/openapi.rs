//! The daemon beside its own description: schemathesis (PyPI) makes requests by `/v1/openapi.json`, good and bad
//! ones, and holds each answer against it.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Setup, World};

/// What `./test` installs; the same in both places.
const VERSION: &str = "4.32.5";

/// Where `./test` has put it, or whoever set `SCHEMATHESIS`.
fn schemathesis() -> PathBuf {
    if let Some(path) = std::env::var_os("SCHEMATHESIS") {
        return path.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let path = cache.unwrap_or_default().join(format!("detour-test/schemathesis-{VERSION}/bin/schemathesis"));
    assert!(
        path.exists(),
        "this test needs schemathesis {VERSION} from PyPI at {path}, and it is not there. ./test installs it; by hand:\n  \
         python3 -m venv {venv} && {venv}/bin/pip install schemathesis=={VERSION}\n\
         or set SCHEMATHESIS to the program",
        path = path.display(),
        venv = path.ancestors().nth(2).unwrap().display(),
    );
    path
}

#[test]
fn the_daemon_answers_as_its_description_says() {
    let schemathesis = schemathesis();
    let world = World::start(&Setup::default());
    let detour = &world.detour;
    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new(schemathesis)
        .args(["run", &format!("http://{}/v1/openapi.json", detour.control)])
        // Server errors, and whatever the description does not have: a status, a media type, a shape.
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
        .args([
            "--checks",
            "response_schema_conformance,response_headers_conformance,allow_header_conformance",
        ])
        // It has no end; `src/control/events_tests.rs` listens to it.
        .args(["--exclude-path", "/v1/events"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "1"])
        .args(["--rate-limit", "auto", "--no-color", "--continue-on-failure"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}");
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(detour.json("/healthz")["status"], "ok");
}
