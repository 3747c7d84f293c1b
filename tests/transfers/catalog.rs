//! Zones that appear at secondaries by themselves, and go.

use crate::harness::until;
use crate::ports::free_port;
use crate::primary::Primary;
use crate::servers::{KEY, Kind, SECRET, Secondary, axfr, dig};

const CATALOG: &str = "catalog.example";

/// A primary whose zones are listed, and a server that has what is listed.
fn pair(kind: Kind) -> (Primary, Secondary) {
    let theirs = free_port();
    let told = format!("notify = [{{ address = \"127.0.0.1:{theirs}\", key = \"xfr\" }}]");
    let zone = format!(
        "transfer = [{{ key = \"xfr\" }}]\n{told}\n\
         [catalog]\nname = \"{CATALOG}\"\ntransfer = [{{ key = \"xfr\" }}]\n{told}\n"
    );
    let primary = Primary::start(free_port(), "", &zone);
    let secondary = Secondary::by_catalog(kind, theirs, primary.dns(), CATALOG);
    (primary, secondary)
}

/// A zone of this name, as the configuration has it.
fn another(primary: &Primary, name: &str) -> String {
    let text = format!(
        "$TTL 300\n@ SOA ns1 hostmaster 5 3600 600 604800 60\n@ NS ns1\nns1 A 192.0.2.53\n; {name}\n"
    );
    primary.detour.write_file(&format!("{name}.zone"), &text);
    format!("\n[[zone]]\nname = \"{name}\"\nfile = \"{name}.zone\"\ntransfer = [{{ key = \"xfr\" }}]\n")
}

/// What `dig` says of the catalog, with the key.
fn asked(primary: &Primary, args: &[&str]) -> Vec<String> {
    let key = format!("hmac-sha256:{KEY}:{SECRET}");
    dig(primary.dns(), &[&["+noall", "+answer", "-y", &key], args].concat())
}

fn serial(primary: &Primary) -> u32 {
    let lines = asked(primary, &["+short", CATALOG, "SOA"]);
    lines.iter().find_map(|line| line.split_whitespace().nth(2)?.parse().ok()).unwrap()
}

fn members(primary: &Primary) -> Vec<String> {
    let lines = axfr(primary.dns(), CATALOG, true);
    let members = lines.iter().filter(|line| line.contains(" PTR "));
    members.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
}

fn zones_come_and_go(kind: Kind) {
    let (mut primary, secondary) = pair(kind);
    secondary.start();
    let has = |secondary: &Secondary, zone: &str| secondary.serial(zone).is_some();
    until("the zone is there by itself", || has(&secondary, "example.com").then_some(()));
    let first = serial(&primary);
    let listed = axfr(primary.dns(), CATALOG, true);

    let before = primary.detour.config();
    let more = another(&primary, "example.org") + &another(&primary, "example.net");
    primary.detour.write_config(&format!("{before}{more}"));
    primary.detour.told(&["reload"]);
    until("the zones that were added are there", || {
        (has(&secondary, "example.org") && has(&secondary, "example.net")).then_some(())
    });
    let second = serial(&primary);
    assert!(second > first, "{first} {second}");
    // An id is a zone's for good.
    let now = axfr(primary.dns(), CATALOG, true);
    assert_eq!(
        listed.difference(&now).filter(|line| !line.contains(" SOA ")).count(),
        0,
        "{listed:?} {now:?}"
    );
    // A failover is followed as in any zone.
    let decided = primary.detour.serial();
    primary.flip(true);
    assert!(primary.detour.serial() > decided);
    until("the member follows", || {
        (secondary.serial("example.com") == Some(primary.detour.serial())).then_some(())
    });

    // Nothing is different after a kill; and the changes before it are known.
    primary.detour.kill();
    primary.detour.start_again();
    assert_eq!((serial(&primary), axfr(primary.dns(), CATALOG, true)), (second, now));
    let changed = asked(&primary, &["+tcp", CATALOG, &format!("IXFR={first}")]);
    assert_eq!(changed.iter().filter(|line| line.contains("PTR")).count(), 2, "{changed:?}");
    assert_eq!(changed.iter().filter(|line| line.contains("SOA")).count(), 4, "{changed:?}");

    let fewer = format!("{before}{}", another(&primary, "example.net"));
    primary.detour.write_config(&fewer);
    primary.detour.told(&["reload"]);
    until("the zone that was removed is gone", || (!has(&secondary, "example.org")).then_some(()));
    assert!(has(&secondary, "example.net") && has(&secondary, "example.com"));
    assert!(serial(&primary) > second);
    assert_eq!(members(&primary).len(), 2);
}

#[test]
fn knot_has_the_zones_that_are_listed() {
    zones_come_and_go(Kind::Knot);
}

#[test]
fn bind_has_the_zones_that_are_listed() {
    zones_come_and_go(Kind::Bind);
}

#[test]
fn a_catalog_is_seen_by_those_alone_who_may_have_it() {
    let catalog = "[catalog]\nname = \"catalog.example.com\"\n\
                   transfer = [{ from = \"127.0.0.1\", key = \"xfr\" }, \"127.0.0.3\"]";
    // What nobody may have is nobody's business.
    let primary = Primary::start(0, "", &format!("transfer = [\"127.0.0.1\"]\n{catalog}"));
    let hidden = another(&primary, "example.org").replace("transfer", "# transfer");
    primary.detour.write_config(&(primary.detour.config() + &hidden));
    primary.detour.told(&["reload"]);
    let key = format!("hmac-sha256:{KEY}:{SECRET}");
    let ask = |from: &str, key: Option<&String>, question: &[&str]| {
        let key: Vec<&str> = key.iter().flat_map(|key| ["-y", key.as_str()]).collect();
        let args = [&["+noall", "+comments", "+answer", "-b", from], &key[..], question].concat();
        dig(primary.dns(), &args).join("\n")
    };
    let [apex, version, none] =
        ["catalog.example.com", "version.catalog.example.com", "none.zones.catalog.example.com"];
    for way in ["+notcp", "+tcp"] {
        for (name, rtype, status) in [
            (apex, "SOA", "NOERROR"),
            (apex, "A", "NOERROR"),
            (version, "TXT", "NOERROR"),
            ("zones.catalog.example.com", "A", "NOERROR"),
            (none, "PTR", "NXDOMAIN"),
        ] {
            let question = [way, name, rtype];
            for (from, key) in [("127.0.0.1", Some(&key)), ("127.0.0.3", None), ("127.0.0.3", Some(&key))] {
                let said = ask(from, key, &question);
                assert!(said.contains(&format!("status: {status}")), "{from} {question:?}\n{said}");
                assert!(!said.contains("Couldn't verify"), "{said}");
            }
            for (from, key) in [("127.0.0.1", None), ("127.0.0.2", None), ("127.0.0.2", Some(&key))] {
                let said = ask(from, key, &question);
                assert!(said.contains("status: REFUSED"), "{from} {question:?}\n{said}");
                assert!(said.contains("EDE: 18"), "{from} {question:?}\n{said}");
            }
        }
        assert!(ask("127.0.0.3", None, &[way, version, "TXT"]).contains("\"2\""));
        // The zone around it is everybody's.
        assert!(ask("127.0.0.2", None, &[way, "example.com", "SOA"]).contains("status: NOERROR"));
        assert!(ask("127.0.0.2", None, &[way, "xcatalog.example.com", "SOA"]).contains("status: NXDOMAIN"));
    }
    let listed = dig(primary.dns(), &["+noall", "+answer", "-b", "127.0.0.3", apex, "AXFR"]);
    let listed: Vec<_> = listed.iter().filter(|line| line.contains("PTR")).collect();
    assert!(listed.len() == 1 && listed[0].ends_with(" example.com."), "{listed:?}");
    assert!(ask("127.0.0.2", None, &[apex, "AXFR"]).contains("Transfer failed"));
}
