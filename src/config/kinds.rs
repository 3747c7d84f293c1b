//! What the probes `tcp`, `icmp` and `exec` ask and expect.

use std::path::PathBuf;
use std::time::Duration;

use super::Pattern;

/// `type = "tcp"`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpProbe {
    /// What is said once connected, one step after the other; none where a connect is enough.
    pub steps: Vec<Step>,
}

/// One exchange of a `tcp` probe: first it sends, then it waits for what it expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The bytes to send; none where the endpoint speaks first.
    pub send: Vec<u8>,
    /// What must come; `None` where nothing is waited for.
    pub expect: Option<Expect>,
}

/// What an endpoint must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// These bytes, never none, somewhere in it.
    Bytes(Vec<u8>),
    /// A match of this pattern, somewhere in it.
    Regex(Pattern),
}

/// How much of what an endpoint says in one step a `tcp` probe reads, in bytes.
pub const MAX_REPLY_READ: usize = 16 * 1024;

/// `type = "icmp"`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpProbe {
    /// Echo requests of one run, at least 1.
    pub count: u32,
    /// How many of them may stay without a reply; below `count`.
    pub max_loss: u32,
    /// From one request to the next.
    pub spacing: Duration,
    /// Bytes of payload in each.
    pub size: usize,
}

/// `type = "exec"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecProbe {
    /// The program's absolute path, then its arguments, which may hold placeholders.
    pub command: Vec<String>,
    /// Its environment besides what every command is given; the values may hold placeholders.
    pub env: Vec<(String, String)>,
    /// The folder it is run in.
    pub cwd: PathBuf,
}

/// What a command's arguments may hold, and is put in their place for each run.
pub const PLACEHOLDERS: [&str; 4] = ["{address}", "{port}", "{service}", "{probe}"];

impl ExecProbe {
    /// Whether the command is told the service's name, so that services cannot share a run.
    pub fn names_service(&self) -> bool {
        let values = self.env.iter().map(|(_, value)| value);
        self.command.iter().chain(values).any(|text| text.contains("{service}"))
    }
}
