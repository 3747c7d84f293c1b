//! Timelines: each file in `tests/scenarios/` is a story that the engine has to tell the same way.

#[path = "scenarios/effects.rs"]
mod effects;
#[path = "scenarios/foresight.rs"]
mod foresight;

use detour::simulate::scenario::{load, parse, run};

/// Runs a scenario file; panics with the file and line of what is not as expected.
fn play(file: &str, text: &str) {
    let scenario = parse(text).unwrap_or_else(|why| panic!("tests/scenarios/{file}: {why}"));
    let load = load(&scenario.setup).unwrap_or_else(|why| panic!("{file}: {why}"));
    let played = run(scenario, load, None, |_| ());
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
    all_in_turns
    all_that_work
    any_probe
    approve_an_emptied_family
    approve_and_nobody_answers
    approve_and_recovery
    approve_and_restart
    approve_failback
    approve_from_nothing
    approve_nothing_to_leave
    approve_over_capacity
    canary_and_a_real_outage
    canary_outage
    capacity_and_outage
    cname_targets
    cold_start_primary_dead
    cold_start_primary_slow
    damping
    damping_all_down
    damping_and_failback
    delay_and_flap
    discarded
    drain
    drain_and_outage_with_approval
    drain_of_the_last_endpoint
    drain_of_the_last_family
    failback_hold_resets
    failback_in_steps
    failback_in_steps_and_outage
    failback_in_steps_by_approval
    failback_in_steps_moves_its_share_alone
    failback_manual
    failover
    families_and_a_cname
    families_and_safety
    families_by_approval
    families_by_query
    families_failback_manual
    families_frozen
    families_in_maintenance
    families_never_given
    families_nowhere
    families_of_groups
    families_together
    families_wait_on
    file_records
    flapping
    force
    geo_all_down
    geo_drain_and_outage
    geo_falls_through
    geo_of_failover_of_weighted
    geo_one_family_dead
    group_operator_failover
    maintenance
    maintenance_and_drain
    min_up_count
    min_up_share
    no_ipv6_here
    no_route_anywhere
    no_route_of_one_family
    no_route_to_one_site
    nothing_verified
    one_family_dead
    one_site_many_services
    only_what_has_passed_is_moved_to
    operator_failover
    override_in_first_round
    reject_one_of_two_moves
    reload_adds_a_place_that_is_up
    reload_in_an_outage
    reload_of_one_family_that_fails
    reload_to_a_dead_address_in_an_outage
    reload_to_an_address_and_approval
    reload_to_an_address_that_fails
    reload_to_an_address_without_results
    restart_in_an_outage
    safety_and_drain
    safety_false_alarm
    safety_in_a_disaster
    safety_min_sites
    safety_warns
    serial_without_services
    serials
    several_probes
    stale
    stalls
    stalls_and_a_delay
    stalls_and_canaries
    stalls_and_proposals
    stalls_in_the_steps_of_a_failback
    sticky_moves_no_more_than_it_must
    suspect_ttl
    three_sites
    two_of_three_probes
    unknown_is_better_than_down
    unknown_standby_by_hand
    weight_zero_drains
    weighted_and_damping
    weighted_by_query
    weighted_drain_and_outage
    weighted_one_family_dead
    weighted_slow_start
    weighted_unknown_is_better_than_down
    window
}

/// The sample of a scenario against the sample of a configuration, as people run it; and what they are told
/// when it does not hold.
#[test]
fn the_sample_scenario_holds_for_the_sample_configuration() {
    let zones = concat!(env!("CARGO_MANIFEST_DIR"), "/zones");
    let simulate = |file: &str, more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_detour"));
        let output =
            command.args(["simulate", file, "-c", &format!("{zones}/detour.toml")]).args(more).output();
        let output = output.expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let sample = format!("{zones}/fra-fails.scenario");
    let (code, said, told) = simulate(&sample, &[]);
    assert_eq!((code, told.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("12.02s  decision 3: app.example.com. from iad, TTL 30: fra Down"), "{said}");
    let (_, json, _) = simulate(&sample, &["--json"]);
    let page: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((page["expectations"].as_u64(), page["failure"].is_null()), (Some(5), true));

    let folder = tempfile::tempdir().expect("a folder");
    let check = |text: &str, expect: &str| {
        let file = folder.path().join("own.scenario").display().to_string();
        std::fs::write(&file, text).expect("it is written");
        let (code, _, told) = simulate(&file, &[]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(&format!("own.scenario:{expect}")), "{told}");
    };
    check("at 0s fra ok, iad ok\nexpect A 198.51.100.10", "2: records: got");
    check("at 0s fra ok, ams ok", "1: there is no site ams");
    check("service app.example.com failover fra iad", "1: \"service\": with a configuration file");
    check(
        "at 0s drain nobody.example.com \"why\"\nexpect app.example.com undecided",
        "2: refused: there is no",
    );
}
