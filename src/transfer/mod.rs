//! Whole zones between nameservers: `inbound` from primaries, `outbound` to secondaries. Neither knows the other.

pub mod inbound;
pub mod outbound;
