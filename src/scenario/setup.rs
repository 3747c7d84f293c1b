//! What a scenario or the simulator configures, with what holds where nothing is said.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::{Moving, Safety};

/// What is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub sites: BTreeMap<String, Vec<IpAddr>>,
    /// Apex and the file's serial.
    pub zones: BTreeMap<String, u32>,
    /// Owner, type, value and TTL of records of zone files at steered names.
    pub file: Vec<(String, String, String, u32)>,
    pub services: BTreeMap<String, ServiceSpec>,
    /// Addresses, and how many must work.
    pub canaries: (Vec<IpAddr>, usize),
    /// Site or service, schedule, zone and length of maintenance windows.
    pub maintenance: Vec<(String, String, String, Duration)>,
    pub safety: Safety,
    /// By site.
    pub capacity: BTreeMap<String, u32>,
}

/// One `service` line.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    pub sites: Vec<String>,
    pub ttl: Duration,
    pub suspect: Duration,
    pub fall: u32,
    pub rise: u32,
    pub window: Option<u32>,
    pub interval: Duration,
    pub confirm: Duration,
    /// The hold; `None` is manual.
    pub failback: Option<Duration>,
    pub all_down: String,
    pub probes: Vec<String>,
    /// How many of them must pass; `None` is all.
    pub need: Option<usize>,
    pub cname: BTreeMap<String, String>,
    /// Changes, within, hold and longest hold.
    pub damping: Option<(u32, Duration, Duration, Duration)>,
    pub moving: Moving,
}

impl Default for Setup {
    fn default() -> Setup {
        let site = |id: &str, addr: [u8; 4]| (id.to_owned(), vec![IpAddr::from(addr)]);
        Setup {
            sites: [
                site("fra", [192, 0, 2, 10]),
                site("iad", [198, 51, 100, 10]),
                site("sin", [203, 0, 113, 10]),
            ]
            .into(),
            zones: [("example.com".to_owned(), 1)].into(),
            file: Vec::new(),
            services: BTreeMap::new(),
            canaries: (Vec::new(), 0),
            maintenance: Vec::new(),
            safety: Safety::default(),
            capacity: BTreeMap::new(),
        }
    }
}

impl Default for ServiceSpec {
    fn default() -> ServiceSpec {
        ServiceSpec {
            sites: Vec::new(),
            ttl: Duration::from_secs(30),
            suspect: Duration::from_secs(5),
            fall: 3,
            rise: 2,
            window: None,
            // A timeline tells what matters: nothing in it is late, unless it says the interval.
            interval: Duration::from_secs(3600),
            confirm: Duration::from_millis(250),
            failback: Some(Duration::from_secs(60)),
            all_down: "keep".to_owned(),
            probes: vec!["web".to_owned()],
            need: None,
            cname: BTreeMap::new(),
            damping: None,
            moving: Moving::default(),
        }
    }
}
