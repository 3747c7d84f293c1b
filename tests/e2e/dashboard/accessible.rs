//! The page for those who do not see colours, or nothing; who have no mouse, a narrow screen, a dark room.

use super::browser::{Browser, ESCAPE, TAB};
use super::{all_was_well, open};
use crate::harness::{Setup, World};

/// Looks for what would keep somebody from using what is shown now.
fn nothing_is_in_the_way(browser: &Browser, place: &str) {
    let found = browser.js(include_str!("accessible.js"));
    assert_eq!(found, serde_json::json!([]), "{place}");
}

/// Nothing is cut off at the right, or has to be moved into view.
fn fits_its_width(browser: &Browser, place: &str) {
    let widths = browser.js(
        "const { scrollWidth, clientWidth } = document.documentElement; return [scrollWidth, clientWidth]",
    );
    assert!(widths[0].as_u64() <= widths[1].as_u64(), "{place} is {} wide in {}", widths[0], widths[1]);
}

#[test]
fn everybody_can_use_it_in_any_light_and_on_any_width() {
    let mut world = World::start(&Setup { service: "rto = \"60s\"", ..Setup::default() });
    world.settles_on_fra();
    world.detour.told(&["drain", "iad", "--reason", "new routers", "--for", "1h"]);
    let browser = open(&world.detour, "");
    browser.sees("#watch", "new routers");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        nothing_is_in_the_way(&browser, &format!("the first page, {scheme}"));
    }
    world.detour.told(&["undrain", "iad"]);
    world.fra.kill();
    browser.sees("#state", "moved off fra");
    browser.click("#services tbody th a");
    browser.sees("#detail", "Sites, the preferred first");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        nothing_is_in_the_way(&browser, &format!("a service whose site is dead, {scheme}"));
    }
    for width in [1600, 1280, 1024, 768, 400, 320] {
        browser.size(width, 800);
        fits_its_width(&browser, &format!("a service at {width} pixels"));
    }
    nothing_is_in_the_way(&browser, "a service at 320 pixels");
    browser.click("#sites button[aria-label='Drain iad']");
    browser.sees("#act-preview", "would have no site that works");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        nothing_is_in_the_way(&browser, &format!("the dialog, {scheme}"));
    }
    fits_its_width(&browser, "the dialog at 320 pixels");
    browser.press(ESCAPE);
    browser.js("location.hash = '#/'");
    fits_its_width(&browser, "the first page at 320 pixels");
    all_was_well(&browser);
}

#[test]
fn the_focus_is_seen_and_goes_through_the_page_in_its_order() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let browser = open(&world.detour, "");
    browser.js("document.activeElement.blur()");
    let mut order = Vec::new();
    for _ in 0..11 {
        browser.press(TAB);
        order.push(browser.focused());
        let ring = browser.js("return getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(ring, "solid", "the focus is seen on {order:?}");
    }
    let expect = [
        "a# Skip to the services",
        "a# Detour",
        "button#theme Theme: auto",
        "a# fra",
        "button# Drain fra",
        "a# iad",
        "button# Drain iad",
        "input#search",
        "select#show",
        "select#at",
        "a# app.example.com",
    ];
    let starts: Vec<&str> =
        order.iter().zip(expect).map(|(at, want)| &at[..want.len().min(at.len())]).collect();
    assert_eq!(starts, expect);
    assert_eq!(browser.js("return document.documentElement.dataset.theme"), "auto");
    browser.click("#theme");
    browser.click("#theme");
    assert_eq!(browser.js("return getComputedStyle(document.documentElement).colorScheme"), "dark");
    browser.js("location.reload()");
    browser.sees("#theme", "Theme: dark");
    all_was_well(&browser);
}
