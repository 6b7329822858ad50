//! `muster connectors try --record`: writes what an application answered as a sample.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use integration::engine::Client;
use integration::grant::GrantStore;
use integration::manifest::Manifest;
use integration::samples::record::{self, Listed, Log};
use integration::source::{Config, ErrorClass};
use integration::user::SourceUser;

use super::super::output::say;

/// A listing that is recorded.
pub struct Record {
    file: PathBuf,
    /// The text of the manifest.
    text: String,
    stand_ins: Config,
    log: Log,
    /// By id.
    users: BTreeMap<String, SourceUser>,
}

impl Record {
    /// Fails if the sample could not be written in the end.
    pub fn new(file: &Path, manifest: &Path, stand_ins: Config) -> Result<Self, String> {
        if file.exists() {
            return Err(exists(file));
        }
        if !manifest.is_file() {
            let manifest = manifest.display();
            return Err(format!("--record: {manifest} is no file; a sample is made for a manifest in a file"));
        }
        let text = fs::read_to_string(manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
        Ok(Self { file: file.to_owned(), text, stand_ins, log: Log::default(), users: BTreeMap::new() })
    }

    /// The client, whose exchanges are recorded from now on.
    pub fn observe(&mut self, client: Client) -> Client {
        let (client, log) = record::recorded(client);
        self.log = log;
        client
    }

    /// Adds the users of a page.
    pub fn add(&mut self, users: &[SourceUser]) {
        self.users.extend(users.iter().map(|user| (user.external_id.clone(), user.clone())));
    }

    /// Writes the sample. `failed`: the class of the error that ended the listing.
    pub async fn write(
        self,
        manifest: &Arc<Manifest>,
        config: &Config,
        grants: Option<&dyn GrantStore>,
        failed: Option<ErrorClass>,
    ) -> Result<(), String> {
        let stored = match grants {
            Some(grants) => grants.read().await.map_err(|error| error.message)?,
            None => None,
        };
        let exchanges = std::mem::take(&mut *self.log.lock());
        if exchanges.is_empty() {
            return Err("--record: the application did not answer, so nothing was written".to_owned());
        }
        let users: Vec<SourceUser> = self.users.into_values().collect();
        let listed = Listed {
            manifest,
            text: &self.text,
            config,
            token: stored.as_ref().map(|stored| stored.grant.access_token.as_str()),
            stand_ins: &self.stand_ins,
            users: &users,
            error: failed,
        };
        let shown = self.file.display().to_string();
        let sample = record::sample(exchanges, &listed, &shown).await.map_err(|why| format!("--record: {why}"))?;
        write(&self.file, &sample.text)?;
        say!("{shown} is written. Read it, and make sure that it tells nothing about anybody.");
        if sample.differences.is_empty() {
            return Ok(());
        }
        for difference in &sample.differences {
            say!("  {difference}");
        }
        Err("the sample differs from the listing; correct it by hand, or record another one".to_owned())
    }
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => exists(file),
        _ => format!("{}: {error}", file.display()),
    };
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut created = File::options().write(true).create_new(true).open(file).map_err(failed)?;
    created.write_all(text.as_bytes()).map_err(failed)
}

fn exists(file: &Path) -> String {
    format!("{} exists already, and is not overwritten; record into another file", file.display())
}
