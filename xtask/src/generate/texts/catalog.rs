//! The texts of a file by group and key, with their parameters.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer};

use super::pattern::{Forms, check_chinese, parameters};

/// A text in both languages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    #[serde(deserialize_with = "forms")]
    pub(crate) en: Forms,
    #[serde(deserialize_with = "forms")]
    pub(crate) zh: Forms,
}

pub(crate) type Group = BTreeMap<String, Text>;

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) groups: BTreeMap<String, Group>,
}

/// Deserializes a text; one without forms is a plain string.
fn forms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Forms, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Text(String),
        Forms(Forms),
    }
    Ok(match Value::deserialize(deserializer)? {
        Value::Text(other) => Forms { other, one: None, empty: None },
        Value::Forms(forms) => forms,
    })
}

impl Text {
    /// The names of all parameters, sorted, including an `n` that only selects the plural form.
    pub(crate) fn parameters(&self) -> Vec<String> {
        let mut names: BTreeSet<&str> = parameters(&self.en.other);
        if self.has_plural() {
            names.insert("n");
        }
        names.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn has_plural(&self) -> bool {
        self.en.one.is_some() || self.zh.one.is_some()
    }

    /// The parameter that may be empty; `None` if there is none.
    pub(crate) fn optional_parameter(&self) -> Option<&str> {
        self.en.optional_parameter()
    }

    fn check(&self) -> Result<()> {
        self.en.check().context("en")?;
        self.zh.check().context("zh")?;
        self.zh.all().try_for_each(check_chinese)?;
        if parameters(&self.en.other) != parameters(&self.zh.other) {
            bail!("the languages have different parameters");
        }
        if self.en.optional_parameter() != self.zh.optional_parameter() {
            bail!("the languages have a different form `empty`");
        }
        Ok(())
    }
}

impl Catalog {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let groups: BTreeMap<String, Group> = toml::from_str(text)?;
        for (group, texts) in &groups {
            for (key, text) in texts {
                text.check().with_context(|| format!("{group}.{key}"))?;
            }
        }
        Ok(Catalog { groups })
    }

    /// The texts of a group; empty if there is no such group.
    pub(crate) fn group(&self, name: &str) -> &Group {
        static NONE: Group = Group::new();
        self.groups.get(name).unwrap_or(&NONE)
    }

    /// Combines two catalogs. A key in both is an error.
    pub(crate) fn extended(&self, others: Catalog) -> Result<Catalog> {
        for (group, texts) in &others.groups {
            if let Some(key) = texts.keys().find(|key| self.group(group).contains_key(*key)) {
                bail!("{group}.{key} is there twice");
            }
        }
        self.replaced_by(others)
    }

    /// Combines two catalogs; `others` replace texts with the same key, which must have the same parameters.
    pub(crate) fn replaced_by(&self, others: Catalog) -> Result<Catalog> {
        let mut groups = self.groups.clone();
        for (group, texts) in others.groups {
            let all = groups.entry(group.clone()).or_default();
            for (key, text) in texts {
                let parameters = text.parameters();
                let replaced = all.insert(key.clone(), text);
                if replaced.is_some_and(|replaced| replaced.parameters() != parameters) {
                    bail!("{group}.{key} has other parameters than the text that it replaces");
                }
            }
        }
        Ok(Catalog { groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_one_language_is_an_error() {
        for wrong in [
            "[a]\nb.en = \"x\"",
            "[a]\nb.zh = \"x\"",
            "[a]\nb = { en = \"x\", zh = \"x\", fr = \"x\" }",
            "[a]\nb.en = \"{x}\"\nb.zh = \"{y}\"",
            "[a]\nb.en = { other = \"{x}\", empty = \"-\" }\nb.zh = \"{x}\"",
            "[a]\nb.en = { one = \"x\" }\nb.zh = \"x\"",
        ] {
            assert!(Catalog::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Catalog::parse("[a]\nb.en = \"{x}\"\nb.zh = \"{x}\"").is_ok());
    }

    #[test]
    fn text_that_is_there_twice_is_an_error_unless_it_replaces() {
        let parse =
            |text: &str| Catalog::parse(&format!("[a]\nb.en = \"{text}\"\nb.zh = \"{text}\"")).unwrap();
        assert!(parse("x").extended(parse("y")).is_err());
        assert_eq!(parse("x").replaced_by(parse("y")).unwrap().group("a")["b"].en.other, "y");
        assert!(parse("x").replaced_by(parse("{y}")).is_err());
    }
}
