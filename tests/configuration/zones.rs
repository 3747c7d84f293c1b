//! Where a configuration meets its zone files.

use std::os::unix::fs::symlink;

use detour::zone::{RrType, SerialStyle};

use crate::{Folder, HEAD, ZONE, folder};

/// The first line of the report of a service of that name.
fn service(name: &str) -> String {
    let end = "probes = [\"db\"]\nendpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]\n";
    folder(&format!("[[service]]\nname = \"{name}\"\n{end}")).report()
}

/// A folder whose zone file ends with `line`, with more files beside it.
fn including(line: &str, more: &[(&str, &str)]) -> Folder {
    let zone = format!("{ZONE}{line}\n");
    let files = [("detour.toml", HEAD), ("example.com.zone", zone.as_str())];
    Folder::new(&[&files, more].concat())
}

#[test]
fn services_may_not_be_occluded() {
    let delegated = |name: &str| {
        let text = service(name);
        let expect = format!(
            "detour.toml:14:8: error: service \"{name}.\" lies in \"sub.example.com.\", which the zone file delegates\n"
        );
        assert!(text.starts_with(&expect), "{text}");
    };
    delegated("sub.example.com");
    delegated("app.sub.example.com");
    delegated("a.b.sub.example.com");
    let text = service("app.old.example.com");
    let expect = "detour.toml:14:8: error: service \"app.old.example.com.\" lies below \"old.example.com.\", \
                  which the zone file redirects with a DNAME\n";
    assert!(text.starts_with(expect), "{text}");
}

#[test]
fn services_may_stand_at_the_apex_and_at_a_dname() {
    for name in ["example.com", "old.example.com", "new.example.com"] {
        let end = "probes = [\"db\"]\nendpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]\n";
        let folder = folder(&format!("[[service]]\nname = \"{name}\"\n{end}"));
        folder.load().unwrap_or_else(|report| panic!("{report}"));
    }
}

#[test]
fn problems_of_a_zone_file_are_shown_where_they_stand() {
    let report = including("bad A 192.0.2.256", &[]).report();
    assert!(report.starts_with("example.com.zone:12:7: error: "), "{report}");
    assert!(report.contains("\n    bad A 192.0.2.256\n          ^"), "{report}");
}

#[test]
fn every_file_that_counts_is_named() {
    let names = ["detour.toml", "example.com.zone", "more/hosts"];
    let folder = including("$INCLUDE more/hosts", &[("more/hosts", "host A 192.0.2.77\n")]);
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.files, names.map(|name| folder.path(name)));
    let owner = "host.example.com".parse().unwrap();
    assert!(loaded.zones[0].rrset(&owner, RrType::A).is_some());

    // Also those that are missing, so that their coming is seen.
    let folder = including("$INCLUDE more/hosts", &[]);
    assert_eq!(folder.load().unwrap_err().files, names.map(|name| folder.path(name)));
}

#[test]
fn includes_stay_in_the_folder() {
    let outside = Folder::new(&[("secret", "secret A 192.0.2.66\n")]);
    let secret = outside.path("secret");

    let report = including(&format!("$INCLUDE {}", secret.display()), &[]).report();
    assert!(report.contains("lies outside the zone file's folder"), "{report}");

    let folder = including("$INCLUDE link", &[]);
    symlink(&secret, folder.path("link")).unwrap();
    assert!(folder.report().contains("\"link\" lies outside the zone file's folder"));

    let folder = including("$INCLUDE dir/secret", &[]);
    symlink(secret.parent().unwrap(), folder.path("dir")).unwrap();
    assert!(folder.report().contains("\"dir/secret\" lies outside the zone file's folder"));

    let up = format!("../{}/secret", outside.0.path().file_name().unwrap().display());
    let report = including(&format!("$INCLUDE {up}"), &[]).report();
    assert!(report.contains("lies outside the zone file's folder"), "{report}");

    let report = including("$INCLUDE .", &[]).report();
    assert!(report.contains("it is not a regular file"), "{report}");

    // A link that stays inside is as good as the file.
    let folder = including("$INCLUDE link", &[("hosts", "host A 192.0.2.77\n")]);
    symlink("hosts", folder.path("link")).unwrap();
    folder.load().unwrap_or_else(|report| panic!("{report}"));
}

#[test]
fn includes_end() {
    let folder = including("$INCLUDE example.com.zone", &[]);
    assert!(folder.report().contains(" error: "));
    let again = "$INCLUDE again\n".repeat(100);
    let report = including("$INCLUDE again", &[("again", &again)]).report();
    assert!(report.contains(" error: "), "{report}");
}

#[test]
fn serials_go_on_in_one_of_three_styles() {
    let styled = |line: &str| {
        let text = format!("{HEAD}{line}\n");
        Folder::new(&[("detour.toml", text.as_str()), ("example.com.zone", ZONE)])
    };
    let read =
        |line: &str| styled(line).load().unwrap_or_else(|report| panic!("{report}")).config.zones[0].serial;
    assert_eq!(read(""), SerialStyle::Increment);
    assert_eq!(read("serial = \"increment\""), SerialStyle::Increment);
    assert_eq!(read("serial = \"date\""), SerialStyle::Date);
    assert_eq!(read("serial = \"unix\""), SerialStyle::Unix);
    let wrong = styled("serial = \"dates\"").report();
    assert!(wrong.contains("13:10: error: ") && wrong.contains("date"), "{wrong}");
    let wrong = styled("serial = 7").report();
    assert!(wrong.contains("13:10: error: \"serial\" is an integer, not a string"), "{wrong}");
}
