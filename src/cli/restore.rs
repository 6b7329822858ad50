//! `muster restore FILE`: replaces the database by a backup.

use std::path::{Path, PathBuf};

use entity::audit_entry::Action;

use super::use_postgres_tools;
use crate::app::{self, DatabaseLock, prepare_data_dir};
use crate::audit::seal::SealFile;
use crate::audit::{Entry, doing, record};
use crate::auth::members::{Change, Members};
use crate::auth::tokens::{Tokens, has_ended};
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::Location;
use crate::maintenance::restore::{Ended, Restore, Restored};

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
    println!("{}: restored, with {instances} instances and {users} users", database.display());
    if let Some(previous) = &previous {
        println!("The previous database was kept as {}; delete it when you are sure.", previous.display());
    }
    if let Err(line) = seal(settings).await {
        eprintln!("muster: warning: the audit log could not be sealed: {line}");
    }
    println!("All sessions and one-time links have ended.");
    if let Err(line) = end_again(settings, previous.as_deref()).await {
        eprintln!("muster: warning: {line}");
    }
    println!(
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

/// Lets nobody in whom the previous database let in no more, and says who is let in now.
async fn end_again(settings: &Settings, previous: Option<&Path>) -> Result<(), String> {
    let ended = match previous {
        Some(previous) => Ended::read(previous).await.map(Some).unwrap_or_else(|line| {
            eprintln!("muster: warning: the previous database cannot be read: {line}");
            None
        }),
        None => None,
    };
    let (tokens, members) = (app::open_tokens(settings).await?, app::open_members(settings).await?);
    let is_known = ended.is_some();
    if let Some(ended) = ended {
        revoke(&tokens, &ended).await?;
        disable(&members, &ended).await?;
    }
    let now = Clock::System.now();
    let valid = tokens.list().await.map_err(|error| error.chain().to_string())?;
    let valid = valid.iter().filter(|token| !has_ended(token, now)).count();
    let unknown = if is_known {
        "Passwords and roles are those of the backup"
    } else {
        "Tokens that were revoked after the backup, and members who were disabled, count again, and passwords and roles \
         are those of the backup: nothing here says which"
    };
    println!("{valid} API tokens are valid. {unknown}. Look at muster token list, and at the members.");
    Ok(())
}

async fn revoke(tokens: &Tokens, ended: &Ended) -> Result<(), String> {
    for token in tokens.list().await.map_err(|error| error.chain().to_string())? {
        if token.revoked_at.is_none() && ended.revoked_tokens.contains(&token.id) {
            let what = "A token was revoked again after a restore.";
            let revoke = doing(Action::TokenRevoked, what, tokens.revoke_one(token.id));
            revoke.await.map_err(|error| error.chain().to_string())?;
            println!("The token \"{}\" was revoked after the backup, and is revoked again.", token.name);
        }
    }
    Ok(())
}

async fn disable(members: &Members, ended: &Ended) -> Result<(), String> {
    let change = Change { disabled: Some(true), ..Change::default() };
    for id in &ended.disabled_members {
        let found = members.find(*id).await.map_err(|error| error.chain().to_string())?;
        let Some(member) = found.filter(|member| member.disabled_at.is_none()) else { continue };
        let who = member.email.unwrap_or(member.name);
        let what = "A member was disabled again after a restore.";
        match doing(Action::MemberUpdated, what, members.update(*id, &change)).await {
            Ok(_) => println!("{who} was disabled after the backup, and is disabled again."),
            Err(error) => {
                eprintln!("muster: warning: {who} was disabled after the backup, and is not: {}", error.chain())
            }
        }
    }
    Ok(())
}
