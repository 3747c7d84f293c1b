//! A title or a text with placeholders, checked when the configuration is read.

use super::super::error::{ConfigError, Known, short};
use super::super::report::Findings;
use super::super::section::{Item, Reported};
use super::super::values;
use crate::model::{ALERT_PLACEHOLDERS, Template};

/// The longest template, in bytes.
const MAX_TEMPLATE: usize = 4_096;

/// One line, for a title.
pub(super) fn line(item: Item, findings: &mut Findings) -> Result<Template, Reported> {
    parse(&values::line(MAX_TEMPLATE)(item, findings)?, item, findings)
}

/// Any number of lines.
pub(super) fn lines(item: Item, findings: &mut Findings) -> Result<Template, Reported> {
    parse(&values::text(MAX_TEMPLATE)(item, findings)?, item, findings)
}

fn parse(text: &str, item: Item, findings: &mut Findings) -> Result<Template, Reported> {
    Template::parse(text).map_err(|placeholder| {
        let known = Known::new(placeholder, ALERT_PLACEHOLDERS);
        item.wrong(ConfigError::UnknownPlaceholder { placeholder: short(placeholder), known }, findings)
    })
}
