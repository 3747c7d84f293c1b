//! The engine: `step(now, Event) -> Vec<Effect>`. Composes health, policy and zone. Pure and
//! deterministic: the same events give the same effects.

mod event;
mod saved;
mod view;

pub use event::{Action, Command, CommandError, Effect, Event, Happened, Load, Pace, ZoneBase};
pub use saved::{Saved, SavedCheck, SavedService, SavedZone};
pub use view::{CheckView, EndpointView, Explanation, PlaceView, ServiceView, SiteView, Status, ZoneView};
