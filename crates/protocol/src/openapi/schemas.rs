//! Collects the schemas that the document refers to.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::operations::Definition;
use crate::{CommandId, ServerFrame};

/// Requests and replies have separate generators, because they treat optional fields differently: a request may omit one, and
/// a reply never contains a null.
pub(super) struct Schemas {
    requests: SchemaGenerator,
    replies: SchemaGenerator,
    commands: Map<String, Value>,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) schema: Value,
    pub(super) required: bool,
}

impl Field {
    /// The field as a parameter; `place` is `path` or `query`.
    pub(super) fn parameter(&self, place: &str) -> Value {
        let mut schema = self.schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({
            "name": self.name,
            "in": place,
            "required": self.required,
            "description": description,
            "schema": schema,
        })
    }
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Schemas {
            requests: settings().into_generator(),
            replies: settings().for_serialize().into_generator(),
            commands: Map::new(),
        }
    }
}

impl Schemas {
    pub(super) fn request(&mut self, schema: fn(&mut SchemaGenerator) -> Schema) -> Value {
        schema(&mut self.requests).to_value()
    }

    pub(super) fn reply(&mut self, schema: fn(&mut SchemaGenerator) -> Schema) -> Value {
        schema(&mut self.replies).to_value()
    }

    /// The fields of an operation's request, sorted by name.
    pub(super) fn request_fields(&mut self, definition: &Definition) -> Vec<Field> {
        let object = self.resolve(definition);
        let required = object["required"].as_array().cloned().unwrap_or_default();
        let properties = object["properties"].as_object().cloned().unwrap_or_default();
        let field = |(name, mut schema): (String, Value)| {
            without_null(&mut schema);
            Field { required: required.iter().any(|known| *known == name), name, schema }
        };
        properties.into_iter().map(field).collect()
    }

    /// Adds the frame of an operation to the components, and returns a reference to it.
    pub(super) fn command(&mut self, definition: &Definition) -> Value {
        let fields = self.request_fields(definition);
        let id = self.requests.subschema_for::<CommandId>().to_value();
        let mut properties = Map::from_iter([
            ("type".to_owned(), json!({ "const": definition.row.name })),
            ("id".to_owned(), id),
        ]);
        let mut required = vec!["type".to_owned()];
        for Field { name, schema, required: is_required } in fields {
            if is_required {
                required.push(name.clone());
            }
            properties.insert(name, schema);
        }
        let component = format!("{}Command", pascal_case(definition.row.name));
        let reference = json!({ "$ref": format!("#/components/schemas/{component}") });
        let schema = json!({
            "type": "object",
            "description": definition.row.summary,
            "properties": properties,
            "required": required,
        });
        self.commands.insert(component, schema);
        reference
    }

    /// Adds the frames of both directions to the components.
    pub(super) fn add_frames(&mut self) {
        self.reply(|generator| generator.subschema_for::<ServerFrame>());
        let all: Vec<Value> = self
            .commands
            .keys()
            .map(|name| json!({ "$ref": format!("#/components/schemas/{name}") }))
            .collect();
        self.commands
            .insert("Command".to_owned(), json!({ "description": "A frame of a client.", "oneOf": all }));
    }

    pub(super) fn into_components(mut self) -> Map<String, Value> {
        let mut components = self.requests.take_definitions(true);
        components.extend(self.replies.take_definitions(true));
        for schema in components.values_mut() {
            optional_is_not_null(schema);
        }
        components.extend(self.commands);
        // Requests are described by paths and frames, so their own schemas would be duplicates.
        components.retain(|name, _| name == "CreateSession" || !name.ends_with("Request"));
        components
    }

    fn resolve(&mut self, definition: &Definition) -> Value {
        let schema = self.request(definition.fields);
        let name =
            schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default();
        self.requests.definitions().get(name).cloned().unwrap_or(schema)
    }
}

/// In a reply, a field without a value is absent, not null.
fn optional_is_not_null(schema: &mut Value) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(without_null);
    }
    for list in ["oneOf", "anyOf"] {
        if let Some(variants) = schema.get_mut(list).and_then(Value::as_array_mut) {
            variants.iter_mut().for_each(optional_is_not_null);
        }
    }
}

fn without_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(types) = object.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|known| known != "null");
        if let [single] = types.as_slice() {
            let single = single.clone();
            object.insert("type".to_owned(), single);
        }
    }
    if let Some(variants) = object.get_mut("anyOf").and_then(Value::as_array_mut) {
        variants.retain(|variant| variant["type"] != "null");
        if let [single] = variants.as_slice() {
            let single = single.clone();
            object.remove("anyOf");
            object.extend(single.as_object().cloned().unwrap_or_default());
        }
    }
}

fn pascal_case(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect()
}
