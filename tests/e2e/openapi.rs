//! The daemon beside its own description: schemathesis (PyPI) makes requests by `/v1/openapi.json`, good and bad
//! ones, and holds each answer against it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Setup, World};

/// What `./test` installs; the same in both places.
const VERSION: &str = "4.32.5";

/// What is held against the description.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,allow_header_conformance";

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

/// Names that there are, so that requests come further than to a 404.
const KNOWN: &str = r#"
[[operations]]
include-path-regex = "^/v1/services/"
parameters = { "path.name" = "app.example.com" }
[[operations]]
include-path-regex = "^/v1/plots/"
parameters = { "path.service" = "app.example.com" }
[[operations]]
include-path-regex = "^/v1/zones/"
parameters = { "path.name" = "example.com" }
[[operations]]
include-path-regex = "^/v1/explain"
parameters = { "query.name" = "app.example.com" }
[[operations]]
include-path = "/v1/reload"
headers = { "Content-Type" = "application/json" }
"#;

#[test]
fn the_daemon_answers_as_its_description_says() {
    let schemathesis = schemathesis();
    let world = World::start(&Setup::default());
    let description = format!("http://{}/v1/openapi.json", world.detour.control);
    let run = |known: &str, args: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("schemathesis.toml"), known).unwrap();
        let ran = Command::new(&schemathesis)
            .args(["run", &description])
            // Server errors, and whatever the description does not have: a status, a media type, a shape.
            .args(["--checks", CHECKS])
            .args(["--seed", "1", "--rate-limit", "auto", "--no-color", "--continue-on-failure"])
            .args(args)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        println!("{said}");
        assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    };
    // Events have no end; `src/api/events_tests.rs` listens to them.
    let all = ["--exclude-path", "/v1/events", "--phases", "coverage,fuzzing", "--max-examples", "15"];
    run("", &all);
    let named = ["--include-path-regex", "^/v1/(services/|plots/|zones/|explain|reload)"];
    let good = ["--mode", "positive", "--phases", "fuzzing", "--max-examples", "10"];
    run(KNOWN, &[&named[..], &good].concat());
    assert_eq!(world.detour.get("/healthz").0, 200);
}
