//! `muster connectors try`: the real engine against the real application, and what was mapped.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Args;
use futures_util::StreamExt as _;
use integration::engine::{Client, ClientSettings, HttpSource, Seen};
use integration::grant::{Grant, GrantInMemory, GrantStore};
use integration::manifest::auth::Auth;
use integration::manifest::{self, Manifest};
use integration::source::{Config, Source as _};
use url::{Origin, Url};

use super::report::{Form, Report};
use crate::app;
use crate::clock::Clock;
use crate::config::Settings;

/// The setting that stands for a person's consent in a trial.
const ACCESS_TOKEN: &str = "access_token";

#[derive(Args)]
pub struct Trial {
    /// A manifest, or the key of an integration in the catalog.
    manifest: String,
    /// A setting of the connection: KEY=VALUE, KEY=@FILE, or KEY=- for standard input.
    ///
    /// Give secrets as KEY=@FILE or KEY=-, so that they stay out of the list of processes and of
    /// the shell's history. A value that begins with @ is written with a second one: KEY=@@name.
    /// Of an integration that asks for a person's consent, `access_token` is a token to try it with.
    /// What is not KEY=VALUE is the file of the server's own settings, as with other commands.
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// A YAML file of settings of the connection; those of --config win.
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Send calls for the first origin to the second: https://api.example.com=http://127.0.0.1:4010
    #[arg(long, value_name = "FROM=TO")]
    origin: Vec<String>,
    /// Print each user's record as it came; secrets are masked.
    #[arg(long)]
    raw: bool,
    /// Print one JSON document at the end.
    #[arg(long)]
    json: bool,
    /// Stop after so many pages.
    #[arg(long, value_name = "N")]
    pages: Option<u64>,
    /// Print so many users; 100 without --json, all with it.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Lists the application, and prints what comes.
pub async fn run(trial: Trial) -> Result<(), String> {
    let (own, server): (Vec<_>, Vec<_>) = trial.config.iter().partition(|text| setting(text).is_some());
    if let Some((key, _)) = server.iter().find_map(|text| text.split_once('=')) {
        // What follows may be a secret.
        return Err(format!("--config {key}=…: a setting's key is of lower-case letters, digits and _"));
    }
    let server: Vec<String> = server.into_iter().cloned().collect();
    let settings = Settings::load(super::super::settings_file(&server)?.as_deref())?;
    let manifest = find(&trial.manifest, &settings)?;
    let mut config = read_file(trial.config_file.as_deref())?;
    for (key, value) in own.into_iter().filter_map(|text| setting(text)) {
        config.insert(key.to_owned(), value_of(key, value)?);
    }
    let grants = consent(&manifest, &mut config)?;
    judge(&manifest, &config)?;

    let detours = trial.origin.iter().map(|text| detour(text)).collect::<Result<_, _>>()?;
    let clock = Clock::System;
    let begun = clock.now();
    let networks = settings.allowed_networks.clone();
    let client = ClientSettings { detours, ..ClientSettings::new(networks, move || clock.now(), fastrand::f64) };
    let client = Client::new(client).map_err(|error| format!("HTTP client: {error}"))?;
    let source = HttpSource::new(Arc::clone(&manifest), config, &client, grants).map_err(|error| error.message)?;
    let seen: Arc<Mutex<Option<Seen>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let source = source.watched(Arc::new(move |page| {
        if let Ok(mut kept) = kept.lock() {
            *kept = Some(page);
        }
    }));

    let form = Form { json: trial.json, raw: trial.raw, limit: trial.limit };
    let mut report = Report::new(&manifest, form);
    let mut pages = source.pages(None);
    while trial.pages.is_none_or(|most| report.pages() < most) {
        match pages.next().await {
            // Before the users, the pages of joined lists are signs of life.
            Some(Ok(page)) => {
                if let Some(seen) = seen.lock().ok().and_then(|mut seen| seen.take()) {
                    report.page(page, seen);
                }
            }
            Some(Err(error)) => {
                report.fail(error);
                break;
            }
            None => {
                report.end();
                break;
            }
        }
    }
    drop(pages);
    report.finish(source.tenant(), Clock::System.now() - begun)
}

/// A manifest by its file, or by its key in the catalog.
fn find(name: &str, settings: &Settings) -> Result<Arc<Manifest>, String> {
    let file = Path::new(name);
    if file.is_file() {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        return manifest::parse(&text, name).map(Arc::new).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            format!("the manifest has faults\n{}", lines.join("\n"))
        });
    }
    let (catalog, _) = app::load_catalog(settings, Clock::System)?;
    let found = catalog.find(name).and_then(|integration| integration.manifest().cloned());
    found.ok_or_else(|| format!("{name}: there is no such file, and no such integration; see: muster connectors list"))
}

/// The two halves of KEY=VALUE.
fn setting(text: &str) -> Option<(&str, &str)> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.split_once('=').filter(|(key, _)| !key.is_empty() && key.bytes().all(plain))
}

fn value_of(key: &str, value: &str) -> Result<String, String> {
    match value.strip_prefix('@') {
        Some(literal) if literal.starts_with('@') => Ok(literal.to_owned()),
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("--config {key}: {file}: {error}")),
        None if value == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| format!("--config {key}: {error}"))?;
            Ok(text)
        }
        None => Ok(value.to_owned()),
    }
}

fn read_file(file: Option<&Path>) -> Result<Config, String> {
    let Some(file) = file else { return Ok(Config::new()) };
    let wrong = |error: String| format!("--config-file: {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    // The error would show the lines around, and a secret may be among them.
    let place = |error: serde_saphyr::Error| error.location().map_or(0, |at| at.line());
    serde_saphyr::from_str::<BTreeMap<String, String>>(&text)
        .map_err(|error| wrong(format!("line {}: write KEY: VALUE, one a line", place(error))))
}

/// What stands for a person's consent, where the kind of auth needs one.
fn consent(manifest: &Manifest, config: &mut Config) -> Result<Option<Arc<dyn GrantStore>>, String> {
    if !matches!(manifest.chosen(config).auth, Auth::AuthorizationCode(_)) || manifest.field(ACCESS_TOKEN).is_some() {
        return Ok(None);
    }
    let Some(access_token) = config.remove(ACCESS_TOKEN) else {
        return Err(format!(
            "{} asks for a person's consent in the browser, which a trial cannot have.\n\
             Make an access token with the application's own tools, and give it with --config access_token=@FILE;\n\
             or start the server with this manifest, and connect it there (beginAuthorization).",
            manifest.name
        ));
    };
    let access_token = access_token.trim().to_owned();
    // Without a refresh token, which a trial might use up.
    let (refresh_token, expires_at, refresh_expires_at) = (None, None, None);
    let grant = Grant { access_token, refresh_token, expires_at, refresh_expires_at, found: BTreeMap::new() };
    Ok(Some(Arc::new(GrantInMemory::new(grant))))
}

/// Names every setting that is missing or does not fit.
fn judge(manifest: &Manifest, config: &Config) -> Result<(), String> {
    let Err(faults) = manifest.complete(config.clone()) else { return Ok(()) };
    let lines = faults.iter().map(|fault| format!("  --config {}=…  {}", fault.key, fault.message));
    Err(format!("the settings do not fit\n{}", lines.collect::<Vec<_>>().join("\n")))
}

fn detour(text: &str) -> Result<(Origin, Url), String> {
    let parse = || {
        // An address may have a = in it, but no origin has.
        let (from, to) = text.split_once('=')?;
        let from = Url::parse(from).ok().filter(Url::has_host)?.origin();
        Some((from, Url::parse(to).ok().filter(Url::has_host)?))
    };
    parse()
        .ok_or_else(|| format!("--origin {text}: write FROM=TO, such as https://api.example.com=http://127.0.0.1:4010"))
}
