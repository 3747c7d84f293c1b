//! The keys of an `exec` probe: `command`, `env`, `cwd` and `exit`.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

use super::super::error::{ConfigError, Known, short};
use super::super::report::Findings;
use super::super::section::{Item, Reported, Section, entries, or};
use super::super::values;
use crate::model::{ExecProbe, ExitCodes, ExitVerdict, PLACEHOLDERS};

/// The most words of a command, its program included.
const MAX_WORDS: usize = 64;
/// The longest of them, in bytes.
const MAX_WORD: usize = 4_096;
/// The most variables of an environment.
const MAX_VARIABLES: usize = 64;
/// The longest name of a variable, in bytes.
const MAX_VARIABLE: usize = 128;
/// The most exit codes in one list: all there are.
const MAX_CODES: usize = 256;
/// What every command is told begins like this, so nothing of its own may.
const RESERVED: &str = "DETOUR_";

pub(super) fn read(section: &mut Section, findings: &mut Findings) -> Result<ExecProbe, Reported> {
    let example = "command = [\"/usr/lib/nagios/plugins/check_tcp\", \"-H\", \"{address}\"]";
    let command = section.need("command", example, findings, |item, findings| {
        let mut first = true;
        item.list("words in a command", MAX_WORDS, findings, |item, findings| {
            if std::mem::take(&mut first) { program(item, findings) } else { argument(item, findings) }
        })
    });
    let env = section.read("env", findings, environment);
    let cwd = section.read("cwd", findings, folder);
    let exit = section.read("exit", findings, exit_codes);
    let command = command?.into_inner().into_iter().map(Spanned::into_inner).collect();
    let (env, cwd) = (or(env, Vec::new())?, or(cwd, PathBuf::from("/"))?);
    Ok(ExecProbe { command, env, cwd, exit: or(exit, ExitCodes::default())? })
}

/// `"plugin"`, or `{ pass = [0, 1], fail = [2], discard = [3] }`.
fn exit_codes(item: Item, findings: &mut Findings) -> Result<ExitCodes, Reported> {
    match item.value.get_ref() {
        DeValue::String(_) => values::word(item, &["plugin"], findings).map(|_| ExitCodes::plugin()),
        DeValue::Table(_) => {
            let mut section = Section::of("\"exit\"".to_owned(), item, findings)?;
            let code = values::integer(0, u8::MAX.into());
            let mut codes = |key, findings: &mut Findings| {
                section
                    .read(key, findings, |item, findings| item.list("exit codes", MAX_CODES, findings, &code))
            };
            let pass = codes("pass", findings);
            let fail = codes("fail", findings);
            let discard = codes("discard", findings);
            section.finish(findings);
            let mut listed: Vec<(u8, ExitVerdict)> = Vec::new();
            let lists =
                [(pass?, ExitVerdict::Pass), (fail?, ExitVerdict::Fail), (discard?, ExitVerdict::Discard)];
            let mut all = Vec::new();
            for (list, verdict) in lists {
                let list = list.map(Spanned::into_inner).unwrap_or_default();
                // At most 255, as just checked.
                listed.extend(list.iter().map(|code| (*code.get_ref() as u8, verdict)));
                all.extend(list);
            }
            findings.each_once(&all, |code, first| ConfigError::ExitCodeTwice(*code as u8, first));
            // Left out, "pass" is what it is without the table.
            if !listed.iter().any(|(code, verdict)| *verdict == ExitVerdict::Pass || *code == 0) {
                listed.push((0, ExitVerdict::Pass));
            }
            Ok(ExitCodes { listed, others: ExitVerdict::Fail })
        }
        _ => Err(item.wrong_type("\"plugin\" or a table of lists of exit codes", findings)),
    }
}

/// The path of a program that is there, as far as it can be seen from here.
pub(in super::super) fn program(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = values::line(MAX_WORD)(item, findings)?;
    let why = if Path::new(&text).is_absolute() {
        match std::fs::metadata(&text) {
            Ok(found) if !found.is_file() => "not a file".to_owned(),
            Ok(found) if found.permissions().mode() & 0o111 == 0 => "not executable".to_owned(),
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => error.to_string(),
            // What only the daemon's user may see is found out by the first run.
            _ => return Ok(text),
        }
    } else {
        "not an absolute path".to_owned()
    };
    Err(item.wrong(ConfigError::NoCommand { command: short(&text), why }, findings))
}

/// Any text, the empty one too, whose placeholders are known.
fn argument(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = item.text("a string", findings)?;
    let key = || item.key.to_owned();
    if text.len() > MAX_WORD {
        return Err(item.wrong(ConfigError::LongText { key: key(), limit: MAX_WORD }, findings));
    }
    if text.contains('\0') {
        return Err(item.wrong(ConfigError::ControlCharacter { key: key() }, findings));
    }
    // Only what looks like one of ours is held against the list: programs have braces of their own.
    for rest in text.split('{').skip(1) {
        let Some((word, _)) = rest.split_once('}') else { continue };
        let placeholder = format!("{{{word}}}");
        let looks = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        if looks && !PLACEHOLDERS.contains(&placeholder.as_str()) {
            let known = Known::new(&placeholder, PLACEHOLDERS);
            let placeholder = short(&placeholder);
            return Err(item.wrong(ConfigError::UnknownPlaceholder { placeholder, known }, findings));
        }
    }
    Ok(text.to_owned())
}

fn environment(item: Item, findings: &mut Findings) -> Result<Vec<(String, String)>, Reported> {
    let mut variables = Vec::new();
    let mut whole = Ok(());
    for (name, item) in entries(item, "variables in env", MAX_VARIABLES, findings)? {
        let text = *name.get_ref();
        let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && (1..=MAX_VARIABLE).contains(&text.len())
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && !text.starts_with(RESERVED);
        if !fits {
            let wanted = "a variable's name that does not begin with DETOUR_";
            let error = ConfigError::Malformed { text: short(text), wanted, example: "LANG or CHECK_USER" };
            findings.push(&name.span(), error);
            whole = Err(Reported);
        }
        match argument(item, findings) {
            Ok(value) => variables.push((text.to_owned(), value)),
            Err(reported) => whole = Err(reported),
        }
    }
    whole.map(|()| variables)
}

fn folder(item: Item, findings: &mut Findings) -> Result<PathBuf, Reported> {
    let text = values::line(MAX_WORD)(item, findings)?;
    let path = PathBuf::from(&text);
    if path.is_absolute() {
        return Ok(path);
    }
    let (wanted, example) = ("an absolute path", "\"/var/lib/checks\"");
    Err(item.wrong(ConfigError::Malformed { text: short(&text), wanted, example }, findings))
}
