//! Real counterparts that several test targets share: an authority that signs certificates when it is asked to,
//! nginx, and the nameservers of others.
#![allow(dead_code, reason = "each target that shares this uses its own part")]

pub mod authority;
pub mod nameserver;
pub mod nginx;
pub mod ports;
