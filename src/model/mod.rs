//! The checked configuration as types, and what follows from it. In: nothing. Out: what everybody else is told by. Never known
//! here: a file, a line of TOML, or how any of it was read.

mod access;
mod alert;
mod catalog;
mod check;
mod config;
mod damping;
mod display;
mod duration;
mod endpoint;
mod group;
mod history;
mod loading;
mod maintenance;
mod moving;
mod pattern;
mod probe;
mod probe_tree;
pub mod rate_limit;
mod rto;
mod schedule;
pub mod schema;
mod service;
mod site;
mod telemetry;
mod template;
mod update;
mod vantage;

pub use access::{Access, Allowed, Peer, Told};
pub use alert::{
    AlertReceiver, AlertSeverity, AlertWay, EmailWay, HttpUrl, MAX_RECEIVERS, MailSecurity, Secret,
    ServicePattern,
};

pub use catalog::{CATALOG_MEMBER_LEN, catalog};
pub use check::{Check, CheckKey};
pub use config::*;
pub use damping::Damping;
pub use duration::{DurationError, MAX_DURATION, Seconds, parse_duration};
pub use endpoint::{Endpoint, Target, Whereto};
pub use group::{ClientsOf, Geo, Group, MAX_DEPTH, MAX_GROUPS, MAX_WEIGHT, Member, Of, PolicyKind, Tree};
pub use history::HistoryBounds;
pub use loading::Loading;
pub use maintenance::{Maintenance, MaintenanceScope, Window};
pub use moving::{Approval, Families, Moving, OnLimit, Safety, Unanswered};
pub use pattern::Pattern;
pub use probe::*;
pub use probe_tree::{Leaves, MAX_PROBE_DEPTH, ProbeTree};
pub use rto::{PUBLISH_BOUND, Rto, Surroundings, Turns, may_be_empty, turns, worst_case};
pub use schedule::Schedule;
pub use service::{AllDown, Failback, Service};
pub use site::{Site, SiteId};
pub use telemetry::{DEFAULT_ENDPOINTS, Dnstap, LogFormat, Observed, QueryLog};
pub use template::{ALERT_PLACEHOLDERS, Template};
pub use update::{UpdateRule, Wild};
pub use vantage::VantageSetup;
