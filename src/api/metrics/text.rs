//! Prometheus' text format 0.0.4, family by family.

use std::fmt::{Display, Write};

use crate::sys::histogram::Distribution;

/// The labels of one series, in whatever form there is.
pub(super) trait Labels {
    /// Writes them as the format has them, without the braces.
    fn write(&self, out: &mut Text);

    /// What [`Labels::write`] writes.
    fn written(&self) -> String {
        let mut out = Text::default();
        self.write(&mut out);
        out.0
    }
}

impl Labels for Vec<(&'static str, String)> {
    fn write(&self, out: &mut Text) {
        for (n, (key, value)) in self.iter().enumerate() {
            out.0.push_str(if n == 0 { "" } else { "," });
            out.0.push_str(key);
            out.0.push_str("=\"");
            out.escaped(value);
            out.0.push('"');
        }
    }
}

/// Labels that were written before.
impl Labels for &str {
    fn write(&self, out: &mut Text) {
        out.0.push_str(self);
    }
}

impl Labels for String {
    fn write(&self, out: &mut Text) {
        self.as_str().write(out);
    }
}

/// What is written so far.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// A family of gauges.
    pub(super) fn gauge<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (impl Labels, V)>,
    ) {
        self.family(name, "gauge", help, series);
    }

    /// A family of gauges or counters: all series of one name, which must stand together.
    pub(super) fn family<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        series: impl IntoIterator<Item = (impl Labels, V)>,
    ) {
        self.head(name, kind, help);
        for (labels, value) in series {
            self.0.push_str(name);
            let begin = self.0.len();
            self.0.push('{');
            labels.write(self);
            if self.0.len() == begin + 1 {
                self.0.truncate(begin);
                self.0.push(' ');
            } else {
                self.0.push_str("} ");
            }
            self.line(format_args!("{value}"));
        }
    }

    /// A histogram for each of `series`, in the format's own three series.
    pub(super) fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (String, &'a Distribution)>,
    ) {
        self.head(name, "histogram", help);
        for (labels, Distribution { upto, sum }) in series {
            let comma = if labels.is_empty() { "" } else { "," };
            for (bound, count) in upto {
                let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
                self.line(format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"));
            }
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            self.line(format_args!("{name}_sum{labels} {sum}"));
            let count = upto.last().map_or(0, |(_, count)| *count);
            self.line(format_args!("{name}_count{labels} {count}"));
        }
    }

    /// The whole text.
    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// A label's value: backslash, quote and line feed are escaped.
    fn escaped(&mut self, mut value: &str) {
        while let Some(at) = value.find(['\\', '"', '\n']) {
            let (plain, rest) = value.split_at(at);
            self.0.push_str(plain);
            let odd = rest.as_bytes()[0];
            self.0.push_str(match odd {
                b'\\' => "\\\\",
                b'"' => "\\\"",
                _ => "\\n",
            });
            value = &rest[1..];
        }
        self.0.push_str(value);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String has no error.
        let _ = writeln!(self.0, "{line}");
    }
}
