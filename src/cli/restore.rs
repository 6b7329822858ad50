//! `muster restore FILE`: replaces the database by a backup.

use std::path::PathBuf;

use entity::audit_entry::Action;

use super::use_postgres_tools;
use crate::app::{self, DatabaseLock, prepare_data_dir};
use crate::audit::seal::SealFile;
use crate::audit::{Entry, record};
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::Location;
use crate::maintenance::restore::{Restore, Restored};

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
    if let Some(previous) = previous {
        println!("The previous database was kept as {}; delete it when you are sure.", previous.display());
    }
    if let Err(line) = seal(settings).await {
        eprintln!("muster: warning: the audit log could not be sealed: {line}");
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
