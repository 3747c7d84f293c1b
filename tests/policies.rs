//! Policies from a configuration file to what each client is answered: a real configuration and zone, the
//! engine, and the table that answers. Samples in, answers out; time is an argument.

#[path = "policies/families.rs"]
mod families;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use detour::answer::Table;
use detour::config::load;
use detour::dns::{Name, RrSet, RrType};
use detour::engine::{Action, AtServices, Command, Effect, Engine, Event, Load, Saved, Undecided, ZoneBase};
use detour::geo;
use detour::health::{Detail, Failure, Outcome, Sample, Vantage};
use detour::model::Config;
use detour::policy::{OverrideKind, Scope};
use detour::time::Time;

const HEAD: &str = r#"
[sites.fra]
location = [50.11, 8.68]
[sites.ams]
location = [52.37, 4.90]
[sites.iad]
location = [38.94, -77.46]
[probes.web]
type = "tcp"
port = 443
interval = "1h"
confirm = "250ms"
timeout = "2s"
fall = 1
rise = 1
[geo.world]
default = ["iad"]
rules = [
  { networks = ["10.1.0.0/16"], prefer = ["fra", "ams"] },
  { networks = ["10.2.0.0/16"], prefer = ["ams", "fra"] },
]
[[zone]]
name = "example.com"
file = "example.com.zone"
"#;
const ZONE: &str = "$TTL 60\n@ SOA ns h 1 1h 15m 1w 5m\n  NS ns\nns A 192.0.2.53\napp TXT \"beside\"\n";
const ENDPOINTS: &str = r#"
endpoints = [
  { site = "fra", addresses = ["192.0.2.1"] },
  { site = "ams", addresses = ["192.0.2.2"] },
  { site = "iad", addresses = ["192.0.2.3"] },
]
"#;
const FRA: &str = "192.0.2.1";
const AMS: &str = "192.0.2.2";
const IAD: &str = "192.0.2.3";

/// Everything between samples and answers.
struct Node {
    config: Arc<Config>,
    load: Load,
    compiled: Table,
    engine: Engine,
    table: Table,
    saved: BTreeMap<String, Saved>,
    now: Time,
    wake: Option<Time>,
    refused: Option<String>,
}

fn app() -> Name {
    "app.example.com".parse().expect("a name")
}

impl Node {
    fn of(service: &str) -> Node {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("detour.toml");
        let text = format!("{HEAD}\n[[service]]\nname = \"app.example.com\"\nprobes = [\"web\"]\n{service}");
        std::fs::write(&path, text).expect("written");
        std::fs::write(folder.path().join("example.com.zone"), ZONE).expect("written");
        let loaded = load(&path).unwrap_or_else(|report| panic!("{report}"));
        let config = Arc::new(loaded.config);
        let clients = geo::clients(&config, &loaded.databases).expect("sorted");
        let zone = &loaded.zones[0];
        let beside = BTreeMap::from([(app(), zone.rrset(&app(), RrType::TXT).into_iter().collect())]);
        let base = ZoneBase {
            apex: zone.apex().clone(),
            soa: zone.soa(),
            fingerprint: zone.fingerprint(),
            edits: 0,
            at_services: Arc::new(AtServices { beside, ..AtServices::default() }),
        };
        let load = Load {
            config: config.clone(),
            zones: vec![Arc::new(base)],
            regions: clients.regions,
            undecided: Undecided::default(),
        };
        let compiled = Table::compile(loaded.zones, &[app()], 1).with_clients(clients.maps);
        let mut node = Node {
            config,
            load,
            table: compiled.clone(),
            compiled,
            engine: Engine::new(1, Vec::new()),
            saved: BTreeMap::new(),
            now: Time(1_767_225_600_000),
            wake: None,
            refused: None,
        };
        node.step(Event::Load(node.load.clone()));
        for check in node.config.checks() {
            node.sample(&check.key.whereto.to_string(), true);
        }
        node.wait(Duration::from_millis(20));
        node
    }

    fn step(&mut self, event: Event) {
        self.refused = None;
        for effect in self.engine.step(self.now, event) {
            match effect {
                Effect::Rebase(changesets) => {
                    self.table = self.compiled.clone();
                    for changes in &changesets {
                        self.table.apply(changes).expect("it fits");
                    }
                }
                Effect::Renew(_) => panic!("contents stay"),
                Effect::Publish(changes) => self.table.apply(&changes).expect("it fits"),
                Effect::Wake(at) => self.wake = Some(at),
                Effect::Save(saved) => drop(self.saved.insert(format!("{:?}", saved.key()), saved)),
                Effect::Refused(why) => self.refused = Some(why.to_string()),
                Effect::Record(_) | Effect::Pace(..) => {}
            }
        }
    }

    fn wait(&mut self, span: Duration) {
        let to = self.now + span;
        while let Some(at) = self.wake.take_if(|at| *at <= to) {
            self.now = self.now.max(at);
            self.step(Event::Tick);
        }
        self.now = to;
    }

    fn sample(&mut self, address: &str, ok: bool) {
        let checks = self.config.checks();
        let check = checks.into_iter().find(|check| check.key.whereto.to_string() == address);
        let outcome = if ok { Outcome::Ok } else { Outcome::Failed(Failure::Refused) };
        self.step(Event::Sample(Sample {
            check: check.expect("a check").key,
            vantage: Vantage::local(),
            at: self.now,
            latency: Duration::ZERO,
            outcome,
            detail: Detail::default(),
        }));
    }

    /// A site's health changes, and what comes of it is published.
    fn turns(&mut self, address: &str, ok: bool) {
        self.sample(address, ok);
        self.wait(Duration::from_millis(20));
    }

    fn command(&mut self, action: Action) {
        self.step(Event::Command(Command { who: "ann".to_owned(), reason: "a drill".to_owned(), action }));
    }

    fn drain(&mut self, site: &str) {
        let (scope, kind) = (Scope::Site(site.into()), OverrideKind::Drain);
        self.command(Action::Override { scope, kind, until: None, force: false });
    }

    /// Ends as `kill -9` would and goes on from what was saved.
    fn restart(&mut self) {
        let saved = self.saved.values().map(|saved| {
            let text = serde_json::to_string(saved).expect("state is written");
            serde_json::from_str(&text).expect("state is read")
        });
        self.engine = Engine::new(1, saved.collect());
        self.step(Event::Load(self.load.clone()));
    }

    /// The addresses a client gets, and the scope of that.
    fn answer(&self, ip: &str) -> (Vec<String>, u8) {
        let ip: IpAddr = ip.parse().expect("an address");
        let (sets, scope) = match self.table.choice_for(&app(), ip) {
            Some(choice) => (choice.rrsets, choice.scope),
            None => (self.table.rrsets_at(&app()), 0),
        };
        assert!(sets.iter().any(|set| set.rtype == RrType::TXT), "what the file holds beside is there");
        let addresses = sets
            .iter()
            .filter(|set| set.rtype == RrType::A)
            .flat_map(|set| set.rdata.iter().map(|rdata| &**rdata));
        let text = |rdata: &[u8]| match *rdata {
            [a, b, c, d] => Ipv4Addr::new(a, b, c, d).to_string(),
            _ => panic!("no address"),
        };
        (addresses.map(text).collect(), scope)
    }

    fn gets(&self, ip: &str, expect: &[&str]) {
        assert_eq!(self.answer(ip).0, expect, "{ip}: {}", self.why());
    }

    /// What each of 2,000 networks gets.
    fn networks(&self) -> Vec<Vec<String>> {
        (0..2000).map(|i| self.answer(&format!("20.{}.{}.1", i / 250, i % 250)).0).collect()
    }

    fn why(&self) -> String {
        let explanation = self.engine.explain(self.now, &app()).expect("a service");
        explanation.service.decision.expect("a decision").because()
    }
}

fn share(all: &[Vec<String>], address: &str) -> f64 {
    all.iter().filter(|one| one[..] == [address]).count() as f64 / all.len() as f64
}

#[test]
fn a_client_gets_the_near_site_and_the_next_nearest_when_it_is_down() {
    let mut node = Node::of(&format!(
        "policy = \"geo\"\ngeo = \"world\"\nfailback = {{ mode = \"auto\", hold = \"60s\" }}\n{ENDPOINTS}"
    ));
    node.gets("10.1.2.3", &[FRA]);
    node.gets("10.2.2.3", &[AMS]);
    node.gets("8.8.8.8", &[IAD]);
    assert_eq!(node.answer("10.1.2.3").1, 16, "as many bits as the choice depends on");
    assert!(node.why().contains("near fra to fra"), "{}", node.why());
    node.turns(FRA, false);
    node.gets("10.1.2.3", &[AMS]);
    assert!(node.why().contains("near fra to ams"), "{}", node.why());
    assert!(node.why().contains("fra Down"), "{}", node.why());
    let before = [node.answer("10.1.2.3"), node.answer("10.2.2.3"), node.answer("8.8.8.8")];
    node.restart();
    assert_eq!(before, [node.answer("10.1.2.3"), node.answer("10.2.2.3"), node.answer("8.8.8.8")]);
    // Back, but not before its hold is over.
    node.turns(FRA, true);
    node.gets("10.1.2.3", &[AMS]);
    node.wait(Duration::from_secs(61));
    node.gets("10.1.2.3", &[FRA]);
    // With nothing left the last answers stay, each client's own.
    for address in [FRA, AMS, IAD] {
        node.sample(address, false);
    }
    node.wait(Duration::from_millis(20));
    assert!(node.why().contains("no endpoint works"), "{}", node.why());
    node.gets("10.1.2.3", &[FRA]);
    node.gets("10.2.2.3", &[AMS]);
}

#[test]
fn sticky_shares_are_met_and_nobody_moves_without_need() {
    let mut node = Node::of(
        r#"
policy = "weighted"
sticky = true
endpoints = [
  { site = "fra", weight = 2, addresses = ["192.0.2.1"] },
  { site = "ams", weight = 1, addresses = ["192.0.2.2"] },
  { site = "iad", weight = 1, addresses = ["192.0.2.3"] },
]
"#,
    );
    let before = node.networks();
    assert!((share(&before, FRA) - 0.5).abs() < 0.05, "{}", share(&before, FRA));
    assert!((share(&before, IAD) - 0.25).abs() < 0.05, "{}", share(&before, IAD));
    assert_eq!(node.answer("20.0.0.1").1, 24, "the scope is no narrower than what shares a bucket");
    assert!(node.why().contains("fra 50 %"), "{}", node.why());
    node.turns(AMS, false);
    let without = node.networks();
    for (before, after) in before.iter().zip(&without) {
        assert!(before == after || before[..] == [AMS], "{before:?} to {after:?}");
    }
    node.restart();
    assert_eq!(node.networks(), without, "a restart moves nobody");
    node.turns(AMS, true);
    assert_eq!(node.networks(), before, "everybody is back where they were");
    // There is no order to move along.
    node.command(Action::Failover { service: app(), to: "iad".into() });
    assert!(node.refused.as_deref().is_some_and(|why| why.contains("drain the other sites")));
}

#[test]
fn a_load_is_shared_out_as_clients_are() {
    let loads = |node: &Node| {
        let sites = node.engine.status(node.now).sites;
        sites.iter().map(|site| (site.id.to_string(), site.load)).collect::<Vec<_>>()
    };
    let check = |node: &Node, expect: [u64; 3]| {
        let expect = ["fra", "ams", "iad"].map(str::to_owned).into_iter().zip(expect).collect::<Vec<_>>();
        assert_eq!(loads(node), expect, "{}", node.why());
    };
    let weighed = ENDPOINTS.replacen("addresses", "weight = 2, addresses", 1);
    let mut node = Node::of(&format!("policy = \"weighted\"\nload = 100\n{weighed}"));
    check(&node, [50, 25, 25]);
    node.turns(AMS, false);
    check(&node, [67, 0, 33]);
    node.restart();
    check(&node, [67, 0, 33]);
    node.turns(FRA, false);
    check(&node, [0, 0, 100]);
    node.turns(AMS, true);
    node.turns(FRA, true);
    check(&node, [50, 25, 25]);

    // Who has three addresses in one answer uses each a third of the time.
    let node = Node::of(&format!("policy = \"all\"\nload = 90\n{ENDPOINTS}"));
    check(&node, [30, 30, 30]);
}

#[test]
fn a_weight_of_zero_is_used_for_nothing_even_in_an_outage() {
    let mut node = Node::of(
        r#"
policy = "weighted"
sticky = true
all_down = "primary"
endpoints = [
  { site = "fra", weight = 0, addresses = ["192.0.2.1"] },
  { site = "ams", addresses = ["192.0.2.2"] },
  { site = "iad", addresses = ["192.0.2.3"] },
]
"#,
    );
    assert!(share(&node.networks(), FRA) < f64::EPSILON);
    node.turns(AMS, false);
    node.gets("20.0.0.1", &[IAD]);
    node.turns(IAD, false);
    node.gets("20.0.0.1", &[AMS]);
    assert!(node.why().contains("no endpoint works"), "{}", node.why());
}

#[test]
fn who_recovers_gets_its_share_back_in_steps() {
    let mut node =
        Node::of(&format!("policy = \"weighted\"\nsticky = true\nslow_start = \"100s\"\n{ENDPOINTS}"));
    let whole = share(&node.networks(), FRA);
    node.turns(FRA, false);
    assert!(share(&node.networks(), FRA) < f64::EPSILON);
    node.turns(FRA, true);
    let mut steps = 0;
    let mut last = 0.0;
    for _ in 0..12 {
        let now = share(&node.networks(), FRA);
        assert!(now >= last, "it never shrinks: {now} after {last}");
        steps += usize::from(now > last);
        last = now;
        node.wait(Duration::from_secs(10));
    }
    assert!(steps >= 5, "{steps}");
    assert!((last - whole).abs() < 0.001, "{last} of {whole}");
}

#[test]
fn all_that_work_are_answered_and_no_more_than_may_be() {
    let mut node = Node::of(&format!("policy = \"all\"\nmax_answers = 2\n{ENDPOINTS}"));
    node.gets("20.0.0.1", &[FRA, AMS]);
    node.turns(FRA, false);
    node.gets("20.0.0.1", &[AMS, IAD]);
    node.drain("iad");
    node.gets("20.0.0.1", &[AMS]);
    node.turns(AMS, false);
    node.gets("20.0.0.1", &[AMS]);
    assert!(node.why().contains("no endpoint works"), "{}", node.why());
}

const GROUPS: &str = r#"
policy = "failover"
members = ["eu", "iad"]
failback = "manual"
[service.groups.eu]
policy = "all"
members = ["fra", "ams"]
"#;

#[test]
fn a_group_is_up_while_enough_of_it_is() {
    let (endpoints, rest) = (ENDPOINTS, GROUPS);
    let mut node = Node::of(&format!("{endpoints}{rest}min_up = \"100%\"\n"));
    node.gets("20.0.0.1", &[FRA, AMS]);
    node.turns(FRA, false);
    node.gets("20.0.0.1", &[IAD]);

    let mut node = Node::of(&format!("{endpoints}{rest}min_up = \"50%\"\n"));
    node.turns(FRA, false);
    node.gets("20.0.0.1", &[AMS]);
    // A drain and an outage together take the group away.
    node.drain("ams");
    node.gets("20.0.0.1", &[IAD]);
    node.turns(FRA, true);
    node.gets("20.0.0.1", &[IAD]);
    node.command(Action::Failback { service: app() });
    node.gets("20.0.0.1", &[FRA]);
    node.command(Action::Failover { service: app(), to: "iad".into() });
    node.gets("20.0.0.1", &[IAD]);
    node.restart();
    node.gets("20.0.0.1", &[IAD]);
    assert!(node.why().contains("latched by an operator"), "{}", node.why());
}

#[test]
fn what_contradicts_itself_is_refused_with_a_way_out() {
    let check = |service: &str, expect: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("detour.toml");
        let text = format!("{HEAD}\n[[service]]\nname = \"app.example.com\"\nprobes = [\"web\"]\n{service}");
        std::fs::write(&path, text).expect("written");
        std::fs::write(folder.path().join("example.com.zone"), ZONE).expect("written");
        let report = load(&path).expect_err(expect).to_string();
        assert!(report.contains(expect), "{report}");
    };
    check(&format!("policy = \"geo\"\n{ENDPOINTS}"), "has no \"geo\"");
    check(&format!("policy = \"geo\"\ngeo = \"wrld\"\n{ENDPOINTS}"), "did you mean \"world\"?");
    check(&format!("sticky = true\n{ENDPOINTS}"), "\"sticky\" means nothing");
    check(&format!("members = [\"fra\", \"ams\"]\n{ENDPOINTS}"), "endpoint \"iad\" is a member of no group");
    check(&format!("members = [\"fra\", \"ams\", \"sin\"]\n{ENDPOINTS}"), "unknown member \"sin\"");
    check(&format!("{ENDPOINTS}{GROUPS}min_up = 3\n"), "min_up 3 is more than");
    let circle = GROUPS.replace("\"fra\", \"ams\"]", "\"fra\", \"ams\", \"eu\"]");
    check(&format!("{ENDPOINTS}{circle}"), "or in a circle");
    check(
        "endpoints = [{ site = \"fra\", addresses = [\"192.0.2.1\"], records = [\"NS ns.example.com.\"] }]",
        "come from the zone file alone",
    );
}

#[test]
fn an_endpoint_brings_its_own_records() {
    let mut node = Node::of(
        r#"
endpoints = [
  { site = "fra", addresses = ["192.0.2.1"], records = ["MX 10 mail.fra.example.com."] },
  { site = "ams", addresses = ["192.0.2.2"], records = ["MX 10 mail.ams.example.com."] },
  { site = "iad", addresses = ["192.0.2.3"] },
]
"#,
    );
    let mx = |node: &Node| {
        let sets = node.table.rrsets_at(&app());
        sets.iter().filter(|set| set.rtype == RrType::MX).flat_map(RrSet::to_lines).collect::<String>()
    };
    assert!(mx(&node).contains("mail.fra.example.com."), "{}", mx(&node));
    node.turns(FRA, false);
    assert!(mx(&node).contains("mail.ams.example.com."), "{}", mx(&node));
    node.turns(AMS, false);
    assert_eq!(mx(&node), "");
}

#[test]
fn address_hints_of_https_records_follow_the_decision() {
    let mut node = Node::of(
        r#"
endpoints = [
  { site = "fra", addresses = ["192.0.2.1"], records = ["HTTPS 1 . alpn=h2 ipv4hint=auto ipv6hint=auto"] },
  { site = "ams", addresses = ["192.0.2.2"], records = ["HTTPS 1 . alpn=h2 ipv4hint=auto ipv6hint=auto"] },
  { site = "iad", addresses = ["192.0.2.3"] },
]
"#,
    );
    let https = |node: &Node| {
        let sets = node.table.rrsets_at(&app());
        sets.iter().filter(|set| set.rtype == RrType::HTTPS).flat_map(RrSet::to_lines).collect::<String>()
    };
    let hints = "alpn=\"h2\" ipv4hint=192.0.2.1";
    assert!(https(&node).contains(hints), "{}", https(&node));
    node.turns(FRA, false);
    let moved = https(&node);
    assert!(moved.contains("alpn=\"h2\" ipv4hint=192.0.2.2") && !moved.contains("ipv6hint"), "{moved}");
}
