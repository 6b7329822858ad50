//! Settings with a secret can be read from a file: `database_url_file` names the file with the value of
//! `database_url`. Clusters mount secrets as files, and every process of a user can read the environment of the others.

use std::fs::File;
use std::path::{Path, PathBuf};

use url::Url;

use super::Settings;
use crate::files::check_secret;

impl Settings {
    /// Reads the files of the settings `…_file`.
    ///
    /// # Errors
    /// One line that names the setting, without its value.
    pub(super) fn read_secret_files(&mut self) -> Result<(), String> {
        let database_url = read("database_url", self.database_url.is_some(), self.database_url_file.as_deref())?;
        self.database_url = database_url.or(self.database_url.take());
        let smtp_url = read("smtp_url", self.smtp_url.is_some(), self.smtp_url_file.as_deref())?;
        self.smtp_url = smtp_url.or(self.smtp_url.take());
        let (name, is_set) = ("oidc_client_secret", self.oidc_client_secret.is_some());
        let client_secret = read(name, is_set, self.oidc_client_secret_file.as_deref())?;
        self.oidc_client_secret = client_secret.or(self.oidc_client_secret.take());
        let address = |name: &'static str, text: String| {
            text.parse::<Url>().map_err(|error| format!("setting {name}_file: its content is not an address: {error}"))
        };
        let https_proxy = read("https_proxy", self.https_proxy.is_some(), self.https_proxy_file.as_deref())?;
        let https_proxy = https_proxy.map(|text| address("https_proxy", text)).transpose()?;
        self.https_proxy = https_proxy.or(self.https_proxy.take());
        let otlp = read("otlp_endpoint", self.otlp_endpoint.is_some(), self.otlp_endpoint_file.as_deref())?;
        let otlp = otlp.map(|text| address("otlp_endpoint", text)).transpose()?;
        self.otlp_endpoint = otlp.or(self.otlp_endpoint.take());
        Ok(())
    }
}

impl Settings {
    /// Warnings about files with a secret that others can read or write.
    pub(super) fn open_secret_files(&self) -> Vec<String> {
        let files = [
            ("database_url", &self.database_url_file),
            ("smtp_url", &self.smtp_url_file),
            ("oidc_client_secret", &self.oidc_client_secret_file),
            ("https_proxy", &self.https_proxy_file),
            ("otlp_endpoint", &self.otlp_endpoint_file),
        ];
        let warning = |(name, file): (&str, &Option<PathBuf>)| {
            let file = file.as_deref()?;
            let line = check_secret(&File::open(file).ok()?).err()?;
            Some(format!("setting {name}_file: {}: {line}", file.display()))
        };
        files.into_iter().filter_map(warning).collect()
    }
}

fn read(name: &str, is_set: bool, file: Option<&Path>) -> Result<Option<String>, String> {
    let Some(file) = file else { return Ok(None) };
    if is_set {
        return Err(format!("setting {name}_file: {name} is set too; set only one of them"));
    }
    let at = |error: &dyn std::fmt::Display| format!("setting {name}_file: {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| at(&error))?;
    let text = text.trim();
    if text.is_empty() { Err(at(&"is empty")) } else { Ok(Some(text.to_owned())) }
}
