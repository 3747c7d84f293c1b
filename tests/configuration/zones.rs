//! Where a configuration meets its zone files.

use std::os::unix::fs::symlink;

use std::time::Duration;

use detour::config::load_at_start;
use detour::dns::{RrType, SerialStyle};
use detour::model::Loading;

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

#[test]
fn a_start_spares_the_zones_that_are_right_where_one_is_broken() {
    let more = "[[zone]]\nname = \"example.org\"\nfile = \"example.org.zone\"\n";
    let with = |head: &str, org: &str| {
        let text = format!("{head}{HEAD}{more}");
        let files = [("detour.toml", text.as_str()), ("example.com.zone", ZONE), ("example.org.zone", org)];
        Folder::new(&files)
    };
    let start = |folder: &Folder| load_at_start(&folder.path("detour.toml"), 0);
    for org in ["@ SOA half a li", "@ 60 SOA ns h 1 1 1 1 1\n@ 60 NS ns\nns.example.net. 60 A 192.0.2.1\n"] {
        let folder = with("", org);
        assert!(
            folder.report().contains("example.org.zone:"),
            "a reload and `detour check` are all or nothing"
        );
        let loaded = start(&folder).unwrap_or_else(|report| panic!("{report}"));
        let hollow: Vec<bool> = loaded.zones.iter().map(detour::zone::Zone::is_empty).collect();
        assert_eq!(hollow, [false, true]);
        let [broken] = &loaded.broken[..] else { panic!("{:?}", loaded.broken) };
        assert_eq!((broken.zone.to_string().as_str(), broken.copy), ("example.org.", None));
        assert!(broken.problems.contains("example.org.zone:"), "{}", broken.problems);
        assert!(loaded.files.contains(&folder.path("example.org.zone")), "its mending is seen");
    }
    // A file that is not there is as good as one that is broken; what else is wrong stands in every way.
    let folder = with("", "");
    std::fs::remove_file(folder.path("example.org.zone")).unwrap();
    assert_eq!(start(&folder).unwrap_or_else(|report| panic!("{report}")).broken.len(), 1);
    assert!(start(&with("[server]\nnonsense = 1\n", ZONE)).is_err());
    // And so does this, where it is wanted.
    let strict = with("[server]\nstrict_start = true\n", "@ SOA half a li");
    assert!(strict.shown(&start(&strict).unwrap_err()).contains("example.org.zone:1"));
}

#[test]
fn a_service_that_the_zone_occludes_is_the_zones_trouble_at_a_start() {
    let end = "probes = [\"db\"]\nendpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]\n";
    let folder = folder(&format!("[[service]]\nname = \"sub.example.com\"\n{end}"));
    let loaded = load_at_start(&folder.path("detour.toml"), 0).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.broken[0].problems.contains("which the zone file delegates"), "{:?}", loaded.broken);
}

#[test]
fn how_it_starts_and_reloads_is_said_in_the_server_section() {
    let read = |lines: &str| {
        let text = format!("[server]\n{lines}\n{HEAD}");
        let folder = Folder::new(&[("detour.toml", text.as_str()), ("example.com.zone", ZONE)]);
        folder.load().map(|loaded| loaded.config.server.loading).map_err(|report| folder.shown(&report))
    };
    let usual =
        Loading { strict_start: false, first_round: Duration::from_secs(10), watch: true, max_loss: 20 };
    assert_eq!(read(""), Ok(usual));
    let all = "strict_start = true\nfirst_round = \"2s\"\nreload = \"manual\"\nmax_loss = \"100%\"";
    let other =
        Loading { strict_start: true, first_round: Duration::from_secs(2), watch: false, max_loss: 100 };
    assert_eq!(read(all), Ok(other));
    for (line, why) in [
        ("reload = \"never\"", "supported: watch, manual"),
        ("max_loss = \"0%\"", "a share from 1% to 100%"),
        ("first_round = \"11m\"", "first_round"),
    ] {
        let report = read(line).unwrap_err();
        assert!(report.starts_with("detour.toml:2:") && report.contains(why), "{report}");
    }
}
