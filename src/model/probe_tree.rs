//! Several probes on one service: which of them must pass.

use std::fmt;
use std::sync::Arc;

use super::Probe;

/// How deep combinations may lie in one another; a plain list is 1 deep.
pub const MAX_PROBE_DEPTH: usize = 4;

/// The probes of a service, and how many of them make a place work.
///
/// "All" is at least all of them and "any" is at least one, so there is one kind of combination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeTree {
    /// This one decides.
    One(Arc<Probe>),
    /// As many as `need` of `of`.
    AtLeast {
        /// 1 to as many as there are.
        need: usize,
        /// Never empty; no probe stands twice in one of these.
        of: Vec<ProbeTree>,
    },
}

impl ProbeTree {
    /// Every probe, from left to right. One that is named by two branches is there twice.
    pub fn leaves(&self) -> Leaves<'_> {
        Leaves(vec![self])
    }

    /// The same combination of other probes.
    #[must_use]
    pub fn map(&self, change: &impl Fn(&Arc<Probe>) -> Arc<Probe>) -> ProbeTree {
        match self {
            ProbeTree::One(probe) => ProbeTree::One(change(probe)),
            ProbeTree::AtLeast { need, of } => {
                ProbeTree::AtLeast { need: *need, of: of.iter().map(|child| child.map(change)).collect() }
            }
        }
    }

    /// A combination of these; one alone is what it is by itself.
    pub fn combined(need: usize, mut of: Vec<ProbeTree>) -> ProbeTree {
        match of.pop() {
            Some(only) if of.is_empty() => only,
            last => {
                of.extend(last);
                ProbeTree::AtLeast { need, of }
            }
        }
    }
}

/// All of them must pass.
impl From<Vec<Arc<Probe>>> for ProbeTree {
    fn from(probes: Vec<Arc<Probe>>) -> ProbeTree {
        ProbeTree::combined(probes.len(), probes.into_iter().map(ProbeTree::One).collect())
    }
}

/// The probes of a tree, from left to right.
#[derive(Clone, Debug)]
pub struct Leaves<'a>(Vec<&'a ProbeTree>);

impl<'a> Iterator for Leaves<'a> {
    type Item = &'a Arc<Probe>;

    fn next(&mut self) -> Option<&'a Arc<Probe>> {
        loop {
            match self.0.pop()? {
                ProbeTree::One(probe) => return Some(probe),
                ProbeTree::AtLeast { of, .. } => self.0.extend(of.iter().rev()),
            }
        }
    }
}

/// `web`, `all of (web, db)`, `any of (web, 2 of (a, b, c))`
impl fmt::Display for ProbeTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (need, of) = match self {
            ProbeTree::One(probe) => return f.write_str(&probe.id),
            ProbeTree::AtLeast { need, of } => (*need, of),
        };
        match need {
            need if need == of.len() => f.write_str("all")?,
            1 => f.write_str("any")?,
            need => write!(f, "{need}")?,
        }
        for (at, child) in of.iter().enumerate() {
            write!(f, "{}{child}", if at == 0 { " of (" } else { ", " })?;
        }
        f.write_str(")")
    }
}
