//! What the file and the server agreed on last. It stands beside the file, is kept in git with it, and has no secrets.
//!
//! With it, a change in the file can be told from a change in the server.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::object::{Fields, Object, Section};

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The address of the server. What was agreed on with another one says nothing.
    pub server: String,
    pub objects: Vec<Agreed>,
}

/// One object, as far as the file and the server agreed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreed {
    pub section: Section,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub fields: Fields,
}

impl Agreed {
    pub fn of(object: &Object, fields: Fields) -> Self {
        Self { section: object.section, name: object.name.clone(), id: object.id.clone(), fields }
    }

    /// The same as something to compare.
    pub fn object(&self) -> Object {
        Object {
            section: self.section,
            name: self.name.clone(),
            was: None,
            line: 0,
            fields: self.fields.clone(),
            secrets: [].into(),
            secret_to: None,
            id: self.id.clone(),
            revision: None,
        }
    }
}

/// `muster.base.json` of `muster.yaml`.
pub fn beside(file: &Path) -> PathBuf {
    file.with_extension("base.json")
}

impl State {
    /// What was agreed on with this server; nothing if there is no such file.
    pub fn read(file: &Path, server: &str) -> Result<Option<Self>, String> {
        let path = beside(file);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let state: Self = serde_json::from_str(&text)
            .map_err(|error| format!("{}: {error}; take it from git, or remove it", path.display()))?;
        if state.server == server {
            return Ok(Some(state));
        }
        eprintln!("muster: {} is about {}, and is not used", path.display(), state.server);
        Ok(None)
    }

    /// Replaces the file in one step, so that it is never half written.
    pub fn write(mut self, file: &Path) -> Result<(), String> {
        self.objects.sort_by_key(|agreed| (agreed.section, agreed.object().key()));
        let path = beside(file);
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = serde_json::to_string_pretty(&self).map_err(|error| at(&error))?;
        let draft = path.with_extension("json.new");
        fs::write(&draft, format!("{text}\n")).and_then(|()| fs::rename(&draft, &path)).map_err(|error| at(&error))
    }
}
