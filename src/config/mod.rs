//! Configuration: file in, checked [`Config`] out, every problem at once.

mod check_key;
mod model;

pub use check_key::{Check, CheckKey, Whereto};
pub use model::*;
