//! The pictures of docs/screenshots: the demo before, during and after its failover. They are taken anew by
//!
//! ```text
//! DETOUR_SCREENSHOTS=docs/screenshots cargo test --test e2e pictures
//! ```
//!
//! and otherwise go to a folder that goes away, so that what is shown in the docs is known to come about.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;

use base64::Engine as _;

use super::all_was_well;
use super::browser::Browser;
use crate::harness::{MACHINE, until};
use crate::site::signal;

/// The longest a picture may be, in bytes: it is in everybody's clone.
const MAX_PICTURE: usize = 150_000;
/// How long the demo shows each of its parts: longer than three pictures take on a busy machine.
const PAUSE: &str = "10s";

/// The window's size, the person's preference, and what the picture is called for it.
const WAYS: &[(u32, u32, &str, &str)] =
    &[(1280, 860, "light", "light"), (1280, 860, "dark", "dark"), (390, 844, "light", "narrow")];

#[test]
fn the_demo_is_pictured_before_during_and_after_its_failover() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let elsewhere = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("DETOUR_SCREENSHOTS");
    let folder = asked.map_or_else(|| elsewhere.path().to_owned(), PathBuf::from);
    // Before the demo: its clock runs, and other tests may have the browser.
    let browser = Browser::open("about:blank");
    let mut demo = Demo(
        Command::new(env!("CARGO_BIN_EXE_detour"))
            .args(["demo", "--stay", "--pause", PAUSE])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut said = BufReader::new(demo.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let page = said.find_map(|line| Some(line.split_once("dashboard on ")?.1.trim().to_owned()));
    let page = page.expect("the demo says where its dashboard is");
    // Nobody else reads what it says, and it must not wait for that.
    let rest = std::thread::spawn(move || said.for_each(drop));

    browser.go(&page);
    browser.sees("#state", "All 3 services are served from where they should be");
    take(&browser, &folder, "before");
    let moved = "app.demo.example, shop.demo.example moved off fra (Down: 3 of 3 failed, connection refused)";
    browser.sees("#state", moved);
    browser.sees("#state", " s ago");
    take(&browser, &folder, "during");
    browser.size(1280, 760);
    browser.js("location.hash = '#/service/app.demo.example'");
    browser.sees("#detail", "The last hour");
    browser.js("scrollTo(0, 0)");
    keep(&browser, &folder.join("service-light.png"));
    assert!(browser.text("#state").contains("moved off"), "the pictures took longer than the failover");
    browser.js("location.hash = '#/'");
    until("the demo has gone back", || {
        browser.text("#state").contains("All 3 services are served from where they should be").then_some(())
    });
    take(&browser, &folder, "after");
    all_was_well(&browser);

    drop(demo);
    rest.join().unwrap();
}

/// The demo; it ends in order with this value, whatever came of the test.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            signal(self.0.id(), "INT");
            let _ = self.0.wait();
        }
    }
}

fn take(browser: &Browser, folder: &Path, stage: &str) {
    for (width, height, scheme, name) in WAYS {
        browser.size(*width, *height);
        browser.prefer(scheme);
        keep(browser, &folder.join(format!("{stage}-{name}.png")));
    }
    browser.prefer("light");
}

fn keep(browser: &Browser, file: &Path) {
    let picture = base64::engine::general_purpose::STANDARD.decode(browser.picture()).unwrap();
    assert!(picture.len() < MAX_PICTURE, "{} has {} bytes", file.display(), picture.len());
    fs::write(file, picture).unwrap();
}
