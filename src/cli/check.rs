//! `detour check`: every problem of a configuration, and how long each service's clients can be sent to
//! a dead site.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::config::{Loaded, Report, ZoneText, load};
use crate::model::{Seconds, Surroundings, rate_limit, worst_case};
use crate::state::Store;
use crate::sys::clock::wall_secs;
use crate::zone::{Lint, Promises, Severity, lint};

/// Checks what `serve` and a reload would load: problems to stderr, the table of services to stdout.
/// Exit code 0 without errors, 1 with any.
pub fn run(path: &Path) -> Result<ExitCode> {
    let loaded = match load(path) {
        Ok(loaded) => loaded,
        Err(report) => {
            eprintln!("{report}\n{}: {}", path.display(), count(errors(&report), "error"));
            return Ok(ExitCode::from(1));
        }
    };
    if let Err(why) = crate::geo::clients(&loaded.config, &loaded.databases) {
        eprintln!("{}: error: {why}\n{}: 1 error", path.display(), path.display());
        return Ok(ExitCode::from(1));
    }
    if let Err(why) = Store::try_dir(&loaded.config.server.state_dir) {
        let path = path.display();
        eprintln!(
            "{path}: error: server.state_dir: {why}; free space there, or make it writable for the user that runs \
             `detour serve`\n{path}: 1 error"
        );
        return Ok(ExitCode::from(1));
    }
    let mut unfit = crate::probe::warnings(&loaded.config);
    unfit.extend(crate::probe::crowding(&loaded.config).map(|line| format!("warning: {line}")));
    for warning in loaded.warnings.iter().map(ToString::to_string).chain(unfit.clone()) {
        eprintln!("{warning}");
    }
    let surroundings = Surroundings::of(&loaded.config, crate::probe::slow_runs());
    let broken = broken_promises(&loaded, &surroundings);
    if !broken.is_empty() {
        let shown = path.display();
        for why in &broken {
            eprintln!("{shown}: error: {why}");
        }
        eprintln!("{shown}: {}", count(broken.len(), "error"));
        return Ok(ExitCode::from(1));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let printed = print(&loaded, &surroundings, unfit.len(), path, &mut out);
    match printed.and_then(|()| print_lints(&loaded, path, &mut out)) {
        // Whoever reads the table may stop reading it.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn errors(report: &Report) -> usize {
    report.more + report.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
}

/// The services whose `rto` this host cannot keep, though another one could: its load took no account of the host.
fn broken_promises(loaded: &Loaded, surroundings: &Surroundings) -> Vec<String> {
    let promised = loaded.config.services.iter().filter_map(|service| Some((service, service.rto?)));
    let broken = promised.filter_map(|(service, rto)| {
        let sum = worst_case(service, surroundings);
        let name = service.name.to_string();
        let name = name.trim_end_matches('.');
        (sum.total > rto)
            .then(|| format!("service \"{name}\": on this host {sum} exceeds rto {}", Seconds(rto)))
    });
    broken.take(crate::config::MAX_PROBLEMS).collect()
}

/// One line for each service, then one for all of it.
fn print(
    loaded: &Loaded,
    surroundings: &Surroundings,
    unfit: usize,
    path: &Path,
    out: &mut impl Write,
) -> io::Result<()> {
    let rows = loaded.config.services.iter().map(|service| {
        let sites: Vec<&str> = service.endpoints.iter().map(|endpoint| &*endpoint.site).collect();
        let rto = service.rto.map_or_else(|| "-".to_owned(), |rto| Seconds(rto).to_string());
        [service.name.to_string(), worst_case(service, surroundings).to_string(), rto, sites.join(", ")]
    });
    let title = ["service", "worst case for a client", "rto", "endpoints"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(title).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (name_width, sum_width, rto_width) = (width(0), width(1), width(2));
    if rows.len() > 1 {
        for [name, sum, rto, sites] in &rows {
            writeln!(out, "{name:name_width$}  {sum:sum_width$}  {rto:rto_width$}  {sites}")?;
        }
    }
    if let Some(limit) = rate_limit::describe(&loaded.config.server) {
        writeln!(out, "{limit}")?;
    }
    let zones = count(loaded.zones.len(), "zone");
    let services = count(loaded.config.services.len(), "service");
    let warnings = count(loaded.warnings.len() + unfit, "warning");
    writeln!(out, "{}: no error, {warnings}; {zones}, {services}", path.display())?;
    out.flush()
}

/// How many lints `detour zone check` would find beyond the warnings of a load, where it would find any.
fn print_lints(loaded: &Loaded, path: &Path, out: &mut impl Write) -> io::Result<()> {
    let services = loaded.config.services.iter();
    let ttls = services.map(|service| (service.name.clone(), service.ttl)).collect();
    let promises = Promises { ttls, now: Some(wall_secs()) };
    let (mut found, mut files) = (0, Vec::new());
    let own = |zone: &&crate::model::ZoneSource| {
        !zone.is_transferred() && loaded.config.catalog.as_ref() != Some(&zone.name)
    };
    for zone in loaded.config.zones.iter().filter(own) {
        // It was read a moment ago; one that is gone by now is for the next run to tell.
        let folders = &loaded.config.server.include_folders;
        let Ok(ZoneText { text, mut includes }) = ZoneText::read(&zone.file, &zone.file, folders) else {
            continue;
        };
        let shown = zone.file.display().to_string();
        let read =
            lint(&zone.name, &shown, &text, &mut |name| includes.read(name), &promises.within(&zone.name));
        let (Ok((_, problems)) | Err(problems)) = read;
        let lints = problems.iter().filter(|problem| problem.lint.is_some_and(Lint::is_on_request)).count();
        if lints > 0 {
            found += lints;
            files.push(shown);
        }
    }
    if let Some(first) = files.first() {
        let (lints, rest) = (count(found, "zone lint"), if files.len() > 1 { " ..." } else { "" });
        writeln!(
            out,
            "{}: {lints}; run detour zone check -c {} {first}{rest}",
            path.display(),
            path.display()
        )?;
    }
    out.flush()
}

/// `no zones`, `1 zone`, `2 zones`
fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
[sites.fra]
[sites.iad]
[probes.web]
type = "tcp"
port = 443
[[zone]]
name = "example.com"
file = "example.com.zone"
[[service]]
names = ["app.example.com", "www.example.com"]
probes = ["web"]
rto = "60s"
endpoints = [{ site = "fra", addresses = ["192.0.2.10"] }, { site = "iad", addresses = ["198.51.100.10"] }]
[[service]]
name = "a.example.com"
ttl = "5s"
probes = ["web"]
endpoints = [{ site = "iad", addresses = ["198.51.100.10"] }]
"#;
    const ZONE: &str = "$TTL 60\n@ SOA ns hostmaster 1 1h 15m 1w 5m\n  NS ns\nns A 192.0.2.53\n";

    #[test]
    fn the_sum_is_shown_for_each_service() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("detour.toml");
        std::fs::write(&path, CONFIG).unwrap();
        std::fs::write(folder.path().join("example.com.zone"), ZONE).unwrap();
        let loaded = load(&path).unwrap_or_else(|report| panic!("{report}"));
        let mut out = Vec::new();
        let surroundings = Surroundings::of(&loaded.config, usize::MAX);
        print(&loaded, &surroundings, 0, Path::new("detour.toml"), &mut out).unwrap();
        let expect = "\
service           worst case for a client                         rto  endpoints
app.example.com.  detection 11s + publish 0.1s + TTL 30s = 41.1s  60s  fra, iad
www.example.com.  detection 11s + publish 0.1s + TTL 30s = 41.1s  60s  fra, iad
a.example.com.    detection 11s + publish 0.1s + TTL 5s = 16.1s   -    iad
detour.toml: no error, 1 warning; 1 zone, 3 services
";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn lints_that_zone_check_would_find_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (path, zone) = (folder.path().join("detour.toml"), folder.path().join("example.com.zone"));
        std::fs::write(&path, CONFIG).unwrap();
        let told = || {
            let loaded = load(&path).unwrap_or_else(|report| panic!("{report}"));
            let mut out = Vec::new();
            print_lints(&loaded, Path::new("detour.toml"), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        // One name server, and "no such name" is kept for longer than an answer.
        std::fs::write(&zone, ZONE).unwrap();
        let want =
            format!("detour.toml: 2 zone lints; run detour zone check -c detour.toml {}\n", zone.display());
        assert_eq!(told(), want);
        std::fs::write(&zone, ZONE.replace("1w 5m", "1w 5s") + "@ NS ns.example.net.\n").unwrap();
        assert_eq!(told(), "");
    }

    #[test]
    fn exit_codes_tell_good_from_bad() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("detour.toml");
        assert_eq!(run(&path).unwrap(), ExitCode::from(1));
        std::fs::write(&path, CONFIG).unwrap();
        assert_eq!(run(&path).unwrap(), ExitCode::from(1));
        std::fs::write(folder.path().join("example.com.zone"), ZONE).unwrap();
        assert_eq!(run(&path).unwrap(), ExitCode::SUCCESS);
        std::fs::write(&path, CONFIG.replace("60s", "41s")).unwrap();
        assert_eq!(run(&path).unwrap(), ExitCode::from(1));
    }

    #[test]
    fn a_state_dir_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("detour.toml");
        std::fs::write(&path, CONFIG).unwrap();
        std::fs::write(folder.path().join("example.com.zone"), ZONE).unwrap();
        assert_eq!(run(&path).unwrap(), ExitCode::SUCCESS);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing was made");
        // Permissions stop no test that runs as root; a file in the folder's place stops everybody.
        std::fs::write(folder.path().join("state"), "").unwrap();
        assert_eq!(run(&path).unwrap(), ExitCode::from(1));
        // Nor does anybody write to /proc.
        std::fs::write(&path, format!("[server]\nstate_dir = \"/proc/self/state\"\n{CONFIG}")).unwrap();
        assert_eq!(run(&path).unwrap(), ExitCode::from(1));
    }
}
