//! Echo requests, in network namespaces, where nobody else pings and the kernel can be told to let pings
//! through or not.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use detour::health::{Discard, Outcome};
use detour::model::{IcmpProbe, ProbeKind};

use crate::checks::{LONG, SHORT, ask, check};
use crate::namespace::{self, ip, sysctl};

const ONE: IcmpProbe = IcmpProbe { count: 1, max_loss: 0, spacing: Duration::from_millis(20), size: 56 };

async fn ping(to: &str, icmp: IcmpProbe, timeout: Duration) -> Outcome {
    let to: IpAddr = to.parse().unwrap();
    ask(check(ProbeKind::Icmp(icmp), (to, 0).into(), timeout)).await
}

/// Which sockets the kernel lets the probe open.
#[derive(Clone, Copy, PartialEq)]
enum Lets {
    Datagram,
    Raw,
    Neither,
}

/// Whether this is the test `name` in a namespace that lets the probe do this.
fn inside(name: &str, lets: Lets) -> bool {
    // In a new namespace no group may ping. Capabilities go after what needs them is written.
    namespace::inside(
        name,
        match lets {
            Lets::Datagram => {
                "echo '0 0' > /proc/sys/net/ipv4/ping_group_range && exec setpriv --bounding-set -net_raw --inh-caps -net_raw \"$@\""
            }
            Lets::Raw => "exec \"$@\"",
            Lets::Neither => "exec setpriv --bounding-set -net_raw --inh-caps -net_raw \"$@\"",
        },
    )
}

/// What holds whichever socket is used.
async fn both_families() {
    ip("link set lo up");
    for to in ["127.0.0.1", "::1"] {
        assert_eq!(ping(to, ONE, LONG).await, Outcome::Ok, "{to}");
        let several = IcmpProbe { count: 5, size: 1232, ..ONE };
        assert_eq!(ping(to, several, LONG).await, Outcome::Ok, "{to}");
    }
    let many = (0..40).map(|_| tokio::spawn(ping("127.0.0.1", IcmpProbe { count: 3, ..ONE }, LONG)));
    for one in many.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), Outcome::Ok, "several at once take each their own");
    }

    sysctl("ipv4.icmp_echo_ignore_all", "1");
    sysctl("ipv6.icmp.echo_ignore_all", "1");
    for to in ["127.0.0.1", "::1"] {
        let three = IcmpProbe { count: 3, max_loss: 1, ..ONE };
        let said = ping(to, three, SHORT).await.to_string();
        assert_eq!(said, "3 of 3 echo requests without a reply", "{to}");
    }

    ip("route add unreachable 192.0.2.0/24");
    assert_eq!(ping("192.0.2.1", ONE, LONG).await.to_string(), "unreachable: host unreachable");
    // There is no other route in this namespace, and that is no endpoint's doing.
    let outcome = ping("198.51.100.1", ONE, LONG).await;
    assert_eq!(outcome, Outcome::Discarded(Discard::NoRoute));
}

#[tokio::test]
async fn unprivileged_sockets() {
    if inside("echoes::unprivileged_sockets", Lets::Datagram) {
        both_families().await;
    }
}

#[tokio::test]
async fn raw_sockets() {
    if inside("echoes::raw_sockets", Lets::Raw) {
        both_families().await;
    }
}

/// The first requests go unheard; as many losses are allowed.
#[tokio::test]
async fn some_loss_is_tolerated() {
    if !inside("echoes::some_loss_is_tolerated", Lets::Raw) {
        return;
    }
    ip("link set lo up");
    sysctl("ipv4.icmp_echo_ignore_all", "1");
    let spacing = Duration::from_millis(500);
    let run = tokio::spawn(ping("127.0.0.1", IcmpProbe { count: 20, max_loss: 19, spacing, ..ONE }, LONG));
    let heard = || std::fs::read_to_string("/proc/net/snmp").unwrap().contains("InType8");
    while !heard() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!run.is_finished(), "nobody has replied yet");
    sysctl("ipv4.icmp_echo_ignore_all", "0");
    assert_eq!(run.await.unwrap(), Outcome::Ok);
}

/// A host that may not ping knows nothing of anybody.
#[tokio::test]
async fn without_permission_nothing_is_said_of_the_endpoint() {
    if !inside("echoes::without_permission_nothing_is_said_of_the_endpoint", Lets::Neither) {
        return;
    }
    ip("link set lo up");
    for to in ["127.0.0.1", "::1"] {
        let Outcome::Discarded(Discard::Local(why)) = ping(to, ONE, LONG).await else { panic!("{to}") };
        assert!(why.starts_with("not permitted to send ICMP echo requests; "), "{why}");
    }
}

/// What `detour check` and status warn of.
#[test]
fn a_lack_of_permission_is_known_before_any_run() {
    let name = "echoes::a_lack_of_permission_is_known_before_any_run";
    if !inside(name, Lets::Neither) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("detour.toml");
    let zone = "$TTL 60\n@ SOA ns hostmaster 1 1h 15m 1w 5m\n  NS ns\nns A 192.0.2.53\n";
    std::fs::write(folder.path().join("example.com.zone"), zone).unwrap();
    let text = "[sites.fra]\n[sites.iad]\n[probes.ping]\ntype = \"icmp\"\n[[zone]]\nname = \"example.com\"\nfile = \"example.com.zone\"\n[[service]]\nname = \"app.example.com\"\nprobes = [\"ping\"]\nendpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\", \"2001:db8::10\"] }, { site = \"iad\", addresses = [\"192.0.2.11\", \"2001:db8::11\"] }]\n";
    std::fs::write(&file, text).unwrap();
    let checked =
        Command::new(env!("CARGO_BIN_EXE_detour")).arg("check").arg("-c").arg(&file).output().unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    let want = "warning: icmp probes will say nothing: not permitted to send ICMP echo requests; ";
    assert!(checked.status.success() && said.starts_with(want) && said.lines().count() == 1, "{said}");
    assert!(String::from_utf8(checked.stdout).unwrap().contains("no error, 1 warning"));
}
