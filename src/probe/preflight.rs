//! What this host does not let its probes do, known before any of them runs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nix::sys::resource::{Resource, getrlimit};

use super::echo::Family;
use super::icmp;
use super::prober::{slow_of, within};
use crate::model::{Config, ProbeKind, Seconds, Surroundings, Whereto, worst_case};

/// How many slow probe runs this host lets the daemon have under way at once. The daemon raises its limit on open
/// files as far as it may, so that is the one that counts.
pub fn slow_runs() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).ok().and_then(|(_, hard)| usize::try_from(hard).ok());
    slow_of(within(files.unwrap_or(usize::MAX)))
}

/// One line where the checks of a site are too many for all of them to be under way at once, so that the worst case
/// of a service is longer than its probes alone make it.
pub fn crowding(config: &Config) -> Option<String> {
    crowding_at(config, slow_runs())
}

fn crowding_at(config: &Config, slow_runs: usize) -> Option<String> {
    let surroundings = Surroundings::of(config, slow_runs);
    let (site, turns) = surroundings.turns.iter().max_by_key(|(_, turns)| turns.run + turns.command)?;
    let room = Surroundings { turns: BTreeMap::new(), ..surroundings.clone() };
    let longer = config.services.iter().filter_map(|service| {
        let [with, without] = [&surroundings, &room].map(|around| worst_case(service, around).total);
        (with > without).then_some((with, without, &service.name))
    });
    let longer: Vec<_> = longer.collect();
    let count = longer.len();
    let (with, without, name) = longer.into_iter().max_by_key(|(with, ..)| *with)?;
    let (limit, help) = if turns.run.is_zero() {
        let max = config.server.max_exec;
        (format!("max_exec = {max} lets {max} commands run"), "raise max_exec in [server]")
    } else {
        let lets = format!("the limit on open files lets {slow_runs} slow probe runs be under way");
        (lets, "raise the hard limit: LimitNOFILE= in the systemd unit, or ulimit -Hn")
    };
    let name = name.to_string();
    let (name, with, without) = (name.trim_end_matches('.'), Seconds(with), Seconds(without));
    let services = if count == 1 { "1 service".to_owned() } else { format!("{count} services") };
    Some(format!(
        "{limit} at once, fewer than site \"{site}\" has checks: when all of them hang, they take turns. \
         The worst case of {services} is longer for that, that of {name} {with} and not {without}; {help}"
    ))
}

/// One line for each lack that has every run of some of these probes discarded, so that nobody takes
/// endpoints for watched that are not. Opens a socket and closes it; sends nothing.
pub fn warnings(config: &Config) -> Vec<String> {
    let pings = |probe: &crate::model::Probe| matches!(probe.kind, ProbeKind::Icmp(_));
    let mut asked = Vec::new();
    for service in config.services.iter().filter(|service| service.probes.leaves().any(|probe| pings(probe)))
    {
        for whereto in service.endpoints.iter().flat_map(crate::model::Endpoint::places) {
            // A name's family is not known; every host is taken to have IPv4.
            let family = match whereto {
                Whereto::Addr(addr) => Family::of(addr),
                Whereto::Name(_) => Family::of(IpAddr::from([0, 0, 0, 0])),
            };
            if !asked.contains(&family) {
                asked.push(family);
            }
        }
        if asked.len() == 2 {
            break;
        }
    }
    let lacks = asked.into_iter().filter_map(|family| icmp::open(family).err());
    let mut warnings: Vec<String> =
        lacks.map(|why| format!("warning: icmp probes will say nothing: {why}")).collect();
    warnings.dedup();
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 300 services, each with an address of its own at both sites.
    fn many() -> Config {
        let head = "[sites.a]\n[sites.b]\n[probes.web]\ntype = \"tcp\"\nport = 80\n[[zone]]\nname = \"r.example\"\nfile = \"z\"\n";
        let service = |n: u32| {
            let (high, low) = (n / 250, n % 250 + 1);
            format!(
                "[[service]]\nname = \"s{n}.r.example\"\nprobes = [\"web\"]\nendpoints = [\
                 {{ site = \"a\", addresses = [\"192.0.{high}.{low}\"] }}, {{ site = \"b\", addresses = [\"198.51.{high}.{low}\"] }}]\n"
            )
        };
        let services: Vec<String> = (0..300).map(service).collect();
        let text = format!("{head}{}", services.concat());
        crate::config::recall(std::path::Path::new("/detour.toml"), &text)
            .unwrap_or_else(|report| panic!("{report}"))
    }

    #[test]
    fn the_promise_counts_the_turns_that_a_low_limit_on_open_files_makes() {
        let config = many();
        assert_eq!(crowding_at(&config, 300), None);
        // 128 files: 64 runs, 48 of them slow, so the 300 checks of a site that hangs take 7 turns of 2 s. The first of
        // 3 runs begins after the interval of 5 s.
        let slow = slow_of(within(128));
        let sum = worst_case(&config.services[0], &Surroundings::of(&config, slow)).to_string();
        assert_eq!(sum, "detection 47s + publish 0.1s + TTL 30s = 77.1s");
        let told = crowding_at(&config, slow).unwrap();
        assert!(told.contains("lets 48 slow probe runs be under way at once"), "{told}");
        assert!(told.contains("The worst case of 300 services is longer"), "{told}");
        assert!(told.contains("77.1s and not 41.1s"), "{told}");
    }
}
