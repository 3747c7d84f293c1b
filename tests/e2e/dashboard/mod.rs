//! The dashboard as people use it: a real daemon, real sites, and a browser that looks, clicks and types.

mod accessible;
mod browser;
mod pictures;
mod token;

use std::fmt::Write as _;
use std::sync::PoisonError;

use crate::harness::{APP, Detour, MACHINE, Setup, World, config, own_address, until, zone};
use crate::peers::ports::free_port;
use browser::{Browser, ENTER, ESCAPE, TAB};

impl World {
    /// The daemon's page, once it shows what there is.
    fn page(&self, path: &str) -> Browser {
        open(&self.detour, path)
    }
}

fn open(detour: &Detour, path: &str) -> Browser {
    let browser = Browser::open(&format!("http://{}/{path}", detour.control));
    browser.size(1280, 900);
    browser.sees("#state", "service");
    browser
}

/// The page went on without an error, and did nothing that its policy forbids.
fn all_was_well(browser: &Browser) {
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_site_that_dies_changes_the_page_without_a_reload() {
    let mut world =
        World::start(&Setup { failback: "{ mode = \"auto\", hold = \"2s\" }", ..Setup::default() });
    world.settles_on_fra();
    let browser = world.page("");
    browser.sees("#state", "The one service is served from where it should be");
    browser.sees("#link", "Live");
    browser.js("window.untouched = true");
    world.fra.kill();
    browser.sees("#state", "app.example.com moved off fra (Down: 3 of 3 failed, connection refused)");
    browser.sees("#services tbody", &world.iad.addresses[0].to_string());
    browser.sees("#services tbody", "Moved");
    browser.sees("#sites .card", "answers 0 services, 1 moved off");
    browser.sees("#news", "moved off fra");
    world.fra.revive();
    browser.sees("#state", "The one service is served from where it should be");
    browser.sees("#services tbody", "In place");
    assert_eq!(browser.js("return window.untouched"), true, "the page was loaded once");
    all_was_well(&browser);
}

#[test]
fn a_drain_by_clicks_has_a_reason_and_a_preview_and_moves_the_answer() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let browser = world.page("");
    browser.click("button[aria-label='Drain fra']");
    let preview = browser.sees("#act-preview", "1 service moves");
    assert!(preview.contains("app.example.com from fra to iad"), "{preview}");
    assert!(!browser.is_enabled("#act-do"), "without a reason it cannot be pressed");
    assert_eq!(browser.text("#act-result"), "Write a reason: it is kept in the history.");
    world.settles_on_fra();
    browser.click("#act-reason");
    browser.press("disk swap");
    browser.click("#act-who");
    browser.press("ana");
    browser.click("#act-do");
    browser.sees("#act-result", "Done. app.example.com is answered from iad.");
    world.settles_on_iad();
    browser.click("#act-cancel");
    browser.sees("#state", "app.example.com moved off fra (drained by ana: disk swap (samples say Up))");
    assert!(world.detour.told(&["history"]).contains("disk swap"));

    // What cannot be done says so beforehand.
    browser.click("#services tbody th a");
    browser.sees("#detail", "What can happen next");
    browser.click("#detail button[data-act=failback]");
    browser.sees("#act-preview", "It would be refused");
    browser.press("try");
    assert!(!browser.is_enabled("#act-do"));
    browser.press(ESCAPE);

    browser.js("scrollTo(0, 0)");
    browser.click("#sites button[aria-label='Undrain fra']");
    browser.sees("#act-preview", "concerned stays");
    browser.press("swapped");
    browser.press(ENTER);
    browser.sees("#act-result", "Done.");
    world.settles_on_fra();
    all_was_well(&browser);
}

#[test]
fn a_keyboard_is_enough() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let browser = world.page("");
    browser.press("/");
    assert!(browser.focused().starts_with("input#search"), "{}", browser.focused());
    browser.press("nothing like it");
    browser.sees("#services", "No service is what you look for.");
    browser.js("document.getElementById('search').value = ''; \
                document.getElementById('search').dispatchEvent(new Event('input', { bubbles: true }))");
    browser.sees("#services tbody", APP);
    browser.press(TAB);
    browser.press(TAB);
    browser.press(TAB);
    assert!(browser.focused().contains(APP), "{}", browser.focused());
    browser.press(ENTER);
    browser.sees("#detail", "Sites, the preferred first");
    assert!(browser.js("return location.hash").as_str().unwrap().ends_with(APP));
    until("the failover has the focus", || {
        browser.press(TAB);
        browser.focused().contains("Fail over").then_some(())
    });
    browser.press(ENTER);
    browser.sees("#act-preview", "app.example.com from fra to iad");
    assert!(browser.focused().starts_with("input#act-reason"), "{}", browser.focused());
    browser.press("a drill");
    browser.press(ENTER);
    browser.sees("#act-result", "answered from iad");
    world.settles_on_iad();
    assert!(browser.focused().contains("Close"), "{}", browser.focused());
    browser.press(ENTER);
    assert!(
        browser.focused().contains("Fail over"),
        "it goes back to where it came from: {}",
        browser.focused()
    );
    browser.sees("#detail", "latched by an operator");
    browser.press(ESCAPE);
    until("the details are closed", || browser.text("#detail").is_empty().then_some(()));
    assert!(browser.focused().contains(APP), "{}", browser.focused());
    all_was_well(&browser);
}

#[test]
fn what_is_looked_for_is_found_among_ten_thousand() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let setup = Setup::default();
    let sites = crate::site::sites(&[vec![own_address()], vec![own_address()]]);
    let [fra, iad] = [sites[0].addresses[0], sites[1].addresses[0]];
    let mut text = config(&setup, sites[0].port, &[fra], &[iad]);
    text.push_str("[probes.port]\ntype = \"tcp\"\n");
    // Once each: on a busy machine ten thousand services would move to and fro for results that come late.
    let _ = writeln!(text, "port = {}\ninterval = \"1h\"\ntimeout = \"60s\"", sites[0].port);
    for service in 0..10_000 {
        let _ = writeln!(
            text,
            "[[service]]\nname = \"s{service}.example.com\"\nprobes = [\"port\"]\nendpoints = [\
             {{ site = \"fra\", addresses = [\"{fra}\"] }}, {{ site = \"iad\", addresses = [\"{iad}\"] }}]"
        );
    }
    let detour = Detour::start(&text, &zone(1, ""));
    let browser = open(&detour, "");
    browser.sees("#found", "10001 services");
    browser.sees("#pages", "1 to 50 of 10001");
    assert_eq!(browser.js("return document.querySelectorAll('#services tbody tr').length"), 50);
    browser.press("/");
    browser.press("s9876");
    browser.sees("#found", "1 of 10001 services");
    browser.sees("#services tbody", "s9876.example.com");
    browser.js("document.getElementById('search').select()");
    browser.press("s99");
    browser.sees("#found", "111 of 10001 services");
    browser.click("#pages button:last-child");
    browser.sees("#pages", "101 to 111 of 111");
    all_was_well(&browser);
}

#[test]
fn a_daemon_that_is_silent_or_gone_is_told_loudly() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    // So that it is found again where it was.
    world.detour.edit_config(
        "[control]\nlisten = \"127.0.0.1:0\"",
        &format!("[control]\nlisten = \"127.0.0.1:{}\"", free_port()),
    );
    assert_eq!(world.detour.stop(), 0);
    world.detour.start_again();
    let browser = world.page("");
    browser.sees("#link", "Live");
    assert_eq!(browser.text("#lost"), "");
    world.detour.signal("STOP");
    let lost = browser.sees("#lost", "What you see is old, and may be wrong.");
    assert!(lost.contains("As of ") && lost.contains(" ago"), "{lost}");
    browser.sees("#link", "No news");
    world.detour.signal("CONT");
    until("it is well again", || browser.text("#lost").is_empty().then_some(()));
    browser.sees("#link", "Live");
    world.detour.kill();
    browser.sees("#lost", "Detour does not answer");
    world.detour.start_again();
    until("it is well again", || browser.text("#lost").is_empty().then_some(()));
    browser.sees("#state", "The one service is served");
    let strange: Vec<String> =
        browser.complaints().into_iter().filter(|line| !line.contains("net::ERR_")).collect();
    assert_eq!(strange, [""; 0]);
}

#[test]
fn a_move_that_waits_is_seen_and_approved() {
    let approve = "failover = { mode = \"approve\", wait = \"10m\", unanswered = \"stay\" }";
    let mut world = World::start(&Setup { service: approve, ..Setup::default() });
    world.settles_on_fra();
    let browser = world.page("");
    world.fra.kill();
    browser.sees("#state .alarm", "app.example.com is still answered from fra (Down: 3 of 3 failed");
    browser.sees("#services tbody", "the move to iad waits for somebody to approve it");
    browser.sees("#watch", "Moves that wait for you");
    browser.click("#watch button[data-act=approve]");
    browser.sees("#act-preview", "app.example.com from fra to iad");
    browser.press("it is really dead");
    browser.press(ENTER);
    browser.sees("#act-result", "Done. app.example.com is answered from iad.");
    world.settles_on_iad();
    browser.sees("#state", "moved off fra");
    all_was_well(&browser);
}
