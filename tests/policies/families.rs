//! Dual stack: whatever the policy, a family that is dead at one site is answered from another.

use std::time::Duration;

use detour::dns::{RrSet, RrType};

use super::{AMS, FRA, IAD, Node, app};

const FRA_V6: &str = "2001:db8::1";
const DUAL: &str = r#"
endpoints = [
  { site = "fra", addresses = ["192.0.2.1", "2001:db8::1"] },
  { site = "ams", addresses = ["192.0.2.2", "2001:db8::2"] },
  { site = "iad", addresses = ["192.0.2.3", "2001:db8::3"] },
]
"#;

impl Node {
    /// What a client gets of a type.
    fn of_type(&self, ip: &str, rtype: RrType) -> Vec<Vec<u8>> {
        let ip = ip.parse().expect("an address");
        let sets = self.table.choice_for(&app(), ip).map(|choice| choice.rrsets);
        let sets: Vec<RrSet> = sets.unwrap_or_else(|| self.table.rrsets_at(&app()));
        sets.iter()
            .filter(|set| set.rtype == rtype)
            .flat_map(|set| &set.rdata)
            .map(|it| it.to_vec())
            .collect()
    }

    /// Every client gets both families, and nobody this address.
    fn answers_both_without(&self, dead: [u8; 4]) {
        for client in (0..500).map(|i| format!("20.{}.{}.1", i / 250, i % 250)).chain(["10.1.2.3".to_owned()])
        {
            let (v4, v6) = (self.of_type(&client, RrType::A), self.of_type(&client, RrType::AAAA));
            assert!(!v4.is_empty() && !v6.is_empty(), "{client}: {v4:?} {v6:?}: {}", self.why());
            assert!(!v4.iter().any(|rdata| **rdata == dead), "{client}: {v4:?}: {}", self.why());
        }
    }
}

#[test]
fn both_families_are_answered_under_each_policy_with_one_dead_at_a_site() {
    let policies = [
        "policy = \"failover\"",
        "policy = \"weighted\"\nsticky = true",
        "policy = \"geo\"\ngeo = \"world\"\nfailback = { mode = \"auto\", hold = \"60s\" }",
        "policy = \"all\"",
        "policy = \"all\"\nmax_answers = 1",
        "policy = \"failover\"\nmembers = [\"eu\", \"iad\"]\n[service.groups.eu]\npolicy = \"all\"\n\
         members = [\"fra\", \"ams\"]\nmin_up = 2",
    ];
    for policy in policies {
        // Tables of groups come after the keys of their service.
        let (keys, groups) = policy.split_once("\n[service").unwrap_or((policy, ""));
        let groups = if groups.is_empty() { String::new() } else { format!("[service{groups}") };
        let mut node = Node::of(&format!("{keys}\n{DUAL}\n{groups}\n"));
        node.answers_both_without([0, 0, 0, 0]);
        let before = node.of_type("20.0.7.1", RrType::AAAA);
        node.turns(FRA, false);
        node.answers_both_without([192, 0, 2, 1]);
        assert_eq!(node.of_type("20.0.7.1", RrType::AAAA), before, "{policy}: the other family stays");
        node.restart();
        node.answers_both_without([192, 0, 2, 1]);
        node.turns(FRA, true);
        node.wait(Duration::from_secs(61));
        node.answers_both_without([0, 0, 0, 0]);
        assert!(!node.why().contains("; A from"), "{policy}: {}", node.why());
    }
}

#[test]
fn each_family_is_half_of_the_load() {
    let mut node = Node::of(&format!("load = 101\n{DUAL}"));
    let loads = |node: &Node| -> Vec<u64> {
        node.engine.status(node.now).sites.iter().map(|site| site.load).collect()
    };
    assert_eq!(loads(&node), [101, 0, 0]);
    node.turns(FRA_V6, false);
    assert_eq!(loads(&node), [50, 51, 0], "{}", node.why());
    node.restart();
    assert_eq!(loads(&node), [50, 51, 0]);
    node.drain("ams");
    assert_eq!(loads(&node), [50, 0, 51], "{}", node.why());
    for address in [FRA, AMS, IAD] {
        node.sample(address, false);
    }
    node.wait(Duration::from_millis(20));
    assert_eq!(loads(&node), [50, 0, 51], "the last answer of IPv4 is kept: {}", node.why());
}
