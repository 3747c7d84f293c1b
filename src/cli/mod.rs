//! The command line: arguments in, text and an exit code out. The commands here are clients of a running
//! daemon's API, and know no more of it than any other client.

pub mod client;
pub mod explain;
pub mod failback;
pub mod failover;
pub mod find;
pub mod history;
pub mod override_cmds;
pub mod reload;
mod show;
pub mod status;
#[cfg(test)]
mod tests;
