//! What those see who watch: metrics read by promtool and a real Prometheus, the log read as JSON, queries read
//! from a file and by a real reader of dnstap.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::dig::query;
use crate::harness::{APP, Detour, MACHINE, Setup, config, own_address, until, zone};
use crate::inbox::Inbox;
use crate::peers::ports::free_port;
use crate::site::{Site, signal, sites};

/// A daemon with sites `fra` and `iad`, and more at the top of its file and of its zone.
fn start(top: &str, of_zone: &str) -> (Site, Site, Detour) {
    let [fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
    let text = config(&Setup::default(), fra.port, &fra.addresses, &iad.addresses)
        .replace("[[zone]]", &format!("{top}\n[[zone]]\n{of_zone}"));
    let detour = Detour::start(&text, &zone(1, ""));
    settles_on(&detour, &fra);
    (fra, iad, detour)
}

fn settles_on(detour: &Detour, site: &Site) {
    let address = site.addresses[0].to_string();
    until(&format!("{APP} answers {address}"), || (detour.ask(APP, "A").data() == [&address]).then_some(()));
}

fn scrape(detour: &Detour) -> String {
    let (status, text) = detour.get("/metrics");
    assert_eq!(status, 200);
    text
}

/// The value of a series; its labels as they are written.
fn series(text: &str, id: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(id)?.strip_prefix(' ')?.parse().ok())
}

/// A process that ends with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A secondary: it acknowledges every NOTIFY, and has at once whatever the primary has.
fn secondary(primary: &Arc<Mutex<Option<SocketAddr>>>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (address, primary) = (socket.local_addr().unwrap(), primary.clone());
    // It ends with the test's process.
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let mut message = buffer[..len].to_vec();
            let is_notify = message[2] >> 3 & 15 == 4;
            let primary = *primary.lock().unwrap();
            if is_notify {
                message[2] |= 0x80;
            } else if let Some(primary) = primary {
                let asker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                asker.send_to(&message, primary).unwrap();
                let len = asker.recv(&mut buffer).unwrap();
                message = buffer[..len].to_vec();
            } else {
                continue;
            }
            socket.send_to(&message, from).unwrap();
        }
    });
    address
}

#[test]
fn a_failover_is_measured_by_phase_and_told_as_json() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let primary = Arc::new(Mutex::new(None));
    let theirs = secondary(&primary);
    let collector = Inbox::open();
    let top = format!("[log]\nformat = \"json\"\n[otlp]\nendpoint = \"http://{}\"", collector.at);
    let (mut fra, iad, detour) = start(&top, &format!("notify = [\"{theirs}\"]"));
    *primary.lock().unwrap() = Some(detour.dns);
    until("the secondary has the zone", || {
        (detour.json("/v1/status")["secondaries"][0]["outcome"] == "current").then_some(())
    });
    let before = scrape(&detour);
    assert_eq!(series(&before, "detour_failover_seconds_count"), Some(0.0));
    assert_eq!(series(&before, "detour_moves_total{kind=\"failover\"}"), Some(0.0));

    fra.kill();
    settles_on(&detour, &iad);
    let phase = |phase: &str| format!("detour_failover_phase_seconds_count{{phase=\"{phase}\"}}");
    let after = until("the secondary has the failover", || {
        let text = scrape(&detour);
        (series(&text, &phase("secondaries")) == Some(1.0)).then_some(text)
    });
    for one in ["detect", "decide", "publish"] {
        assert_eq!(series(&after, &phase(one)), Some(1.0), "{one}");
    }
    assert_eq!(series(&after, "detour_moves_total{kind=\"failover\"}"), Some(1.0));
    // Three failures, 100 ms apart, make Down: the phases are the parts of the whole.
    let sum = |name: &str| series(&after, name).unwrap();
    let parts: f64 = ["detect", "decide", "publish"]
        .map(|phase| sum(&format!("detour_failover_phase_seconds_sum{{phase=\"{phase}\"}}")))
        .iter()
        .sum();
    let whole = sum("detour_failover_seconds_sum");
    assert!((whole - parts).abs() < 0.001, "{whole} is not {parts}");
    assert!(sum("detour_failover_phase_seconds_sum{phase=\"detect\"}") >= 0.1, "{after}");
    let runs = |result: &str| {
        sum(&format!("detour_probe_duration_seconds_count{{probe=\"web\",result=\"{result}\"}}"))
    };
    assert!(runs("failed") >= 3.0 && runs("ok") >= 1.0, "{after}");
    assert!(sum("detour_answer_size_bytes_count{transport=\"udp\"}") >= 1.0);

    // The same as a trace, for a collector of OpenTelemetry.
    let trace = until("the collector is told", || collector.requests().pop());
    assert!(trace.head.starts_with("POST /v1/traces "), "{}", trace.head);
    let trace = trace.json();
    let spans = trace["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let span_names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(span_names, ["failover", "detect", "decide", "publish"]);
    let nanos = |of: &str| spans[0][of].as_str().unwrap().parse::<f64>().unwrap();
    let took = (nanos("endTimeUnixNano") - nanos("startTimeUnixNano")) / 1e9;
    assert!((took - whole).abs() < 0.001, "{took} is not {whole}");
    until("that is counted", || {
        (series(&scrape(&detour), "detour_traces_sent_total") == Some(1.0)).then_some(())
    });

    // The last hour, for plots.
    let plots = detour.json(&format!("/v1/plots/{APP}"));
    let of_fra = plots["checks"].as_array().unwrap().iter().find(|check| check["site"] == "fra").unwrap();
    let failures = of_fra["buckets"].as_array().unwrap().iter().map(|b| b["failures"].as_u64().unwrap());
    assert!(failures.sum::<u64>() >= 3, "{of_fra}");

    // The log: every line is JSON, and a decision's line leads to its entry in the history.
    let log = detour.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let decided = |line: &&Value| line["kind"] == "decision" && line["sites"] == "iad";
    let line = lines.iter().find(decided).unwrap_or_else(|| panic!("no decision for iad in:\n{log}"));
    assert_eq!((&line["level"], &line["service"]), (&"INFO".into(), &"app.example.com.".into()));
    let sequence = line["sequence"].as_u64().unwrap();
    let history = detour.json("/v1/history");
    let entries = history["entries"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["seq"] == sequence).unwrap();
    assert_eq!(
        (&entry["what"]["event"], &entry["what"]["id"]),
        (&line["kind"], &line["decision"]),
        "{entry}"
    );
    assert!(entry["text"].as_str().unwrap().ends_with(line["message"].as_str().unwrap()), "{entry}");
    assert!(line["reason"].as_str().unwrap().contains("connection refused"), "{line}");
    let down = lines.iter().find(|line| line["kind"] == "health" && line["to"] == "Down").expect("a line");
    assert!(down["sequence"].as_u64().unwrap() < sequence);
}

#[test]
fn a_line_for_people_says_its_number_and_nothing_twice() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let (mut fra, iad, detour) = start("", "");
    fra.kill();
    settles_on(&detour, &iad);
    let log = until("the decision is in the log", || {
        let log = detour.log();
        log.lines().find(|line| line.contains("iad") && line.contains("sequence=")).map(str::to_owned)
    });
    assert!(!log.contains("kind=") && !log.contains("reason="), "{log}");
}

/// The names of Detour's metrics in a text, histograms by their family.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("detour_"));
    let family = |name: &str| {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        of_histogram.unwrap_or(name).to_owned()
    };
    names.map(family).collect()
}

fn promtool(args: &[&str], stdin: &str) {
    let mut child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs; ./test installs it");
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let said = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(out.status.success(), "promtool {args:?}: {said:?}");
    assert!(!args.contains(&"metrics") || said.concat().is_empty(), "{said:?}");
}

/// What Prometheus answers, as JSON.
fn ask_prometheus(port: u16, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

#[test]
fn prometheus_reads_the_metrics_and_the_rules_fire() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let (_fra, _iad, detour) = start("", "");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let read = |name: &str| fs::read_to_string(docs.join(name)).unwrap();
    let rules = docs.join("prometheus/alerts.yml");
    let text = scrape(&detour);
    promtool(&["check", "metrics"], &text);
    promtool(&["check", "rules", rules.to_str().unwrap()], "");
    promtool(&["test", "rules", docs.join("prometheus/alerts.test.yml").to_str().unwrap()], "");

    // What the dashboard, the rules and the page name is there, and what is there is on the page.
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let there: BTreeSet<String> = families.map(str::to_owned).collect();
    for file in ["grafana/detour.json", "prometheus/alerts.yml", "prometheus/alerts.test.yml", "metrics.md"] {
        let unknown: Vec<String> = names(&read(file)).difference(&there).cloned().collect();
        assert!(unknown.is_empty(), "{file} names what no scrape has: {unknown:?}");
    }
    let documented = names(&read("metrics.md"));
    let silent: Vec<&String> = there.difference(&documented).collect();
    assert!(silent.is_empty(), "docs/metrics.md says nothing of {silent:?}");
    for (name, help) in text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' ')) {
        assert_ne!(name, help, "it has no help");
    }
    let dashboard: Value = serde_json::from_str(&read("grafana/detour.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = || panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    assert!(targets().count() > 30);

    // A Prometheus of our own scrapes it and evaluates the rules and every query of the dashboard.
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let settings = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\n\
         scrape_configs:\n  - {{job_name: detour, scrape_timeout: 1s, static_configs: [{{targets: [\"{}\"]}}]}}\n",
        detour.control
    );
    fs::write(folder.path().join("prometheus.yml"), settings).unwrap();
    let _prometheus = Ended(
        Command::new("prometheus")
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus runs; ./test installs it"),
    );
    let value = |expr: &str| {
        let mut encoded = String::new();
        for byte in expr.bytes() {
            let _ = std::fmt::Write::write_fmt(&mut encoded, format_args!("%{byte:02x}"));
        }
        let got = ask_prometheus(port, &format!("/api/v1/query?query={encoded}"))?;
        assert_eq!(got["status"], "success", "{expr}: {got}");
        got["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().ok()
    };
    until("Prometheus has scraped it", || {
        (value("detour_service_site{site=\"fra\"}") == Some(1.0)).then_some(())
    });
    for target in targets() {
        let expr = target["expr"].as_str().unwrap().replace("$instance", ".*").replace("$service", ".*");
        let _ = value(&expr);
    }
    detour.edit_config("probes = [\"web\"]", "probes = [\"wbe\"]");
    assert_eq!(detour.cli(&["reload"]).code, 1);
    let alert = until("the rule of refused loads sees one", || {
        let alerts = ask_prometheus(port, "/api/v1/alerts")?;
        let alerts = alerts["data"]["alerts"].as_array()?.clone();
        alerts.into_iter().find(|alert| alert["labels"]["alertname"] == "DetourReloadFailed")
    });
    assert!(alert["annotations"]["description"].as_str().unwrap().contains("detour check"), "{alert}");
}

/// A reader of dnstap, which writes what it gets to a file.
fn reader(socket: &Path, file: &Path) -> Ended {
    let _ = fs::remove_file(socket);
    let reader = Command::new("fstrm_capture")
        .args(["-t", "protobuf:dnstap.Dnstap", "-u"])
        .arg(socket)
        .arg("-w")
        .arg(file)
        .stderr(Stdio::null())
        .spawn()
        .expect("fstrm_capture runs; ./test installs it");
    Ended(reader)
}

/// Ends a reader in order, and gives what it read, a line for each frame.
fn read_by(mut reader: Ended, file: &Path) -> Vec<String> {
    signal(reader.0.id(), "TERM");
    reader.0.wait().unwrap();
    let out = Command::new("dnstap-read").arg(file).output().expect("dnstap-read runs; ./test installs it");
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn queries_go_to_a_file_and_to_a_reader_of_dnstap() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let (socket, taken) = (folder.path().join("tap.sock"), folder.path().join("taken"));
    let log = folder.path().join("queries.log");
    let (_fra, _iad, detour) = start("", "");
    let count = |what: &str, tap: &str| {
        series(&scrape(&detour), &format!("detour_tap_{what}_total{{tap=\"{tap}\"}}")).unwrap()
    };
    assert_eq!((count("written", "query_log"), count("written", "dnstap")), (0.0, 0.0), "both are off");

    // A reload turns them on.
    let first = reader(&socket, &taken);
    let top = format!(
        "[query_log]\nfile = {log:?}\nsample = 1\n[dnstap]\nsocket = {socket:?}\nsample = 1\n[[zone]]"
    );
    until("the reader listens", || socket.exists().then_some(()));
    detour.edit_config("[[zone]]", &top);
    detour.told(&["reload"]);
    until("the reader is called", || detour.log().contains("dnstap goes to").then_some(()));
    assert_eq!(detour.ask("www.example.com", "A").data(), ["192.0.2.80"]);
    assert_eq!(detour.ask("none.example.com", "TXT").rcode, 3);
    let mut stream = TcpStream::connect(detour.dns).unwrap();
    let asked = query(7, "ns1.example.com", "A");
    stream.write_all(&[&(asked.len() as u16).to_be_bytes(), &asked[..]].concat()).unwrap();
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();

    until("all is written", || (count("written", "dnstap") >= 3.0).then_some(()));
    let lines = until("all is in the file", || {
        let lines: Vec<String> = fs::read_to_string(&log).ok()?.lines().map(str::to_owned).collect();
        (lines.len() >= 3).then_some(lines)
    });
    for (line, has) in lines.iter().zip([
        [" udp 127.0.0.1:", " www.example.com. A NOERROR "],
        [" udp 127.0.0.1:", " none.example.com. TXT NXDOMAIN "],
        [" tcp 127.0.0.1:", " ns1.example.com. A NOERROR "],
    ]) {
        assert!(has.iter().all(|part| line.contains(part)), "{line}");
    }
    let frames = read_by(first, &taken);
    assert_eq!(frames.len(), 6, "{frames:#?}");
    let port = format!("127.0.0.1:{}", detour.dns.port());
    for (frame, has) in frames.iter().zip([
        [" AQ ", "UDP", "www.example.com/IN/A"],
        [" AR ", "UDP", "www.example.com/IN/A"],
        [" AQ ", "UDP", "none.example.com/IN/TXT"],
        [" AR ", "UDP", "none.example.com/IN/TXT"],
        [" AQ ", "TCP", "ns1.example.com/IN/A"],
        [" AR ", "TCP", "ns1.example.com/IN/A"],
    ]) {
        assert!(frame.contains(&port) && has.iter().all(|part| frame.contains(part)), "{frame}");
    }

    // The reader is gone: what comes is lost, and counted, and clients notice nothing.
    until("what comes is lost", || {
        detour.ask("www.example.com", "A");
        (count("lost", "dnstap") >= 1.0).then_some(())
    });
    // Another one is found by itself, and so is a log that was moved away, at a reload.
    let again = reader(&socket, &taken);
    let moved = folder.path().join("moved");
    fs::rename(&log, &moved).unwrap();
    detour.signal("HUP");
    let before = count("written", "dnstap");
    until("the new reader is called", || {
        detour.ask("www.example.com", "AAAA");
        (count("written", "dnstap") > before + 1.0 && log.exists()).then_some(())
    });
    assert!(read_by(again, &taken).iter().all(|frame| frame.contains("www.example.com/IN/A")));

    // A reload turns them off.
    detour.edit_config(top.trim_end_matches("[[zone]]"), "");
    detour.told(&["reload"]);
    let (before, size) = (count("written", "query_log"), fs::metadata(&log).unwrap().len());
    let _ = (detour.ask("www.example.com", "A"), size);
    assert!(count("written", "query_log") <= before + 1.0);
}
