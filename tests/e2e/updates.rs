//! UPDATE, by the clients that people use: what it may change, what becomes of it, and that it stays.

use std::io::{BufRead as _, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::dig::dig;
use crate::harness::{APP, Detour, MACHINE, Ran, Setup, config, own_address, until, zone};

const SECRET: &str = "czNjcmV0LW9mLXRlc3RzLW5vdC1mb3ItdXNlISEhISE=";
const OTHER: &str = "b3RoZXItc2VjcmV0LW9mLXRlc3RzLW5vdC1mb3ItdXM=";
const CHALLENGE: &str = "_acme-challenge.www.example.com";
/// How often the daemon is killed in `kill_9_keeps_what_was_acknowledged`, unless `DETOUR_KILLS` says.
const KILLS: u32 = 12;

/// A daemon whose zone takes updates: by one key for ACME, by another for everything.
struct Updated {
    detour: Detour,
    _machine: RwLockReadGuard<'static, ()>,
}

fn start() -> Updated {
    let machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    // Nobody listens at the sites: their health is no matter here, and the service is answered all the same.
    let setup = Setup { all_down: "\"primary\"", ..Setup::default() };
    let rules = r#"file = "example.com.zone"
update = [
  { key = "acme", names = ["_acme-challenge.*"], types = ["TXT"] },
  { key = "all", from = "127.0.0.0/8" },
  { key = "all", names = ["@"], types = ["SOA", "NS"] },
]"#;
    let keys = "[keys.acme]\nsecret_file = \"acme.key\"\n[keys.all]\nalgorithm = \"hmac-sha512\"\nsecret_file = \"all.key\"\n";
    let config = config(&setup, 1, &[own_address()], &[own_address()]);
    let config = keys.to_owned() + &config.replace("file = \"example.com.zone\"", rules);
    let files = [("example.com.zone", zone(7, "")), ("acme.key", SECRET.into()), ("all.key", OTHER.into())];
    let mut detour =
        Detour::spawn(&config, &files.map(|(name, text): (&str, String)| (name.to_owned(), text)));
    detour.await_listening();
    // A port that stays, for the same clients after a restart.
    let listen = format!("listen = [\"{}\"]", detour.dns);
    detour.edit_config("listen = [\"127.0.0.1:0\"]", &listen);
    Updated { detour, _machine: machine }
}

const ACME: &str = "hmac-sha256:acme:czNjcmV0LW9mLXRlc3RzLW5vdC1mb3ItdXNlISEhISE=";
const ALL: &str = "hmac-sha512:all:b3RoZXItc2VjcmV0LW9mLXRlc3RzLW5vdC1mb3ItdXM=";

impl Updated {
    /// Runs an updating client with this script.
    fn run(&self, client: &str, options: &[&str], key: Option<&str>, script: &str) -> Ran {
        let key = key.map_or(vec![], |key| vec!["-y", key]);
        let mut process = Command::new(client)
            .args(options)
            .args(key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client runs; ./test installs it");
        let (ip, port) = (self.detour.dns.ip(), self.detour.dns.port());
        let script = format!("server {ip} {port}\nzone example.com\n{script}\nsend\n");
        process.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn nsupdate(&self, key: &str, script: &str) -> Ran {
        self.run("nsupdate", &[], Some(key), script)
    }

    fn accepts(&self, key: &str, script: &str) {
        let ran = self.nsupdate(key, script);
        assert_eq!(ran.code, 0, "{script}: {ran:?}");
    }

    fn refuses(&self, key: &str, script: &str, with: &str) {
        let ran = self.nsupdate(key, script);
        assert!(ran.code != 0 && ran.stderr.contains(with), "{script}: {ran:?}");
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let answer = dig(self.detour.dns, name, "TXT");
        answer.data().into_iter().map(|text| text.trim_matches('"').to_owned()).collect()
    }

    fn history(&self) -> String {
        self.detour.told(&["history"])
    }
}

#[test]
fn a_record_comes_and_goes_over_udp_and_tcp() {
    let world = start();
    for (client, options) in
        [("nsupdate", &[][..]), ("nsupdate", &["-v"]), ("knsupdate", &[]), ("knsupdate", &["-v"])]
    {
        let run = |script: &str| {
            let ran = world.run(client, options, Some(ACME), script);
            assert_eq!(ran.code, 0, "{client} {options:?}: {ran:?}");
        };
        let serial = world.detour.serial();
        run(&format!("add {CHALLENGE} 60 TXT first\nadd {CHALLENGE} 60 TXT second"));
        assert_eq!(world.texts(CHALLENGE), ["first", "second"], "{client} {options:?}");
        assert_eq!(world.detour.serial(), serial + 1, "one update is one serial");
        run(&format!("del {CHALLENGE} TXT first"));
        assert_eq!(world.texts(CHALLENGE), ["second"]);
        run(&format!("del {CHALLENGE} TXT"));
        let gone = dig(world.detour.dns, CHALLENGE, "TXT");
        assert_eq!((gone.rcode, gone.records.len()), (3, 0));
        // What changes nothing is no new serial.
        run(&format!("del {CHALLENGE} TXT"));
        assert_eq!(world.detour.serial(), serial + 3);
    }
    let history = world.history();
    assert!(history.contains("update of example.com. by key acme. from 127.0.0.1: - _acme"), "{history}");
}

#[test]
fn who_may_not_is_refused_and_told() {
    let world = start();
    let txt = format!("add {CHALLENGE} 60 TXT x");
    let serial = world.detour.serial();
    let wrong = format!("hmac-sha256:acme:{OTHER}");
    world.refuses(&wrong, &txt, "BADSIG");
    world.refuses(&format!("hmac-sha256:nobody:{SECRET}"), &txt, "BADKEY");
    world.refuses(&format!("hmac-sha1:acme:{SECRET}"), &txt, "BADKEY");
    let unsigned = world.run("nsupdate", &[], None, &txt);
    assert!(unsigned.code != 0 && unsigned.stderr.contains("REFUSED"), "{unsigned:?}");
    // Names and types that no rule of the key has; one that it may does not save the others.
    world.refuses(ACME, &format!("add {CHALLENGE} 60 HINFO a b"), "REFUSED");
    world.refuses(ACME, &format!("{txt}\nadd www.example.com 60 TXT x"), "REFUSED");
    world.refuses(ALL, "add sub.example.com 60 NS ns.example.net.", "REFUSED");
    world.refuses(ALL, "add example.com 60 DNAME example.net.", "REFUSED");
    world.refuses(ALL, "add www.example.net 60 A 192.0.2.1", "NOTZONE");
    // What decisions write, though the key may write everything.
    world.refuses(ALL, &format!("add {APP} 60 A 192.0.2.1"), "REFUSED");
    world.refuses(ALL, &format!("del {APP}"), "REFUSED");
    world.refuses(ALL, &format!("add {APP} 60 CNAME www.example.com."), "REFUSED");
    assert_eq!(world.detour.serial(), serial);
    assert_eq!(world.texts(CHALLENGE), [""; 0]);
    let history = world.history();
    assert!(history.contains("by key all. from 127.0.0.1 refused: app.example.com. is steered"), "{history}");
    assert!(
        history.contains("refused: no update rule allows who sent this to change TXT of www"),
        "{history}"
    );

    // Beside what decisions write there is room.
    world.accepts(ALL, &format!("add {APP} 60 TXT proof"));
    assert_eq!(world.texts(APP), ["proof"]);
    assert_eq!(dig(world.detour.dns, APP, "A").records.len(), 1);
    // The apex's SOA and NS by whom a rule names them to.
    world.accepts(ALL, "add example.com 300 NS ns9.example.com.");
    assert_eq!(dig(world.detour.dns, "example.com", "NS").records.len(), 2);
    world.refuses(ACME, "add example.com 300 NS ns8.example.com.", "REFUSED");
}

#[test]
fn prerequisites_hold_or_nothing_is_done() {
    let world = start();
    let lock = "prereq nxdomain lock.example.com\nadd lock.example.com 60 TXT mine";
    world.accepts(ALL, lock);
    world.refuses(ALL, lock, "YXDOMAIN");
    world.refuses(ALL, "prereq yxdomain no.example.com\nadd x.example.com 60 TXT x", "NXDOMAIN");
    world.refuses(ALL, "prereq yxrrset lock.example.com TXT other\nadd x.example.com 60 TXT x", "NXRRSET");
    world.refuses(ALL, "prereq nxrrset lock.example.com TXT\nadd x.example.com 60 TXT x", "YXRRSET");
    assert_eq!(world.texts("x.example.com"), [""; 0]);
    let swap = "prereq yxrrset lock.example.com TXT mine\ndel lock.example.com TXT\nadd lock.example.com 60 TXT yours";
    world.accepts(ALL, swap);
    assert_eq!(world.texts("lock.example.com"), ["yours"]);
    world.refuses(ALL, swap, "NXRRSET");
}

#[test]
fn edits_outlive_restarts_and_reloads() {
    let mut world = start();
    world.accepts(ALL, "add new.example.com 60 A 192.0.2.99\ndel www.example.com A");
    let serial = world.detour.serial();
    let holds = |world: &Updated| {
        assert_eq!(dig(world.detour.dns, "new.example.com", "A").data(), ["192.0.2.99"]);
        assert_eq!(dig(world.detour.dns, "www.example.com", "A").rcode, 3);
    };
    assert_eq!(world.detour.stop(), 0);
    world.detour.start_again();
    holds(&world);
    assert_eq!(world.detour.serial(), serial, "what is served did not change");
    world.detour.kill();
    world.detour.start_again();
    holds(&world);

    // The file changes beside them, and with them.
    world.detour.write_zone(&zone(8, "more A 192.0.2.100"));
    world.detour.told(&["reload"]);
    holds(&world);
    assert_eq!(dig(world.detour.dns, "more.example.com", "A").data(), ["192.0.2.100"]);
    assert!(world.detour.serial() > serial);
    // What the file holds by now is the file's: gone from it, it is gone.
    world.detour.write_zone(&zone(9, "new 60 A 192.0.2.99"));
    world.detour.told(&["reload"]);
    holds(&world);
    world.detour.write_zone(&zone(10, ""));
    world.detour.told(&["reload"]);
    assert_eq!(dig(world.detour.dns, "new.example.com", "A").rcode, 3);
    world.detour.kill();
    world.detour.start_again();
    assert_eq!(dig(world.detour.dns, "new.example.com", "A").rcode, 3);
}

/// The plugin of Debian's certbot, as certbot calls it.
#[test]
fn certbot_proves_a_name() {
    const PLUGIN: &str = r#"
import sys, types
from certbot_dns_rfc2136._internal.dns_rfc2136 import Authenticator
what, ini = sys.argv[1:3]
config = types.SimpleNamespace(dns_rfc2136_credentials=ini, noninteractive_mode=True)
plugin = Authenticator(config, "dns-rfc2136")
plugin._setup_credentials()
act = plugin._perform if what == "perform" else plugin._cleanup
act("www.example.com", "_acme-challenge.www.example.com", "the-proof")
"#;
    let world = start();
    let (ip, port) = (world.detour.dns.ip(), world.detour.dns.port());
    let ini = format!(
        "dns_rfc2136_server = {ip}\ndns_rfc2136_port = {port}\ndns_rfc2136_name = acme.\ndns_rfc2136_secret = {SECRET}\ndns_rfc2136_algorithm = HMAC-SHA256\n"
    );
    world.detour.write_file("certbot.ini", &ini);
    let path = world.detour.config_path().with_file_name("certbot.ini");
    let certbot = |what: &str| {
        // Debian's own, whatever else is installed: the plugin is a package of it.
        let output = Command::new("/usr/bin/python3").args(["-c", PLUGIN, what]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    };
    certbot("perform");
    assert_eq!(world.texts(CHALLENGE), ["the-proof"]);
    certbot("cleanup");
    assert_eq!(dig(world.detour.dns, CHALLENGE, "TXT").rcode, 3);
}

/// A client by dnspython that sends what no client should: signed at another time, again, in part.
const HOSTILE: &str = r#"
import json, socket, struct, sys, time
import dns.message, dns.name, dns.tsig, dns.update
port, secret = int(sys.argv[1]), sys.argv[2]
key = dns.tsig.Key("acme", secret, "hmac-sha256")
clock = time.time

def update(text, ahead=0, absent=False):
    time.time = lambda: clock() + ahead
    message = dns.update.UpdateMessage("example.com", keyring=key)
    if absent:
        message.absent("_acme-challenge")
    message.add("_acme-challenge", 60, "TXT", text)
    wire = message.to_wire()
    time.time = clock
    return wire

def ask(wire, tcp):
    to = ("127.0.0.1", port)
    if not tcp:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.3 if len(wire) < 12 else 5)
            s.sendto(wire, to)
            try:
                return s.recv(65535)
            except socket.timeout:
                return None
    with socket.create_connection(to, 5) as s:
        s.sendall(struct.pack("!H", len(wire)) + wire)
        s.shutdown(socket.SHUT_WR)
        got = b""
        while more := s.recv(65535):
            got += more
        return got[2:] or None

def said(answer):
    """The response code, and what its signature says is wrong."""
    if answer is None:
        return None
    # A refused request is answered unsigned, or by a key this need not check.
    error = 0
    if answer[11] and b"\x0bhmac-sha256\0" in answer:
        at = answer.index(b"\x0bhmac-sha256\0") + 13 + 8
        error = struct.unpack("!H", answer[at + 2 + struct.unpack("!H", answer[at:at + 2])[0] + 2:][:2])[0]
    return [answer[3] & 15, error]

def shorter(wire, to):
    """The same with a signature of so many bytes."""
    head, mac, tail = wire[:-63 - 0], wire[-38:-6], wire[-6:]
    rdata = wire[-61:-40] + struct.pack("!H", to) + mac[:to] + tail
    return head + struct.pack("!H", len(rdata)) + rdata

for tcp in (False, True):
    once, first = update("once"), update("first", absent=True)
    cut = update("cut")
    print(json.dumps({
        "late": said(ask(update("late", -400), tcp)),
        "early": said(ask(update("early", 400), tcp)),
        "half": said(ask(shorter(update("half"), 16), tcp)),
        "tenth": said(ask(shorter(update("tenth"), 3), tcp)),
        "cut": sorted({str(said(ask(cut[:end], tcp))) for end in range(len(cut))}),
        "first": said(ask(first, tcp)),
        "first again": said(ask(first, tcp)),
        "once": said(ask(once, tcp)),
        "once again": said(ask(once, tcp)),
    }), flush=True)
    sys.stdin.readline()
"#;

#[test]
fn what_is_signed_at_another_time_or_comes_again_or_in_part_changes_nothing() {
    let world = start();
    let mut client = Command::new("/usr/bin/python3")
        .args(["-c", HOSTILE, &world.detour.dns.port().to_string(), SECRET])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut to = client.stdin.take().unwrap();
    let mut serial = world.detour.serial();
    for way in ["UDP", "TCP"] {
        let line = lines.next().expect("it goes on").unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        // NOTAUTH with BADTIME, BADTRUNC (RFC 8945 sections 5.2.2 and 5.2.3); FORMERR for less than ten bytes.
        assert_eq!([&said["late"], &said["early"]], [&json!([9, 18]); 2], "{way}: {said}");
        assert_eq!((&said["half"], &said["tenth"]), (&json!([9, 22]), &json!([1, 0])), "{way}: {said}");
        // What is cut off is answered FORMERR, if it has a header.
        assert_eq!(said["cut"], json!(["None", "[1, 0]"]), "{way}: {said}");
        // A prerequisite tells an update that comes again from one that is meant (RFC 2136 section 5).
        assert_eq!([&said["first"], &said["first again"]], [&json!([0, 0]), &json!([6, 0])], "{way}: {said}");
        // One without it is carried out again, and changes nothing.
        assert_eq!([&said["once"], &said["once again"]], [&json!([0, 0]); 2], "{way}: {said}");
        assert_eq!(world.texts("_acme-challenge.example.com"), ["first", "once"], "{way}");
        assert_eq!(world.detour.serial(), serial + 2, "{way}: two updates changed something");
        world.accepts(ACME, "del _acme-challenge.example.com TXT");
        serial = world.detour.serial();
        writeln!(to).unwrap();
    }
    assert!(client.wait().unwrap().success());
}

/// An update of a steered name by a client that understands extended errors (RFC 8914): its RCODE, and what it is told.
const REASON: &str = r#"
import dns.edns, dns.query, dns.tsig, dns.update, sys

key = dns.tsig.Key("all.", sys.argv[2], "hmac-sha512")
update = dns.update.UpdateMessage("example.com", keyring=key)
update.add("app", 60, "A", "192.0.2.1")
update.use_edns(0)
answer = dns.query.udp(update, "127.0.0.1", port=int(sys.argv[1]), timeout=60)
said = [option for option in answer.options if isinstance(option, dns.edns.EDEOption)]
print(int(answer.rcode()), *(f"{int(one.code)} {one.text}" for one in said))
"#;

/// A tool that prints the number of the RCODE alone is where people start: the reason comes with it.
#[test]
fn a_refused_update_says_why_in_the_extended_error() {
    let world = start();
    let port = world.detour.dns.port().to_string();
    let client = Command::new("/usr/bin/python3").args(["-c", REASON, &port, OTHER]).output().unwrap();
    let said = String::from_utf8_lossy(&client.stdout);
    assert!(said.starts_with("5 18 app.example.com. is steered"), "{said} {client:?}");
}

/// The daemon is killed at random moments of one update after the other; each adds two records.
#[test]
fn kill_9_keeps_what_was_acknowledged() {
    let mut world = start();
    let kills = std::env::var("DETOUR_KILLS").ok().map_or(KILLS, |kills| kills.parse().expect("a number"));
    let (mut random, mut serial, mut from) = (0x5eed_u32, world.detour.serial(), 1);
    let mut checked = 0;
    for round in 1..=kills {
        let sent = AtomicU32::new(from);
        let acknowledged = thread::scope(|scope| {
            let updates = scope.spawn(|| {
                for n in from.. {
                    sent.store(n, Ordering::Relaxed);
                    let script =
                        format!("add k{n}.example.com 60 TXT a{n}\nadd l{n}.example.com 60 TXT b{n}");
                    if world.run("nsupdate", &["-t", "2", "-r", "0"], Some(ALL), &script).code != 0 {
                        return n - 1;
                    }
                }
                from
            });
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            thread::sleep(Duration::from_millis(u64::from(random >> 16) % 200));
            world.detour.signal("KILL");
            updates.join().unwrap()
        });
        world.detour.kill();
        world.detour.start_again();
        let now = world.detour.serial();
        assert!(now >= serial, "round {round}: the serial went back from {serial} to {now}");
        serial = now;
        let last = sent.load(Ordering::Relaxed);
        for n in from..=last {
            let held = [format!("k{n}"), format!("l{n}")]
                .map(|name| world.texts(&format!("{name}.example.com")).len());
            assert_eq!(held[0], held[1], "round {round}: half of update {n}");
            assert!(
                held[0] == 1 || n > acknowledged,
                "round {round}: update {n} was acknowledged and is gone"
            );
            checked += 1;
        }
        from = last + 1;
    }
    println!("{kills} kills, {checked} updates held against what was acknowledged");
    until("an update goes through after all that", || {
        (world.nsupdate(ALL, "add end.example.com 60 TXT end").code == 0).then_some(())
    });
}

#[test]
fn what_differs_is_shown_and_written_into_the_file() {
    let mut world = start();
    let nothing = world.detour.cli(&["zone", "diff", "example.com"]);
    assert_eq!(nothing.code, 0, "{nothing:?}");
    let file = "$TTL 300\n@ SOA ns1 hostmaster (\n  7 ; by hand\n  3600 600 604800 60 )\n  NS ns1\nns1 A 127.0.0.1\n; people know this one\nwww A 192.0.2.80 ; old\n  TXT kept\n";
    world.detour.write_zone(file);
    world.detour.told(&["reload"]);
    world.accepts(ALL, "del www.example.com A\nadd www.example.com 60 AAAA 2001:db8::80");
    world.accepts(ALL, "add new.example.com 60 TXT \"a b\"");

    let diff = world.detour.cli(&["zone", "diff", "example.com"]);
    let shown = "- www.example.com. 300 IN A 192.0.2.80\n+ new.example.com. 60 IN TXT \"a b\"\n+ www.example.com. 60 IN AAAA 2001:db8::80\n";
    assert_eq!((diff.code, diff.stdout.as_str()), (1, shown));
    let status = world.detour.told(&["status"]);
    let line = status.lines().find(|line| line.starts_with("example.com ")).unwrap();
    assert_eq!(line.split_whitespace().last(), Some("3"), "{status}");

    let serial = world.detour.serial();
    let frozen = world.detour.told(&["zone", "freeze", "example.com"]);
    assert!(frozen.contains(&format!("3 edited records written, serial {}", serial + 1)), "{frozen}");
    // The history says what led to the serial that is served.
    let past = world.detour.told(&["zone", "history", "example.com", "--limit", "1"]);
    assert!(past.contains("  -0 +0  freeze\n    frozen: 3 edited records of example.com."), "{past}");
    let written =
        std::fs::read_to_string(world.detour.config_path().with_file_name("example.com.zone")).unwrap();
    let expect = file.replace("  7 ;", &format!("  {} ;", serial + 1)).replace(
        "www A 192.0.2.80 ; old\n  TXT kept\n",
        "www.example.com.  TXT kept\nwww.example.com. 60 IN AAAA 2001:db8::80\n",
    );
    assert_eq!(written, expect + "new.example.com. 60 IN TXT \"a b\"\n");
    let again = world.detour.cli(&["zone", "freeze", "example.com"]);
    assert!(again.code == 1 && again.stderr.contains("no edits"), "{again:?}");
    assert_eq!(world.detour.cli(&["zone", "diff", "example.com"]).code, 0);
    assert!(world.history().contains("frozen: 3 edited records of example.com. are in its file now, by "));

    let holds = |world: &Updated| {
        assert_eq!(world.texts("new.example.com"), ["a b"]);
        assert_eq!(dig(world.detour.dns, "www.example.com", "AAAA").data(), ["2001:db8::80"]);
    };
    holds(&world);
    world.detour.kill();
    world.detour.start_again();
    holds(&world);
}

#[test]
fn a_file_that_cannot_hold_the_edits_is_left_alone() {
    let world = start();
    let file = zone(8, "$GENERATE 1-3 h$ A 192.0.2.$");
    world.detour.write_zone(&file);
    world.detour.told(&["reload"]);
    world.accepts(ALL, "del h2.example.com A");
    let ran = world.detour.cli(&["zone", "freeze", "example.com"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("is left alone: edited records come from files it includes"),
        "{ran:?}"
    );
    let kept =
        std::fs::read_to_string(world.detour.config_path().with_file_name("example.com.zone")).unwrap();
    assert_eq!(kept, file);
    assert_eq!(dig(world.detour.dns, "h2.example.com", "A").rcode, 3);
    // By hand it can be done.
    world.detour.write_zone(&zone(9, "h1 A 192.0.2.1\nh3 A 192.0.2.3"));
    world.detour.told(&["reload"]);
    assert_eq!(world.detour.cli(&["zone", "diff", "example.com"]).code, 0);
}
