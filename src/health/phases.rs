//! How a run spent its time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where in its course a run stood when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Resolving a CNAME target.
    Resolve,
    /// TCP's handshake.
    Connect,
    /// TLS's handshake.
    Tls,
    /// From the request to the head of the answer.
    FirstByte,
    /// Reading the body.
    Body,
    /// Waiting for what the endpoint says.
    Reply,
    /// Running a command.
    Command,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "name resolution",
            Phase::Connect => "connect",
            Phase::Tls => "TLS",
            Phase::FirstByte => "first byte",
            Phase::Body => "body",
            Phase::Reply => "reply",
            Phase::Command => "command",
        })
    }
}

/// How long a run was in each of its phases, those that it came to. In whole microseconds and at most
/// about 71 minutes each, as many of these are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Shown", into = "Shown")]
pub struct Phases([Option<Micros>; 7]);

/// Microseconds, plus one.
type Micros = std::num::NonZeroU32;

const ALL: [Phase; 7] =
    [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::FirstByte, Phase::Body, Phase::Reply, Phase::Command];

impl Phases {
    /// How long the run was in `phase`; nothing where it never came to it.
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        self.0[phase as usize].map(|micros| Duration::from_micros(u64::from(micros.get()) - 1))
    }

    /// The run was in `phase` for `took`.
    pub fn set(&mut self, phase: Phase, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.0[phase as usize] = Micros::new(micros.saturating_add(1));
    }

    /// The phases the run came to, in their order, with their times.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> + '_ {
        ALL.into_iter().filter_map(|phase| Some((phase, self.get(phase)?)))
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// `connect 1.2ms, first byte 3.4ms`
impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (phase, took)) in self.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{phase} {took:.1?}")?;
        }
        Ok(())
    }
}

impl utoipa::PartialSchema for Phases {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        Shown::schema()
    }
}

impl utoipa::ToSchema for Phases {
    fn schemas(all: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        Shown::schemas(all);
    }
}

/// As it is stored and told.
#[derive(Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::time::SecsNanos>)]
    resolve: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::time::SecsNanos>)]
    connect: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::time::SecsNanos>)]
    tls: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::time::SecsNanos>)]
    first_byte: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::time::SecsNanos>)]
    body: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::time::SecsNanos>)]
    reply: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::time::SecsNanos>)]
    command: Option<Duration>,
}

impl From<Shown> for Phases {
    fn from(shown: Shown) -> Phases {
        let Shown { resolve, connect, tls, first_byte, body, reply, command } = shown;
        let times = [resolve, connect, tls, first_byte, body, reply, command];
        let mut phases = Phases::default();
        for (phase, took) in ALL.into_iter().zip(times) {
            if let Some(took) = took {
                phases.set(phase, took);
            }
        }
        phases
    }
}

impl From<Phases> for Shown {
    fn from(phases: Phases) -> Shown {
        let [resolve, connect, tls, first_byte, body, reply, command] = ALL.map(|phase| phases.get(phase));
        Shown { resolve, connect, tls, first_byte, body, reply, command }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_told_and_stored_as_far_as_the_run_came() {
        let mut phases = Phases::default();
        assert_eq!((phases.to_string(), phases.is_empty()), (String::new(), true));
        phases.set(Phase::Connect, Duration::from_micros(1_200));
        phases.set(Phase::FirstByte, Duration::ZERO);
        assert_eq!(phases.to_string(), "connect 1.2ms, first byte 0.0ns");
        let json = serde_json::to_string(&phases).unwrap();
        assert!(!json.contains("tls"), "{json}");
        assert_eq!(serde_json::from_str::<Phases>(&json).unwrap(), phases);
    }
}
