//! NSD, Knot DNS and BIND as primaries: the first transfer, a change that is told by NOTIFY and comes as IXFR,
//! keys that are right and wrong.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::dig::Client;
use crate::harness::until;
use crate::nameserver::Nameserver;
use crate::{SECRET, addresses, config, free_port, local, secondary, settles_on_serial, transferred, zone};

/// How long a primary may take to reload before it is told again.
const RELOAD_WAITS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(20), Duration::from_secs(30)];
/// How long its processes of before may take to end, and a new start to load.
const SETTLED: Duration = Duration::from_secs(10);

/// A primary that ends with its test.
pub struct Primary {
    kind: String,
    server: Nameserver,
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Primary {
    /// Starts a server that lets the key `xfr` have example.com, and tells `secondary` of changes.
    pub fn start(kind: &str, secondary: u16, first: &str) -> Primary {
        let folder = tempfile::tempdir().unwrap();
        let (here, port) = (folder.path().display().to_string(), free_port());
        fs::create_dir(folder.path().join("run")).unwrap();
        fs::write(folder.path().join("example.com.zone"), first).unwrap();
        let (program, args, text): (&'static str, &'static [&'static str], String) = match kind {
            "nsd" => ("nsd", &["-d", "-c", "conf"], nsd(&here, port, secondary)),
            "knot" => ("knotd", &["-c", "conf"], knot(&here, port, secondary)),
            // It reads no file again of a zone that takes updates.
            "bind, updated" => {
                let text =
                    bind(&here, port, secondary).replace("file \"", "allow-update { key xfr; }; file \"");
                ("named", &["-f", "-g", "-c", "conf"], text)
            }
            _ => ("named", &["-f", "-g", "-c", "conf"], bind(&here, port, secondary)),
        };
        fs::write(folder.path().join("conf"), text).unwrap();
        let server = Nameserver::new(program, args, folder.path().to_owned());
        let primary = Primary { kind: kind.to_owned(), server, folder, port };
        primary.start_again();
        primary
    }

    /// SIGTERM, which has it end its own processes, too.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Starts it, and waits until it answers.
    pub fn start_again(&self) {
        self.server.start();
        self.server.await_answer(|| {
            let answer = Client::of(local(self.port)).ask("example.com", "SOA")?;
            (answer.rcode == 0 && !answer.records.is_empty()).then_some(())
        });
    }

    /// Changes the zone, and returns once the primary itself answers with the new serial, and those of its processes that
    /// answered with the old one have ended: NSD that is told to reload before that ends the reload, goes on with what
    /// it had, and may never reload again. Where it comes to that all the same it is told again, and at last started
    /// again.
    pub fn change(&self, text: &str) {
        let file = self.folder.path().join("example.com.zone");
        // Some read a file only when its time in seconds is another.
        let later = fs::metadata(&file).unwrap().modified().unwrap() + Duration::from_secs(2);
        write_at(&file, text, later);
        let wanted = serial_in(text);
        for wait in RELOAD_WAITS {
            let before = self.server.workers();
            self.server.signal("HUP");
            if comes_to(wait, || self.serial() == Some(wanted)) {
                let settled = || self.server.workers().is_disjoint(&before);
                if !comes_to(SETTLED, settled) {
                    eprintln!("{} keeps processes of before its reload", self.kind);
                }
                return;
            }
            eprintln!("{} does not serve serial {wanted} within {wait:?}: told to reload again", self.kind);
        }
        eprintln!("{} does not reload any more: it is started again", self.kind);
        self.server.stop();
        self.start_again();
        assert!(
            comes_to(SETTLED, || self.serial() == Some(wanted)),
            "{} never served serial {wanted}:\n{}",
            self.kind,
            self.server.log()
        );
    }

    /// The serial it answers with.
    fn serial(&self) -> Option<u32> {
        let soa = Client::of(local(self.port)).ask("example.com", "SOA")?;
        soa.records.first()?.data.split_whitespace().nth(2)?.parse().ok()
    }
}

/// Whether it is so before this time is over.
fn comes_to(within: Duration, is: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while Instant::now() < deadline {
        if is() {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

/// The serial in the text of a zone that [`zone`] made.
fn serial_in(text: &str) -> u32 {
    let (_, soa) = text.split_once("hostmaster ").unwrap();
    soa.split_whitespace().next().unwrap().parse().unwrap()
}

fn write_at(file: &Path, text: &str, time: std::time::SystemTime) {
    let half = file.with_extension("half");
    fs::write(&half, text).unwrap();
    fs::File::options().append(true).open(&half).unwrap().set_modified(time).unwrap();
    fs::rename(half, file).unwrap();
}

/// Without a database: the one that NSD takes by itself is one for all of this machine, in which each would find the
/// times and serials of the others' zones.
fn nsd(here: &str, port: u16, secondary: u16) -> String {
    format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: \"{here}\"\n  database: \"\"\n  pidfile: \"{here}/run/pid\"\n  zonelistfile: \"{here}/run/list\"\n  xfrdfile: \"\"\n  xfrdir: \"{here}/run\"\n  server-count: 1\nremote-control:\n  control-enable: no\nkey:\n  name: xfr\n  algorithm: hmac-sha256\n  secret: \"{SECRET}\"\nzone:\n  name: example.com\n  zonefile: example.com.zone\n  store-ixfr: yes\n  create-ixfr: yes\n  provide-xfr: 127.0.0.1 xfr\n  notify: 127.0.0.1@{secondary} NOKEY\n"
    )
}

fn knot(here: &str, port: u16, secondary: u16) -> String {
    format!(
        "server:\n    rundir: {here}/run\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\nlog:\n  - target: stderr\n    any: info\ndatabase:\n    storage: {here}/run\nkey:\n  - id: xfr\n    algorithm: hmac-sha256\n    secret: {SECRET}\nremote:\n  - id: detour\n    address: 127.0.0.1@{secondary}\n    key: xfr\nacl:\n  - id: xfr\n    key: xfr\n    action: [transfer, update]\nzone:\n  - domain: example.com\n    storage: {here}\n    file: example.com.zone\n    zonefile-sync: -1\n    zonefile-load: difference\n    journal-content: changes\n    notify: detour\n    acl: xfr\n"
    )
}

fn bind(here: &str, port: u16, secondary: u16) -> String {
    format!(
        "key xfr {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\noptions {{ directory \"{here}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify explicit; also-notify {{ 127.0.0.1 port {secondary}; }}; notify-delay 0; allow-transfer {{ key xfr; }}; ixfr-from-differences yes; max-journal-size 1m; }};\ncontrols {{ }};\nzone \"example.com\" {{ type primary; file \"example.com.zone\"; }};\n"
    )
}

/// The zone as it is first, and with another address at one of many names.
fn versions() -> [String; 2] {
    let hosts = (0..2000).fold(String::new(), |text, n| text + &format!("host{n} A 192.0.2.{}\n", n % 250));
    // Of an hour: whatever is quicker was told.
    let first = zone(100, "3600 600 86400", &hosts);
    let second =
        first.replace(" 100 3600", " 101 3600").replace("host7 A 192.0.2.7\n", "host7 A 198.51.100.7\n");
    [first, second]
}

fn follows(kind: &str) {
    let listen = free_port();
    let [first, second] = versions();
    let primary = Primary::start(kind, listen, &first);
    let address = format!("{{ address = \"127.0.0.1:{}\", key = \"xfr\" }}", primary.port);
    let detour = secondary(&config(listen, &address));
    settles_on_serial(&detour, 100);
    assert_eq!(addresses(&detour, "host1999.example.com"), ["192.0.2.249"]);
    assert_eq!(addresses(&detour, "host7.example.com"), ["192.0.2.7"]);
    assert_eq!(transferred(&detour)["full"], 1);

    primary.change(&second);
    settles_on_serial(&detour, 101);
    assert_eq!(addresses(&detour, "host7.example.com"), ["198.51.100.7"]);
    assert_eq!(addresses(&detour, "host8.example.com"), ["192.0.2.8"]);
    let stands = transferred(&detour);
    assert_eq!((&stands["full"], &stands["incremental"]), (&1.into(), &1.into()), "{stands}");
    let past = detour.told(&["zone", "history", "example.com"]);
    assert!(past.contains("100 -> 101  -1 +1  transfer\n"), "{past}");
    let status = detour.told(&["status"]);
    assert!(status.contains("serial 101 from 127.0.0.1:"), "{status}");
}

#[test]
fn nsd_is_followed_by_notify_and_ixfr() {
    follows("nsd");
}

#[test]
fn knot_is_followed_by_notify_and_ixfr() {
    follows("knot");
}

#[test]
fn bind_is_followed_by_notify_and_ixfr() {
    follows("bind");
}

/// Who has no key, or another one, gets nothing, and says why.
fn refuses(kind: &str) {
    let listen = free_port();
    let [first, _] = versions();
    let primary = Primary::start(kind, listen, &first);
    for (key, secret) in [(false, SECRET), (true, "YW5vdGhlciBzZWNyZXQsIGJ1dCBvZiBzb21lIGxlbmd0aA==")] {
        let key = if key { ", key = \"xfr\"" } else { "" };
        let config = config(free_port(), &format!("{{ address = \"127.0.0.1:{}\"{key} }}", primary.port));
        let mut detour = crate::harness::Detour::spawn(&config, &[("xfr.key", secret)]);
        detour.await_listening();
        let why = until("a check fails", || {
            let stands = transferred(&detour);
            (stands["failures"].as_u64()? > 0).then(|| stands["last"].as_str().unwrap().to_owned())
        });
        let expected = if key.is_empty() { "REFUSED NOTAUTH" } else { "BADSIG NOTAUTH" };
        assert!(expected.split(' ').any(|word| why.contains(word)), "{kind}: {why}");
        assert_eq!(detour.ask("www.example.com", "A").rcode, 2);
        let (code, health) = detour.get("/healthz");
        assert_eq!(code, 200);
        assert!(health.contains("degraded") && health.contains("was not transferred yet"), "{health}");
        assert!(!detour.log().contains(secret));
    }
}

#[test]
fn nsd_takes_no_other_key() {
    refuses("nsd");
}

#[test]
fn knot_takes_no_other_key() {
    refuses("knot");
}

#[test]
fn bind_takes_no_other_key() {
    refuses("bind");
}

/// What `detour zone import --axfr` writes is the zone, and a configuration that `check` takes.
fn imports(kind: &str) {
    let [first, _] = versions();
    let primary = Primary::start(kind, free_port(), &first);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(folder.path().join("secret"), SECRET).unwrap();
    let (server, key, into) =
        (local(primary.port).to_string(), format!("xfr={}", path("secret")), path("new"));
    let import = |key: &[&str]| {
        let args = ["zone", "import", "--axfr", &server, "--into", &into, "example.com"];
        crate::harness::detour(&[&args[..], key].concat())
    };
    let refused = import(&[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("zone example.com. of 127.0.0.1:"), "{refused:?}");
    assert!(!folder.path().join("new").exists());
    let done = import(&["--key", &key]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.stdout.lines().count(), 2, "{done:?}");
    let check = crate::harness::detour(&["check", "-c", &path("new/detour.toml")]);
    assert_eq!(check.code, 0, "{check:?}");
    let theirs = primary.folder.path().join("example.com.zone").display().to_string();
    let same = ["zone", "diff", "--origin", "example.com", &theirs, &path("new/zones/example.com.zone")];
    let same = crate::harness::detour(&same);
    assert_eq!(same.code, 0, "{same:?}");
}

#[test]
fn zones_are_imported_from_nsd() {
    imports("nsd");
}

#[test]
fn zones_are_imported_from_knot() {
    imports("knot");
}

#[test]
fn zones_are_imported_from_bind() {
    imports("bind");
}
