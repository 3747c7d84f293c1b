//! What an operator names: a scope, or a word that means one.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::PartialSchema;
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};

use super::Scope;
use crate::model::schema::text;

/// What an operator names: a scope, or a word for one, which the engine resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `fra`, `app.example.com`, `app.example.com@fra`
    Word(String),
    /// The scope itself.
    Scope(Scope),
}

impl From<Scope> for Target {
    fn from(scope: Scope) -> Target {
        Target::Scope(scope)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Word(word) => f.write_str(word),
            Target::Scope(scope) => scope.fmt(f),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Target::Word(word) => serializer.serialize_str(word),
            Target::Scope(scope) => scope.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scope, or a word for one")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Target, E> {
        Ok(Target::Word(word.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        Scope::deserialize(MapAccessDeserializer::new(map)).map(Target::Scope)
    }
}

impl PartialSchema for Target {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new().item(text()).item(Scope::schema()).into()
    }
}

impl utoipa::ToSchema for Target {}
