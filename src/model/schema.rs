//! JSON schemas of enums whose variants hold what derives none: foreign types, or several fields.

use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema};

/// Text.
pub fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).into()
}

/// A list of so many texts.
pub fn texts(count: usize) -> RefOr<Schema> {
    let list = ArrayBuilder::new().items(text()).min_items(Some(count)).max_items(Some(count));
    RefOr::T(Schema::Array(list.build()))
}

/// An object with one of these keys, and no other.
pub fn one_key_of(keys: Vec<(&str, RefOr<Schema>)>) -> RefOr<Schema> {
    let closed = || Some(AdditionalProperties::<Schema>::FreeForm(false));
    let objects = keys.into_iter().fold(OneOfBuilder::new(), |all, (key, schema)| {
        let object = ObjectBuilder::new().property(key, schema).required(key);
        all.item(object.additional_properties(closed()))
    });
    objects.into()
}

/// A word, or an object whose one key is the word for what it holds.
pub fn word_or_object(description: &str) -> RefOr<Schema> {
    let object = ObjectBuilder::new().min_properties(Some(1)).max_properties(Some(1));
    OneOfBuilder::new().description(Some(description)).item(text()).item(object).into()
}
