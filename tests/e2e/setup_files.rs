//! A scenario's setup as a configuration and zone files, for the daemon.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use detour::scenario::Setup;

use crate::scenarios::FASTER;

/// A setup's configuration and zone files.
pub fn files(
    setup: &Setup,
    played_by: &BTreeMap<IpAddr, IpAddr>,
    port: u16,
) -> (String, Vec<(String, String)>) {
    let mut config = "[server]\nlisten = [\"127.0.0.1:0\"]\nstate_dir = \"state\"\nthreads = 1\n\
                      [control]\nlisten = \"127.0.0.1:0\"\n"
        .to_owned();
    for site in setup.sites.keys() {
        let _ = writeln!(config, "[sites.{site}]");
    }
    let mut probes = BTreeMap::new();
    for spec in setup.services.values() {
        for probe in &spec.probes {
            probes.entry(probe).or_insert(spec);
        }
    }
    for (probe, spec) in probes {
        let window = spec.window.map(|window| format!("window = {window}")).unwrap_or_default();
        let _ = writeln!(
            config,
            "[probes.{probe}]\ntype = \"http\"\nport = {port}\npath = \"/{probe}\"\nhost = \"site.example\"\n\
             interval = \"4s\"\nconfirm = \"20ms\"\ntimeout = \"3900ms\"\n\
             fall = {}\nrise = {}\n{window}",
            spec.fall, spec.rise,
        );
    }
    for apex in setup.zones.keys() {
        let _ = writeln!(config, "[[zone]]\nname = \"{apex}\"\nfile = \"{apex}.zone\"");
    }
    for (name, spec) in &setup.services {
        let failback = match spec.failback {
            Some(hold) => format!("{{ mode = \"auto\", hold = \"{}ms\" }}", (hold / FASTER).as_millis()),
            None => "\"manual\"".to_owned(),
        };
        let probes = match spec.need {
            Some(need) => format!("{{ at_least = {need}, of = {:?} }}", spec.probes),
            None => format!("{:?}", spec.probes),
        };
        let all_down = match spec.all_down.parse::<IpAddr>() {
            Ok(address) => format!("{{ fallback = [\"{address}\"] }}"),
            Err(_) => format!("\"{}\"", spec.all_down),
        };
        let _ = writeln!(
            config,
            "[[service]]\nname = \"{name}\"\nttl = \"{}s\"\nttl_suspect = \"{}s\"\nprobes = {}\n\
             failback = {failback}\nall_down = {all_down}\nendpoints = [",
            spec.ttl.as_secs(),
            spec.suspect.as_secs(),
            probes,
        );
        for site in &spec.sites {
            let addresses: Vec<String> =
                setup.sites[site].iter().map(|address| played_by[address].to_string()).collect();
            let _ = writeln!(config, "  {{ site = \"{site}\", addresses = {addresses:?} }},");
        }
        config.push_str("]\n");
    }
    let zone = |(apex, serial): (&String, &u32)| {
        let mut text = format!(
            "$TTL 300\n@ SOA ns1 hostmaster {serial} 3600 600 604800 60\n@ NS ns1\nns1 A 127.0.0.1\n"
        );
        for (owner, rtype, value, ttl) in setup.file.iter().filter(|record| record.0.ends_with(apex)) {
            let _ = writeln!(text, "{owner}. {ttl} {rtype} {value}");
        }
        (format!("{apex}.zone"), text)
    };
    (config, setup.zones.iter().map(zone).collect())
}
