//! The check of the audit log.

use std::path::Path;
use std::sync::Arc;

use sea_orm::ConnectionTrait;

use super::{Finding, Report, Subject};
use crate::audit::seal::SealFile;
use crate::audit::verify::verify;
use crate::error::Result;
use crate::secrets::KeyRing;

const REMEDY: &str = "Find out who wrote to the database, or put an older one back. Then accept the log as it is, with `muster audit seal --accept`.";

/// Checks that no entry was changed or removed.
pub(super) async fn chain<C: ConnectionTrait>(
    conn: &C,
    key_file: &Path,
    data_dir: &Path,
    report: &mut Report,
) -> Result<()> {
    // A key file that cannot be read is found by another check.
    let ring = KeyRing::load(key_file).ok().flatten().map(Arc::new);
    let found = verify(conn, ring.as_deref()).await?;
    let mut breaks = found.breaks;
    if let Some(ring) = ring {
        breaks.extend(SealFile::new(data_dir, ring).compare(conn).await?);
    }
    if found.unproved > 0 {
        report.notes.push(format!("nothing is proved of {} old audit entries", found.unproved));
    }
    let finding = |wrong| Finding { check: "audit-log", about: Subject::Database, id: None, wrong, remedy: REMEDY };
    let found = breaks.into_iter().map(finding).collect();
    report.add("audit-log", "No entry of the audit log was changed or removed.", found);
    Ok(())
}
