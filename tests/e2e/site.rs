//! A site as the tests hold it: a process to talk to, kill and freeze. Its listeners are in site.py.

use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How often a free port is looked for that every site of a test can have.
const PORT_TRIES: usize = 20;

/// One site's process; it ends with this value.
pub struct Site {
    pub addresses: Vec<IpAddr>,
    pub port: u16,
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Starts a site for each list of addresses, all on one port, as a probe has one port for all.
pub fn sites<const N: usize>(addresses: &[Vec<IpAddr>; N]) -> [Site; N] {
    let started: Result<[Site; N], _> = start_all(addresses).try_into();
    started.unwrap_or_else(|_| unreachable!("one for each list"))
}

/// The same for any number.
pub fn start_all(addresses: &[Vec<IpAddr>]) -> Vec<Site> {
    for _ in 0..PORT_TRIES {
        let mut port = 0;
        let mut started = Vec::new();
        for addresses in addresses {
            let Some(site) = Site::start(addresses, port) else { break };
            port = site.port;
            started.push(site);
        }
        if started.len() == addresses.len() {
            return started;
        }
    }
    panic!("no port is free on all of {addresses:?}");
}

impl Site {
    /// `None` where the port is taken.
    fn start(addresses: &[IpAddr], port: u16) -> Option<Site> {
        let mut process = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/site.py"))
            .arg(port.to_string())
            .args(addresses.iter().map(IpAddr::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs; ./test installs it");
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut site = Site { addresses: addresses.to_vec(), port, process, orders, answers };
        site.port = site.line().strip_prefix("port ")?.parse().unwrap();
        Some(site)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn order(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        self.line()
    }

    /// Changes its behaviour, in the words of site.py; in force when this returns.
    pub fn be(&mut self, behaviour: &str) {
        assert_eq!(self.order(behaviour), "done", "{behaviour}");
    }

    /// Requests that came so far.
    pub fn count(&mut self) -> u64 {
        self.order("count").strip_prefix("count ").unwrap().parse().unwrap()
    }

    /// SIGKILL: the kernel closes its listeners, connections are refused.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts anew after [`Site::kill`], where it was.
    pub fn revive(&mut self) {
        *self = Site::start(&self.addresses, self.port).expect("its port is still free");
    }

    /// SIGSTOP: the kernel still accepts connections, nobody answers them.
    pub fn freeze(&self) {
        signal(self.process.id(), "STOP");
    }

    /// SIGCONT
    pub fn thaw(&self) {
        signal(self.process.id(), "CONT");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // It may have been killed before; then there is nothing left to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a signal by the shell's own `kill`: std can only send SIGKILL.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()]).status();
    assert!(status.unwrap().success(), "kill -s {name} {pid}");
}
