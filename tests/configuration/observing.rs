//! `[log]`, `[metrics]`, `[query_log]` and `[dnstap]`: what is read, and what is refused.

use detour::config::log_format;
use detour::model::{Dnstap, LogFormat, Observed, QueryLog};

use crate::refused::{check, check_head, first};
use crate::{Folder, HEAD, ZONE, loaded};

#[test]
fn nobody_watches_unless_told_to() {
    let observed = loaded(HEAD).config.observed;
    assert_eq!(observed, Observed::default());
    assert_eq!((observed.log, observed.endpoints), (LogFormat::Human, 100_000));
    assert_eq!((observed.query_log, observed.dnstap), (None, None));
}

#[test]
fn all_of_it_is_read() {
    let text = format!(
        "[log]\nformat = \"json\"\n[metrics]\nendpoints = 0\n[query_log]\nfile = \"queries.log\"\nsample = 5\n\
         max = \"1GiB\"\n[dnstap]\nsocket = \"/run/tap.sock\"\n\
         [otlp]\nendpoint = \"http://127.0.0.1:4318\"\n{HEAD}"
    );
    let folder = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]);
    let config = folder.load().unwrap().config;
    let beside = config.path.parent().unwrap();
    let want = Observed {
        log: LogFormat::Json,
        endpoints: 0,
        query_log: Some(QueryLog { file: beside.join("queries.log"), sample: 5, max: 1 << 30 }),
        dnstap: Some(Dnstap { socket: "/run/tap.sock".into(), sample: 1 }),
        otlp: Some("http://127.0.0.1:4318".to_owned()),
    };
    assert_eq!(config.observed, want);
    let least = loaded(&format!("[query_log]\nfile = \"/q\"\n{HEAD}")).config.observed.query_log.unwrap();
    assert_eq!((least.sample, least.max), (1000, 64 << 20));

    // The log's form is known before anything else, whatever else is wrong.
    assert_eq!(log_format(&config.path), LogFormat::Json);
    let broken = Folder::new(&[("detour.toml", "[log]\nformat = \"json\"\n[nonsense]\n")]);
    assert_eq!(log_format(&broken.path("detour.toml")), LogFormat::Json);
    assert_eq!(log_format(&broken.path("none.toml")), LogFormat::Human);
}

#[test]
fn what_is_wrong_is_refused_where_it_stands() {
    check(
        &first("[log]\nformat = \"xml\""),
        r#"
detour.toml:2:10: error: format "xml" is unknown
    format = "xml"
             ^^^^^
    help: supported: human, json
"#,
    );
    let refused = |lines: &str, want: &str| check_head(&first(lines), &format!("detour.toml:{want}"));
    refused("[log]\nlevel = \"info\"", "2:1: error: unknown key \"level\" in [log]");
    refused("[metrics]\nendpoints = -1", "2:13: error: \"endpoints\" is -1, not between 0 and 10000000");
    refused("[query_log]\nsample = 5", "1:1: error: [query_log] has no \"file\"");
    refused("[query_log]\nfile = \"q\"\nsample = 0", "3:10: error: \"sample\" is zero");
    refused(
        "[query_log]\nfile = \"q\"\nmax = \"1KiB\"",
        "3:7: error: \"max\" is 1KiB, not between 1MiB and 1TiB",
    );
    refused("[dnstap]\nsample = 1", "1:1: error: [dnstap] has no \"socket\"");
    refused(
        "[otlp]\nendpoint = \"https://collector.example\"",
        "2:12: error: \"https://collector.example\" is not an http address",
    );
    let long = format!("/{}", "x".repeat(107));
    refused(
        &format!("[dnstap]\nsocket = \"{long}\""),
        &format!("2:10: error: \"{}…\" is not a path of at most 107 bytes", &long[..80]),
    );
}
