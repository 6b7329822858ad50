//! `muster restore FILE`: replaces the database by a backup.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use entity::audit_entry::Action;
use sea_orm::ActiveEnum;
use uuid::Uuid;

use super::output::say;
use super::use_postgres_tools;
use crate::app::{self, DatabaseLock, prepare_data_dir};
use crate::audit::seal::SealFile;
use crate::audit::{Entry, doing, record};
use crate::auth::members::Change;
use crate::auth::tokens::has_ended;
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::Location;
use crate::maintenance::restore::{Known, KnownOne, Restore, Restored};

const DISABLED: Change = Change { name: None, role: None, disabled: Some(true) };

#[derive(clap::Args)]
pub(super) struct Command {
    /// A file that `muster backup` wrote.
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Replace an existing database, which is kept under another name.
    #[arg(long)]
    replace: bool,
    /// Restore a backup that this installation has not signed, or that was changed.
    #[arg(long)]
    unsigned: bool,
}

pub(super) async fn run(command: &Command, settings: &Settings) -> Result<(), String> {
    let Location::Sqlite(database) = settings.database()? else { return Err(use_postgres_tools()) };
    prepare_data_dir(&settings.data_dir)?;
    let mut lock = DatabaseLock::take(&database)?;
    let restore = Restore {
        from: &command.from,
        to: &database,
        replace: command.replace,
        unsigned: command.unsigned,
        key_file: &settings.secret_key_file(),
        now: Clock::System.now(),
    };
    let Restored { instances, users, previous, doubt } = restore.run().await?;
    lock.closed();
    if let Some(doubt) = doubt {
        eprintln!("muster: warning: {} {doubt}; it was restored because of --unsigned", command.from.display());
    }
    say!("{}: restored, with {instances} instances and {users} users", database.display());
    if let Some(previous) = &previous {
        say!("The previous database was kept as {}; delete it when you are sure.", previous.display());
    }
    if let Err(line) = Box::pin(seal(settings)).await {
        eprintln!("muster: warning: the audit log could not be sealed: {line}");
    }
    say!("All sessions and one-time links have ended.");
    Box::pin(end_again(settings, previous.as_deref())).await?;
    Box::pin(erase_again(settings)).await?;
    say!(
        "Start the server: it continues the work that was in progress when the backup was made. Mails older than 48 hours are not sent."
    );
    Ok(())
}

/// Records the restore in the log that was restored, and seals that one.
async fn seal(settings: &Settings) -> Result<(), String> {
    let (db, ring) = app::open_keys(settings).await?;
    let at = Clock::System.now();
    let entry = &Entry::new(at, Action::BackupRestored, "A backup was restored.");
    let sealed = async {
        db.write(|tx| async move {
            record(&tx, entry.clone());
            Ok(())
        })
        .await?;
        SealFile::new(&settings.data_dir, ring).replace(&db, at).await?;
        db.close().await
    };
    sealed.await.map_err(|error| error.chain().to_string())
}

/// Erases again who was erased after the backup was made.
async fn erase_again(settings: &Settings) -> Result<(), String> {
    let people = app::open_people(settings).await?;
    let settled = Box::pin(people.settle_erasures()).await.map_err(|error| error.chain().to_string());
    let erased = settled.map_err(|line| {
        format!(
            "the backup was restored, but people who were erased since may be known again: {line}. The server does not start before they are erased"
        )
    })?;
    people.db.close().await.map_err(|error| error.chain().to_string())?;
    if erased > 0 {
        say!("People who were erased after the backup was made are erased again: {erased}.");
    }
    Ok(())
}

/// Lets nobody in whom the previous database let in no more, and says who is let in now.
async fn end_again(settings: &Settings, previous: Option<&Path>) -> Result<(), String> {
    let mut undone = Vec::new();
    let known = match previous {
        Some(previous) => Known::read(previous).await.map_err(|line| {
            undone.push(format!("the previous database cannot be read ({line}), so nothing says who had ended"));
        }),
        None => Err(()),
    };
    let known = known.ok();
    let names = |ones: fn(&Known) -> &BTreeMap<Uuid, KnownOne>| {
        let ended = known.iter().flat_map(|known| ones(known).values()).filter(|one| one.has_ended);
        ended.map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut unknown = Vec::new();
    // The tokens come first: members need more of the settings.
    let valid = match end_tokens(settings, known.as_ref(), &mut unknown, &mut undone).await {
        Ok(valid) => format!("{valid} API tokens are valid. "),
        Err(line) => {
            undone
                .push(format!("the revoked tokens were not revoked again ({}): {line}", names(|known| &known.tokens)));
            String::new()
        }
    };
    if let Err(line) = end_members(settings, known.as_ref(), &mut unknown, &mut undone).await {
        undone
            .push(format!("the disabled members were not disabled again ({}): {line}", names(|known| &known.members)));
    }
    for one in &unknown {
        say!("The previous database does not know {one} of the backup.");
    }
    let again = if known.is_some() && unknown.is_empty() {
        "Passwords and roles are those of the backup"
    } else {
        "Tokens that were revoked after the backup, and members who were disabled, count again, and passwords and roles \
         are those of the backup: nothing here says which"
    };
    say!("{valid}{again}. Look at muster token list, and at the members.");
    if undone.is_empty() {
        return Ok(());
    }
    // Some of these are sentences.
    let undone = undone.iter().map(|one| one.trim_end_matches('.')).collect::<Vec<_>>().join("; ");
    Err(format!(
        "the backup was restored, but who had ended since may be let in again: {undone}. Before you start the server, revoke those tokens with muster token revoke, and disable those members with muster member disable"
    ))
}

/// Revokes again the tokens that were revoked in the previous database. Returns how many are valid then.
async fn end_tokens(
    settings: &Settings,
    known: Option<&Known>,
    unknown: &mut Vec<String>,
    undone: &mut Vec<String>,
) -> Result<usize, String> {
    let tokens = app::open_tokens(settings).await?;
    let now = Clock::System.now();
    let all = tokens.list().await.map_err(|error| error.chain().to_string())?;
    let mut valid = 0;
    for token in all.into_iter().filter(|token| !has_ended(token, now)) {
        let name = token.name;
        match known.map(|known| known.tokens.get(&token.id)) {
            Some(Some(before)) if before.has_ended => {
                let what = "A token was revoked again after a restore.";
                match Box::pin(doing(Action::TokenRevoked, what, tokens.revoke_one(token.id))).await {
                    Ok(_) => say!("The token \"{name}\" was revoked after the backup, and is revoked again."),
                    Err(error) => {
                        valid += 1;
                        undone.push(format!("the token \"{name}\" was not revoked again: {}", error.chain()));
                    }
                }
                continue;
            }
            Some(None) => unknown.push(format!("the token \"{name}\"")),
            Some(Some(_)) | None => {}
        }
        valid += 1;
    }
    Ok(valid)
}

/// Disables again the members who were disabled in the previous database, and names those whose role was weaker there.
async fn end_members(
    settings: &Settings,
    known: Option<&Known>,
    unknown: &mut Vec<String>,
    undone: &mut Vec<String>,
) -> Result<(), String> {
    let Some(known) = known else { return Ok(()) };
    let members = app::open_members(settings).await?;
    let all = members.page(None, None, u64::from(u32::MAX)).await.map_err(|error| error.chain().to_string())?;
    for member in all.into_iter().filter(|member| member.disabled_at.is_none()) {
        let who = member.email.unwrap_or(member.name);
        let Some(before) = known.members.get(&member.id) else {
            unknown.push(format!("the member {who}"));
            continue;
        };
        if before.has_ended {
            let (what, change) = ("A member was disabled again after a restore.", &DISABLED);
            match Box::pin(doing(Action::MemberUpdated, what, members.update(member.id, change))).await {
                Ok(_) => say!("{who} was disabled after the backup, and is disabled again."),
                Err(error) => undone.push(format!("{who} was not disabled again: {}", error.chain())),
            }
        } else if member.role.weaker(before.role) != member.role {
            let (now, before) = (member.role.to_value(), before.role.to_value());
            say!("{who} has the role {now} of the backup again; it was {before}. Look at muster member set-role.");
        }
    }
    Ok(())
}
