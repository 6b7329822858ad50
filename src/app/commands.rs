//! What commands other than `serve` open.

use std::sync::Arc;

use super::data_dir::{DatabaseLock, missing_database, prepare_data_dir};
use crate::auth::members::Members;
use crate::auth::tokens::Tokens;
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::{Db, Location};
use crate::maintenance::keys;
use crate::people::People;
use crate::people::erase::ledger::Ledger;
use crate::secrets::KeyRing;

/// The number of database connections of a command other than `serve`.
const COMMAND_CONNECTIONS: u32 = 3;

/// Opens only the database and its tokens, for commands that need nothing else.
pub async fn open_tokens(settings: &Settings) -> Result<Tokens, String> {
    let (db, keys) = open_keys(settings).await?;
    let clock = db.clock(Clock::System);
    Ok(Tokens::new(db, clock, keys))
}

/// Opens only the database and its members, for commands that need nothing else.
pub async fn open_members(settings: &Settings) -> Result<Members, String> {
    let (db, keys) = open_keys(settings).await?;
    let clock = db.clock(Clock::System);
    let issuer = settings.oidc()?.map(|provider| provider.issuer.into());
    Ok(Members::new(db, clock, keys, issuer))
}

/// Opens only the database and its people, for commands that need nothing else.
pub async fn open_people(settings: &Settings) -> Result<People, String> {
    let (db, _) = open_keys(settings).await?;
    let clock = db.clock(Clock::System);
    Ok(People { db, clock, ledger: Ledger::new(&settings.data_dir) })
}

/// Opens only the database and the secret keys.
pub async fn open_keys(settings: &Settings) -> Result<(Db, Arc<KeyRing>), String> {
    let location = settings.database()?;
    if matches!(location, Location::Sqlite(_)) || settings.secret_key_file.is_none() {
        if !settings.data_dir.exists() {
            // The person should notice if this is the wrong folder.
            eprintln!("muster: creates the data folder {}", settings.data_dir.display());
        }
        prepare_data_dir(&settings.data_dir)?;
    }
    if let Location::Sqlite(file) = &location
        && let Some(warning) = missing_database(file, settings)
    {
        eprintln!("muster: {warning}");
    }
    let db = Db::open(&location, COMMAND_CONNECTIONS)
        .await
        .map_err(|error| format!("database {location}: {}", error.chain()))?;
    let keys = keys::open(&db, &settings.secret_key_file()).await.map_err(|error| error.chain().to_string())?;
    Ok((db, keys))
}

/// Brings the database to the schema of this version, as the start of a server does.
pub async fn migrate(settings: &Settings) -> Result<(), String> {
    // The server of an earlier version could not go on with the file.
    let _lock = match settings.database()? {
        Location::Sqlite(file) => {
            prepare_data_dir(&settings.data_dir)?;
            Some(DatabaseLock::take(&file)?)
        }
        Location::Postgres(_) => None,
    };
    let (db, _) = open_keys(settings).await?;
    db.close().await.map_err(|error| error.chain().to_string())
}
