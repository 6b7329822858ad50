//! `muster audit`: checks, seals and exports the audit log.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use entity::audit_entry::Action;
use uuid::Uuid;

use super::output::{self, say};
use crate::app;
use crate::audit::seal::{Seal, SealFile};
use crate::audit::verify::{Verified, verify};
use crate::audit::{self, Accepted, Entry, ends, erase, ocsf, queries, record};
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::installation;
use crate::secrets::KeyRing;

/// How many entries are read at a time.
const EXPORTED_AT_ONCE: u64 = 500;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print the audit log as JSON Lines in the shape of OCSF, the oldest entry first.
    Export {
        /// Only the entries after the one with this number (`metadata.uid`), to continue an earlier export.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: i64,
    },
    /// Check the whole chain of entries, and the seal in the data folder.
    Verify {
        /// Also check a seal that `muster audit seal` has printed.
        #[arg(long, value_name = "FILE")]
        seal: Option<PathBuf>,
    },
    /// Print a signed note of the newest entry, to be kept in another place.
    Seal {
        /// First accept the log as it is, after a person has looked into what was changed or restored.
        #[arg(long)]
        accept: bool,
    },
    /// Erase the names and addresses of what one token or member did, or what was done to it.
    Erase {
        /// The id, as the audit log shows it.
        #[arg(long)]
        id: Uuid,
    },
}

pub(super) async fn run(command: Command, settings: &Settings) -> Result<ExitCode, String> {
    if let Command::Verify { seal } = command {
        return check(settings, seal.as_deref()).await;
    }
    let (db, ring) = app::open_keys(settings).await?;
    let file = SealFile::new(&settings.data_dir, ring.clone());
    let done = match command {
        Command::Export { after } => export(&db, after).await,
        Command::Seal { accept } => seal(&db, &ring, &file, accept).await,
        Command::Erase { id } => erase_names(&db, id).await,
        Command::Verify { .. } => Ok(()),
    };
    done.map(|()| ExitCode::SUCCESS).map_err(|error| error.chain().to_string())
}

fn now(db: &Db) -> i64 {
    db.clock(Clock::System).now()
}

/// Writes a page at a time, so that a log of any length needs little memory.
async fn export(db: &Db, mut after: i64) -> Result<()> {
    let entry = &Entry::new(now(db), Action::AuditExported, "The audit log was exported.");
    db.write(|tx| async move {
        record(&tx, entry.clone());
        Ok(())
    })
    .await?;
    while !output::has_ended() {
        let page = queries::after(db.read(), after, EXPORTED_AT_ONCE).await?;
        let Some(last) = page.last() else { break };
        after = last.entry.id;
        for found in &page {
            output::data(&ocsf::event(found).to_string());
        }
    }
    Ok(())
}

async fn seal(db: &Db, ring: &KeyRing, file: &SealFile, accept: bool) -> Result<()> {
    if accept {
        let at = now(db);
        let found = db.write(|tx| async move {
            let accepted = audit::accept(&tx).await?;
            record(&tx, Entry::new(at, Action::AuditAccepted, told(accepted)));
            Ok(accepted)
        });
        eprintln!("muster: {}", told(Box::pin(found).await?));
        file.replace(db, at).await?;
    } else {
        file.renew(db, now(db)).await?;
    }
    let key = installation::key_in_use(db.read(), ring).await?;
    output::data(Seal::of(&ends::read(db.read()).await?, &key, now(db)).to_json().trim_end());
    Ok(())
}

/// What became of the chain, as a sentence.
fn told(accepted: Accepted) -> String {
    let Accepted { breaks, removed } = accepted;
    if breaks == 0 {
        return "The audit log was accepted. It is whole: all of it stays proved.".to_owned();
    }
    let removed = match removed {
        0 => String::new(),
        removed => format!(" {removed} entries with numbers that Muster does not give were removed."),
    };
    format!(
        "The audit log was accepted with {breaks} breaks. The chain begins anew: nothing is proved of the entries before this one.{removed}"
    )
}

async fn erase_names(db: &Db, id: Uuid) -> Result<()> {
    match erase::of(db, now(db), id).await? {
        0 => say!("no entry has names of this id; the audit log shows ids as actorId and subjectId"),
        entries => say!("the names and addresses in {entries} entries were erased"),
    }
    Ok(())
}

/// Exit code 0: all is well; 1: the log was changed.
async fn check(settings: &Settings, seal: Option<&Path>) -> Result<ExitCode, String> {
    let location = settings.database()?;
    let key_file = settings.secret_key_file();
    let ring = KeyRing::load(&key_file)?.ok_or_else(|| format!("there is no key file {}", key_file.display()))?;
    let ring = std::sync::Arc::new(ring);
    let given = seal.map(|path| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        text.and_then(|text| Seal::parse(&text)).map_err(|error| format!("{}: {error}", path.display()))
    });
    let given = given.transpose()?;
    let examined = async {
        let db = Db::inspect(&location).await?;
        let view = db.view().await?;
        let mut found = verify(view.conn(), Some(&ring)).await?;
        let file = SealFile::new(&settings.data_dir, ring.clone());
        if given.is_none() || !matches!(file.read(), Ok(None)) {
            found.breaks.extend(file.compare(view.conn()).await?);
        }
        if let Some(seal) = given {
            found.breaks.extend(seal.compare(view.conn(), &ring).await?);
        }
        view.close().await?;
        db.close().await?;
        Ok::<_, Error>(found)
    };
    let found = examined.await.map_err(|error| format!("{location}: {}", error.chain()))?;
    let Verified { chained, unproved, erased, breaks } = &found;
    for wrong in breaks {
        say!("{wrong}");
    }
    say!("{chained} entries in the chain, {erased} of them without names");
    if *unproved > 0 {
        say!("{unproved} older entries, of which nothing is proved");
    }
    say!(
        "{}",
        if breaks.is_empty() {
            "the log is whole"
        } else {
            "the log was changed; see \"Audit log\" in docs/operations.md"
        }
    );
    Ok(if breaks.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
