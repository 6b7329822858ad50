//! Does what is planned, one change after the other.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::object::Object;
use super::plan::{Act, Item};
use super::reference::{Reference, Secrets};
use super::send::{Call, Ids, calls, switched_off, webhook_off};
use super::tell;
use crate::cli::client::Client;
use crate::cli::output::{harmless, say};

/// Applies the changes, then the deletions in the opposite order, and says what becomes of each. Returns whether
/// everything is as the file says. Fails only if there is no use in going on; what was done until then stays.
pub async fn apply(
    client: &Client,
    items: &[Item],
    mut ids: Ids,
    secrets: &Secrets,
    folder: &Path,
) -> Result<bool, String> {
    let is_deletion = |item: &&Item| matches!(item.act, Act::Delete);
    let changes = items.iter().filter(|item| !is_deletion(item));
    let mut is_whole = true;
    for item in changes.chain(items.iter().rev().filter(is_deletion)) {
        if let Some(obstacle) = tell::obstacle(&item.act) {
            eprintln!("muster: {} {}", harmless(&item.title()), harmless(&obstacle));
            is_whole = false;
            continue;
        }
        is_whole &= match one(client, item, &mut ids, secrets, folder).await? {
            Ok(()) => item.kept.is_empty() && item.conflicts.is_empty(),
            Err(reasons) => {
                eprintln!("muster: {} was refused", harmless(&item.title()));
                for reason in reasons {
                    eprintln!("  {}", harmless(&reason));
                }
                false
            }
        };
        tell::differences(item);
    }
    Ok(is_whole)
}

type Refused = Result<(), Vec<String>>;

async fn one(client: &Client, item: &Item, ids: &mut Ids, secrets: &Secrets, folder: &Path) -> Result<Refused, String> {
    let done = match &item.act {
        Act::Create => "was created",
        Act::Update => "was changed",
        Act::Delete => "was deleted",
        Act::Nothing | Act::NotInFile(_) | Act::Consent(_) | Act::Wait(_) | Act::Gone | Act::Impossible(_) => {
            return Ok(Ok(()));
        }
    };
    // An instance that it names may have been refused a moment ago.
    let absent = item.file.iter().flat_map(Object::instances).find(|name| !ids.contains_key(&name.to_lowercase()));
    if let Some(name) = absent.filter(|_| !matches!(item.act, Act::Delete)) {
        return Ok(Err(tell::obstacle(&Act::Wait(name)).into_iter().collect()));
    }
    let place = match Place::of(item, folder) {
        Ok(place) => place,
        Err(reason) => return Ok(Err(vec![reason])),
    };
    for call in calls(item, ids, secrets) {
        match client.change(call.name, &call.input, call.fields).await {
            Ok(Ok(payload)) => {
                if let Err(reasons) = follow(client, item, &call, &payload, ids, place.as_ref()).await? {
                    return Ok(Err(reasons));
                }
            }
            Ok(Err(reasons)) => {
                place.into_iter().for_each(Place::give_up);
                return Ok(Err(reasons));
            }
            // It may have been made. The empty file says so to the next command.
            Err(line) => return Err(format!("{}: {line}", item.title())),
        }
    }
    say!("{} {done}", item.title());
    Ok(Ok(()))
}

/// What belongs to the creation of something.
async fn follow(
    client: &Client,
    item: &Item,
    call: &Call,
    payload: &Value,
    ids: &mut Ids,
    place: Option<&Place>,
) -> Result<Refused, String> {
    let Some(file) = &item.file else { return Ok(Ok(())) };
    let is = |field: &str| file.fields.get(field) != Some(&json!(false));
    let id = |kind: &str| payload[kind]["id"].as_str().unwrap_or_default().to_owned();
    let more = match call.name {
        "createInstance" => {
            ids.insert(file.key(), id("instance"));
            (!is("active")).then(|| switched_off(&id("instance")))
        }
        "createWebhook" => {
            if let Some(secret) = payload["secret"].as_str() {
                match place {
                    Some(place) => place.keep(secret)?,
                    None => say!("{}: its secret, which is shown only now: {secret}", file.title()),
                }
            }
            (!is("enabled")).then(|| webhook_off(&id("webhook")))
        }
        _ => None,
    };
    match more {
        Some(more) => Ok(client.change(more.name, &more.input, more.fields).await?.map(drop)),
        None => Ok(Ok(())),
    }
}

/// The file for the secret of a new webhook. It is made before the webhook, so that no secret is lost.
struct Place {
    path: PathBuf,
    file: File,
}

impl Place {
    fn of(item: &Item, folder: &Path) -> Result<Option<Self>, String> {
        let wanted = item.file.as_ref().filter(|_| matches!(item.act, Act::Create));
        let Some(Reference::File(path)) = wanted.and_then(|file| file.secret_to.as_ref()) else { return Ok(None) };
        let path = folder.join(path);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() == 0) {
            // Of a command that was cut.
            let _ = fs::remove_file(&path);
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| format!("secret_to: {}: {error}", path.display()))?;
        Ok(Some(Self { path, file }))
    }

    fn keep(&self, secret: &str) -> Result<(), String> {
        let written = writeln!(&self.file, "{secret}").and_then(|()| self.file.sync_all());
        written.map_err(|error| {
            format!("secret_to: {}: {error}: rotate the secret of the webhook", self.path.display())
        })?;
        say!("the secret of the new webhook is in {}", self.path.display());
        Ok(())
    }

    fn give_up(self) {
        let _ = fs::remove_file(self.path);
    }
}
