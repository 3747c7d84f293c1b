//! NSD, Knot DNS and BIND as secondaries, each in a folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;

use crate::harness::until;
use crate::nameserver::Nameserver;
use crate::ports::free_port;
use crate::recipes;

/// The name of the key that everything is signed with, where it is.
pub const KEY: &str = "xfr";
/// Its secret, for all to see: it guards a test.
pub const SECRET: &str = "c2VjcmV0IG9mIGEgdGVzdCwgd2l0aCB0aGlydHktdHdvIQ==";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nsd,
    Knot,
    Bind,
}

/// A secondary; it ends with this value.
pub struct Secondary {
    pub kind: Kind,
    pub port: u16,
    server: Nameserver,
    folder: tempfile::TempDir,
}

impl Secondary {
    /// A secondary of `zones` at `primary`, on a port that the primary knows already. It is not started.
    pub fn new(kind: Kind, port: u16, primary: SocketAddr, zones: &[&str], signed: bool) -> Secondary {
        let secondary = Secondary::empty(kind, port);
        secondary.write_config(&secondary.config(primary, zones, signed));
        secondary
    }

    fn empty(kind: Kind, port: u16) -> Secondary {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        let (program, args): (_, &[&str]) = match kind {
            Kind::Nsd => ("nsd", &["-d", "-V", "5", "-c", "server.conf"]),
            Kind::Knot => ("knotd", &["-c", "server.conf"]),
            Kind::Bind => ("named", &["-g", "-c", "server.conf"]),
        };
        let server = Nameserver::new(program, args, folder.path().to_owned());
        Secondary { kind, port, server, folder }
    }

    /// A secondary that has the zones a catalog lists, and is told of no other. It is not started.
    pub fn by_catalog(kind: Kind, port: u16, primary: SocketAddr, catalog: &str) -> Secondary {
        let secondary = Secondary::empty(kind, port);
        let (config, from) = (secondary.config(primary, &[catalog], true), primary.port());
        let catalogs = match kind {
            Kind::Nsd => panic!("Debian's NSD knows no catalogs"),
            Kind::Knot => {
                let (_, zone) = config.split_once("    master: detour\n").unwrap();
                let template = format!("template:\n  - id: member\n    master: detour\n{zone}");
                let interpreted = "    catalog-role: interpret\n    catalog-template: member\n";
                config.replace("\nzone:\n", &format!("\n{template}zone:\n")) + interpreted
            }
            Kind::Bind => {
                // As the documentation has it, which a reader copies.
                fs::create_dir(secondary.folder.path().join("catalog")).unwrap();
                let recipe = recipes::after("At BIND, in `options`");
                assert!(recipe.contains(catalog) && recipe.contains(KEY), "{recipe}");
                let recipe = recipe.replace("192.0.2.53", &format!("{} port {from}", primary.ip()));
                config.replace("serial-query-rate 100; }", &format!("serial-query-rate 100; {recipe} }}"))
            }
        };
        secondary.write_config(&catalogs);
        secondary
    }

    fn write_config(&self, text: &str) {
        fs::write(self.folder.path().join("server.conf"), text).unwrap();
    }

    fn config(&self, primary: SocketAddr, zones: &[&str], signed: bool) -> String {
        let (port, here, from) = (self.port, self.folder.path().display(), primary.port());
        let ip = primary.ip();
        match self.kind {
            Kind::Nsd => {
                let key = if signed { KEY } else { "NOKEY" };
                let zones = zones.iter().map(|zone| format!(
                    "zone:\n  name: \"{zone}\"\n  zonefile: \"{zone}.zone\"\n  request-xfr: {ip}@{from} {key}\n  allow-notify: 127.0.0.0/8 {key}\n  allow-notify: ::1 {key}\n  provide-xfr: 127.0.0.0/8 NOKEY\n  min-refresh-time: 3600\n"
                ));
                let zones: String = zones.collect();
                let key = if signed {
                    format!("key:\n  name: {KEY}\n  algorithm: hmac-sha256\n  secret: \"{SECRET}\"\n")
                } else {
                    String::new()
                };
                format!(
                    "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: \"{here}\"\n  database: \"\"\n  pidfile: \"\"\n  zonelistfile: \"{here}/run/list\"\n  xfrdfile: \"{here}/run/xfrd\"\n  xfrdir: \"{here}/run\"\n  xfrd-reload-timeout: 0\n  server-count: 1\nremote-control:\n  control-enable: no\n{key}{zones}"
                )
            }
            Kind::Knot => {
                let (key, use_key) = if signed {
                    (
                        format!("key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"),
                        format!("    key: {KEY}\n"),
                    )
                } else {
                    (String::new(), String::new())
                };
                let zones = zones.iter().map(|zone| {
                    format!("  - domain: {zone}\n    master: detour\n    acl: [told, given]\n    zonefile-sync: -1\n    zonefile-load: none\n    journal-content: all\n")
                });
                let zones: String = zones.collect();
                format!(
                    "server:\n    rundir: {here}/run\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\nlog:\n  - target: stderr\n    any: info\ndatabase:\n    storage: {here}/run\n{key}remote:\n  - id: detour\n    address: {ip}@{from}\n{use_key}acl:\n  - id: told\n    address: 127.0.0.0/8\n{use_key}    action: notify\n  - id: given\n    address: 127.0.0.0/8\n    action: transfer\nzone:\n{zones}"
                )
            }
            Kind::Bind => {
                let (key, use_key) = if signed {
                    (
                        format!("key \"{KEY}\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n"),
                        format!(" key \"{KEY}\""),
                    )
                } else {
                    (String::new(), String::new())
                };
                let zones = zones.iter().map(|zone| format!(
                    "zone \"{zone}\" {{ type secondary; file \"{here}/run/{zone}.db\"; primaries {{ {ip} port {from}{use_key}; }}; min-refresh-time 3600; }};\n"
                ));
                let zones: String = zones.collect();
                format!(
                    "options {{ directory \"{here}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify no; allow-transfer {{ any; }}; allow-notify {{ 127.0.0.0/8; }}; serial-query-rate 100; }};\ncontrols {{ }};\n{key}{zones}"
                )
            }
        }
    }

    pub fn start(&self) {
        self.server.start();
    }

    /// Ends it, in order: what it has is on its disk then.
    pub fn stop(&self) {
        self.server.stop();
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The serial it has; none while it answers nothing.
    pub fn serial(&self, zone: &str) -> Option<u32> {
        self.server.tended(|| {
            let lines = dig(self.address(), &["+short", "+norecurse", zone, "SOA"]);
            lines.iter().find_map(|line| line.split_whitespace().nth(2)?.parse().ok())
        })
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Every record it has.
    pub fn zone(&self, zone: &str) -> BTreeSet<String> {
        axfr(self.address(), zone, false)
    }
}

/// What `dig` prints.
pub fn dig(server: SocketAddr, args: &[&str]) -> Vec<String> {
    let out = Command::new("dig")
        .args([&format!("@{}", server.ip()), "-p", &server.port().to_string(), "+tries=1", "+time=5"])
        .args(args)
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Every record of a zone, as `dig` has it transferred, without its layout; the SOA once.
pub fn axfr(server: SocketAddr, zone: &str, signed: bool) -> BTreeSet<String> {
    let key = format!("hmac-sha256:{KEY}:{SECRET}");
    let mut args = vec!["+noall", "+answer", "+onesoa", zone, "AXFR"];
    if signed {
        args.extend(["-y", &key]);
    }
    records(&dig(server, &args))
}

/// Lines of records, one space between words, what is no record left out.
pub fn records(lines: &[String]) -> BTreeSet<String> {
    let lines = lines.iter().filter(|line| !line.starts_with(';') && !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// What the other tests rely on: a busy machine is no failure of theirs.
#[test]
fn a_server_whose_port_is_taken_at_first_is_started_again() {
    for kind in [Kind::Nsd, Kind::Knot, Kind::Bind] {
        let port = free_port();
        let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let also = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        let secondary =
            Secondary::new(kind, port, SocketAddr::from(([127, 0, 0, 1], 9)), &["example.com"], false);
        secondary.start();
        until("its log says so", || {
            let log = secondary.server.log();
            ["in use", "unable to listen"].iter().any(|what| log.contains(what)).then_some(())
        });
        drop((taken, also));
        // It has no zone, and says that.
        let answers = || {
            let lines =
                dig(secondary.address(), &["+noall", "+comments", "+norecurse", "example.com", "SOA"]);
            lines.iter().any(|line| line.contains("status: ")).then_some(())
        };
        until("it answers", || secondary.server.tended(answers));
    }
}
