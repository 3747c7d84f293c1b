//! Lists of sites in order of preference, each kept once.

use std::collections::HashMap;

use super::Plan;
use super::distance::distance_km;
use crate::zone::MAX_REGIONS;

/// The lists met so far, by number. The first is that of clients nothing is known of.
pub(super) struct Orders<'p> {
    plan: &'p Plan,
    default: Vec<u8>,
    lists: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, u32>,
}

impl<'p> Orders<'p> {
    pub(super) fn new(plan: &'p Plan) -> Orders<'p> {
        let own = 0..plan.sites.len();
        let default = completed(&plan.default, own.map(|site| site as u8));
        let numbers = HashMap::from([(default.clone(), 0)]);
        Orders { plan, lists: vec![default.clone()], default, numbers }
    }

    /// The number of the list that begins with `preferred` and goes on with the nearest to `place`, if it
    /// is known, or else by default.
    pub(super) fn of(&mut self, preferred: &[u8], place: Option<[f64; 2]>) -> u32 {
        let mut rest = self.default.clone();
        if let Some(place) = place {
            // Stable: sites as far as each other, and those that are nowhere, stay in the default's order.
            let far = |site: &u8| {
                self.plan.sites[usize::from(*site)].map_or(u32::MAX, |site| distance_km(place, site))
            };
            rest.sort_by_cached_key(far);
        }
        let list = completed(preferred, rest);
        if let Some(&number) = self.numbers.get(&list) {
            return number;
        }
        let number = self.lists.len() as u32;
        self.lists.push(list.clone());
        self.numbers.insert(list, number);
        number
    }

    /// For each list the region it has become, and the regions' lists. Where there are more lists than
    /// there may be regions, as many of their first sites count as leave few enough: the last ones of many
    /// are never needed but when all others have failed.
    pub(super) fn finish(self) -> (Vec<u16>, Vec<Vec<u8>>) {
        for kept in (1..=self.default.len()).rev() {
            if let Some(done) = self.kept(kept) {
                return done;
            }
        }
        // No site at all: one list, which is empty.
        (vec![0; self.lists.len()], vec![self.default])
    }

    fn kept(&self, kept: usize) -> Option<(Vec<u16>, Vec<Vec<u8>>)> {
        let mut lists: Vec<Vec<u8>> = Vec::new();
        let mut numbers: HashMap<Vec<u8>, u16> = HashMap::new();
        let mut places = Vec::with_capacity(self.lists.len());
        for list in &self.lists {
            let list = completed(&list[..kept], self.default.iter().copied());
            let place = match numbers.get(&list) {
                Some(&place) => place,
                None if lists.len() == MAX_REGIONS => return None,
                None => {
                    let place = lists.len() as u16;
                    lists.push(list.clone());
                    numbers.insert(list, place);
                    place
                }
            };
            places.push(place);
        }
        Some((places, lists))
    }
}

/// A list without repetitions, and after it those of `rest` that it leaves out.
fn completed(list: &[u8], rest: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut seen = [false; super::MAX_SITES];
    let all = list.iter().copied().chain(rest);
    all.filter(|&site| !std::mem::replace(&mut seen[usize::from(site)], true)).collect()
}
