//! `detour check`: every problem of a configuration, and how long each service's clients can be sent to
//! a dead site.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::config::{Loaded, Report, Seconds, Surroundings, load, worst_case};
use crate::zone::Severity;

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
    let unfit = crate::probe::warnings(&loaded.config);
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
    match print(&loaded, &surroundings, unfit.len(), path, &mut BufWriter::new(io::stdout().lock())) {
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
    let zones = count(loaded.zones.len(), "zone");
    let services = count(loaded.config.services.len(), "service");
    let warnings = count(loaded.warnings.len() + unfit, "warning");
    writeln!(out, "{}: no error, {warnings}; {zones}, {services}", path.display())?;
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
}
