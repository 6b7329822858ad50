//! The checks of findings and figures. All but the last are SQL statements, see [`super::sql_checks`].

use sea_orm::ConnectionTrait;

use super::sql_checks::Row;
use super::{Finding, Report, Subject};
use crate::error::Result;
use crate::findings;

/// The name of the check that counts again.
pub(super) const FIGURES: &str = "figures";
const EVALUATE: &str = "Give the settings again with setReportSettings, so that all instances are evaluated. If the finding stays, keep a backup of the database and report it.";

pub(super) const CHECKS: &[Row] = &[
    (
        "evaluations",
        "An instance that is to be evaluated has a job, and a job of this kind an evaluation.",
        Subject::Instance,
        EVALUATE,
        "SELECT e.instance_id AS id, 'it is to be evaluated, but has no job' AS wrong FROM evaluation e
        WHERE (e.requested <> e.begun OR e.pending IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'findings' AND j.subject = e.instance_id)
        UNION ALL
        SELECT j.subject, 'it has a job, but no evaluation' FROM job j
        WHERE j.kind = 'findings' AND NOT EXISTS (SELECT 1 FROM evaluation e WHERE e.instance_id = j.subject)",
    ),
    (
        "findings",
        "An open finding belongs to an instance that is evaluated, and a closed one has a reason.",
        Subject::Instance,
        EVALUATE,
        "SELECT DISTINCT f.instance_id AS id, 'it has open findings, but is not evaluated' AS wrong FROM finding f
        WHERE f.closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM evaluation e WHERE e.instance_id = f.instance_id)
        UNION ALL
        SELECT DISTINCT f.instance_id, 'a finding was closed without a reason' FROM finding f
        WHERE (f.closed_at IS NULL) <> (f.close_reason IS NULL)",
    ),
    (
        "finding-exceptions",
        "What members have accepted goes with the instance.",
        Subject::Instance,
        "Delete its rows from the table finding_exception. Keep a backup and report it.",
        "SELECT DISTINCT x.instance_id AS id, 'it is deleted, but there are exceptions for its accounts' AS wrong
        FROM finding_exception x
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = x.instance_id AND i.status <> 'deleted')
            AND NOT EXISTS (SELECT 1 FROM evaluation e WHERE e.instance_id = x.instance_id)",
    ),
];

/// Counts everything again.
pub(super) async fn figures<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<()> {
    let wrong = findings::recount(conn).await?;
    let finding =
        |(id, wrong)| Finding { check: FIGURES, about: Subject::Instance, id: Some(id), wrong, remedy: EVALUATE };
    let promise = "The findings and figures of an instance are those of its accounts.";
    report.add(FIGURES, promise, wrong.into_iter().map(finding).collect());
    Ok(())
}
