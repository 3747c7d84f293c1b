//! `[alerts.NAME]`: who is told of what happens, and how.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Authorities, Template};
use crate::dns::Name;

/// The most receivers.
pub const MAX_RECEIVERS: usize = 32;

/// One who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertReceiver {
    /// Its key.
    pub id: Arc<str>,
    /// The way there.
    pub way: AlertWay,
    /// What it is told; of what it was told the beginning, it is told the end all the same.
    pub severities: Vec<AlertSeverity>,
    /// The services it is told of; `None` is all. What concerns no service in particular it is told anyway.
    pub services: Option<Vec<ServicePattern>>,
    /// How long the first alert waits for others of the same kind and site.
    pub group_wait: Duration,
    /// How long one try may take.
    pub timeout: Duration,
    /// What makes the title; the alert's own where it is left out.
    pub title: Option<Template>,
    /// What makes the text; the alert's own where it is left out.
    pub text: Option<Template>,
    /// The authorities trusted instead of this host's, where TLS is spoken.
    pub ca: Option<Arc<Authorities>>,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// Somebody should look now.
    Critical,
    /// Somebody should look soon.
    Warning,
    /// Good to know.
    Info,
}

impl AlertSeverity {
    /// The configuration's word.
    pub fn word(self) -> &'static str {
        match self {
            AlertSeverity::Critical => "critical",
            AlertSeverity::Warning => "warning",
            AlertSeverity::Info => "info",
        }
    }
}

/// How a receiver is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertWay {
    /// `type = "webhook"`
    Webhook {
        /// Where to.
        url: HttpUrl,
        /// What the body is signed with.
        key: Option<Secret>,
    },
    /// `type = "slack"`: an incoming webhook of Slack or of what takes the same, as Mattermost does.
    Slack {
        /// Where to.
        url: HttpUrl,
    },
    /// `type = "pagerduty"`: Events API v2.
    PagerDuty {
        /// Where to.
        url: HttpUrl,
        /// Whose service it is.
        routing_key: Secret,
    },
    /// `type = "email"`
    Email(EmailWay),
    /// `type = "command"`: the program's absolute path, then its arguments; no shell.
    Command(Vec<String>),
}

impl AlertWay {
    /// The word of `type`.
    pub fn word(&self) -> &'static str {
        match self {
            AlertWay::Webhook { .. } => "webhook",
            AlertWay::Slack { .. } => "slack",
            AlertWay::PagerDuty { .. } => "pagerduty",
            AlertWay::Email(_) => "email",
            AlertWay::Command(_) => "command",
        }
    }
}

/// `type = "email"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailWay {
    /// The mail server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether and when TLS begins.
    pub security: MailSecurity,
    /// Who sends.
    pub from: String,
    /// To whom; at least one.
    pub to: Vec<String>,
    /// User and password, where the server asks for them.
    pub login: Option<(String, Secret)>,
}

/// Whether and when a connection to a mail server becomes TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// Never.
    Plain,
    /// By STARTTLS, which the server must offer (RFC 3207).
    StartTls,
    /// From the first byte (RFC 8314 section 3.3).
    Tls,
}

/// An `http` or `https` address, which may hold a secret: it is printed without its path.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// Whether it is `https`.
    pub secure: bool,
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `https://hooks.example.com:443/…`
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}/…", self.host, self.port)
    }
}

/// What nobody prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// From what a file holds.
    pub fn new(text: &str) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// `app.example.com`, or `*.example.com`: every name below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePattern {
    /// The name, or what must lie above.
    pub name: Name,
    /// Whether it stands for the names below it.
    pub below: bool,
}

impl ServicePattern {
    /// Whether it means this service.
    pub fn fits(&self, service: &Name) -> bool {
        if !self.below {
            return *service == self.name;
        }
        std::iter::successors(service.parent(), Name::parent).any(|above| above == self.name)
    }
}
