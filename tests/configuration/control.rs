//! `[control]`: tokens and TLS.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use detour::model::ApiRole;

use crate::{Folder, HEAD, ZONE};

const SERVICE: &str = "[[service]]\nname = \"app.example.com\"\nprobes = [\"web\"]\n\
                       endpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]\n";
const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn folder(control: &str, tokens: &str) -> Folder {
    let text = format!("[control]\n{control}\n{HEAD}{SERVICE}");
    let files = [("detour.toml", &*text), ("example.com.zone", ZONE), ("tokens", tokens)];
    let folder = Folder::new(&files);
    fs::set_permissions(folder.path("tokens"), Permissions::from_mode(0o600)).unwrap();
    folder
}

#[test]
fn tokens_are_names_roles_and_hashes() {
    let tokens =
        format!("# people\nana operator {HASH}\n  grafana\tviewer {} # graphs\n\n", HASH.to_uppercase());
    let folder = folder("tokens = \"tokens\"", &tokens);
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    crate::warns_of_the_unused_alone(&loaded);
    let held = loaded.config.control.tokens.clone().expect("tokens");
    let held: Vec<_> = held.iter().map(|token| (&*token.name, token.role, token.hash)).collect();
    assert_eq!((held[0].0, held[0].1), ("ana", ApiRole::Operator));
    assert_eq!((held[1].0, held[1].1), ("grafana", ApiRole::Viewer));
    assert_eq!((held[0].2, held[0].2[..2].to_vec()), (held[1].2, vec![0x9f, 0x86]));
    assert!(loaded.files.iter().any(|file| file.ends_with("tokens")), "a change is worth a reload");
    assert!(!format!("{:?}", loaded.config).contains("134"), "hashes are not for logs");
}

#[test]
fn who_may_is_said_before_the_api_leaves_this_host() {
    let tokens = format!("ana operator {HASH}\n");
    let refused = folder("listen = \"0.0.0.0:8053\"", "").report();
    assert!(refused.contains("detour.toml:2:10: error: 0.0.0.0:8053 is not a loopback address"), "{refused}");
    let with = folder("listen = \"0.0.0.0:8053\"\ntokens = \"tokens\"", &tokens);
    let loaded = with.load().unwrap_or_else(|report| panic!("{report}"));
    let warning = loaded.warnings[0].to_string();
    assert!(warning.contains("warning: tokens go to 0.0.0.0:8053 in clear text"), "{warning}");
    fs::set_permissions(with.path("tokens"), Permissions::from_mode(0o644)).unwrap();
    let warnings = with.load().unwrap_or_else(|report| panic!("{report}")).warnings;
    let told = warnings.iter().any(|warning| warning.to_string().contains("everybody on this host can read"));
    assert!(told, "{warnings:?}");
}

#[test]
fn what_is_no_file_of_tokens_is_refused_without_its_hashes() {
    let many = format!("ana operator {HASH}\n").repeat(3);
    let cases = [
        ("", "it holds no line \"name role hash\""),
        ("ana operator", "line 1 is not \"name role hash\""),
        ("ana/ops operator HASH", "line 1 has a name that is not"),
        ("# x\nana admin HASH", "line 2 has a role that is neither viewer nor operator"),
        ("ana operator 9f86", "line 1 does not end with 64 hexadecimal digits"),
        ("ana operator HASHx", "line 1 does not end with 64"),
        (&many, "line 3 is one more token of a name that has two"),
    ];
    for (tokens, want) in cases {
        let report = folder("tokens = \"tokens\"", &tokens.replace("HASH", HASH)).report();
        assert!(
            report.contains("detour.toml:2:10: error: cannot read control tokens \"tokens\""),
            "{tokens}: {report}"
        );
        assert!(report.contains(want) && !report.contains("9f86"), "{tokens}: {report}");
    }
    let missing = folder("tokens = \"no/where\"", "").report();
    assert!(missing.contains("control tokens \"no/where\"") && missing.contains("No such file"), "{missing}");
    let tls = folder("tls = { certificate = \"api.pem\" }", "").report();
    assert!(tls.contains("api.pem") && tls.contains("No such file"), "{tls}");
}
