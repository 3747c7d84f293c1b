//! Disks that are full or take no writes: a real daemon on a tmpfs of its own, in a namespace of the test's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::harness::{APP, Setup, World, until};

/// Set in the namespace.
const INSIDE: &str = "DETOUR_TEST_INSIDE";

/// Runs the test `name` once more where it may mount what it likes, and tells whether this is it.
fn may_mount(name: &str) -> bool {
    if std::env::var(INSIDE).is_ok_and(|inside| inside == name) {
        return true;
    }
    let ran = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, name)
        .output()
        .expect("the Debian package util-linux");
    let said = String::from_utf8_lossy(&ran.stdout);
    let passed = ran.status.success() && said.contains("1 passed");
    assert!(passed, "in a namespace:\n{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    false
}

fn run(program: &str, arguments: &[&str]) {
    let ran = Command::new(program).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Puts a small disk under the state directory; what is in there is on it.
fn mount(state: &Path) {
    let aside = state.with_file_name("aside");
    fs::rename(state, &aside).unwrap();
    fs::create_dir(state).unwrap();
    let state = state.to_str().unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs", state]);
    run("cp", &["-a", &format!("{}/.", aside.display()), state]);
}

/// Takes the last byte of a disk.
fn fill(state: &Path) {
    // dd ends with an error once the disk is full, as it is to be.
    let file = format!("of={}/ballast", state.display());
    let _ = Command::new("dd").args(["if=/dev/zero", &file, "bs=4k"]).output().unwrap();
    assert!(fs::write(state.join("more"), [1; 8192]).is_err(), "it is full");
}

/// A port that stays, so that the daemon is found though it cannot tell where it listens.
fn keep_ports(world: &World) {
    let detour = &world.detour;
    detour.edit_config("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"{}\"]", detour.dns));
    detour.edit_config("listen = \"127.0.0.1:0\"", &format!("listen = \"{}\"", detour.control));
}

fn healthz(world: &World) -> String {
    let (status, body) = world.detour.get("/healthz");
    assert_eq!(status, 200, "{body}");
    body
}

/// It serves what was decided last, and says that nothing is kept.
fn serves_and_says_so(world: &World, serial: u32, dead: &str) {
    let answer = until("it answers", || crate::dig::Client::of(world.detour.dns).ask(APP, "A"));
    assert!(!answer.data().contains(&dead), "the dead site is not named: {answer:?}");
    world.settles_on_iad();
    assert!(world.detour.serial() >= serial, "the serial does not go back");
    let body = healthz(world);
    assert!(body.contains("degraded") && body.contains("detour.redb"), "{body}");
    assert!(world.detour.told(&["status"]).contains("detour.redb"));
    assert!(world.detour.get("/metrics").1.contains("detour_state_writable 0"));
    assert!(world.detour.log().contains("detour.redb"));
}

#[test]
fn a_start_on_a_disk_that_takes_no_writes_serves_what_is_there() {
    if !may_mount("disks::a_start_on_a_disk_that_takes_no_writes_serves_what_is_there") {
        return;
    }
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.fra.kill();
    world.settles_on_iad();
    keep_ports(&world);
    let (dead, serial) = (world.fra.addresses[0].to_string(), world.detour.serial());
    assert_eq!(world.detour.stop(), 0);
    let state = world.detour.state_dir();
    mount(&state);
    let _ = fs::remove_file(state.join("addresses.json"));

    let place = state.to_str().unwrap();
    run("mount", &["-o", "remount,ro", place]);
    world.detour.spawn_again();
    serves_and_says_so(&world, serial, &dead);
    world.detour.told(&["drain", "fra", "--reason", "read-only"]);
    // It takes to writing by itself, and then has all of it.
    run("mount", &["-o", "remount,rw", place]);
    until("the disk is used", || (!healthz(&world).contains("detour.redb")).then_some(()));
    assert!(world.detour.get("/metrics").1.contains("detour_state_writable 1"));
    world.detour.kill();
    world.detour.start_again();
    world.settles_on_iad();
    assert!(world.detour.told(&["status"]).contains("read-only"), "the drain is kept");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("detour.redb"))), (0o700, 0o600));

    // And from nothing at all, on a full disk: what was never decided is found out first, as at every fresh start.
    assert_eq!(world.detour.stop(), 0);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    fill(&state);
    world.detour.spawn_again();
    serves_and_says_so(&world, 0, &dead);
    fs::remove_file(state.join("ballast")).unwrap();
    until("the disk is used", || (!healthz(&world).contains("detour.redb")).then_some(()));
    until("tools are told", || state.join("addresses.json").exists().then_some(()));
}

/// The disk is full while a site fails, and the daemon is killed: the log has its place on the disk, so nothing of that is
/// lost, neither by a start on the full disk nor by one after it has room again.
#[test]
fn what_happened_while_the_disk_was_full_is_kept() {
    if !may_mount("disks::what_happened_while_the_disk_was_full_is_kept") {
        return;
    }
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    keep_ports(&world);
    assert_eq!(world.detour.stop(), 0);
    let state = world.detour.state_dir();
    mount(&state);
    world.detour.start_again();
    world.settles_on_fra();
    fill(&state);
    world.fra.kill();
    world.settles_on_iad();
    world.detour.told(&["drain", "fra", "--reason", "full"]);
    let (dead, serial) = (world.fra.addresses[0].to_string(), world.detour.serial());
    let is_all_there = |world: &World| {
        let answer = until("it answers", || crate::dig::Client::of(world.detour.dns).ask(APP, "A"));
        assert!(!answer.data().contains(&dead.as_str()), "the dead site is not named: {answer:?}");
        assert!(world.detour.serial() >= serial);
        assert!(world.detour.told(&["status"]).contains("full"), "the drain is kept");
    };
    world.detour.kill();
    let _ = fs::remove_file(state.join("addresses.json"));
    world.detour.spawn_again();
    is_all_there(&world);
    fs::remove_file(state.join("ballast")).unwrap();
    until("the disk is used", || (!healthz(&world).contains("degraded")).then_some(()));
    world.detour.kill();
    world.detour.start_again();
    is_all_there(&world);
}
