//! The tables of types and fields in `docs/PROTOCOL.md`, from the components of the OpenAPI document.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use protocol::operations::OPERATIONS;
use serde_json::{Map, Value};

use super::markdown::{code, codes, markdown};

/// Objects that are no frame and no reply, in the order of the table.
const OBJECTS: [&str; 4] = ["User", "ReadPosition", "RoomSummary", "Limits"];

/// A field as the tables show it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    required: bool,
    type_name: String,
    meaning: String,
}

/// The tables of one OpenAPI document.
pub(super) struct Tables {
    document: Value,
}

impl Tables {
    pub(super) fn new(document: Value) -> Self {
        Tables { document }
    }

    /// The types of single values that fields refer to.
    pub(super) fn values(&self) -> Result<String> {
        let mut rows = Vec::new();
        for (name, schema) in self.schemas()? {
            let Some(json) = schema["type"].as_str().filter(|json| matches!(*json, "string" | "integer"))
            else {
                continue;
            };
            let bound = |key: &str| schema[key].as_u64();
            let json = match (json, bound("minLength"), bound("maxLength")) {
                ("integer", ..) => "integer, 0 to 2^53−1".to_owned(),
                (_, Some(min), Some(max)) => format!("string, {min} to {max} characters"),
                (_, None, Some(max)) => format!("string, at most {max} characters"),
                _ => json.to_owned(),
            };
            let examples = codes(schema["examples"].as_array().into_iter().flatten());
            rows.push(vec![code(name), json, description(schema), examples]);
        }
        Ok(markdown(&["type", "JSON", "meaning", "example"], rows.into_iter()))
    }

    /// The fields of the commands. A field with the same type and meaning in several commands is one row.
    pub(super) fn commands(&self) -> Result<String> {
        let mut rows: Vec<(Field, Vec<&str>)> = Vec::new();
        let schemas = self.schemas()?;
        for definition in OPERATIONS {
            let name = definition.row.name;
            let is_of = |schema: &&Value| schema["properties"]["type"]["const"] == name;
            let command =
                schemas.iter().filter(|(name, _)| name.ends_with("Command")).map(|(_, schema)| schema);
            let command = command.into_iter().find(is_of).with_context(|| format!("no schema of {name}"))?;
            for mut field in fields(command) {
                if field.meaning.is_empty() {
                    // `id`, which is described by its type alone.
                    field.meaning =
                        schemas.get(field.type_name.trim_matches('`')).map(description).unwrap_or_default();
                }
                match rows.iter_mut().find(|(known, _)| *known == field) {
                    Some((_, of)) => of.push(name),
                    None => rows.push((field, vec![name])),
                }
            }
        }
        let rows = rows.into_iter().map(|(field, of)| {
            let of = if of.len() == OPERATIONS.len() { "all".to_owned() } else { codes(of.into_iter()) };
            vec![field.label(), field.type_name, of, field.meaning]
        });
        Ok(markdown(&["field", "type", "commands", "meaning"], rows))
    }

    /// The fields of objects, of frames, of replies and of events.
    pub(super) fn objects(&self) -> Result<String> {
        let schemas = self.schemas()?;
        let component = |name: &str| schemas.get(name).with_context(|| format!("no component {name}"));
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut add = |label: String, schema: &Value| {
            let cells = fields(schema).into_iter();
            rows.extend(cells.map(|it| vec![label.clone(), it.label(), it.type_name, it.meaning]));
        };
        for name in OBJECTS {
            add(code(name), component(name)?);
        }
        for frame in component("ControlFrame")?["oneOf"].as_array().into_iter().flatten() {
            let name = frame["properties"]["type"]["const"].as_str().context("a frame has a type")?;
            add(code(name), component(reference(frame).context("a frame has a component")?)?);
        }
        for (reply, of) in self.replies()? {
            // A reply without fields has no row.
            add(format!("`ok` of {}", codes(of.into_iter())), component(&reply)?);
        }
        let event = component("Event")?;
        add("each event".to_owned(), event);
        for kind in event["oneOf"].as_array().into_iter().flatten() {
            add(code(kind["properties"]["type"]["const"].as_str().context("an event has a type")?), kind);
        }
        Ok(markdown(&["object", "field", "type", "meaning"], rows.into_iter()))
    }

    /// The components that are the reply of an operation in an `ok`, each with its operations.
    fn replies(&self) -> Result<Vec<(String, Vec<&'static str>)>> {
        let paths = self.document["paths"].as_object().context("no paths")?;
        let of_route: BTreeMap<&str, &str> = paths
            .values()
            .flat_map(|methods| methods.as_object().into_iter().flat_map(Map::values))
            .filter_map(|operation| {
                let content = &operation["responses"]["200"]["content"]["application/json"];
                Some((operation["operationId"].as_str()?, reference(&content["schema"])?))
            })
            .collect();
        let mut replies: Vec<(String, Vec<&'static str>)> = Vec::new();
        let operations = OPERATIONS.iter().map(|definition| definition.row.name);
        for (name, reply) in operations.filter_map(|name| Some((name, *of_route.get(name)?))) {
            match replies.iter_mut().find(|(known, _)| known == reply) {
                Some((_, of)) => of.push(name),
                // The reply to `join` is a frame of its own.
                None if reply == "Joined" => {}
                None => replies.push((reply.to_owned(), vec![name])),
            }
        }
        Ok(replies)
    }

    fn schemas(&self) -> Result<&Map<String, Value>> {
        self.document["components"]["schemas"].as_object().context("no components")
    }
}

impl Field {
    fn label(&self) -> String {
        code(&self.name) + if self.required { "" } else { "?" }
    }
}

/// The fields of an object schema except `type`, which every frame has; required ones first.
fn fields(schema: &Value) -> Vec<Field> {
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut fields: Vec<Field> = properties
        .filter(|(name, _)| *name != "type")
        .map(|(name, field)| Field {
            name: name.clone(),
            required: required.contains(name.as_str()),
            type_name: type_name(field),
            meaning: description(field),
        })
        .collect();
    fields.sort_by_key(|field| !field.required);
    fields
}

fn type_name(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return code(name);
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", type_name(&schema["items"])),
        // The only map is the cursors of `resume`.
        Some("object") => "object from `RoomId` to `Seq`".to_owned(),
        other => other.unwrap_or("any").to_owned(),
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        Tables::new(protocol::openapi::document())
    }

    #[test]
    fn every_field_of_a_golden_frame_has_a_row() {
        let rows = tables().objects().unwrap() + &tables().commands().unwrap();
        let golden: Value = serde_json::from_str(&protocol::golden::server()).unwrap();
        let mut names = BTreeSet::new();
        collect_names(&golden, &mut names);
        for name in names.iter().filter(|name| *name != "type") {
            assert!(rows.contains(&format!("| `{name}`")), "no row of `{name}`");
        }
    }

    fn collect_names(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    names.insert(name.clone());
                    collect_names(field, names);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
            _ => {}
        }
    }

    #[test]
    fn every_type_of_a_field_has_a_row() {
        let tables = tables();
        let rows = tables.objects().unwrap() + &tables.commands().unwrap();
        let known = tables.values().unwrap() + &tables.objects().unwrap();
        for name in rows.split('`').skip(1).step_by(2).filter(|name| name.starts_with(char::is_uppercase)) {
            // Both have tables of their own.
            let is_known =
                matches!(name, "Event" | "ErrorCode") || known.contains(&format!("\n| `{name}` |"));
            assert!(is_known, "no row of the type `{name}`");
        }
    }

    #[test]
    fn field_that_commands_share_is_one_row() {
        let commands = tables().commands().unwrap();
        assert!(commands.contains("| `id`? | `CommandId` | all |"), "{commands}");
        assert!(commands.contains("| `rooms` | object from `RoomId` to `Seq` | `resume` |"), "{commands}");
    }
}
