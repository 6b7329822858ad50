//! `muster restore FILE`: a backup takes the place of the database.

use std::path::PathBuf;

use super::postgres_keeps_itself;
use crate::app;
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::Location;
use crate::keep::restore::{Restore, Restored};

#[derive(clap::Args)]
pub(super) struct Command {
    /// A file that `muster backup` has written.
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Put it in the place of a database that is there; that one is kept under another name.
    #[arg(long)]
    replace: bool,
}

pub(super) async fn run(command: &Command, settings: &Settings) -> Result<(), String> {
    let Location::Sqlite(database) = settings.database()? else { return Err(postgres_keeps_itself()) };
    app::prepare(&settings.data_dir)?;
    let _held = app::lock(&database)?;
    let restore = Restore {
        from: &command.from,
        to: &database,
        replace: command.replace,
        key_file: &settings.secret_key_file(),
        now: Clock::System.now(),
    };
    let Restored { instances, users, kept } = restore.run().await?;
    println!("{}: restored, with {instances} instances and {users} users", database.display());
    if let Some(kept) = kept {
        println!("What was there is kept as {}; delete it when you are sure.", kept.display());
    }
    println!(
        "Start the server: it takes up what was under way when the backup was made. Mails older than 48 hours are not sent."
    );
    Ok(())
}
