//! The log on stderr: lines for people, or one JSON object a line.

use std::fmt::{self, Debug};
use std::io::{IsTerminal, stderr};

use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use crate::model::LogFormat;

/// The field that says that a line's words say what its fields do; see `telemetry::log`.
const KIND: &str = "kind";
/// The one among those that people are shown, too: `detour history` counts by it.
const SEQUENCE: &str = "sequence";

/// From now on the log is written; how much of it, `DETOUR_LOG` says.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env("DETOUR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match format {
        LogFormat::Human => log.with_ansi(stderr().is_terminal()).fmt_fields(ForPeople).init(),
        LogFormat::Json => {
            log.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
}

/// Writes the words of a line, and the fields that say more.
struct ForPeople;

struct Line<'a, 'w> {
    writer: &'a mut Writer<'w>,
    /// Whether the fields only say again what the words say.
    in_words: bool,
    written: fmt::Result,
}

impl<'w> FormatFields<'w> for ForPeople {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line { writer: &mut writer, in_words: false, written: Ok(()) };
        fields.record(&mut line);
        line.written
    }
}

impl Visit for Line<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let name = field.name();
        self.in_words |= name == KIND;
        let shown = name == SEQUENCE || !self.in_words;
        if shown && self.written.is_ok() {
            self.written = match name {
                "message" => write!(self.writer, "{value:?}"),
                name => write!(self.writer, " {name}={value:?}"),
            };
        }
    }
}
