//! Policy: health, overrides and the time in; a [`Decision`] with its [`Reason`] out. Pure.

mod decision;
mod overrides;
mod reason;

pub use decision::Decision;
pub use overrides::{Override, OverrideKind, Scope};
pub use reason::Reason;
