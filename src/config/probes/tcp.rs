//! The keys of a `tcp` probe: `send`, `send_hex`, `expect`, or a `script` of them.

use toml::Spanned;
use toml::de::DeValue;

use super::super::error::{ConfigError, short};
use super::super::pattern;
use super::super::report::Findings;
use super::super::section::{Item, Reported, Section};
use super::super::values;
use crate::model::{Expect, Step, TcpProbe};

/// The most steps of a script.
const MAX_STEPS: usize = 16;
/// The most bytes of one `send` or `expect`.
const MAX_BYTES: usize = 1_024;

/// What is said over the connection. Left out, a connect is enough.
pub(super) fn read(section: &mut Section, findings: &mut Findings) -> Result<TcpProbe, Reported> {
    let own = read_step(section, findings);
    let script = section.read("script", findings, |item, findings| {
        let steps = item.list("steps in a script", MAX_STEPS, findings, |item, findings| {
            let before = findings.errors();
            let mut section = Section::of("a step of \"script\"".to_owned(), item, findings)?;
            let step = read_step(&mut section, findings);
            let at = section.at().clone();
            section.finish(findings);
            let step = step?;
            // A key misspelt is no second mistake.
            if step == Step::default() && findings.errors() == before {
                findings.push(&at, ConfigError::IdleStep);
            }
            Ok(step)
        })?;
        Ok(steps.into_iter().map(Spanned::into_inner).collect::<Vec<_>>())
    });
    let (own, script) = (own?, script?);
    let has_own = own != Step::default();
    let steps = match script {
        Some(script) if has_own => {
            findings.push(&script.span(), ConfigError::Beside("script", "send or expect"));
            return Err(Reported);
        }
        Some(script) => script.into_inner(),
        None if has_own => vec![own],
        None => Vec::new(),
    };
    Ok(TcpProbe { steps })
}

fn read_step(section: &mut Section, findings: &mut Findings) -> Result<Step, Reported> {
    let text = section.read("send", findings, values::text(MAX_BYTES));
    let bytes = section.read("send_hex", findings, hex);
    let expect = section.read("expect", findings, read_expect);
    let send = match (text?, bytes?) {
        (Some(_), Some(bytes)) => {
            findings.push(&bytes.span(), ConfigError::Beside("send", "send_hex"));
            return Err(Reported);
        }
        (Some(text), None) => text.into_inner().into_bytes(),
        (None, Some(bytes)) => bytes.into_inner(),
        (None, None) => Vec::new(),
    };
    Ok(Step { send, expect: expect?.map(Spanned::into_inner) })
}

/// `"text"`, `{ text = "..." }`, `{ hex = "..." }` or `{ regex = '...' }`
fn read_expect(item: Item, findings: &mut Findings) -> Result<Expect, Reported> {
    if matches!(item.value.get_ref(), DeValue::String(_)) {
        return Ok(Expect::Bytes(values::text(MAX_BYTES)(item, findings)?.into_bytes()));
    }
    let mut section = Section::of("\"expect\"".to_owned(), item, findings)?;
    let text = section.read("text", findings, values::text(MAX_BYTES));
    let bytes = section.read("hex", findings, hex);
    let regex = section.read("regex", findings, pattern::read);
    section.finish(findings);
    match (text?, bytes?, regex?) {
        (Some(text), None, None) => Ok(Expect::Bytes(text.into_inner().into_bytes())),
        (None, Some(bytes), None) => Ok(Expect::Bytes(bytes.into_inner())),
        (None, None, Some(regex)) => Ok(Expect::Regex(regex.into_inner())),
        _ => {
            let (choices, example) = ("\"text\", \"hex\" and \"regex\"", "expect = { text = \"+PONG\" }");
            Err(item.wrong(ConfigError::NotOneOf { key: "expect".to_owned(), choices, example }, findings))
        }
    }
}

/// Bytes as pairs of hexadecimal digits; blanks between them are let pass.
fn hex(item: Item, findings: &mut Findings) -> Result<Vec<u8>, Reported> {
    let text = values::text(4 * MAX_BYTES)(item, findings)?;
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    match digits {
        Some(digits) if !digits.is_empty() && digits.len() % 2 == 0 && digits.len() <= 2 * MAX_BYTES => {
            Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => {
            let wanted = "pairs of hexadecimal digits for 1 to 1024 bytes";
            let error =
                ConfigError::Malformed { text: short(&text), wanted, example: "\"50 49 4e 47 0d 0a\"" };
            Err(item.wrong(error, findings))
        }
    }
}
