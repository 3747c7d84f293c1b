//! The scenario files again, this time with the real daemon: each sample of a scenario is one answer of a
//! real HTTP site to one real probe run, and the decisions the scenario expects must appear in the daemon's
//! history, in order, and at last in its answers.
//!
//! What one client is answered is asked with `dig +subnet`. Time is not the scenario's: what takes a minute there takes seconds here. Serials, shares, reasons and the
//! words of a refusal are the pure engine's business (src/simulate/scenario/run.rs); here a serial only must not go
//! back, and what is refused must be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{fs, thread};

use detour::dns::{RrSet, RrType, Serial};
use detour::engine::Happened;
use detour::policy::Decision;
use detour::simulate::scenario::{Expect, Outcome, Scenario, Setup, Step, What, parse};
use detour::state::Entry;

use crate::dig::dig_for;
use crate::harness::{Detour, MACHINE, Ran, own_address, until};
use crate::setup_files::files;
use crate::site::{Site, start_all};

/// Scenarios that cannot be played with sites on loopback, and why.
const ENGINE_ONLY: &[(&str, &str)] = &[
    ("approve_over_capacity", "what it waits for is the scenario's time"),
    (
        "only_what_has_passed_is_moved_to",
        "which result of two sites is the first is not the scenario's to say",
    ),
    ("reload_of_one_family_that_fails", "loopback has one IPv6 address"),
    ("reload_to_an_address_and_approval", "what it waits for is the scenario's time"),
    ("reload_to_an_address_without_results", "no site can make this host stall"),
    ("unknown_is_better_than_down", "no site can make this host stall"),
    ("unknown_standby_by_hand", "no site can make this host stall"),
    ("weighted_unknown_is_better_than_down", "no site can make this host stall"),
    ("drain_of_the_last_family", "loopback has one IPv6 address"),
    ("reload_to_a_dead_address_in_an_outage", "what it waits for is the scenario's time"),
    ("approve_an_emptied_family", "loopback has one IPv6 address"),
    ("approve_from_nothing", "what it waits for is the scenario's time"),
    ("approve_nothing_to_leave", "loopback has one IPv6 address"),
    ("approve_and_recovery", "what it waits for is the scenario's time"),
    ("approve_and_restart", "what it waits for is the scenario's time"),
    ("approve_and_nobody_answers", "what it waits for is the scenario's time"),
    ("approve_failback", "what it waits for is the scenario's time"),
    ("delay_and_flap", "what it waits for is the scenario's time"),
    ("drain_and_outage_with_approval", "what it waits for is the scenario's time"),
    ("safety_in_a_disaster", "what it waits for is the scenario's time"),
    ("safety_false_alarm", "what it waits for is the scenario's time"),
    ("safety_warns", "what it waits for is the scenario's time"),
    ("safety_and_drain", "what it waits for is the scenario's time"),
    ("safety_min_sites", "what it waits for is the scenario's time"),
    ("failback_in_steps", "what it waits for is the scenario's time"),
    ("failback_in_steps_and_outage", "what it waits for is the scenario's time"),
    ("failback_in_steps_by_approval", "what it waits for is the scenario's time"),
    ("capacity_and_outage", "what it waits for is the scenario's time"),
    ("failback_in_steps_moves_its_share_alone", "its steps are the scenario's time"),
    ("families_and_a_cname", "this host's resolver knows no such names"),
    ("families_and_safety", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("families_by_approval", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("families_by_query", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("families_failback_manual", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("families_frozen", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("families_never_given", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("families_nowhere", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("families_of_groups", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("families_in_maintenance", "its windows are the scenario's time of day"),
    ("families_wait_on", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("reject_one_of_two_moves", "what it waits for is the scenario's time"),
    ("families_together", "loopback has one IPv6 address; families.rs has two in a namespace"),
    ("geo_all_down", "which of two sites is found dead first is not the scenario's to say"),
    ("geo_drain_and_outage", "what clients are answered within its holds is the scenario's time"),
    ("geo_falls_through", "what clients are answered within its holds is the scenario's time"),
    ("geo_of_failover_of_weighted", "what clients are answered within its holds is the scenario's time"),
    ("geo_one_family_dead", "loopback has one IPv6 address; failures.rs plays it with one site"),
    ("weighted_one_family_dead", "loopback has one IPv6 address"),
    ("weighted_and_damping", "its holds are the scenario's time"),
    ("weighted_slow_start", "its shares grow with the scenario's time"),
    ("canary_and_a_real_outage", "samples of canaries come in the scenario's order alone"),
    ("canary_outage", "samples of canaries come in the scenario's order alone"),
    ("cname_targets", "this host's resolver knows no such names"),
    ("damping", "its holds are the scenario's time"),
    ("damping_all_down", "its holds are the scenario's time"),
    ("damping_and_failback", "its holds are the scenario's time"),
    ("discarded", "no site can make this host stall"),
    ("maintenance", "its windows are the scenario's time of day"),
    ("maintenance_and_drain", "its windows are the scenario's time of day"),
    ("no_ipv6_here", "no site can make this host lose IPv6"),
    ("no_route_anywhere", "no site can make this host lose its routes"),
    ("no_route_of_one_family", "no site can make this host lose its routes"),
    ("no_route_to_one_site", "no site can make this host lose its routes"),
    ("nothing_verified", "no site can make this host stall"),
    ("one_family_dead", "loopback has one IPv6 address; failures.rs plays it with one site"),
    ("stale", "no site can keep the daemon from probing it"),
    ("stalls", "no site can make this host stall"),
    ("stalls_and_a_delay", "no site can make this host stall"),
    ("stalls_and_canaries", "no site can make this host stall"),
    ("stalls_and_proposals", "no site can make this host stall"),
    ("stalls_in_the_steps_of_a_failback", "no site can make this host stall"),
    ("override_in_first_round", "when the first round is over is not the scenario's to say"),
];

/// How many scenarios run side by side; they mostly wait.
const AT_ONCE: usize = 6;

/// Scenario time is this many times as long as time here.
pub const FASTER: u32 = 12;

/// The least an override that runs out lasts: what the scenario does meanwhile must fit in.
const SHORTEST: Duration = Duration::from_secs(4);

/// How long a site holds a probe back for the scenario's next sample, in seconds: below the timeout, so
/// that it is no failure, and near the interval, so that there nearly always is a probe to answer.
const GATE: &str = "3.7";

#[test]
fn every_scenario_holds_for_the_daemon() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "scenario"));
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    for (excluded, why) in ENGINE_ONLY {
        let before = files.len();
        files.retain(|path| name(path) != *excluded);
        assert_eq!(files.len() + 1, before, "{excluded} ({why}) is no scenario");
    }
    assert!(!files.is_empty());
    let queue = Mutex::new(files);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(path) = { queue.lock().unwrap().pop() } {
                    let text = fs::read_to_string(&path).unwrap();
                    if std::panic::catch_unwind(|| play(&name(&path), &text)).is_err() {
                        failed.lock().unwrap().push(name(&path));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:?}; what each met stands above");
}

fn play(file: &str, text: &str) {
    let scenario = parse(text).unwrap_or_else(|why| panic!("{file}: {why}"));
    let mut stage = Stage::set(&scenario);
    let mut steps = scenario.steps.into_iter().peekable();
    // The first round comes before the first answer: what it meets is laid out while nothing is answered yet.
    let mut asked = Vec::new();
    while let Some(step) = steps.next_if(|step| is_before_the_first_answer(&step.what)) {
        stage.push(&step.what);
        asked.extend(stage.asked(&step.what));
    }
    stage.detour.await_listening();
    stage.drain(&BTreeMap::new(), &asked);
    let mut last = BTreeMap::new();
    for Step { line, what, .. } in steps {
        let at = format!("tests/scenarios/{file}.scenario:{line}");
        match what {
            What::Expect(expect) => {
                let service = stage.check(&at, &expect);
                match (service, expect.records) {
                    (Some(service), Some(records)) if expect.from.is_none() => {
                        last.insert(service, records);
                    }
                    // Who gets what by lot, or by client, is no longer what everybody got before.
                    (Some(service), _) => drop(last.remove(&service)),
                    (None, _) => {}
                }
            }
            what => stage.act(&at, &what),
        }
    }
    last.retain(|service, _| stage.setup.services.contains_key(service));
    for (service, records) in last {
        stage.answers(file, &service, &records);
    }
}

fn is_before_the_first_answer(what: &What) -> bool {
    match what {
        What::Samples { .. } | What::Nothing => true,
        What::Expect(expect) => expect.undecided,
        _ => false,
    }
}

struct Stage {
    detour: Detour,
    sites: Vec<Site>,
    /// The scenario's addresses, each with the one that plays it.
    played_by: BTreeMap<IpAddr, IpAddr>,
    setup: Setup,
    /// What the last command was told.
    told: Option<Ran>,
    /// By service: the last of its decisions that was as expected.
    seen: BTreeMap<String, usize>,
    serial: BTreeMap<String, Serial>,
}

impl Stage {
    /// Starts every site and the daemon; waits for neither.
    fn set(scenario: &Scenario) -> Stage {
        let reloads = scenario.steps.iter().filter_map(|step| match &step.what {
            What::Reload(setup) => Some(setup),
            _ => None,
        });
        let mut played_by = BTreeMap::new();
        for setup in reloads.chain([&scenario.setup]) {
            for address in setup.sites.values().flatten() {
                let own = || if address.is_ipv4() { own_address() } else { Ipv6Addr::LOCALHOST.into() };
                played_by.entry(*address).or_insert_with(own);
            }
        }
        let lists: Vec<Vec<IpAddr>> = played_by.values().map(|address| vec![*address]).collect();
        let mut sites = start_all(&lists);
        for site in &mut sites {
            site.be(&format!("gate {GATE}"));
        }
        let (config, zones) = files(&scenario.setup, &played_by, sites[0].port);
        let detour = Detour::spawn(&config, &zones);
        Stage {
            detour,
            sites,
            played_by,
            setup: scenario.setup.clone(),
            told: None,
            seen: BTreeMap::new(),
            serial: BTreeMap::new(),
        }
    }

    fn act(&mut self, at: &str, what: &What) {
        let told = match what {
            What::Samples { .. } => {
                if self.changes_something(what) {
                    let before = self.newest();
                    self.push(what);
                    self.drain(&before, &self.asked(what));
                }
                None
            }
            What::Approve { .. } | What::Reject { .. } | What::Stall(_) => {
                unreachable!("such a scenario is the engine's")
            }
            What::Override { kind, scope, reason, lasts, force } => {
                let lasts = lasts.map(|lasts| format!("{}s", (lasts / FASTER).max(SHORTEST).as_secs()));
                let mut args = vec![kind.as_str(), scope, "--reason", reason];
                args.extend(force.then_some("--force"));
                args.extend(lasts.iter().flat_map(|lasts| ["--for", lasts]));
                Some(self.detour.cli(&args))
            }
            What::Clear { scope } => Some(self.detour.cli(&["undrain", scope])),
            What::Failover { service, to } => {
                Some(self.detour.cli(&["failover", service, "--to", to, "--reason", at]))
            }
            What::Failback { service } => Some(self.detour.cli(&["failback", service])),
            What::Restart => {
                self.detour.kill();
                self.detour.start_again();
                None
            }
            What::Reload(setup) => {
                self.setup = setup.clone();
                let (config, zones) = files(setup, &self.played_by, self.sites[0].port);
                for (name, text) in &zones {
                    self.detour.write_file(name, text);
                }
                self.detour.write_config(&config);
                // Scenarios take services away as they please.
                self.detour.told(&["reload", "--force"]);
                None
            }
            What::Nothing | What::Expect(_) => None,
        };
        self.told = told.or(self.told.take());
    }

    /// The sites and paths a sample is about.
    fn asked(&self, what: &What) -> Vec<(IpAddr, String)> {
        let What::Samples { site, of, .. } = what else { return Vec::new() };
        let is_meant = |address: &IpAddr, probe: &str| match of.as_deref() {
            None => true,
            Some("v4") => address.is_ipv4(),
            Some("v6") => address.is_ipv6(),
            Some(of) => of == probe,
        };
        let here = self.setup.services.values().filter(|spec| spec.sites.contains(site));
        let probes = here.flat_map(|spec| &spec.probes);
        let mut asked: Vec<_> = probes
            .flat_map(|probe| self.setup.sites[site].iter().map(move |address| (address, probe)))
            .filter(|(address, probe)| is_meant(address, probe))
            .map(|(address, probe)| (self.played_by[address], probe.clone()))
            .collect();
        asked.sort();
        asked.dedup();
        asked
    }

    /// Lays out a sample's outcome for the probes to come.
    fn push(&mut self, what: &What) {
        let What::Samples { outcome, times, .. } = what else { return };
        let status = match outcome {
            Outcome::Ok => 200,
            Outcome::Fails(_) => 503,
            Outcome::Discarded | Outcome::NoRoute => {
                panic!("no site can make this host stall or lose its routes")
            }
        };
        for (address, probe) in self.asked(what) {
            let site = self.sites.iter_mut().find(|site| site.addresses == [address]).unwrap();
            for _ in 0..*times {
                site.be(&format!("push /{probe} {status}"));
            }
        }
    }

    /// Waits until everything laid out was answered, and each check has a sample later than `before`.
    fn drain(&mut self, before: &BTreeMap<String, u64>, asked: &[(IpAddr, String)]) {
        for (address, probe) in asked {
            let site = self.sites.iter_mut().find(|site| site.addresses == [*address]).unwrap();
            site.be(&format!("drain /{probe}"));
        }
        let is_later = |(key, at): (&String, &u64)| {
            let about = |(address, probe): &(IpAddr, String)| is_about(key, *address, probe);
            !asked.iter().any(about) || before.get(key).is_none_or(|before| at > before)
        };
        until("the samples have come", || self.newest().iter().all(is_later).then_some(()));
    }

    /// When the newest sample of each check was taken.
    fn newest(&self) -> BTreeMap<String, u64> {
        let status = self.detour.json("/v1/status");
        let checks = status["engine"]["checks"].as_array().unwrap().iter();
        checks
            .map(|check| (check["key"].to_string(), check["recent"][0]["at"].as_u64().unwrap_or(0)))
            .collect()
    }

    /// Whether a sample could change a health: one more success of what is Up, or one more failure of what
    /// is Down, does not, and comes by itself.
    fn changes_something(&self, what: &What) -> bool {
        let What::Samples { outcome, .. } = what else { return false };
        let settled = if matches!(outcome, Outcome::Ok) { "up" } else { "down" };
        let status = self.detour.json("/v1/status");
        let asked = self.asked(what);
        status["engine"]["checks"].as_array().unwrap().iter().any(|check| {
            let key = check["key"].to_string();
            asked.iter().any(|(address, probe)| is_about(&key, *address, probe)) && check["health"] != settled
        })
    }

    /// Waits for a decision that is as expected, not before the last one that was; gives the service.
    fn check(&mut self, at: &str, expect: &Expect) -> Option<String> {
        for zone in self.setup.zones.keys() {
            let soa = self.detour.ask(zone, "SOA");
            let serial = Serial(soa.data()[0].split(' ').nth(2).unwrap().parse().unwrap());
            let before = self.serial.insert(zone.clone(), serial).unwrap_or(serial);
            assert!(
                !before.is_after(serial),
                "{at}: the serial of {zone} goes back from {before} to {serial}"
            );
        }
        if expect.refused.is_some() {
            let told = self.told.as_ref().unwrap_or_else(|| panic!("{at}: no command before"));
            assert!(told.code == 1 && !told.stderr.is_empty(), "{at}: {told:?}");
        }
        let service = expect.service.clone().or_else(|| self.setup.services.keys().next().cloned())?;
        if let (Some(client), Some(records)) = (expect.from, &expect.records) {
            self.answers_client(at, &service, client, expect.scope, records);
            return Some(service);
        }
        if !expect.shares.is_empty() {
            return Some(service);
        }
        // Whether a new service is still undecided depends on when one looks.
        if expect.undecided || expect.records.is_none() && expect.ttl.is_none() {
            return None;
        }
        let seen = self.seen.get(&service).copied().unwrap_or(0);
        let mut had = Vec::new();
        let found = until(&format!("{at} holds"), || {
            had = self.decisions(&service);
            let fits = |decision: &Decision| {
                expect.records.as_ref().is_none_or(|records| texts(&decision.records) == self.real(records))
                    && expect.ttl.is_none_or(|ttl| decision.ttl == ttl)
            };
            (seen..had.len()).find(|&index| fits(&had[index]))
        });
        self.seen.insert(service.clone(), found);
        Some(service)
    }

    /// What a client is answered in the end.
    fn answers(&self, file: &str, service: &str, records: &[(String, String)]) {
        until(&format!("{file}: {service} answers {records:?}"), || {
            let real = self.real(records);
            let is_answered = |rtype: &str| {
                let wanted: Vec<&str> =
                    real.iter().filter(|record| record.0 == rtype).map(|record| record.1.as_str()).collect();
                self.detour.ask(service, rtype).data() == wanted
            };
            ["A", "AAAA"].into_iter().all(is_answered).then_some(())
        });
    }

    /// Waits until a client is answered this, in this scope.
    fn answers_client(
        &self,
        at: &str,
        service: &str,
        client: IpAddr,
        scope: Option<u8>,
        records: &[(String, String)],
    ) {
        let real = self.real(records);
        until(&format!("{at}: {client} is answered {records:?}"), || {
            let is_answered = |rtype: &str| {
                let wanted: Vec<&str> =
                    real.iter().filter(|record| record.0 == rtype).map(|record| record.1.as_str()).collect();
                let got = dig_for(self.detour.dns, service, rtype, &client.to_string());
                got.data == wanted && scope.is_none_or(|scope| got.scope == Some(scope))
            };
            ["A", "AAAA"].into_iter().all(is_answered).then_some(())
        });
    }

    /// Every decision on a service, the first one first.
    fn decisions(&self, service: &str) -> Vec<Decision> {
        let path = format!("/v1/history?limit=1000&service={service}");
        let entries: Vec<Entry> = serde_json::from_value(self.detour.json(&path)["entries"].take()).unwrap();
        let decision = |entry: Entry| match entry.what {
            Happened::Decision(decision) => Some(decision),
            _ => None,
        };
        entries.into_iter().rev().filter_map(decision).collect()
    }

    /// The scenario's records, with the addresses that play them, sorted.
    fn real(&self, records: &[(String, String)]) -> Vec<(String, String)> {
        let real = |value: &String| match value.parse().ok().and_then(|address| self.played_by.get(&address))
        {
            Some(address) => address.to_string(),
            None => value.clone(),
        };
        let mut real: Vec<_> = records.iter().map(|(rtype, value)| (rtype.clone(), real(value))).collect();
        real.sort();
        real
    }
}

/// Whether a check's key, as JSON, is of this probe at this address.
fn is_about(key: &str, address: IpAddr, probe: &str) -> bool {
    key.contains(&format!("\"{address}\"")) && key.contains(&format!("\"{probe}\""))
}

/// Type and value of each record, sorted.
fn texts(sets: &[RrSet]) -> Vec<(String, String)> {
    let text = |rtype: RrType, rdata: &[u8]| match rtype {
        RrType::A => ("A".into(), Ipv4Addr::from(<[u8; 4]>::try_from(rdata).unwrap()).to_string()),
        RrType::AAAA => ("AAAA".into(), Ipv6Addr::from(<[u8; 16]>::try_from(rdata).unwrap()).to_string()),
        other => panic!("a steered record of type {other:?}"),
    };
    let mut texts: Vec<_> =
        sets.iter().flat_map(|set| set.rdata.iter().map(move |rdata| text(set.rtype, rdata))).collect();
    texts.sort();
    texts
}
