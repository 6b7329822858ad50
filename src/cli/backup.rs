//! `muster backup FILE`: copies the database while the server runs.

use std::path::PathBuf;
use std::time::Instant;

use super::output::say;
use super::use_postgres_tools;
use crate::config::Settings;
use crate::db::Location;
use crate::maintenance::backup::{self, Progress};

#[derive(clap::Args)]
pub(super) struct Command {
    /// The file to write; it must not exist yet.
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

pub(super) async fn run(command: &Command, settings: &Settings) -> Result<(), String> {
    let Location::Sqlite(database) = settings.database()? else { return Err(use_postgres_tools()) };
    #[expect(clippy::disallowed_methods, reason = "measures a duration inside the process")]
    let began = Instant::now();
    let progress = |progress| match progress {
        Progress::Written(bytes) => eprintln!("muster: {} written so far", size(bytes)),
        Progress::Checking => eprintln!("muster: written; checking it"),
    };
    let made = backup::create(&database, &command.to, &settings.secret_key_file(), progress).await?;
    say!("{}: {} in {:.1} s, checked", command.to.display(), size(made.bytes), began.elapsed().as_secs_f64());
    say!(
        "The credentials in it are encrypted. Also keep a copy of the secret key, {}, in another place: they cannot be read without it.",
        settings.secret_key_file().display()
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn size(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1_000_000.0)
}
