//! Why a decision is what it is: one typed value that log, history, API and `explain` print.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a service answers with what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason;

impl fmt::Display for Reason {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
