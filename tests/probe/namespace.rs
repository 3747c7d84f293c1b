//! Namespaces of a test's own: the test runs itself once more in new ones for users, networks and mounts, where it
//! may do as it likes to the network and to what stands under /etc. They end with the process, whatever it
//! leaves behind in them.

use std::process::Command;

/// Set in the namespaces.
const INSIDE: &str = "DETOUR_TEST_INSIDE";

/// Runs the test `name` once more in namespaces, and tells whether this is it. There the shell does `script`
/// first, which ends with `exec "$@"`.
pub fn inside(name: &str, script: &str) -> bool {
    if std::env::var(INSIDE).is_ok_and(|inside| inside == name) {
        return true;
    }
    let this = std::env::current_exe().unwrap();
    let ran = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", script, "sh"])
        .arg(this)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, name)
        .output()
        .expect("the Debian package util-linux");
    let said = String::from_utf8_lossy(&ran.stdout);
    let passed = ran.status.success() && said.contains("1 passed");
    assert!(passed, "in namespaces after {script}:\n{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    false
}

pub fn ip(arguments: &str) {
    run("ip", arguments);
}

pub fn nft(arguments: &str) {
    run("nft", arguments);
}

fn run(program: &str, arguments: &str) {
    let ran = Command::new(program).args(arguments.split(' ')).output();
    let ran = ran.unwrap_or_else(|e| panic!("{program}, which ./test installs: {e}"));
    assert!(ran.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// From now on whatever is sent to this address is lost on its way in: no answer, no reset, no ICMP.
pub fn swallow(address: &str) {
    let family = if address.contains(':') { "ip6" } else { "ip" };
    nft("add table inet hole");
    nft("add chain inet hole input { type filter hook input priority 0 ; }");
    nft(&format!("add rule inet hole input {family} daddr {address} drop"));
}

pub fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
    std::fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}"));
}
