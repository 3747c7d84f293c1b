//! What `dig` gets, and who gets nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::dig::Client;
use crate::harness::{self, APP, Detour, Setup, own_address, until};
use crate::ports::free_port;
use crate::servers::{KEY, SECRET, axfr, dig, records};
use crate::site::{Site, sites};

/// The first file's serial.
pub const FIRST: u32 = 2_026_000_000;

/// Records of many kinds beside the steered name.
pub const MORE: &str = "\
*.any    MX    10 mail
mail     AAAA  2001:db8::25
sub      NS    ns.sub
ns.sub   A     192.0.2.54
old      DNAME new
text     TXT   \"one\" \"two; three\"
_sip._tcp SRV  1 2 5060 mail
https    HTTPS 1 . alpn=h2
big      TYPE65280 \\# 4 01020304
";

/// A daemon with a service at two sites, whose zone may be had.
pub struct Primary {
    pub detour: Detour,
    pub fra: Site,
    _iad: Site,
}

impl Primary {
    /// Starts it on a port that others may know already; `server` are more lines of [server], `zone` of the
    /// zone.
    pub fn start(port: u16, server: &str, zone: &str) -> Primary {
        let [fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
        // Moves back come soon, so that there can be many.
        let failback = "{ mode = \"auto\", hold = \"50ms\" }";
        // And none comes by itself, however slowly a busy machine answers probes.
        let setup = Setup { failback, interval: "60s", timeout: "50s", ..Setup::default() };
        let config = harness::config(&setup, fra.port, &fra.addresses, &iad.addresses);
        let config = config
            .replace("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"127.0.0.1:{port}\"]\n{server}"))
            .replace("file = \"example.com.zone\"", &format!("file = \"example.com.zone\"\n{zone}"));
        let key = format!("{config}\n[keys.{KEY}]\nalgorithm = \"hmac-sha256\"\nsecret_file = \"secret\"\n");
        let files = [("example.com.zone", harness::zone(FIRST, MORE)), ("secret", SECRET.to_owned())];
        let mut detour = Detour::spawn(&key, &files.map(|(name, text)| (name.to_owned(), text)));
        detour.await_listening();
        until("the service is decided", || (!detour.ask(APP, "A").records.is_empty()).then_some(()));
        Primary { detour, fra, _iad: iad }
    }

    pub fn dns(&self) -> SocketAddr {
        self.detour.dns
    }

    /// Moves the service one way or the other; each time the zone has another serial.
    pub fn flip(&self, away: bool) {
        let before = self.detour.serial();
        let args: &[&str] = if away { &["drain", "fra", "--reason", "a test"] } else { &["undrain", "fra"] };
        self.detour.told(args);
        until("the zone has another serial", || (self.detour.serial() != before).then_some(()));
    }

    /// One of the counters, its labels as Prometheus has them.
    pub fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.detour.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().unwrap()
    }
}

/// The records of an incremental transfer, applied to what a zone held; `None` where it is the whole zone.
pub fn applied(before: &BTreeSet<String>, transfer: &[String]) -> Option<BTreeSet<String>> {
    let lines: Vec<String> = transfer.iter().flat_map(|line| records(std::slice::from_ref(line))).collect();
    let is_soa = |line: &String| line.split(' ').nth(3) == Some("SOA");
    assert!(lines.len() > 1 && is_soa(&lines[0]) && lines[0] == lines[lines.len() - 1], "{lines:?}");
    if !is_soa(&lines[1]) {
        return None;
    }
    let (mut zone, mut adding) = (before.clone(), true);
    for line in &lines[1..lines.len() - 1] {
        if is_soa(line) {
            adding = !adding;
        }
        let fits = if adding { zone.insert(line.clone()) } else { zone.remove(line) };
        assert!(fits, "{line} cannot be {} {zone:?}", if adding { "added to" } else { "taken from" });
    }
    Some(zone)
}

#[test]
fn a_transfer_holds_the_zone_record_for_record() {
    let primary = Primary::start(0, "", "transfer = [\"127.0.0.0/8\"]");
    let got = axfr(primary.dns(), "example.com", false);
    let file = primary.detour.config_path().with_file_name("example.com.zone");
    let ran = harness::detour(&["zone", "export", file.to_str().unwrap(), "--origin", "example.com"]);
    let mut file: BTreeSet<String> = records(&ran.stdout.lines().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(file.len(), MORE.lines().count() + 4, "{ran:?}");
    // What is decided comes on top: the service's records, and a serial.
    let decided: Vec<String> = got.difference(&file).cloned().collect();
    let address = primary.fra.addresses[0];
    let [soa, app] = ["example.com. 300 IN SOA", "app.example.com. 30 IN A"];
    assert_eq!(decided.len(), 2, "{decided:?}");
    assert!(
        decided.contains(&format!("{app} {address}")) && decided.iter().any(|line| line.starts_with(soa))
    );
    file.retain(|line| !line.starts_with(soa));
    assert!(got.is_superset(&file), "{got:?}");
    // Over UDP there is none.
    let udp = Client::of(primary.dns()).ask("example.com", "AXFR").unwrap();
    assert_eq!((udp.rcode, udp.records.len()), (5, 0));
}

#[test]
fn what_changed_leads_from_any_serial_to_the_zone_also_after_a_kill() {
    let port = free_port();
    let mut primary = Primary::start(port, "journal = 6", "transfer = [\"127.0.0.1\"]");
    let now = |primary: &Primary| (primary.detour.serial(), axfr(primary.dns(), "example.com", false));
    let mut past = vec![now(&primary)];
    let check = |primary: &Primary, past: &[(u32, BTreeSet<String>)], reach: usize| {
        let (serial, zone) = past.last().unwrap();
        for (at, (from, before)) in past[..past.len() - 1].iter().enumerate() {
            let lines =
                dig(primary.dns(), &["+noall", "+answer", "+tcp", "example.com", &format!("IXFR={from}")]);
            let reaches = past.len() - 1 - at <= reach;
            assert_eq!(
                applied(before, &lines),
                reaches.then(|| zone.clone()),
                "{from} to {serial}: {lines:?}"
            );
        }
        let same =
            dig(primary.dns(), &["+noall", "+answer", "+tcp", "example.com", &format!("IXFR={serial}")]);
        assert_eq!(same.len(), 1, "who is current gets one SOA: {same:?}");
    };
    // Decisions, and a file that changes: what it holds, what lies beside a delegation, its TTLs.
    for round in 0..4 {
        primary.flip(round % 2 == 0);
        past.push(now(&primary));
    }
    check(&primary, &past, 6);
    let edits = [
        harness::zone(FIRST + 20, &format!("{MORE}new A 192.0.2.7\nnew A 192.0.2.8\n")),
        harness::zone(
            30,
            &MORE.replace("ns.sub   A     192.0.2.54", "ns.sub 60 A 192.0.2.55\nx.y.new TXT t"),
        ),
    ];
    for edit in edits {
        primary.detour.write_zone(&edit);
        primary.detour.told(&["reload"]);
        past.push(now(&primary));
        check(&primary, &past, 6);
    }
    assert_eq!(primary.metric("detour_transfers_total{kind=\"axfr\"}"), 7);

    // Nothing of that is lost with the process.
    primary.detour.kill();
    primary.detour.start_again();
    assert_eq!(now(&primary).1, past.last().unwrap().1);
    check(&primary, &past, 6);
    // What a start changes is a step as any other: another file, and one more with other services.
    primary.detour.kill();
    primary.detour.write_zone(&harness::zone(31, &format!("{MORE}down A 192.0.2.9\n")));
    primary.detour.start_again();
    past.push(now(&primary));
    assert!(past.last().unwrap().1.contains("down.example.com. 300 IN A 192.0.2.9"));
    check(&primary, &past, 6);
    assert_eq!(primary.detour.stop(), 0);
    primary.detour.write_zone(&harness::zone(31, MORE));
    primary.detour.edit_config("name = \"app.example.com\"", "name = \"moved.example.com\"");
    primary.detour.start_again();
    until("the new service is decided", || {
        (!primary.detour.ask("moved.example.com", "A").records.is_empty()).then_some(())
    });
    past.push(now(&primary));
    assert!(!past.last().unwrap().1.iter().any(|line| line.starts_with("app.example.com.")));
    // Two steps: what the load took away, and the first decision.
    check(&primary, &past, 5);
    // Without the copy of what was loaded, what changed in a file is not known: then all of it is had.
    primary.detour.kill();
    fs::remove_dir_all(primary.detour.state_dir().join("loaded")).unwrap();
    primary.detour.write_zone(&harness::zone(32, MORE));
    primary.detour.start_again();
    past.push(now(&primary));
    check(&primary, &past, 0);
    for round in 4..12 {
        primary.flip(round % 2 == 0);
        past.push(now(&primary));
    }
    // And what the journal no longer reaches is had whole.
    check(&primary, &past, 6);

    // Over UDP what fits comes at once; else the SOA says that there is something.
    let from = past[past.len() - 2].0;
    let udp = dig(primary.dns(), &["+noall", "+answer", "+notcp", "example.com", &format!("IXFR={from}")]);
    assert_eq!(applied(&past[past.len() - 2].1, &udp).as_ref(), Some(&past.last().unwrap().1));
    let from = past[0].0;
    let udp = dig(
        primary.dns(),
        &["+noall", "+answer", "+notcp", "+ignore", "example.com", &format!("IXFR={from}")],
    );
    assert_eq!(udp.len(), 1, "{udp:?}");
}

#[test]
fn who_is_not_on_the_list_gets_nothing() {
    let refused = |primary: &Primary, args: &[&str]| {
        let lines =
            dig(primary.dns(), &[&["+noall", "+comments", "+answer", "+tcp"], args].concat()).join("\n");
        lines.contains("Transfer failed") || lines.contains("REFUSED") || lines.contains("NOTAUTH")
    };
    let all = |primary: &Primary, args: &[&str]| {
        ["AXFR", "IXFR=1"].map(|kind| refused(primary, &[&["example.com", kind], args].concat()))
    };
    let key = format!("hmac-sha256:{KEY}:{SECRET}");
    let wrong = format!("hmac-sha256:{KEY}:{}", SECRET.replace("c2V", "AAA"));
    let other = format!("hmac-sha256:other:{SECRET}");

    // Unless it is allowed.
    let primary = Primary::start(0, "", "");
    assert_eq!(all(&primary, &[]), [true; 2]);
    assert_eq!(all(&primary, &["-y", &key]), [true; 2]);

    let primary =
        Primary::start(0, "", "transfer = [{ from = \"127.0.0.2\", key = \"xfr\" }, \"127.0.0.3\"]");
    for (from, key, expect) in [
        ("127.0.0.1", Some(&key), true),
        ("127.0.0.2", None, true),
        ("127.0.0.2", Some(&wrong), true),
        ("127.0.0.2", Some(&other), true),
        ("127.0.0.2", Some(&key), false),
        ("127.0.0.3", None, false),
        ("127.0.0.3", Some(&key), false),
        ("127.0.0.3", Some(&wrong), true),
    ] {
        let key: Vec<&str> = key.iter().flat_map(|key| ["-y", key.as_str()]).collect();
        let args = [&["-b", from], &key[..]].concat();
        assert_eq!(all(&primary, &args), [expect; 2], "{args:?}");
        // What anybody may ask is answered, with the signature it came with.
        let plain = dig(primary.dns(), &[&["+noall", "+answer", "+comments", APP, "A"], &args[..]].concat())
            .join("\n");
        let bad = args.contains(&wrong.as_str()) || args.contains(&other.as_str());
        assert_eq!(
            plain.contains("NOERROR") && plain.contains(&primary.fra.addresses[0].to_string()),
            !bad,
            "{plain}"
        );
        assert!(!plain.contains("Couldn't verify signature") || bad, "{plain}");
    }
    assert!(refused(&primary, &["-b", "127.0.0.3", "example.net", "AXFR"]));
    let why = dig(
        primary.dns(),
        &["+noall", "+comments", "+tcp", "+edns=0", "-b", "127.0.0.1", "example.com", "TYPE251"],
    );
    assert!(!why.is_empty());
}

/// Records of [`HEAVY`] bytes each, more together than sockets hold.
const MANY: usize = 30_000;
const HEAVY: usize = 220;

#[test]
fn a_reader_that_stops_reading_holds_up_nobody() {
    let text = "x".repeat(HEAVY);
    let mut many = MORE.to_owned();
    (0..MANY).for_each(|n| writeln!(many, "host{n} TXT {text}").unwrap());
    let primary = Primary::start(0, "", "transfer = [\"127.0.0.0/8\"]");
    primary.detour.write_zone(&harness::zone(FIRST + 20, &many));
    primary.detour.told(&["reload"]);
    let question = b"\x00\x1d\0\x01\0\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\xfc\0\x01";
    let lazy: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(primary.dns()).unwrap();
            stream.write_all(question).unwrap();
            stream.read_exact(&mut [0; 100]).unwrap();
            stream
        })
        .collect();
    // Others are answered, the service moves, and they get the zone as it is then.
    primary.flip(true);
    let whole = axfr(primary.dns(), "example.com", false);
    assert_eq!(whole.len(), MANY + MORE.lines().count() + 4 + 1);
    assert_eq!(primary.metric("detour_transfers_total{kind=\"axfr\"}"), 5);
    drop(lazy);
}
