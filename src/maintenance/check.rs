//! Reads a whole SQLite file to see whether it is intact, while the server works.

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::sqlite_file::{check_integrity, connect};
use crate::db::{Db, Trouble};

/// Checks the database file, and reports damage. A power cut or a crash may damage pages, which would otherwise be
/// noticed only when they are read.
pub async fn in_background(db: Db, stop: CancellationToken) {
    let Some(file) = db.file().cloned() else { return };
    let checked = async {
        let own = connect(&file).await?;
        let checked = check_integrity(&own, &file).await;
        let _ = own.close().await;
        checked
    };
    match stop.run_until_cancelled(checked).await {
        Some(Ok(())) => info!("the database file is intact"),
        Some(Err(line)) => {
            error!("{line}");
            db.note_trouble(Trouble::Damaged);
        }
        None => {}
    }
}
