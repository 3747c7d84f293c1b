//! Keys.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Algorithm;
use super::algorithm::Running;
use crate::dns::Name;

/// A secret that two share, and what they call it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    secret: Box<[u8]>,
}

impl Key {
    /// A key of this secret.
    pub fn new(name: Name, algorithm: Algorithm, secret: impl Into<Box<[u8]>>) -> Key {
        Key { name, algorithm, secret: secret.into() }
    }

    /// What both call it.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How many bytes a signature by it takes in a message, an error's time included.
    pub fn record_len(&self) -> usize {
        // Type, class, TTL and length; time and fudge, three lengths and the id, the error; the error's time.
        self.name.as_wire().len() + 10 + self.algorithm.wire().len() + 16 + self.algorithm.mac_len() + 6
    }

    pub(super) fn running(&self) -> Running {
        Running::new(self.algorithm, &self.secret)
    }
}

/// Secrets are not for logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {}, ..)", self.name, self.algorithm.name())
    }
}

/// Keys by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<Name, Arc<Key>>);

impl Keys {
    /// The key of this name.
    pub fn get(&self, name: &Name) -> Option<&Arc<Key>> {
        self.0.get(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.0.values()
    }
}

impl FromIterator<Key> for Keys {
    /// Of two with one name the last one counts.
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Keys {
        Keys(keys.into_iter().map(|key| (key.name.clone(), Arc::new(key))).collect())
    }
}
