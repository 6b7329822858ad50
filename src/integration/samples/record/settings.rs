//! Stand-ins for the settings of a connection.

use serde_json::Value;
use url::Url;

use super::disguise::Disguise;
use crate::manifest::Manifest;
use crate::manifest::config::{ConfigField, FieldKind, PLAIN_HTTP};
use crate::source::Config;

/// The longest beginning of a secret that a pattern may ask for, such as `xoxb-`.
const MAX_PREFIX: usize = 8;

/// The settings with a stand-in for each. From now on, the values have these stand-ins everywhere.
pub(super) fn disguised(disguise: &mut Disguise, manifest: &Manifest, config: &Config) -> Result<Config, String> {
    let mut replaced = Config::new();
    // Hosts first: they are a part of other settings.
    let is_host = |field: &&ConfigField| matches!(field.kind, FieldKind::Url | FieldKind::Host);
    let (hosts, others): (Vec<&ConfigField>, Vec<&ConfigField>) = manifest.form.iter().partition(is_host);
    for field in hosts.into_iter().chain(others) {
        let Some(value) = config.get(&field.key) else { continue };
        let stand_in = if field.default.as_ref() == Some(value) { value.clone() } else { one(disguise, field, value)? };
        replaced.insert(field.key.clone(), stand_in);
    }
    Ok(replaced)
}

fn one(disguise: &mut Disguise, field: &ConfigField, value: &str) -> Result<String, String> {
    let fits = |candidate: &String| field.problem(candidate).is_none();
    let candidates = match field.kind {
        FieldKind::Enum => vec![value.to_owned()],
        FieldKind::Integer => vec![disguise.text(value, false)],
        FieldKind::Url => addresses(disguise, value),
        FieldKind::Host => {
            let (scheme, host) = value.strip_prefix(PLAIN_HTTP).map_or(("", value), |host| (PLAIN_HTTP, host));
            hosts(disguise, host).into_iter().map(|host| format!("{scheme}{host}")).collect()
        }
        FieldKind::Email => vec![disguise.text(value, true)],
        FieldKind::Text => beginning_alike(value, &disguise.text(value, false)),
        FieldKind::Secret | FieldKind::SecretText => beginning_alike(value, &secret(disguise, value)),
        FieldKind::SecretJson => {
            let json = serde_json::from_str(value).unwrap_or(Value::Null);
            vec![disguise.value("$", json, true).to_string()]
        }
    };
    let example = field.placeholder.clone();
    let stand_in = candidates.into_iter().chain(example).find(fits).ok_or_else(|| {
        format!("There is no stand-in for the setting “{}” that has its form; give one yourself.", field.key)
    })?;
    match field.kind {
        FieldKind::Secret | FieldKind::SecretText | FieldKind::SecretJson => disguise.hide(value, &stand_in),
        FieldKind::Url => {
            if let (Some(from), Some(to)) = (authority(value), authority(&stand_in)) {
                disguise.hosts.insert(from, to);
            }
        }
        FieldKind::Host => {
            let bare = |text: &str| text.strip_prefix(PLAIN_HTTP).unwrap_or(text).to_owned();
            disguise.hosts.insert(bare(value), bare(&stand_in));
            disguise.texts.insert(value.to_owned(), stand_in.clone());
        }
        FieldKind::Text | FieldKind::Email => {
            disguise.texts.insert(value.to_owned(), stand_in.clone());
        }
        FieldKind::Enum | FieldKind::Integer => {}
    }
    Ok(stand_in)
}

/// A secret word by word, on as many lines.
fn secret(disguise: &mut Disguise, value: &str) -> String {
    let lines: Vec<String> = value.lines().map(|line| disguise.words.replace(line, true)).collect();
    lines.join("\n")
}

/// Candidates for a host: one at example.com, and one with the vendor's words, if the setting must have them.
fn hosts(disguise: &mut Disguise, host: &str) -> Vec<String> {
    let first = host.split(['.', ':']).next().unwrap_or_default();
    let at_example = format!("{}.example.com", disguise.words.replace(first, true).to_lowercase());
    vec![at_example, disguise.words.replace(host, false).to_lowercase()]
}

/// Candidates for an address: with each candidate for its host, and the words of its path replaced.
fn addresses(disguise: &mut Disguise, value: &str) -> Vec<String> {
    let (Some(host), Ok(url)) = (authority(value), Url::parse(value)) else { return Vec::new() };
    let path = if url.path() == "/" { String::new() } else { disguise.text(url.path(), false) };
    let hosts = hosts(disguise, &host);
    hosts.into_iter().map(|host| format!("{}://{host}{path}", url.scheme())).collect()
}

/// The host of an address, with its port.
fn authority(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let host = url.host_str()?.to_lowercase();
    Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// The stand-in, and forms of it that begin more and more like the original, because a pattern may ask for it.
fn beginning_alike(original: &str, stand_in: &str) -> Vec<String> {
    let most = MAX_PREFIX.min(original.chars().count() / 2);
    let one = |length: usize| original.chars().take(length).chain(stand_in.chars().skip(length)).collect::<String>();
    (0..=most).map(one).collect()
}
