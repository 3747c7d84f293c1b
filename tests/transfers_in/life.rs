//! A transferred zone's life without its primary: retry, expiry, restarts; and services laid over it.

use std::fs;

use crate::dig::dig;
use crate::harness::{self, APP, Detour, Setup, until};
use crate::others::Primary;
use crate::site::sites;
use crate::{addresses, config, free_port, secondary, settles_on_serial, transferred, zone};

/// A primary of NSD with a zone of these timers, and a daemon that follows it.
fn pair(timers: &str) -> (Primary, Detour) {
    let listen = free_port();
    let primary = Primary::start("nsd", listen, &zone(7, timers, ""));
    let address = format!("{{ address = \"127.0.0.1:{}\", key = \"xfr\" }}", primary.port);
    let detour = secondary(&config(listen, &address));
    settles_on_serial(&detour, 7);
    (primary, detour)
}

#[test]
fn while_its_primary_is_down_a_zone_is_served_over_a_restart_and_comes_back() {
    let (primary, mut detour) = pair("1 1 86400");
    primary.stop();
    let failures = until("checks fail, one after the other", || {
        transferred(&detour)["failures"].as_u64().filter(|failures| *failures > 1)
    });
    assert!(failures > 1);
    detour.kill();
    detour.start_again();
    // At once, from what was kept.
    assert_eq!(addresses(&detour, "www.example.com"), ["192.0.2.80"]);
    assert_eq!(detour.serial(), 7);
    let kept = fs::read_to_string(detour.state_dir().join("transferred/example.com.zone")).unwrap();
    assert!(kept.contains("www.example.com. 300 IN A 192.0.2.80"), "{kept}");
    assert!(transferred(&detour)["expires"].as_u64().is_some());

    primary.start_again();
    primary.change(&zone(8, "1 1 86400", "new A 192.0.2.81\n"));
    settles_on_serial(&detour, 8);
    assert_eq!(addresses(&detour, "new.example.com"), ["192.0.2.81"]);
}

#[test]
fn a_zone_that_nobody_confirms_expires_and_says_so_until_it_is_had_again() {
    let (primary, mut detour) = pair("1 1 4");
    primary.stop();
    let expired = |detour: &Detour| {
        until("the zone expires", || (detour.ask("www.example.com", "A").rcode == 2).then_some(()));
        // RFC 8914 section 4.25.
        let answer = std::process::Command::new("dig")
            .args(["@127.0.0.1", "-p", &detour.dns.port().to_string(), "www.example.com", "+norecurse"])
            .output()
            .unwrap();
        let answer = String::from_utf8(answer.stdout).unwrap();
        assert!(answer.contains("EDE: 24 (Invalid Data)"), "{answer}");
        assert!(!dig(detour.dns, "example.com", "SOA").authoritative);
        let status = detour.told(&["status"]);
        assert!(status.contains("EXPIRED"), "{status}");
        // Who answers is told apart from who tells people: either may be first.
        until("/healthz says so", || {
            let (code, health) = detour.get("/healthz");
            assert_eq!(code, 200);
            (health.contains("degraded") && health.contains("example.com expired")).then_some(())
        });
        assert!(detour.get("/metrics").1.contains("detour_transferred_up{zone=\"example.com\"} 0"));
    };
    expired(&detour);
    assert!(detour.log().contains("zone example.com. expired"));
    detour.kill();
    detour.start_again();
    expired(&detour);
    primary.start_again();
    // The same content, and its own serial.
    settles_on_serial(&detour, 7);
    assert_eq!(addresses(&detour, "www.example.com"), ["192.0.2.80"]);
    until("all is well again", || detour.get("/healthz").1.contains("\"ok\"").then_some(()));
}

#[test]
fn services_are_laid_over_a_transferred_zone_and_stay_there_when_it_changes() {
    let listen = free_port();
    let timers = "3600 600 86400";
    let primary = Primary::start("nsd", listen, &zone(100, timers, "app A 192.0.2.1\n"));
    let [mut fra, iad] = sites(&[vec![harness::own_address()], vec![harness::own_address()]]);
    let config = harness::config(&Setup::default(), fra.port, &fra.addresses, &iad.addresses)
        .replace("127.0.0.1:0\"]", &format!("127.0.0.1:{listen}\"]"))
        .replace(
            "file = \"example.com.zone\"",
            &format!("primary = [{{ address = \"127.0.0.1:{}\", key = \"xfr\" }}]", primary.port),
        );
    let config = format!("{config}\n[keys.xfr]\nsecret_file = \"xfr.key\"\n");
    let mut detour = Detour::spawn(&config, &[("xfr.key", crate::SECRET)]);
    detour.await_listening();
    let settles_on = |detour: &Detour, address: &std::net::IpAddr| {
        let address = address.to_string();
        until(&format!("{APP} answers {address}"), || {
            (addresses(detour, APP) == [address.clone()]).then_some(())
        });
    };
    settles_on(&detour, &fra.addresses[0]);
    assert_eq!(addresses(&detour, "www.example.com"), ["192.0.2.80"]);
    fra.kill();
    settles_on(&detour, &iad.addresses[0]);
    let moved = detour.serial();
    assert!(moved > 100, "{moved}");

    // The primary goes on: what it says of other names is answered, and the serial goes on, too.
    primary.change(&zone(101, timers, "app A 192.0.2.1\nnew A 192.0.2.81\n"));
    until("the new record is there", || {
        (addresses(&detour, "new.example.com") == ["192.0.2.81"]).then_some(())
    });
    assert_eq!(addresses(&detour, APP), [iad.addresses[0].to_string()]);
    let after = detour.serial();
    assert!(after > moved, "{after} after {moved}");
    assert_eq!(transferred(&detour)["serial"], 101);
    primary.change(&zone(5000, timers, "app A 192.0.2.1\n"));
    until("the far serial is passed", || (detour.serial() > 5000).then_some(()));
    assert_eq!(addresses(&detour, APP), [iad.addresses[0].to_string()]);
}
