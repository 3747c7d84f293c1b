//! Timelines: each file in `tests/scenarios/` is a story that the engine has to tell the same way.

#[path = "scenarios/effects.rs"]
mod effects;

use detour::scenario::{load, parse, run};

/// Runs a scenario file; panics with the file and line of what is not as expected.
fn play(file: &str, text: &str) {
    let scenario = parse(text).unwrap_or_else(|why| panic!("tests/scenarios/{file}: {why}"));
    let load = load(&scenario.setup).unwrap_or_else(|why| panic!("{file}: {why}"));
    let played = run(scenario, load, |_| ());
    let expectations = played.unwrap_or_else(|why| panic!("tests/scenarios/{file}: {why}"));
    assert!(expectations > 0, "{file} expects nothing");
}

/// A test for each file, and one that none is forgotten.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(
                concat!(stringify!($name), ".scenario"),
                include_str!(concat!("scenarios/", stringify!($name), ".scenario")),
            );
        })*

        #[test]
        fn every_file_is_a_test() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
            let files = std::fs::read_dir(folder).expect("the folder of scenarios");
            let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
            let mut names: Vec<String> =
                names.filter_map(|name| Some(name.strip_suffix(".scenario")?.to_owned())).collect();
            names.sort();
            let mut listed = vec![$(stringify!($name).to_owned()),*];
            listed.sort();
            assert_eq!(names, listed);
        }
    };
}

scenarios! {
    all_down_all
    all_down_empty
    all_down_fallback
    all_down_keep
    all_down_primary
    cname_targets
    cold_start_primary_dead
    cold_start_primary_slow
    discarded
    drain
    failback_hold_resets
    failback_manual
    failover
    file_records
    flapping
    force
    no_ipv6_here
    nothing_verified
    one_family_dead
    one_site_many_services
    operator_failover
    override_in_first_round
    reload_in_an_outage
    restart_in_an_outage
    serial_without_services
    serials
    several_probes
    suspect_ttl
    three_sites
    canary_and_a_real_outage
    canary_outage
    damping
    damping_all_down
    damping_and_failback
    maintenance
    maintenance_and_drain
    stale
    window
}
