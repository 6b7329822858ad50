//! `muster connectors try`: runs a manifest against the real application, and prints the mapped users.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use futures_util::StreamExt as _;
use integration::engine::{Client, ClientSettings, HttpSource, RawPage};
use integration::grant::{Grant, GrantInMemory, GrantStore};
use integration::manifest::auth::Auth;
use integration::manifest::{self, Manifest};
use integration::source::{Config, Source as _};
use parking_lot::Mutex;
use url::{Origin, Url};

use super::super::output;
use super::record::Record;
use super::report::{OutputOptions, Report};
use crate::app;
use crate::clock::Clock;
use crate::config::Settings;

/// The setting that replaces a person's consent in a trial.
const ACCESS_TOKEN: &str = "access_token";

#[derive(Args)]
pub struct Trial {
    /// A manifest file, or the key of an integration in the catalog.
    manifest: String,
    /// A setting of the connection: KEY=VALUE, KEY=@FILE, or KEY=- for standard input.
    ///
    /// Give secrets as KEY=@FILE or KEY=-, so that they do not appear in the process list or in
    /// the shell's history. To give a value that begins with @, double it: KEY=@@name.
    /// If the integration needs a person's consent, give an access token as `access_token`.
    /// A value without = is the file with the server's settings, as for other commands.
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// A YAML file with settings of the connection. --config overrides it.
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Send requests for one origin to another: https://api.example.com=http://127.0.0.1:4010
    #[arg(long, value_name = "FROM=TO")]
    origin: Vec<String>,
    /// Print each user's original record too, with secrets masked.
    #[arg(long)]
    raw: bool,
    /// Print one JSON document at the end.
    #[arg(long)]
    json: bool,
    /// Stop after N pages.
    #[arg(long, value_name = "N")]
    pages: Option<u64>,
    /// Print at most N users. The default is 100, or all with --json.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Write what the application answered as a sample, with people and secrets replaced.
    ///
    /// The whole list is read. Put the file beside the manifest, in samples/KEY.yaml, and `connectors check` replays
    /// it. An existing file is not overwritten.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pages", "json"])]
    record: Option<PathBuf>,
    /// With --record: what stands in the sample for a setting, as for --config.
    ///
    /// Usually a stand-in is made. A private key needs one that somebody made for tests.
    #[arg(long, value_name = "KEY=VALUE", requires = "record")]
    stand_in: Vec<String>,
}

/// Lists the users of the application, and prints them.
pub async fn run(trial: Trial) -> Result<(), String> {
    let (own, server): (Vec<_>, Vec<_>) = trial.config.iter().partition(|text| setting(text).is_some());
    if let Some((key, _)) = server.iter().find_map(|text| text.split_once('=')) {
        // The value may be a secret.
        return Err(format!("--config {key}=…: a key has only lower-case letters, digits and _"));
    }
    let server: Vec<String> = server.into_iter().cloned().collect();
    let settings = Settings::load(super::super::settings_file(&server)?.as_deref())?;
    let record = trial.record.as_deref().map(|file| record(file, &trial)).transpose()?;
    let manifest = find(&trial.manifest, &settings)?;
    let mut config = read_file(trial.config_file.as_deref())?;
    for (key, value) in own.into_iter().filter_map(|text| setting(text)) {
        config.insert(key.to_owned(), value_of("--config", key, value)?);
    }
    let grants = consent(&manifest, &mut config)?;
    check_config(&manifest, &config)?;
    Box::pin(list(&trial, &settings, manifest, config, grants, record)).await
}

async fn list(
    trial: &Trial,
    settings: &Settings,
    manifest: Arc<Manifest>,
    config: Config,
    grants: Option<Arc<dyn GrantStore>>,
    mut record: Option<Record>,
) -> Result<(), String> {
    let detours = trial.origin.iter().map(|text| parse_origin(text)).collect::<Result<_, _>>()?;
    let clock = Clock::System;
    let begun = clock.now();
    let networks = settings.allowed_networks.clone();
    let client = ClientSettings { detours, ..ClientSettings::new(networks, move || clock.now(), fastrand::f64) };
    let mut client = Client::new(client).map_err(|error| format!("HTTP client: {error}"))?;
    if let Some(record) = &mut record {
        client = record.observe(client);
    }
    let source = HttpSource::new(Arc::clone(&manifest), config.clone(), &client, grants.clone());
    let source = source.map_err(|error| error.message)?;
    let raw_page: Arc<Mutex<Option<RawPage>>> = Arc::default();
    let observed = Arc::clone(&raw_page);
    let source = source.observed_by(Arc::new(move |page| *observed.lock() = Some(page)));

    let options = OutputOptions { json: trial.json, raw: trial.raw, limit: trial.limit };
    let mut report = Report::new(&manifest, options);
    let mut pages = source.pages(None);
    while !output::has_ended() && trial.pages.is_none_or(|most| report.pages() < most) {
        match pages.next().await {
            Some(Ok(page)) => {
                if let Some(record) = &mut record {
                    record.add(&page.users);
                }
                // A keep-alive page has no raw page.
                if let Some(raw_page) = raw_page.lock().take() {
                    report.add_page(page, raw_page);
                }
            }
            Some(Err(error)) => {
                report.fail(error);
                break;
            }
            None => {
                report.complete();
                break;
            }
        }
    }
    drop(pages);
    if output::has_ended() {
        return Ok(());
    }
    let failed = report.failure();
    let finished = report.finish(source.tenant().as_deref(), Clock::System.now() - begun);
    if let Some(record) = record {
        record.write(&manifest, &config, grants.as_deref(), failed).await?;
    }
    finished
}

/// A recording, if the sample can be written when the listing has ended.
fn record(file: &Path, trial: &Trial) -> Result<Record, String> {
    let mut stand_ins = Config::new();
    for text in &trial.stand_in {
        let Some((key, value)) = setting(text) else {
            return Err("--stand-in: write KEY=VALUE, KEY=@FILE, or KEY=- for standard input".to_owned());
        };
        stand_ins.insert(key.to_owned(), value_of("--stand-in", key, value)?);
    }
    Record::new(file, Path::new(&trial.manifest), stand_ins)
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

/// Splits KEY=VALUE.
fn setting(text: &str) -> Option<(&str, &str)> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.split_once('=').filter(|(key, _)| !key.is_empty() && key.bytes().all(plain))
}

/// The value that an option gives to a setting.
fn value_of(option: &str, key: &str, value: &str) -> Result<String, String> {
    match value.strip_prefix('@') {
        Some(literal) if literal.starts_with('@') => Ok(literal.to_owned()),
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{option} {key}: {file}: {error}")),
        None if value == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| format!("{option} {key}: {error}"))?;
            Ok(text)
        }
        None => Ok(value.to_owned()),
    }
}

fn read_file(file: Option<&Path>) -> Result<Config, String> {
    let Some(file) = file else { return Ok(Config::new()) };
    let wrong = |error: String| format!("--config-file: {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    // The error itself would show the lines around it, which may contain a secret.
    let line = |error: serde_saphyr::Error| error.location().map_or(0, |at| at.line());
    serde_saphyr::from_str::<BTreeMap<String, String>>(&text)
        .map_err(|error| wrong(format!("line {}: write one KEY: VALUE per line", line(error))))
}

/// The access token as a grant, if the manifest's authentication needs a person's consent.
fn consent(manifest: &Manifest, config: &mut Config) -> Result<Option<Arc<dyn GrantStore>>, String> {
    if !matches!(manifest.chosen(config).auth, Auth::AuthorizationCode(_)) || manifest.field(ACCESS_TOKEN).is_some() {
        return Ok(None);
    }
    let Some(access_token) = config.remove(ACCESS_TOKEN) else {
        return Err(format!(
            "{} needs a person's consent in the browser, which a trial cannot ask for.\n\
             Create an access token with the application's own tools, and give it with --config access_token=@FILE;\n\
             or start the server with this manifest, and connect it there (beginAuthorization).",
            manifest.name
        ));
    };
    let access_token = access_token.trim().to_owned();
    // Without a refresh token, because a trial must not use it up.
    let (refresh_token, expires_at, refresh_expires_at) = (None, None, None);
    let grant = Grant { access_token, refresh_token, expires_at, refresh_expires_at, found: BTreeMap::new() };
    Ok(Some(Arc::new(GrantInMemory::new(grant))))
}

/// Fails with every setting that is missing or invalid.
fn check_config(manifest: &Manifest, config: &Config) -> Result<(), String> {
    let Err(faults) = manifest.complete(config.clone()) else { return Ok(()) };
    let lines = faults.iter().map(|fault| format!("  --config {}=…  {}", fault.key, fault.message));
    Err(format!("the settings are invalid\n{}", lines.collect::<Vec<_>>().join("\n")))
}

fn parse_origin(text: &str) -> Result<(Origin, Url), String> {
    let parse = || {
        // The target address may contain a =, but an origin cannot.
        let (from, to) = text.split_once('=')?;
        let from = Url::parse(from).ok().filter(Url::has_host)?.origin();
        Some((from, Url::parse(to).ok().filter(Url::has_host)?))
    };
    parse()
        .ok_or_else(|| format!("--origin {text}: write FROM=TO, such as https://api.example.com=http://127.0.0.1:4010"))
}
