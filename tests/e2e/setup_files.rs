//! A scenario's setup as a configuration and zone files, for the daemon.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use detour::model::{OnLimit, PolicyKind, Unanswered};
use detour::simulate::scenario::{GroupSpec, MinUp, ServiceSpec, Setup};

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
        if let Some(capacity) = setup.capacity.get(site) {
            let _ = writeln!(config, "capacity = {capacity}");
        }
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
    config.push_str(&clients(setup));
    config.push_str(&safety(setup));
    for (name, spec) in &setup.services {
        let failback = failback(spec);
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
            "[[service]]\nname = \"{name}\"\n{}ttl = \"{}s\"\nttl_suspect = \"{}s\"\nprobes = {}\n\
             failback = {failback}\nall_down = {all_down}\nendpoints = [",
            picking(spec),
            spec.ttl.as_secs(),
            spec.suspect.as_secs(),
            probes,
        );
        for site in &spec.sites {
            let addresses: Vec<String> =
                setup.sites[site].iter().map(|address| played_by[address].to_string()).collect();
            let weight =
                spec.weights.get(site).map(|weight| format!(", weight = {weight}")).unwrap_or_default();
            let _ = writeln!(config, "  {{ site = \"{site}\"{weight}, addresses = {addresses:?} }},");
        }
        config.push_str("]\n");
        config.push_str(&groups(spec));
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

fn ms(time: Duration) -> String {
    format!("\"{}ms\"", (time / FASTER).as_millis())
}

/// `failback`, with its approval and steps.
fn failback(spec: &ServiceSpec) -> String {
    let Some(hold) = spec.failback else { return "\"manual\"".to_owned() };
    let mode = if spec.moving.approve_failback { "approve" } else { "auto" };
    let mut steps = String::new();
    if !spec.moving.steps.is_empty() {
        let percents: Vec<u8> = spec.moving.steps.iter().copied().chain([100]).collect();
        steps = format!(", steps = {percents:?}, step_hold = {}", ms(spec.moving.step_hold));
    }
    format!("{{ mode = \"{mode}\", hold = {}{steps} }}", ms(hold))
}

/// A service's keys about how and when it moves from one endpoint to another.
fn picking(spec: &ServiceSpec) -> String {
    let moving = &spec.moving;
    let mut text = String::new();
    for (key, is) in [("sticky", spec.sticky), ("exempt_from_safety", moving.exempt), ("shed", moving.shed)] {
        if is {
            let _ = writeln!(text, "{key} = true");
        }
    }
    if !spec.is_plain() {
        text += &group(&spec.root, true);
        if let Some(slow) = spec.slow_start {
            let _ = writeln!(text, "slow_start = {}", ms(slow));
        }
        if spec.is_by_client() {
            text += "geo = \"map\"\n";
        }
    }
    if moving.load > 0 {
        let _ = writeln!(text, "load = {}", moving.load);
    }
    match moving.approval {
        Some(asked) => {
            let then = if asked.unanswered == Unanswered::Move { "move" } else { "stay" };
            let (wait, delay) = (ms(asked.wait), ms(moving.delay));
            let _ = writeln!(
                text,
                "failover = {{ mode = \"approve\", wait = {wait}, unanswered = \"{then}\", delay = {delay} }}"
            );
        }
        None if !moving.delay.is_zero() => {
            let _ = writeln!(text, "failover = {{ delay = {} }}", ms(moving.delay));
        }
        None => {}
    }
    text
}

fn group(group: &GroupSpec, is_root: bool) -> String {
    let policy = match group.policy {
        PolicyKind::Failover => "failover",
        PolicyKind::Weighted => "weighted",
        PolicyKind::Geo => "geo",
        PolicyKind::All => "all",
    };
    let mut text = format!("policy = \"{policy}\"\n");
    if !is_root || !group.members.is_empty() {
        let _ = writeln!(text, "members = {:?}", group.members);
    }
    match group.min_up {
        MinUp::Count(1) => {}
        MinUp::Count(count) => drop(writeln!(text, "min_up = {count}")),
        MinUp::Percent(percent) => drop(writeln!(text, "min_up = \"{percent}%\"")),
    }
    if let Some(max) = group.max_answers {
        let _ = writeln!(text, "max_answers = {max}");
    }
    text += if group.rotate { "pick = \"rotate\"\n" } else { "" };
    text
}

fn groups(spec: &ServiceSpec) -> String {
    let table = |one: &GroupSpec| {
        let weight = spec.weights.get(&one.name).map(|weight| format!("weight = {weight}\n"));
        format!("[service.groups.{}]\n{}{}", one.name, group(one, false), weight.unwrap_or_default())
    };
    spec.groups.iter().map(table).collect()
}

/// The map of clients, where a service asks for one.
fn clients(setup: &Setup) -> String {
    if !setup.services.values().any(ServiceSpec::is_by_client) {
        return String::new();
    }
    let mut text = "[geo.map]\n".to_owned();
    for (_, sites) in setup.near.iter().filter(|(network, _)| network.is_none()) {
        let _ = writeln!(text, "default = {sites:?}");
    }
    text += "rules = [\n";
    for (network, sites) in &setup.near {
        let Some(network) = network else { continue };
        let _ = writeln!(text, "  {{ networks = [\"{network}\"], prefer = {sites:?} }},");
    }
    text + "]\n"
}

fn safety(setup: &Setup) -> String {
    let safety = &setup.safety;
    if !safety.is_set() {
        return String::new();
    }
    let mut text = format!("[safety]\nshare_window = {}\n", ms(safety.window));
    if let Some(max) = safety.max_switches_per_hour {
        let _ = writeln!(text, "max_switches_per_hour = {max}");
    }
    if let Some(max) = safety.max_share_moved {
        let _ = writeln!(text, "max_share_moved = \"{max}%\"");
    }
    if let Some(min) = safety.min_sites_in_service {
        let _ = writeln!(text, "min_sites_in_service = {min}");
    }
    text + if safety.on_limit == OnLimit::Warn { "on_limit = \"warn\"\n" } else { "on_limit = \"hold\"\n" }
}
