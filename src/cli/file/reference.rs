//! Where secrets are. Only the command line reads them; the file and the server never have the place and the secret
//! together.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The place of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Reference {
    /// A variable of the environment.
    Env(String),
    /// A file; its path begins at the folder of the document.
    File(String),
}

impl TryFrom<String> for Reference {
    type Error = &'static str;

    /// The error must not repeat the text, which may be a secret.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            _ => Err("a secret is not written into the file: say where it is, as env:NAME or file:PATH"),
        }
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        match reference {
            Reference::Env(name) => format!("env:{name}"),
            Reference::File(path) => format!("file:{path}"),
        }
    }
}

impl Reference {
    fn read(&self, folder: &Path) -> Result<String, String> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| format!("env:{name}: the environment has no {name}"))?,
            Self::File(path) => {
                let path = folder.join(path);
                std::fs::read_to_string(&path).map_err(|error| format!("file:{}: {error}", path.display()))?
            }
        };
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        if text.is_empty() { Err(format!("{}: it is empty", String::from(self.clone()))) } else { Ok(text) }
    }
}

/// An address that is shown, or the place of one that is a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Address {
    Plain(String),
    Secret(Reference),
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        Reference::try_from(text.clone()).map_or(Self::Plain(text), Self::Secret)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        match address {
            Address::Plain(text) => text,
            Address::Secret(reference) => reference.into(),
        }
    }
}

/// The secrets that a command needs. All are read before anything is changed.
#[derive(Default)]
pub struct Secrets(BTreeMap<Reference, String>);

impl Secrets {
    /// Fails with one line for each that cannot be read.
    pub fn read<'a>(needed: impl IntoIterator<Item = &'a Reference>, folder: &Path) -> Result<Self, String> {
        let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
        for reference in needed {
            match reference.read(folder) {
                Ok(secret) => drop(found.insert(reference.clone(), secret)),
                Err(line) => missing.push(format!("\n  {line}")),
            }
        }
        missing.sort();
        missing.dedup();
        if missing.is_empty() {
            return Ok(Self(found));
        }
        Err(format!("nothing was changed, because secrets are missing:{}", missing.concat()))
    }

    pub fn get(&self, reference: &Reference) -> &str {
        self.0.get(reference).map_or("", String::as_str)
    }
}
