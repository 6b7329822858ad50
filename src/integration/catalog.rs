//! The catalog of applications that can be connected.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::engine::{Client, CodeFlow, HostLimits, HttpSource, tenant_in_settings};
use super::grant::GrantStore;
use super::list;
use super::manifest::auth::AuthenticationKind;
use super::manifest::config::{self, ConfigField, SettingError};
use super::manifest::{self, Fault, Manifest};
use super::rehearsal::{self, Rehearsal};
use super::source::{Capability, Config, ErrorClass, Source, SourceError};
use super::user::UserField;
use built_in::BUILT_IN;

mod built_in;

/// All integrations by key, and the HTTP client that they share.
pub struct Catalog {
    integrations: BTreeMap<String, Entry>,
    client: Client,
}

/// An integration. A built-in manifest is read when it is asked for first, because a company uses few of them.
enum Entry {
    Read(Integration),
    BuiltIn { file: &'static str, text: &'static str, read: OnceLock<Option<Integration>> },
}

impl Entry {
    fn built_in((file, text): (&'static str, &'static str)) -> (String, Self) {
        (key_of(file).to_owned(), Self::BuiltIn { file, text, read: OnceLock::new() })
    }

    /// A built-in manifest with faults would not exist. A test reads them all.
    fn get(&self) -> Option<&Integration> {
        match self {
            Self::Read(integration) => Some(integration),
            Self::BuiltIn { file, text, read } => read.get_or_init(|| read_manifest(text, file).ok()).as_ref(),
        }
    }
}

fn key_of(file: &str) -> &str {
    file.trim_end_matches(".yaml")
}

fn read_manifest(text: &str, file: &str) -> Result<Integration, Vec<Fault>> {
    let manifest = manifest::parse(text, file)?;
    let digest = manifest::digest(text, file).map_err(|fault| vec![fault])?;
    Ok(Integration::of(manifest, digest))
}

/// One application that can be connected.
pub struct Integration {
    /// The manifest's file name without `.yaml`.
    pub key: String,
    pub name: String,
    /// Other names by which people look for it.
    pub also_known_as: Vec<String>,
    pub category: String,
    pub description: String,
    /// The alternatives for signing in: one, or several to choose from.
    pub authentication_options: Vec<AuthenticationOption>,
    pub capabilities: Vec<Capability>,
    /// The fields of the form, in order.
    pub fields: Vec<ConfigField>,
    pub required_permissions: Vec<String>,
    pub documentation_url: Option<String>,
    /// How a person gets the credential in the application.
    pub setup: String,
    /// The fields that the application provides for its users.
    pub provided_fields: Vec<UserField>,
    /// What decides who is listed and what is read of them, as a digest.
    pub digest: String,
    pub(super) connector: Connector,
}

/// A way of signing in to an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationOption {
    /// The value of the setting `authentication` that chooses it, if there are several.
    pub key: String,
    pub label: String,
    pub kind: AuthenticationKind,
}

pub(super) enum Connector {
    Rehearsal,
    /// Its users are delivered.
    List,
    Manifest(Arc<Manifest>),
}

impl Catalog {
    /// Loads the built-in integrations and those in `dir`, which may replace built-in ones.
    /// A manifest with faults is left out, and its faults are returned.
    pub fn load(client: Client, dir: Option<&Path>) -> Result<(Self, Vec<Fault>), String> {
        let mut integrations: BTreeMap<String, Entry> = BUILT_IN.iter().copied().map(Entry::built_in).collect();
        let mut faults = Vec::new();
        let files = dir.map(|dir| read_dir(dir, &mut faults)).transpose()?;
        for (file, text) in files.unwrap_or_default() {
            match read_manifest(&text, &file) {
                Ok(integration) if [rehearsal::KEY, list::KEY].contains(&&*integration.key) => faults.push(Fault {
                    file,
                    line: 0,
                    column: 0,
                    message: format!("\"{}\" is built in and cannot be replaced", integration.key),
                }),
                Ok(integration) => _ = integrations.insert(integration.key.clone(), Entry::Read(integration)),
                Err(more) => faults.extend(more),
            }
        }
        // If a file has faults, the built-in manifest that it replaces must not be used instead.
        for fault in &faults {
            integrations.remove(key_of(&fault.file));
        }
        for integration in [rehearsal::integration(Connector::Rehearsal), list::integration(Connector::List)] {
            integrations.insert(integration.key.clone(), Entry::Read(integration));
        }
        Ok((Self { integrations, client }, faults))
    }

    /// The limits of requests at once.
    pub fn host_limits(&self) -> Arc<HostLimits> {
        self.client.limits().clone()
    }

    pub fn find(&self, key: &str) -> Option<&Integration> {
        self.integrations.get(key)?.get()
    }

    /// All integrations, ordered by key.
    pub fn all(&self) -> impl Iterator<Item = &Integration> {
        self.integrations.values().filter_map(Entry::get)
    }

    /// Connects to an application. `run_number` counts the runs of the instance from 1.
    pub fn connect(
        &self,
        integration: &Integration,
        config: Config,
        run_number: i64,
        grants: Option<Arc<dyn GrantStore>>,
    ) -> Result<Box<dyn Source>, SourceError> {
        match &integration.connector {
            Connector::Rehearsal => Ok(Box::new(Rehearsal::new(&config, run_number)?)),
            Connector::List => {
                Err(SourceError::new(ErrorClass::Config, "A list is delivered: nobody can be asked for it."))
            }
            Connector::Manifest(manifest) => {
                Ok(Box::new(HttpSource::new(manifest.clone(), config, &self.client, grants)?))
            }
        }
    }

    /// The consent flow, if the settings choose a kind of `auth` that needs a person's consent.
    pub fn code_flow(&self, integration: &Integration, config: &Config) -> Result<Option<CodeFlow>, SourceError> {
        match &integration.connector {
            Connector::Rehearsal | Connector::List => Ok(None),
            Connector::Manifest(manifest) => CodeFlow::of(manifest, config, &self.client),
        }
    }
}

impl Integration {
    fn of(manifest: Manifest, digest: String) -> Self {
        Self {
            key: manifest.key.clone(),
            name: manifest.name.clone(),
            also_known_as: manifest.also_known_as.clone(),
            category: manifest.category.clone(),
            description: manifest.description.clone(),
            authentication_options: options(&manifest),
            capabilities: manifest.capabilities(),
            fields: manifest.form.clone(),
            required_permissions: manifest.required_permissions.clone(),
            documentation_url: manifest.documentation_url.as_ref().map(|url| url.value.clone()),
            setup: manifest.setup.clone(),
            provided_fields: manifest.provided_fields(),
            digest,
            connector: Connector::Manifest(Arc::new(manifest)),
        }
    }

    /// The manifest; only the rehearsal and the list have none.
    pub fn manifest(&self) -> Option<&Arc<Manifest>> {
        match &self.connector {
            Connector::Rehearsal | Connector::List => None,
            Connector::Manifest(manifest) => Some(manifest),
        }
    }

    pub fn is_rehearsal(&self) -> bool {
        matches!(self.connector, Connector::Rehearsal)
    }

    /// Whether its users are delivered as a [list], so that nobody is asked for them.
    pub fn is_delivered(&self) -> bool {
        matches!(self.connector, Connector::List)
    }

    /// The kind of credential that it asks for by default.
    pub fn authentication(&self) -> AuthenticationKind {
        self.authentication_options.first().map_or(AuthenticationKind::None, |option| option.kind)
    }

    /// The kind of credential that the settings choose.
    pub fn chosen(&self, config: &Config) -> AuthenticationKind {
        let key = config.get(config::AUTHENTICATION);
        let chosen = self.authentication_options.iter().find(|option| key.is_some_and(|key| option.key == *key));
        chosen.map_or_else(|| self.authentication(), |option| option.kind)
    }

    pub fn is_secret(&self, key: &str) -> bool {
        self.fields.iter().any(|field| field.key == key && field.secret())
    }

    /// The tenant in the settings of a rehearsal.
    pub fn rehearsed_tenant(&self, config: &Config) -> Option<String> {
        self.is_rehearsal().then(|| config.get("tenant").cloned()).flatten()
    }

    /// The tenant of a connection with these settings, if the settings alone tell it.
    pub fn tenant_in_settings(&self, config: &Config) -> Option<String> {
        self.manifest().and_then(|manifest| tenant_in_settings(manifest, config))
    }

    /// Replaces stored values by given ones, and completes them with defaults. An empty value
    /// clears a field. The errors name the fields, and never repeat a value.
    pub fn check_config(
        &self,
        stored: Option<&Config>,
        given: &[(String, String)],
    ) -> Result<Config, Vec<SettingError>> {
        let mut errors = Vec::new();
        let mut values = stored.cloned().unwrap_or_default();
        values.retain(|key, _| self.fields.iter().any(|field| field.key == *key));
        let mut seen = std::collections::HashSet::new();
        for (key, value) in given {
            if !self.fields.iter().any(|field| field.key == *key) {
                let known: Vec<_> = self.fields.iter().map(|field| field.key.as_str()).collect();
                let message = format!("{} has no such setting; it has {}.", self.name, known.join(", "));
                errors.push(SettingError::new(&cut(key), message));
            } else if !seen.insert(key) {
                errors.push(SettingError::new(key, "This setting is given twice."));
            } else {
                values.insert(key.clone(), value.trim().to_owned());
            }
        }
        let moved = stored.and_then(|stored| {
            self.fields.iter().find(|field| field.decides_host && field.value_in(stored) != field.value_in(&values))
        });
        if let Some(moved) = moved {
            let kept = |field: &&ConfigField| field.secret() && values.contains_key(&field.key);
            for field in self.fields.iter().filter(kept).filter(|field| !seen.contains(&field.key)) {
                let message = format!(
                    "Give “{}” again: “{}” changed, and a stored secret is not sent to another address.",
                    field.label, moved.label
                );
                errors.push(SettingError::new(&field.key, message));
            }
        }
        let complete = match config::complete(&self.name, &self.fields, values) {
            Ok(complete) => complete,
            Err(faults) => {
                errors.extend(faults);
                return Err(errors);
            }
        };
        let chosen = complete.get(config::AUTHENTICATION).map(String::as_str);
        for field in self.fields.iter().filter(|field| !field.asked_with(chosen)) {
            if given.iter().any(|(key, value)| *key == field.key && !value.trim().is_empty()) {
                let message = format!(
                    "“{}” belongs to another way of signing in: set “{}” to {}.",
                    field.label,
                    config::AUTHENTICATION,
                    field.only_with.join(" or ")
                );
                errors.push(SettingError::new(&field.key, message));
            }
        }
        if self.is_rehearsal() {
            errors.extend(rehearsal::problems(&complete).map(|(key, message)| SettingError::new(key, message)));
        }
        if errors.is_empty() { Ok(complete) } else { Err(errors) }
    }
}

fn options(manifest: &Manifest) -> Vec<AuthenticationOption> {
    let option = |option: &manifest::auth::AuthOption| AuthenticationOption {
        key: option.key.clone(),
        label: option.label.clone(),
        kind: option.auth.kind(),
    };
    manifest.options().iter().map(option).collect()
}

/// An unknown key, cleaned up so that an error can repeat it.
fn cut(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Reads the manifests in a folder. Files that cannot be read are added to the faults.
fn read_dir(dir: &Path, faults: &mut Vec<Fault>) -> Result<Vec<(String, String)>, String> {
    let at = |error: std::io::Error| format!("setting connectors_dir: {}: {error}", dir.display());
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(at)? {
        let path = entry.map_err(at)?.path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            continue;
        }
        // Reading a pipe might never end.
        let regular = std::fs::metadata(&path).map(|meta| meta.is_file());
        let text = match regular {
            Ok(true) => std::fs::read_to_string(&path),
            Ok(false) => Err(std::io::Error::other("it is not a regular file")),
            Err(error) => Err(error),
        };
        match text {
            Ok(text) => texts.push((file, text)),
            Err(error) => faults.push(Fault { file, line: 0, column: 0, message: format!("cannot be read: {error}") }),
        }
    }
    texts.sort();
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, Config, Integration, Path, manifest, read_manifest};

    fn integration(key: &str) -> Integration {
        let file = format!("{key}.yaml");
        let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == file).unwrap();
        Integration::of(manifest::parse(text, &file).unwrap(), String::new())
    }

    fn config(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn another_way_of_writing_an_address_is_no_other_tenant() {
        let cases = [
            ("sentry", "address", "https://Sentry.acme.example:443/", "https://sentry.acme.example", "organization"),
            ("terraform", "base_url", "https://tfe.acme.example/scim/v2/", "https://TFE.acme.example/scim/v2", "token"),
            ("scim", "base_url", "https://scim.acme.example:443/v2/", "https://scim.acme.example/v2", "token"),
            ("gitlab-group", "host", "https://Git.acme.example/", "git.acme.example", "group"),
            ("github-scim", "host", "API.acme.ghe.com", "api.acme.ghe.com:443", "name"),
        ];
        for (key, setting, one, other, further) in cases {
            let integration = integration(key);
            let tenant = |address| {
                integration.tenant_in_settings(&config(&[(setting, address), (further, "acme"), ("token", "t0ken")]))
            };
            assert!(tenant(one).is_some(), "{key}");
            assert_eq!(tenant(one), tenant(other), "{key}");
        }
        assert_eq!(
            integration("github").tenant_in_settings(&config(&[("organization", "acme"), ("token", "t")])),
            None
        );
    }

    #[test]
    fn a_setting_that_is_new_and_has_a_default_asks_for_no_secret_again() {
        let integration = integration("gitlab-group");
        let stored = config(&[("group", "acme"), ("token", "t0ken")]);
        let given = |host: &str| vec![("host".to_owned(), host.to_owned())];
        assert!(integration.check_config(Some(&stored), &given("GitLab.com")).is_ok());
        let moved = integration.check_config(Some(&stored), &given("git.acme.example")).unwrap_err();
        assert_eq!(moved.iter().map(|error| error.key.as_str()).collect::<Vec<_>>(), ["token"]);
    }

    #[test]
    fn every_built_in_manifest_can_be_read() {
        for (file, text) in BUILT_IN {
            let faults = read_manifest(text, file).err();
            assert!(faults.is_none(), "{faults:?}");
        }
    }

    #[test]
    fn every_manifest_of_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/connectors");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let yaml = |name: &String| Path::new(name).extension().is_some_and(|ending| ending == "yaml");
        let mut files: Vec<String> = names.filter(yaml).collect();
        files.sort();
        let mut built_in: Vec<&str> = BUILT_IN.iter().map(|(file, _)| *file).collect();
        built_in.sort_unstable();
        assert_eq!(built_in, files);
    }
}
