//! `detour demo`: the real daemon and two real sites on loopback. One fails, the answers move; it
//! recovers, they move back.

mod screen;
mod site;

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use self::screen::{Picture, Screen};
use self::site::Site;
use super::dns_client::{Answer, ask_a};
use crate::api::Daemon;
use crate::daemon::{self, Running};
use crate::dns::Name;
use crate::model::{Surroundings, worst_case};

const SERVICE: &str = "app.demo.example";
const PRIMARY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SECONDARY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// The port people try first; another one is taken where it is in use.
const DNS_PORT: u16 = 5353;
/// By when the answers must have moved; they take about a second one way, and the hold the other.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two questions of the watching client.
const LOOK: Duration = Duration::from_millis(10);
/// Between two pictures.
const FRAME: Duration = Duration::from_millis(200);

/// `detour demo`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep serving after the show, to play with by hand; Ctrl-C ends it
    #[arg(long)]
    stay: bool,
    /// How long each quiet part is shown, so that there is time to look around: 4s, 1m
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = crate::model::parse_duration)]
    pause: Duration,
}

/// Runs the show.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let dir = Scratch::new()?;
    let sites =
        Site::pair(PRIMARY, SECONDARY).await.context("the demo's sites could not listen on loopback")?;
    let config = write_config(&dir.0, dns_address(), sites[0].address.port())?;
    let running = daemon::start(&config).await?;
    running.decided().await;
    let mut show = Show::new(running, sites, args.pause)?;
    let outcome = tokio::select! {
        outcome = show.play() => outcome,
        // Ended here and not by the signal itself, so that the files go too.
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if outcome.is_ok() && args.stay {
        show.stay().await;
    }
    show.running.stop().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The demo's files; gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Scratch> {
        let dir = std::env::temp_dir().join(format!("detour-demo-{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| format!("{}", dir.display()))?;
        Ok(Scratch(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left-overs in the temporary directory are an untidiness, not an error.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The well-known port if it is free, else any.
fn dns_address() -> SocketAddr {
    let wish = SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT));
    let free = UdpSocket::bind(wish).is_ok() && TcpListener::bind(wish).is_ok();
    if free { wish } else { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) }
}

fn write_config(dir: &Path, dns: SocketAddr, port: u16) -> anyhow::Result<PathBuf> {
    let zone = "$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 5\n@ NS ns1\nns1 A 127.0.0.1\n";
    fs::write(dir.join("demo.example.zone"), zone)?;
    let mut text = String::new();
    write!(
        text,
        r#"[server]
listen = ["{dns}"]
[control]
listen = "127.0.0.1:0"
[sites.fra]
name = "Frankfurt"
location = [50.11, 8.68]
[sites.iad]
name = "Ashburn"
location = [38.94, -77.46]
[probes.web]
type = "http"
port = {port}
expect = {{ body = "OK" }}
interval = "1s"
confirm = "100ms"
timeout = "500ms"
fall = 3
rise = 2
[[zone]]
name = "demo.example"
file = "demo.example.zone"
[[service]]
name = "{SERVICE}"
ttl = "5s"
ttl_suspect = "2s"
probes = ["web"]
failback = {{ mode = "auto", hold = "4s" }}
endpoints = [
  {{ site = "fra", addresses = ["{PRIMARY}"] }},
  {{ site = "iad", addresses = ["{SECONDARY}"] }},
]
[[service]]
name = "shop.demo.example"
ttl = "5s"
probes = ["web"]
failback = {{ mode = "auto", hold = "4s" }}
endpoints = [
  {{ site = "fra", addresses = ["{PRIMARY}"] }},
  {{ site = "iad", addresses = ["{SECONDARY}"] }},
]
[[service]]
name = "www.demo.example"
ttl = "5s"
probes = ["web"]
endpoints = [
  {{ site = "iad", addresses = ["{SECONDARY}"] }},
  {{ site = "fra", addresses = ["{PRIMARY}"] }},
]
"#
    )?;
    let path = dir.join("detour.toml");
    fs::write(&path, text)?;
    Ok(path)
}

struct Show {
    running: Running,
    sites: [Site; 2],
    name: Name,
    server: SocketAddr,
    pause: Duration,
    begun: Instant,
    failed: Option<Instant>,
    screen: Screen,
}

impl Show {
    fn new(running: Running, sites: [Site; 2], pause: Duration) -> anyhow::Result<Show> {
        let server = *running.addresses.dns.first().context("the daemon listens nowhere")?;
        let name = SERVICE.parse().context(SERVICE)?;
        let (begun, screen) = (Instant::now(), Screen::new());
        Ok(Show { running, sites, name, server, pause, begun, failed: None, screen })
    }

    async fn play(&mut self) -> anyhow::Result<()> {
        let (control, server) = (self.running.addresses.control, self.server);
        self.screen.say(&format!(
            "detour serves {SERVICE} on {server}; API, metrics and dashboard on http://{control}"
        ));
        self.screen.say(&format!("try:  dig @{} -p {} {SERVICE} +noall +answer", server.ip(), server.port()));
        self.screen.say(&format!("and:  detour explain {SERVICE} --control {control}\n"));
        self.watch("both sites work", self.pause).await?;

        self.screen.say("── the primary fails: its listener closes ──");
        self.sites[0].fail().await;
        let failed = Instant::now();
        let failed_at = self.running.now();
        self.failed = Some(failed);
        self.until("the primary is dead", SECONDARY).await?;
        let seen = failed.elapsed();
        let decided = self.decided_at().await?;
        self.watch("clients are sent to the secondary", self.pause).await?;

        self.screen.say("── the primary recovers ──");
        self.sites[0].recover().await.context("the primary could not listen again")?;
        let recovered = Instant::now();
        self.until("the primary works again; the hold runs", PRIMARY).await?;
        let back = recovered.elapsed();
        self.failed = None;
        self.watch("back on the primary", self.pause / 2).await?;
        self.summary(decided.since(failed_at), seen, back).await
    }

    /// Shows the picture for a while.
    async fn watch(&mut self, stage: &str, length: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let answer = ask_a(self.server, &self.name).await.context("asking the demo's own server")?;
            self.show(stage, &answer).await?;
            sleep(FRAME).await;
        }
        Ok(())
    }

    /// Shows the picture until a client is sent to `address`.
    async fn until(&mut self, stage: &str, address: Ipv4Addr) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        let mut next_frame = Instant::now();
        loop {
            let answer = ask_a(self.server, &self.name).await.context("asking the demo's own server")?;
            let moved = answer.addresses == [address];
            if moved || Instant::now() >= next_frame {
                self.show(stage, &answer).await?;
                next_frame = Instant::now() + FRAME;
            }
            if moved {
                return Ok(());
            }
            if Instant::now() > end {
                bail!(
                    "the answer did not move to {address} within {PATIENCE:?}: this machine may be overloaded"
                );
            }
            sleep(LOOK).await;
        }
    }

    async fn show(&mut self, stage: &str, answer: &Answer) -> anyhow::Result<()> {
        let status = self.running.handle.status().await?.engine;
        let (elapsed, since_failure) = (self.begun.elapsed(), self.failed.map(|at| at.elapsed()));
        self.screen.show(&Picture { elapsed, stage, since_failure, status: &status, answer });
        Ok(())
    }

    async fn decided_at(&self) -> anyhow::Result<crate::time::Time> {
        let explanation = self.running.handle.explain(self.name.clone()).await?;
        let decision = explanation.and_then(|e| e.service.since);
        decision.context("the service has no decision")
    }

    async fn summary(&mut self, detected: Duration, seen: Duration, back: Duration) -> anyhow::Result<()> {
        let config = crate::config::load(&self.running.handle.status().await?.config);
        let config = config.map_err(|report| anyhow::anyhow!("{report}"))?.config;
        let service = config.services.first().context("the demo has one service")?;
        let worst = worst_case(service, &Surroundings::of(&config, usize::MAX));
        let secs = |d: Duration| format!("{:.2}s", d.as_secs_f64());
        let ttl = Duration::from_secs(service.ttl.into());
        let rows = [
            ("detection", secs(detected), "from the failure to the decision"),
            (
                "publish",
                secs(seen.saturating_sub(detected)),
                "from the decision to the new answer at a client",
            ),
            ("a client that asks", secs(seen), "from the failure to its new answer"),
            ("a client that cached", secs(seen + ttl), "the same, and the TTL on top"),
            ("failback", secs(back), "two good probes, and the hold of 4s"),
        ];
        self.screen.say("\nsummary");
        for (what, time, how) in rows {
            self.screen.say(&format!("  {what:<22}{time:>7}   {how}"));
        }
        self.screen.say(&format!("  {:<22}{worst}", "worst case"));
        Ok(())
    }

    async fn stay(&mut self) {
        self.screen.say("\nstaying up: Ctrl-C ends it");
        // Ctrl-C, or no way to hear of it: either ends the stay.
        let _ = tokio::signal::ctrl_c().await;
    }
}
