//! What a primary sent as steps (RFC 1995): which records of which RRsets went and came between two of its serials. And
//! how a row of them is kept in a file, beside the file of the zone that they begin with.
//!
//! ```text
//! HEAD, then for each transfer: length, checksum, and so many bytes: the two serials, and each RRset twice,
//!       as what goes from it and as what comes to it
//! ```
//!
//! A zone follows steps where they fit it to the record: they begin with its SOA, what goes is there, and what comes
//! is not. So steps that the zone has already gone, because its file was written after them, change nothing.

use super::Zone;
use super::kept::{put_set, take_set};
use super::owners::hash;
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial};

/// What such a file begins with: that it is one, and its version.
pub const STEPS_HEAD: &[u8] = b"detour transfer steps 1\n";
/// The bytes before each transfer's: their number and checksum.
const FRAME: usize = 12;

/// From one serial to a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The serial of the zone that they fit.
    pub from: Serial,
    /// The serial that they lead to.
    pub to: Serial,
    /// The RRsets that change, each once, the SOA among them.
    pub sets: Vec<SetSteps>,
}

/// What becomes of one RRset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSteps {
    /// The owner.
    pub owner: Name,
    /// The type.
    pub rtype: RrType,
    /// The TTL of what is left, in seconds.
    pub ttl: u32,
    /// The RDATA that goes.
    pub removed: Vec<Box<[u8]>>,
    /// The RDATA that comes.
    pub added: Vec<Box<[u8]>>,
}

/// How far a file of steps could be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The serial that was come to.
    pub serial: Serial,
    /// What is of use: so many bytes from the beginning.
    pub len: usize,
    /// Why what comes after that is of none; `None` where nothing does.
    pub damage: Option<&'static str>,
}

impl SetSteps {
    /// What makes `after` of an RRset; `None` where it is that already.
    pub fn between(before: Option<&RrSet>, after: Option<&RrSet>) -> Option<SetSteps> {
        let either = after.or(before).filter(|_| before != after)?;
        let only = |these: Option<&RrSet>, those: Option<&RrSet>| -> Vec<Box<[u8]>> {
            these.into_iter().flat_map(|set| set.beyond(those)).map(Box::from).collect()
        };
        Some(SetSteps {
            owner: either.owner.clone(),
            rtype: either.rtype,
            ttl: either.ttl,
            removed: only(before, after),
            added: only(after, before),
        })
    }

    /// The RRset after it; an error where it does not fit the one before.
    fn after(&self, before: Option<RrSet>) -> Result<Option<RrSet>, ()> {
        let SetSteps { owner, rtype, ttl, removed, added } = self;
        let mut rdata = before.map(|set| set.rdata).unwrap_or_default();
        let held = rdata.len();
        rdata.retain(|record| removed.binary_search(record).is_err());
        if held - rdata.len() != removed.len() || added.iter().any(|record| rdata.contains(record)) {
            return Err(());
        }
        rdata.extend(added.iter().cloned());
        rdata.sort_unstable();
        let set = RrSet { owner: owner.clone(), rtype: *rtype, ttl: *ttl, rdata };
        Ok(Some(set).filter(|set| !set.rdata.is_empty()))
    }
}

impl Steps {
    /// As they stand in a file.
    pub fn to_frame(&self) -> Vec<u8> {
        let mut bytes = vec![0; FRAME];
        bytes.extend_from_slice(&self.from.0.to_le_bytes());
        bytes.extend_from_slice(&self.to.0.to_le_bytes());
        for SetSteps { owner, rtype, ttl, removed, added } in &self.sets {
            for rdata in [removed, added] {
                let rdata = rdata.iter().map(|rdata| &**rdata);
                put_set(&mut bytes, owner.as_wire(), *rtype, *ttl, rdata);
            }
        }
        let (len, checksum) = ((bytes.len() - FRAME) as u32, hash(&bytes[FRAME..]));
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4..FRAME].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Steps> {
        let ((from, bytes), mut sets) = (serial(bytes)?, Vec::new());
        let (to, mut rest) = serial(bytes)?;
        while !rest.is_empty() {
            let (gone, come) = (take_set(&mut rest)?, take_set(&mut rest)?);
            if (&gone.owner, gone.rtype, gone.ttl) != (&come.owner, come.rtype, come.ttl) {
                return None;
            }
            let RrSet { owner, rtype, ttl, rdata: removed } = gone;
            sets.push(SetSteps { owner, rtype, ttl, removed, added: come.rdata });
        }
        Some(Steps { from, to, sets })
    }

    /// The first in a file, and where the next begin; `None` where it is torn or damaged.
    fn first(bytes: &[u8]) -> Option<(Steps, usize)> {
        let (head, rest) = bytes.split_first_chunk::<FRAME>()?;
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let frame = rest.get(..len)?;
        (head[4..] == hash(frame).to_le_bytes()).then_some(())?;
        Some((Steps::from_bytes(frame)?, FRAME + len))
    }
}

impl Zone {
    /// Goes these steps; false, and nothing is changed, where they do not fit.
    pub fn go(&mut self, steps: &Steps) -> bool {
        if self.is_empty() || steps.from != self.serial() {
            return false;
        }
        let mut after = Vec::with_capacity(steps.sets.len());
        for set in &steps.sets {
            let before = self.rrset(&set.owner, set.rtype);
            match set.after(before).ok().filter(|_| set.owner.is_at_or_below(self.apex())) {
                Some(come) => after.push(come),
                None => return false,
            }
        }
        let is_soa = |set: &RrSet| set.rtype == RrType::SOA && set.owner == *self.apex();
        let soa = after.iter().flatten().find(|set| is_soa(set));
        if soa.is_none_or(|soa| soa.rdata.len() != 1 || soa_serial(soa) != steps.to) {
            return false;
        }
        self.change(steps.sets.iter().zip(&after).map(|(set, come)| (&set.owner, set.rtype, come.as_ref())));
        true
    }

    /// Goes all steps in a file that lead on from it, as far as they do, or up to this serial.
    pub fn follow(&mut self, file: &[u8], until: Option<Serial>) -> Followed {
        let Some(mut len) = head(file) else { return Followed::unreadable(self.serial(), file) };
        let (mut damage, mut moved) = (None, false);
        while len < file.len() && until != Some(self.serial()) {
            let Some((steps, frame)) = Steps::first(&file[len..]) else {
                damage = Some(TORN);
                break;
            };
            if self.go(&steps) {
                self.pack_when_due();
                moved = true;
            } else if moved && steps.to != self.serial() {
                damage = Some("its steps do not fit the zone");
                break;
            }
            len += frame;
        }
        Followed { serial: self.serial(), len, damage }
    }
}

/// What in a file of steps is of use to who holds the zone with this serial: those that led there, and those before.
pub fn led_to(file: &[u8], serial: Serial) -> Followed {
    let Some(mut at) = head(file) else { return Followed::unreadable(serial, file) };
    let (mut len, mut damage) = (at, None);
    while at < file.len() {
        let Some((steps, frame)) = Steps::first(&file[at..]) else {
            damage = Some(TORN);
            break;
        };
        at += frame;
        if steps.to == serial {
            len = at;
        }
    }
    // Where none led there the zone's file was written after all of them.
    if len > STEPS_HEAD.len() && len < at {
        damage = damage.or(Some("it goes on after what is served"));
    }
    Followed { serial, len, damage }
}

/// A serial, and what follows it.
fn serial(bytes: &[u8]) -> Option<(Serial, &[u8])> {
    let (serial, rest) = bytes.split_first_chunk::<4>()?;
    Some((Serial(u32::from_le_bytes(*serial)), rest))
}

const TORN: &str = "its end is torn or damaged";

/// Where the first steps begin.
fn head(file: &[u8]) -> Option<usize> {
    file.starts_with(STEPS_HEAD).then_some(STEPS_HEAD.len())
}

impl Followed {
    /// Of a file that has no steps.
    fn unreadable(serial: Serial, file: &[u8]) -> Followed {
        let damage = (!file.is_empty()).then_some("it does not begin as such a file does");
        Followed { serial, len: 0, damage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::parse;

    fn zone(serial: u32, more: &str) -> Zone {
        let text = format!("@ 60 SOA ns h {serial} 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n{more}");
        let apex = "example".parse().unwrap();
        parse(&apex, "z", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0
    }

    /// What leads from one zone to the other.
    fn between(before: &Zone, after: &Zone) -> Steps {
        let gone = before.rrsets().filter(|set| !after.has(&set.to_rrset().owner, set.rtype));
        let keys = after.rrsets().chain(gone).map(|set| (set.to_rrset().owner, set.rtype));
        let sets = keys.filter_map(|(owner, rtype)| {
            let (before, after) = (before.rrset(&owner, rtype), after.rrset(&owner, rtype));
            SetSteps::between(before.as_ref(), after.as_ref())
        });
        Steps { from: before.serial(), to: after.serial(), sets: sets.collect() }
    }

    fn versions() -> Vec<Zone> {
        vec![
            zone(1, "a 60 TXT x\nb 60 A 192.0.2.1\n"),
            zone(2, "a 60 TXT x\na 60 TXT y\nc.d 5 TXT z\n"),
            zone(3, "a 30 TXT x\na 30 TXT y\n"),
            zone(4, "a 30 TXT y\nb 60 A 192.0.2.1\nb 60 A 192.0.2.2\n"),
        ]
    }

    fn file(versions: &[Zone]) -> Vec<u8> {
        let frames = versions.windows(2).flat_map(|two| between(&two[0], &two[1]).to_frame());
        STEPS_HEAD.iter().copied().chain(frames).collect()
    }

    #[test]
    fn steps_lead_from_each_zone_to_the_last() {
        let versions = versions();
        let file = file(&versions);
        for begin in &versions {
            let mut zone = begin.clone();
            let followed = zone.follow(&file, None);
            assert_eq!(followed, Followed { serial: Serial(4), len: file.len(), damage: None });
            assert_eq!((zone.fingerprint(), zone.len()), (versions[3].fingerprint(), versions[3].len()));
            assert_eq!(begin.fingerprint(), versions[begin.serial().0 as usize - 1].fingerprint());
        }
        let mut zone = versions[0].clone();
        assert_eq!(zone.follow(&file, Some(Serial(3))).serial, Serial(3));
        assert_eq!(zone.fingerprint(), versions[2].fingerprint());
        // A file that was written later, or by hand.
        let mut later = self::zone(9, "");
        assert_eq!(later.follow(&file, None), Followed { serial: Serial(9), len: file.len(), damage: None });
        let mut other = self::zone(1, "");
        assert_eq!(other.follow(&file, None).serial, Serial(1));
        assert_eq!(other.fingerprint(), self::zone(1, "").fingerprint());
    }

    #[test]
    fn what_is_torn_or_damaged_is_gone_from_there_on() {
        let versions = versions();
        let (two, three) = (file(&versions[..3]), file(&versions));
        for end in 0..three.len() {
            let mut zone = versions[0].clone();
            let followed = zone.follow(&three[..end], None);
            assert_eq!(zone.serial(), followed.serial);
            assert_eq!(zone.fingerprint(), versions[zone.serial().0 as usize - 1].fingerprint(), "{end}");
            assert_eq!(led_to(&three[..end], followed.serial), followed, "{end}");
            assert_eq!(followed.damage.is_none(), end == 0 || end == followed.len, "{end}");
            let mut changed = three.clone();
            changed[end] ^= 1;
            let mut zone = versions[0].clone();
            let followed = zone.follow(&changed, None);
            assert!(followed.damage.is_some() && followed.serial != Serial(4), "{end}");
            assert_eq!(zone.fingerprint(), versions[zone.serial().0 as usize - 1].fingerprint(), "{end}");
        }
        // What comes twice is gone once; what does not follow ends it.
        let (step, last) =
            (between(&versions[1], &versions[2]).to_frame(), between(&versions[2], &versions[3]));
        let twice = [&two[..], &step, &last.to_frame()].concat();
        let mut zone = versions[0].clone();
        assert_eq!((zone.follow(&twice, None).damage, zone.serial()), (None, Serial(4)));
        let gap = [&file(&versions[..2])[..], &last.to_frame()].concat();
        let mut zone = versions[0].clone();
        assert!(zone.follow(&gap, None).damage.is_some());
        assert_eq!(zone.serial(), Serial(2));
        assert_eq!(led_to(&three, Serial(3)).len, two.len());
        assert!(led_to(&three, Serial(3)).damage.is_some());
        assert_eq!(
            led_to(&three, Serial(9)),
            Followed { serial: Serial(9), len: STEPS_HEAD.len(), damage: None }
        );
    }

    #[test]
    fn steps_that_do_not_fit_change_nothing() {
        let versions = versions();
        let steps = between(&versions[0], &versions[1]);
        let check = |what: &str, spoil: &dyn Fn(&mut Steps)| {
            let (mut steps, mut zone) = (steps.clone(), versions[0].clone());
            spoil(&mut steps);
            assert!(!zone.go(&steps), "{what}");
            assert_eq!(zone.fingerprint(), versions[0].fingerprint());
        };
        check("another serial", &|steps| steps.from = Serial(7));
        check("to another serial", &|steps| steps.to = Serial(7));
        check("what is there", &|steps| {
            let set =
                steps.sets.iter_mut().find(|set| set.added.len() == 1 && set.removed.is_empty()).unwrap();
            set.added = vec![Box::from(*b"\x01x")];
        });
        check("what is not there", &|steps| {
            let set = steps.sets.iter_mut().find(|set| set.added.is_empty()).unwrap();
            set.removed[0] = Box::from([9; 4]);
        });
        check("no SOA", &|steps| steps.sets.retain(|set| set.rtype != RrType::SOA));
        check("another zone", &|steps| steps.sets[1].owner = "other".parse().unwrap());
        assert!(versions[0].clone().go(&steps) && !Zone::hollow("example".parse().unwrap()).go(&steps));
    }
}
