//! Says what is planned, for people.

use serde_json::Value;

use super::plan::{Act, Difference, Item};
use crate::cli::output::say;

/// Everything that is to be said about a plan, in lines.
pub fn plan(items: &[Item]) {
    for item in items {
        tell(item);
    }
    if !items.iter().any(Item::is_open) {
        say!("There is nothing to do: the server has what the file says.");
        return;
    }
    let count = |wanted: fn(&Act) -> bool| items.iter().filter(|item| wanted(&item.act)).count();
    let kept = items.iter().filter(|item| !item.kept.is_empty()).count();
    let conflicts = items.iter().filter(|item| !item.conflicts.is_empty()).count();
    say!(
        "{} to create, {} to change, {} to delete; {} cannot be made by this command; \
         {kept} changed in the server since the export, {conflicts} changed in both.",
        count(|act| matches!(act, Act::Create)),
        count(|act| matches!(act, Act::Update)),
        count(|act| matches!(act, Act::Delete)),
        count(|act| obstacle(act).is_some()),
    );
}

fn tell(item: &Item) {
    let title = item.title();
    let secrets = if item.sends_secrets && item.file.as_ref().is_some_and(|file| !file.secrets.is_empty()) {
        ", with its secrets"
    } else {
        ""
    };
    match &item.act {
        Act::Create => say!("+ {title} will be created{secrets}"),
        Act::Update => say!("~ {title} will be changed{secrets}"),
        Act::Delete => say!("- {title} will be deleted"),
        Act::NotInFile(why) => say!("  {title} is not in the file; {why}"),
        act => {
            if let Some(obstacle) = obstacle(act) {
                say!("? {title} {obstacle}");
            }
        }
    }
    for change in &item.changes {
        say!("    {}: {} → {}", change.field, shown(&change.server), shown(&change.file));
    }
    differences(item);
}

/// What stands in the way of a change, if something does.
pub fn obstacle(act: &Act) -> Option<String> {
    Some(match act {
        Act::Consent(address) => format!("needs a person's consent: open {address}"),
        Act::Wait(name) => format!("waits for the instance “{name}”, which is not there yet"),
        Act::Gone => "was deleted in the server since the export, and is not created again without --overwrite".into(),
        Act::Impossible(why) => format!("stays as it is, because {why}"),
        Act::Create | Act::Update | Act::Delete | Act::NotInFile(_) | Act::Nothing => return None,
    })
}

/// What is kept as the server has it.
pub fn differences(item: &Item) {
    let tell = |differences: &[Difference], what: &str| {
        if differences.is_empty() {
            return;
        }
        say!("! {}: {what}, and is kept without --overwrite", item.title());
        for it in differences {
            say!("    {}: {} in the server, {} in the file", it.field, shown(&it.server), shown(&it.file));
        }
    };
    tell(&item.kept, "was changed in the server since the export");
    tell(&item.conflicts, "was changed in the server and in the file");
}

/// Says what the server has in another way than the file, though it was sent. Returns whether there is nothing.
pub fn left_over(items: &[Item]) -> bool {
    let left: Vec<_> = items.iter().filter(|item| matches!(item.act, Act::Create | Act::Update)).collect();
    for item in &left {
        say!("! {}: the server has it in another way than the file, after the change, too", item.title());
        for change in &item.changes {
            say!("    {}: {} → {}", change.field, shown(&change.server), shown(&change.file));
        }
    }
    left.is_empty()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => format!("“{}”", text.replace('\n', "\\n")),
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        other => other.to_string(),
    }
}
