//! `muster keys`: lists and rotates the keys that seal what is stored.

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use entity::audit_entry::Action;

use super::output::say;
use crate::app;
use crate::audit::seal::SealFile;
use crate::audit::{Entry, record};
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::Db;
use crate::error::Error;
use crate::installation;
use crate::maintenance::keys::rotate::{self, Rotated};
use crate::secrets::{KeyRing, hex};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the keys in the key file, and how many stored values need each.
    List,
    /// Add a new key to the key file without using it, so that the file can be copied to every server first.
    Add,
    /// Seal everything with the newest key, while servers run, and remove the keys that nothing needs any more.
    Rotate,
}

pub(super) async fn run(command: Command, settings: &Settings) -> Result<(), String> {
    let (db, ring) = app::open_keys(settings).await?;
    let done = match command {
        Command::List => list(&db, &ring).await,
        Command::Add => rotate::add(&ring).map(|id| {
            say!("{}: added to {}", hex(&id), ring.file().display());
            say!("Copy this file to every server. Then run `muster keys rotate`.");
        }),
        Command::Rotate => rotate(&db, &ring, &settings.data_dir).await.map(|rotated| print(rotated, ring.file())),
    };
    done.map_err(|error| error.chain().to_string())
}

/// Rotates, and seals the audit log with the new key.
async fn rotate(db: &Db, ring: &Arc<KeyRing>, data_dir: &Path) -> Result<Rotated, Error> {
    let (now, file) = (db.clock(Clock::System).now(), SealFile::new(data_dir, ring.clone()));
    // While the old key can still show whether the old seal is genuine.
    file.renew(db, now).await?;
    let is_sealed = file.compare(db.read()).await?.is_none();
    let rotated = rotate::rotate(db, ring).await?;
    let entry = &Entry::new(now, Action::KeysRotated, "The keys of the installation were rotated.");
    db.write(|tx| async move {
        record(&tx, entry.clone());
        Ok(())
    })
    .await?;
    if is_sealed {
        file.replace(db, now).await?;
    }
    Ok(rotated)
}

async fn list(db: &Db, ring: &KeyRing) -> Result<(), Error> {
    let (used, mut needs) = (installation::used_key(db).await?, rotate::needs(db).await?);
    for id in ring.ids() {
        let state = if used == Some(id) { "in use" } else { "not in use" };
        say!("{}\t{state}\tneeded by {} stored values", hex(&id), needs.remove(&Some(id)).unwrap_or_default());
    }
    for (id, count) in needs {
        match id {
            Some(id) => say!("{}\tMISSING\tneeded by {count} stored values", hex(&id)),
            None => say!("{count} stored values were written outside of Muster; `muster doctor` names them"),
        }
    }
    Ok(())
}

fn print(rotated: Rotated, file: &Path) {
    let Rotated { finished_earlier, renewed, left, removed } = rotated;
    let what = if finished_earlier { "An earlier rotation was finished" } else { "A new key is in use" };
    say!("{what}: {renewed} stored values were sealed anew, and {removed} old keys were removed.");
    if left > 0 {
        say!(
            "{left} stored values do not open, so their old keys stay in {}. `muster doctor` names them.",
            file.display()
        );
    }
    say!("Keep a copy of {}. Backups that were made before need the key file of their time.", file.display());
}
