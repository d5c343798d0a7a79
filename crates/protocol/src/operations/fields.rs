//! The types of an operation's fields, for HTTP parameters, which arrive as text.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Definition;

/// The JSON type that the text of a parameter is converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// An unsigned integer.
    Integer,
    /// `true` or `false`; no other spelling.
    Boolean,
    /// Anything else: the text itself.
    Text,
}

impl FieldType {
    /// Converts a parameter. A text that is not of the type stays text, so that the check of the field rejects it with the
    /// right code.
    #[must_use]
    pub fn read(self, text: String) -> Value {
        match self {
            FieldType::Integer => text.parse::<u64>().map_or(Value::String(text), Value::from),
            FieldType::Boolean => text.parse::<bool>().map_or(Value::String(text), Value::from),
            FieldType::Text => Value::String(text),
        }
    }
}

impl Definition {
    /// The names of the fields and whether each is required; required ones first. The HTTP documentation page shows them in
    /// this order.
    #[must_use]
    pub fn fields_in_order(&self) -> Vec<(String, bool)> {
        let mut generator =
            SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true).into_generator();
        let schema = (self.fields)(&mut generator);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let optional = properties.map(|(name, _)| name.as_str()).filter(|name| !required.contains(name));
        let named = |name: &str, is_required| (name.to_owned(), is_required);
        required.iter().map(|name| named(name, true)).chain(optional.map(|name| named(name, false))).collect()
    }

    /// The types of the fields by name, taken from the schema.
    #[must_use]
    pub fn field_types(&self) -> BTreeMap<String, FieldType> {
        let mut generator =
            SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true).into_generator();
        let schema = (self.fields)(&mut generator);
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        properties.map(|(name, schema)| (name.clone(), field_type(schema))).collect()
    }
}

fn field_type(schema: &Value) -> FieldType {
    let is = |name: &str| match &schema["type"] {
        // An optional field has two types, one of them null.
        Value::Array(types) => types.iter().any(|known| known == name),
        known => known == name,
    };
    match () {
        () if is("integer") => FieldType::Integer,
        () if is("boolean") => FieldType::Boolean,
        () => FieldType::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::OPERATIONS;
    use super::*;

    #[test]
    fn fields_have_the_types_of_their_schema() {
        let of = |name: &str| {
            OPERATIONS.iter().find(|definition| definition.row.name == name).unwrap().field_types()
        };
        use FieldType::{Boolean, Integer, Text};
        let types =
            |list: &[(&str, FieldType)]| list.iter().map(|(name, it)| ((*name).to_owned(), *it)).collect();
        let expected: BTreeMap<_, _> = types(&[("joined", Boolean), ("after", Text), ("limit", Integer)]);
        assert_eq!(of("rooms"), expected);
        let expected: BTreeMap<_, _> =
            types(&[("room", Text), ("after", Integer), ("before", Integer), ("limit", Integer)]);
        assert_eq!(of("history"), expected);
    }

    #[test]
    fn text_that_cannot_be_read_stays_text() {
        assert_eq!(FieldType::Integer.read("41".to_owned()), 41);
        assert_eq!(FieldType::Integer.read("-1".to_owned()), "-1");
        assert_eq!(FieldType::Boolean.read("true".to_owned()), true);
        assert_eq!(FieldType::Boolean.read("1".to_owned()), "1");
    }
}
