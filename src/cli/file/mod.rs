//! `muster export`, `muster plan` and `muster apply`: the settings of a server as a file in git.
//!
//! The file has what members decide: instances, recipients, webhooks, prices, contracts, people's sources and what is
//! held against accounts. It has nothing that the server finds out, and no members, tokens, decisions about single
//! accounts, or exceptions.
//!
//! Everything goes through the API, with the rights of a token. Names are keys, and ids never come into the file. The
//! [`state`] beside the file has what the file and the server agreed on last; with it, [`plan`] tells a change in the
//! file from a change in the server. A command that is cut in the middle has made some changes and left the rest; the
//! next one finds the former made, and makes the latter.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use integration::manifest::schema::schema_of;
use serde_json::json;

use self::document::Document;
use self::object::{Object, Section, objects, sections};
use self::plan::{Act, Item, Known, Options, Sides};
use self::reference::{Reference, Secrets};
use self::send::Ids;
use self::state::{Agreed, State, beside};
use super::client::{Client, token};
use super::output::{self, harmless, say};

mod apply;
mod check;
mod document;
mod object;
mod plan;
mod reference;
mod send;
mod server;
mod state;
mod tell;

/// The server, and who asks it.
#[derive(clap::Args)]
pub struct At {
    /// The address of the server, such as https://muster.example.com.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The file with an API token.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

impl At {
    fn client(&self) -> Result<Client, String> {
        Client::new(&self.server, token(&self.token_file)?)
    }
}

#[derive(clap::Args)]
pub struct Export {
    /// The address of the server, such as https://muster.example.com.
    #[arg(long, value_name = "URL", required_unless_present = "schema")]
    server: Option<String>,
    /// The file with an API token.
    #[arg(long, value_name = "FILE", required_unless_present = "schema")]
    token_file: Option<PathBuf>,
    /// Write into this file, and what plan and apply compare with into FILE.base.json beside it. Without it, the file is
    /// printed.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if there is one, with its comments.
    #[arg(long)]
    replace: bool,
    /// Only these sections, with commas. All by default.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    sections: Vec<Section>,
    /// Print the JSON Schema of the file, for editors.
    #[arg(long)]
    schema: bool,
}

#[derive(clap::Args)]
pub struct Plan {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    options: Options,
}

#[derive(clap::Args)]
pub struct Apply {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    options: Options,
}

/// The exit code: 0 if everything is as it should be, 1 if not, 2 if it failed.
fn code(ended: Result<bool, String>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(line) => {
            eprintln!("muster: {}", harmless(&line));
            ExitCode::from(2)
        }
    }
}

pub(super) async fn export(command: Export) -> ExitCode {
    code(write(command).await.map(|()| true))
}

pub(super) async fn plan(command: Plan) -> ExitCode {
    let planned = async {
        let client = command.at.client()?;
        let planned = Planned::new(&client, &command.file, &command.options).await?;
        tell::plan(&planned.items);
        Ok(!planned.items.iter().any(Item::is_open))
    };
    code(planned.await)
}

pub(super) async fn apply(command: Apply) -> ExitCode {
    code(carry_out(command).await)
}

async fn write(command: Export) -> Result<(), String> {
    if command.schema {
        say!("{:#}", schema_of::<Document>("The settings of a Muster"));
        return Ok(());
    }
    let (Some(server), Some(token_file)) = (command.server, command.token_file) else {
        return Err("--server and --token-file are missing".to_owned());
    };
    let client = At { server, token_file }.client()?;
    let wanted = if command.sections.is_empty() { Section::ALL.to_vec() } else { command.sections };
    let wanted = BTreeSet::from_iter(wanted);
    let base = match &command.output {
        Some(file) => State::read(file, client.server())?,
        None => None,
    };
    if let Some(file) = command.output.as_ref().filter(|file| file.exists() && !command.replace) {
        return Err(format!("{}: it exists; --replace replaces it", file.display()));
    }
    let mut document = server::read(&client, &wanted, base.as_ref()).await?.document;
    if !wanted.contains(&Section::Instances) {
        document.instances = None;
    }
    if let Some(instances) = &mut document.instances {
        instances.sort_by_cached_key(|instance| instance.name.value.to_lowercase());
    }
    if let Some(webhooks) = &mut document.webhooks {
        webhooks.sort_by_cached_key(|webhook| webhook.name.value.to_lowercase());
        webhooks.retain(|webhook| {
            let is_useful = !webhook.instances.iter().any(|name| name == server::DELETED);
            if !is_useful {
                let name = harmless(&webhook.name.value);
                eprintln!("muster: webhook “{name}” is left out: it is limited to instances that are deleted");
            }
            is_useful
        });
    }
    let text = text_of(&document)?;
    let Some(file) = command.output else {
        output::data(text.trim_end());
        return Ok(());
    };
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    let objects = objects(&document).iter().map(|object| Agreed::of(object, object.fields.clone())).collect();
    State { server: client.server().to_owned(), objects }.write(&file)?;
    say!("wrote {} and {}", file.display(), beside(&file).display());
    Ok(())
}

/// The document in YAML, with an empty line between its sections.
fn text_of(document: &Document) -> Result<String, String> {
    let options = serde_saphyr::ser_options! { compact_list_indent: false };
    let plain =
        serde_saphyr::to_string_with_options(document, options).map_err(|error| format!("the file: {error}"))?;
    let mut text = String::new();
    for line in plain.lines() {
        if !line.starts_with([' ', '-']) && !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
    }
    Ok(text)
}

/// A plan, and what it was made from.
struct Planned {
    sections: BTreeSet<Section>,
    items: Vec<Item>,
    /// What was agreed on before, and whether anything was.
    before: Vec<Object>,
    has_base: bool,
    /// Of the instances that are there, by all their names.
    ids: Ids,
}

impl Planned {
    async fn new(client: &Client, path: &Path, options: &Options) -> Result<Self, String> {
        let (document, file) = check::read(path)?;
        let sections = sections(&document);
        for name in &options.send_secrets {
            let is_it =
                |object: &&Object| object.name.to_lowercase() == name.to_lowercase() && !object.secrets.is_empty();
            if !file.iter().any(|object| is_it(&object)) {
                return Err(format!("--send-secrets: nothing with secrets is named “{name}” in the file"));
            }
        }
        let base = State::read(path, client.server())?;
        let found = server::read(client, &sections, base.as_ref()).await?;
        let server = objects(&found.document);
        check::against(&file, &server, &found.catalog, path)?;
        let mut ids = ids_of(&server);
        let (console, managed) = (client.server(), sections.clone());
        let sides = Sides { sections, file, server, base: base.as_ref(), catalog: &found.catalog, console };
        let (items, before) = plan::plan(sides, options);
        for item in &items {
            if let (Some(file), Some(found)) = (&item.file, &item.server) {
                let renamed = Object { name: file.name.clone(), ..found.clone() };
                ids.extend(ids_of(&[renamed]));
            }
        }
        Ok(Self { sections: managed, items, before, has_base: base.is_some(), ids })
    }

    /// What the file and the server agree on now. Where they do not, it is what they agreed on before.
    fn agreed(&self, server: &str) -> State {
        let mut objects = Vec::new();
        let known = Known::of(&self.before);
        let mut seen = BTreeSet::new();
        for item in &self.items {
            let Some(object) = item.file.as_ref().or(item.server.as_ref()) else { continue };
            let old = known.get(object, item.server.as_ref());
            seen.extend(old.map(|old| (old.section, old.key())));
            let mut fields = old.map(|old| old.fields.clone()).unwrap_or_default();
            match (&item.file, &item.server) {
                (Some(file), Some(found)) => {
                    let open: BTreeSet<_> = [&item.changes, &item.kept, &item.conflicts]
                        .into_iter()
                        .flatten()
                        .map(|difference| &difference.field)
                        .collect();
                    // What the file leaves alone is as it is in the server.
                    fields.retain(|field, _| file.fields.contains_key(field));
                    fields.extend(file.fields.clone().into_iter().filter(|(field, _)| !open.contains(field)));
                    let rest = found.fields.clone().into_iter().filter(|(field, _)| !file.fields.contains_key(field));
                    fields.extend(rest.filter(|(field, _)| !file.secrets.contains_key(field)));
                    objects.push(Agreed { id: found.id.clone(), ..Agreed::of(file, fields) });
                }
                // Before anything was agreed on, what the server has is not new.
                (None, Some(found)) if !self.has_base => objects.push(Agreed::of(found, found.fields.clone())),
                // What only one of them has is as it was agreed on.
                _ => objects.extend(old.map(|old| Agreed::of(old, fields))),
            }
        }
        let is_unseen = |old: &&Object| !seen.contains(&(old.section, old.key()));
        let others = self.before.iter().filter(is_unseen).filter(|old| !self.sections.contains(&old.section));
        objects.extend(others.map(|old| Agreed::of(old, old.fields.clone())));
        State { server: server.to_owned(), objects }
    }
}

fn ids_of(objects: &[Object]) -> Ids {
    let instances = objects.iter().filter(|object| object.section == Section::Instances);
    instances.filter_map(|object| Some((object.key(), object.id.clone()?))).collect()
}

async fn carry_out(command: Apply) -> Result<bool, String> {
    let client = command.at.client()?;
    let planned = Planned::new(&client, &command.file, &command.options).await?;
    if planned.items.iter().any(Item::is_open) {
        may_change(&client, &planned.items).await?;
    }
    let folder = place_of(&command.file);
    let needed =
        planned.items.iter().filter(|item| item.sends_secrets && matches!(item.act, Act::Create | Act::Update));
    let needed: Vec<&Reference> = needed.flat_map(|item| &item.file).flat_map(|file| file.secrets.values()).collect();
    let secrets = Secrets::read(needed, folder)?;
    check_places(&planned.items, folder)?;
    let is_whole = apply::apply(&client, &planned.items, planned.ids.clone(), &secrets, folder).await?;
    let after = Planned::new(&client, &command.file, &Options::default()).await?;
    after.agreed(client.server()).write(&command.file)?;
    let is_whole = is_whole && tell::left_over(&after.items);
    if is_whole && !planned.items.iter().any(Item::is_open) {
        say!("There is nothing to do: the server has what the file says.");
    }
    Ok(is_whole)
}

/// The folder of a file.
fn place_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The files for the secrets of new webhooks must not be there yet.
fn check_places(items: &[Item], folder: &Path) -> Result<(), String> {
    let mut places = BTreeSet::new();
    for item in items {
        let Some(Reference::File(path)) = item.file.as_ref().and_then(|file| file.secret_to.as_ref()) else { continue };
        let path = folder.join(path);
        let fault = |what: &str| Err(format!("nothing was changed: secret_to: {}: {what}", path.display()));
        // A secret is written into an empty file, which is there before the webhook.
        let is_empty = fs::symlink_metadata(&path).map(|found| found.is_file() && found.len() == 0).ok();
        match (&item.act, is_empty) {
            (Act::Create, Some(false)) => return fault("it exists; remove it first"),
            (Act::Create, _) if !place_of(&path).is_dir() => return fault("its folder does not exist"),
            (Act::Create, _) if !places.insert(path.clone()) => return fault("two webhooks have it"),
            (_, Some(true)) if item.server.is_some() => {
                return fault(&format!("the secret of {} was lost: rotate it, and remove the file", item.title()));
            }
            (_, _) => {}
        }
    }
    Ok(())
}

/// Says at once if the role of the token is too small, so that nothing is half done.
async fn may_change(client: &Client, items: &[Item]) -> Result<(), String> {
    let me = client.ask("{ me { role } }", json!({})).await?;
    let role = me["me"]["role"].as_str().unwrap_or_default();
    let for_admins = |item: &Item| {
        item.is_open() && matches!(item.section(), Section::Webhooks | Section::People | Section::Reports)
    };
    let needed = if items.iter().any(for_admins) { "an administrator" } else { "an operator or an administrator" };
    let may = role == "ADMIN" || (role == "OPERATOR" && !items.iter().any(for_admins));
    if may {
        Ok(())
    } else {
        Err(format!("nothing was changed: the token has the role {role}, and this needs {needed}"))
    }
}
