//! When a service moves: what is read, and what is refused.

use std::time::Duration;

use detour::model::{Approval, Failback, Moving, OnLimit, Safety, Unanswered};

use crate::refused::{check, check_head, service};
use crate::{HEAD, folder, loaded};

const ENDPOINTS: &str = "probes = [\"web\"]\nendpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }, { site = \"iad\", addresses = [\"198.51.100.10\"] }]";

fn of_service(line: &str) -> (Failback, Moving) {
    let text = format!("{HEAD}[[service]]\nname = \"app.example.com\"\n{line}\n{ENDPOINTS}");
    let service = loaded(&text).config.services[0].clone();
    (service.failback, service.moving.clone())
}

fn refused(line: &str) -> String {
    service(&format!("name = \"app.example.com\"\n{line}"))
}

#[test]
fn a_move_waits_for_nothing_unless_told_to() {
    let (failback, moving) = of_service("");
    assert_eq!(failback, Failback::Auto { hold: Duration::from_secs(60) });
    assert_eq!(moving, Moving { step_hold: Duration::from_secs(60), ..Moving::default() });
    assert_eq!(
        loaded(&format!("{HEAD}[[service]]\nname = \"app.example.com\"\n{ENDPOINTS}")).config.safety,
        Safety::default()
    );
}

#[test]
fn delay_approval_and_steps_are_read() {
    let (_, moving) = of_service(
        "failover = { mode = \"approve\", delay = \"10s\", wait = \"5m\", unanswered = \"stay\" }\nexempt_from_safety = true\nload = 7\nshed = true",
    );
    let approval = Approval { wait: Duration::from_secs(300), unanswered: Unanswered::Stay };
    assert_eq!((moving.delay, moving.approval), (Duration::from_secs(10), Some(approval)));
    assert_eq!((moving.exempt, moving.load, moving.shed), (true, 7, true));
    let (failback, moving) = of_service(
        "failback = { mode = \"approve\", hold = \"9s\", steps = [1, 10, 100], step_hold = \"2m\" }",
    );
    assert_eq!(failback, Failback::Auto { hold: Duration::from_secs(9) });
    // The last step is the move itself.
    assert_eq!((moving.approve_failback, &moving.steps[..]), (true, &[1, 10][..]));
    assert_eq!(moving.step_hold, Duration::from_secs(120));
}

#[test]
fn safety_rules_are_read() {
    let text = format!(
        "{HEAD}[safety]\nmax_switches_per_hour = 20\nmax_share_moved = \"30%\"\nshare_window = \"10m\"\nmin_sites_in_service = 2\non_limit = \"warn\"\n[[service]]\nname = \"app.example.com\"\n{ENDPOINTS}"
    );
    let want = Safety {
        max_switches_per_hour: Some(20),
        max_share_moved: Some(30),
        window: Duration::from_secs(600),
        min_sites_in_service: Some(2),
        on_limit: OnLimit::Warn,
    };
    assert_eq!(loaded(&text).config.safety, want);
}

#[test]
fn moves_that_cannot_be_are_refused() {
    check_head(
        &refused("failback = { steps = [10, 1, 100] }"),
        "detour.toml:15:22: error: the steps of a failback do not grow up to 100",
    );
    check_head(
        &refused("failover = { wait = \"5m\" }"),
        "detour.toml:15:14: error: \"wait\" means nothing to a failover that nobody approves",
    );
    check_head(
        &refused("failover = { mode = \"approve\", unanswered = \"stay\" }\nrto = \"1h\""),
        "detour.toml:16:7: error: rto promises a time, and failover waits for an approval for as long as it takes",
    );
    check_head(
        &folder("[safety]\nmax_share_moved = \"0%\"").report(),
        "detour.toml:14:19: error: \"0%\" is not a share from 1% to 100%",
    );
}

#[test]
fn what_holds_a_move_is_for_policy_failover() {
    let keys = "name = \"app.example.com\"\npolicy = \"weighted\"\nfailback = { hold = \"5s\" }\n";
    let shared = |line: &str| service(&format!("{keys}{line}"));
    check(
        &shared("failover = { delay = \"10s\" }"),
        r#"
detour.toml:17:12: error: failover is for policy failover, without members, groups and min_up
    failover = { delay = "10s" }
               ^^^^^^^^^^^^^^^^^
    help: leave it out: there is no one endpoint that all clients of this service use
"#,
    );
    for (line, what) in
        [("exempt_from_safety = true", "22: error: exempt_from_safety"), ("shed = true", "8: error: shed")]
    {
        let want =
            format!("detour.toml:17:{what} is for policy failover, without members, groups and min_up");
        check_head(&shared(line), &want);
    }
    let want = "detour.toml:16:12: error: a failback by approval or in steps is for policy failover, without members, groups and min_up";
    check_head(&refused("policy = \"all\"\nfailback = \"approve\""), want);
    check_head(&refused("policy = \"all\"\nfailback = { steps = [10, 100] }"), want);
    let geo = "[geo.world]\ndefault = [\"fra\"]\n[[service]]\nname = \"app.example.com\"\npolicy = \"geo\"\ngeo = \"world\"\nload = 7";
    check_head(
        &folder(&format!("{geo}\n{ENDPOINTS}")).report(),
        "detour.toml:19:8: error: load of a service with a geo group is not known: nobody knows how many clients are near which site",
    );
    let tree = "[[service]]\nname = \"app.example.com\"\nmin_up = 2\nfailback = \"approve\"";
    check_head(&folder(&format!("{tree}\n{ENDPOINTS}")).report(), want);
}
