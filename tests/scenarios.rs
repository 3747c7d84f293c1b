//! Timelines: each file in `tests/scenarios/` is a story that the engine has to tell the same way.

#[path = "scenarios/effects.rs"]
mod effects;
#[path = "scenarios/language.rs"]
mod language;
#[path = "scenarios/load.rs"]
mod load;
#[path = "scenarios/run.rs"]
mod run;
#[path = "scenarios/setup.rs"]
mod setup;
#[path = "scenarios/world.rs"]
mod world;

/// A test for each file, and one that none is forgotten.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run::run(
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
    any_probe
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
    two_of_three_probes
    canary_and_a_real_outage
    canary_outage
    damping
    damping_all_down
    damping_and_failback
    maintenance
    maintenance_and_drain
    stale
    window
    approve_and_recovery
    approve_and_restart
    approve_and_nobody_answers
    approve_failback
    delay_and_flap
    drain_and_outage_with_approval
    safety_in_a_disaster
    safety_false_alarm
    safety_warns
    safety_and_drain
    safety_min_sites
    failback_in_steps
    failback_in_steps_and_outage
    failback_in_steps_by_approval
    capacity_and_outage
}
