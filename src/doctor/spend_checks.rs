//! The checks of licences, prices and contracts.

use entity::{contract, price};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QuerySelect};

use super::sql_checks::Row;
use super::{Finding, Report, Subject};
use crate::clock::DAY_MS;
use crate::error::Result;
use crate::spend::money::Currency;
use crate::spend::reclaim::INACTIVE_DAYS;

pub(super) const CHECKS: &[Row] = &[
    (
        "contracts",
        "A contract has lines, ends after it has begun, and its last day for notice fits its end. A price is not negative, and is for at least one seat and one month.",
        Subject::Instance,
        "Save the contract or the price again (upsertContract, setPrice). Keep a backup and report it.",
        "SELECT instance_id AS id, 'its contract \"' || name || '\" has no lines, or days or months that do not fit' AS wrong
        FROM contract c WHERE ends_on < starts_on OR notice_days < 0 OR notice_by <> ends_on - notice_days OR months < 1
            OR NOT EXISTS (SELECT 1 FROM contract_line l WHERE l.contract_id = c.id)
        UNION ALL
        SELECT c.instance_id, 'a line of its contract \"' || c.name || '\" has a negative number of seats or a wrong price'
        FROM contract_line l JOIN contract c ON c.id = l.contract_id
        WHERE l.seats < 0 OR l.amount < 0 OR (l.is_total = TRUE AND (l.seats < 1 OR l.amount IS NULL))
        UNION ALL
        SELECT instance_id, 'the price of its licence \"' || license || '\" is negative, or for no seat or month'
        FROM price WHERE amount < 0 OR months < 1 OR seats < 1",
    ),
    (
        "contract-owners",
        "Prices, contracts and counts of licences belong to an instance that is not deleted, and lines and reminders to a contract.",
        Subject::Instance,
        "They are kept although nothing shows them. Keep a backup and report it; then delete the rows.",
        "SELECT o.instance_id AS id, 'it is deleted, but has ' || o.what AS wrong
        FROM (SELECT DISTINCT instance_id, 'prices' AS what FROM price
            UNION ALL SELECT DISTINCT instance_id, 'contracts' FROM contract
            UNION ALL SELECT DISTINCT instance_id, 'counts of licences' FROM license_count
            UNION ALL SELECT DISTINCT instance_id, 'counts of licences by departments' FROM license_group
            UNION ALL SELECT DISTINCT instance_id, 'a tally of licences' FROM license_tally) o
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = o.instance_id AND i.status IN ('live', 'inactive'))
            AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'tally' AND j.subject = o.instance_id)
        UNION ALL
        SELECT CAST(NULL AS UUID), 'there are ' || CAST(COUNT(*) AS TEXT) || ' lines and reminders of contracts that do not exist'
        FROM (SELECT contract_id FROM contract_line UNION ALL SELECT contract_id FROM contract_reminder) l
        WHERE NOT EXISTS (SELECT 1 FROM contract c WHERE c.id = l.contract_id) HAVING COUNT(*) > 0",
    ),
    (
        "license-tally",
        "The licences of an idle instance were counted after its last run and its last deletion of users, or a job will count them.",
        Subject::Instance,
        "The next sync corrects it. A release that does not count licences may have ended the last run.",
        "SELECT i.id, CASE WHEN t.instance_id IS NULL THEN 'its licences have not been counted'
            ELSE 'its licences were counted before its last run or deletion of users' END AS wrong
        FROM instance i JOIN sync_run r ON r.id = i.last_run_id LEFT JOIN license_tally t ON t.instance_id = i.id
        WHERE i.status IN ('live', 'inactive')
            AND (t.instance_id IS NULL OR t.run_id IS NULL OR t.run_id <> i.last_run_id OR t.purge_through <> i.purge_through)
            AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'tally' AND j.subject = i.id)",
    ),
];

/// The name, the rule and the remedy of the check whose statement [`recount`] gives.
pub(super) const COUNTS: (&str, &str, &str) = (
    "license-counts",
    "The licences of an idle instance are held by as many users as were counted.",
    "Sync the instance: its licences are then counted again. Keep a backup and report it.",
);

/// The statement that counts the holders of all licences again. It looks at all users.
pub(super) fn recount(backend: DbBackend) -> String {
    let licenses = match backend {
        DbBackend::Postgres => "CROSS JOIN LATERAL json_array_elements_text(u.licenses::json) AS l (value)",
        _ => "JOIN json_each(u.licenses) AS l",
    };
    let sum = |condition: &str| format!("COUNT(CASE WHEN {condition} THEN 1 END)");
    let (never, long_ago) = (
        "h.kind = 'human' AND h.last_active_at = 0 AND h.made_at < c.before",
        "h.kind = 'human' AND h.last_active_at <> 0 AND h.last_active_at < c.before AND COALESCE(h.created_at, 0) < c.before",
    );
    let numbers = [
        ("active", sum("h.status = 'active'")),
        ("suspended", sum("h.status = 'suspended'")),
        ("invited", sum("h.status = 'invited'")),
        ("unknown", sum("h.status = 'unknown'")),
        ("departed", sum("h.has_left = 1")),
        ("disabled", sum("h.has_left = 0 AND h.status = 'suspended'")),
        ("never", sum(&format!("h.has_left = 0 AND h.status <> 'suspended' AND {never}"))),
        ("inactive", sum(&format!("h.has_left = 0 AND h.status = 'active' AND {long_ago}"))),
    ];
    let counted = numbers.each_ref().map(|(name, sum)| format!("{sum} AS {name}")).join(", ");
    let stored = numbers.each_ref().map(|(name, _)| format!("-n.{name}")).join(", ");
    let differs = numbers.each_ref().map(|(name, _)| format!("SUM({name}) <> 0")).join(" OR ");
    let window = INACTIVE_DAYS * DAY_MS;
    format!(
        "WITH idle AS (SELECT i.id, i.purge_through, t.accounts, t.untold, t.activity_as_of - {window} AS before
            FROM instance i JOIN license_tally t ON t.instance_id = i.id AND t.purge_through = i.purge_through
            WHERE i.status IN ('live', 'inactive') AND i.sync_state = 'idle' AND t.run_id = i.last_run_id AND t.left_out = 0
                AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'tally' AND j.subject = i.id)
                AND NOT EXISTS (SELECT 1 FROM people_task)),
        reported AS (SELECT u.* FROM user_account u JOIN idle ON idle.id = u.instance_id
            WHERE u.removed_at IS NULL AND u.generation > idle.purge_through),
        held AS (SELECT DISTINCT u.id, u.instance_id, l.value AS license, u.status, u.last_active_at,
                COALESCE(u.created_at, u.first_seen_at) AS made_at, u.created_at, COALESCE(k.kind, u.kind, 'human') AS kind,
                CASE WHEN k.state = 'linked' AND p.state = 'left' AND COALESCE(k.kind, u.kind, 'human') = 'human'
                    THEN 1 ELSE 0 END AS has_left,
                CASE WHEN k.state = 'linked' THEN p.id END AS person_id,
                CASE WHEN k.state = 'linked' AND p.id IS NOT NULL THEN COALESCE(p.department, '') END AS department
            FROM reported u {licenses} LEFT JOIN account_link k ON k.user_id = u.id LEFT JOIN person p ON p.id = k.person_id
            WHERE u.licenses IS NOT NULL),
        grouped AS (SELECT h.instance_id, h.license, CASE WHEN h.department IS NULL THEN 'unmatched'
                WHEN h.department = '' THEN 'no_department' ELSE 'department' END AS kind,
                COALESCE(h.department, '') AS department, COUNT(*) AS holders,
                CASE WHEN h.department IS NULL THEN COUNT(*) ELSE COUNT(DISTINCT h.person_id) END AS people
            FROM held h GROUP BY h.instance_id, h.license, h.department
            UNION ALL SELECT g.instance_id, g.license, g.kind, g.department, -g.holders, -g.people
            FROM license_group g JOIN idle c ON c.id = g.instance_id),
        difference AS (SELECT h.instance_id, h.license, {counted} FROM held h JOIN idle c ON c.id = h.instance_id
            GROUP BY h.instance_id, h.license
            UNION ALL SELECT n.instance_id, n.license, {stored} FROM license_count n JOIN idle c ON c.id = n.instance_id)
        SELECT instance_id AS id, 'the holders of its licence \"' || license || '\" were counted wrongly' AS wrong
        FROM difference GROUP BY instance_id, license HAVING {differs}
        UNION ALL
        SELECT instance_id, 'the departments of the holders of its licence \"' || license || '\" were counted wrongly'
        FROM grouped GROUP BY instance_id, license, kind, department HAVING SUM(holders) <> 0 OR SUM(people) <> 0
        UNION ALL
        SELECT c.id, 'it has other users than were counted, or other users without licences' FROM idle c
        LEFT JOIN (SELECT instance_id, COUNT(*) AS users, COUNT(*) - COUNT(licenses) AS untold FROM reported GROUP BY instance_id) r
            ON r.instance_id = c.id
        WHERE c.accounts <> COALESCE(r.users, 0) OR c.untold <> COALESCE(r.untold, 0)"
    )
}

/// Checks that every currency is one of ISO 4217.
pub(super) async fn currencies<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<()> {
    let prices = price::Entity::find().select_only().column(price::Column::Currency).distinct();
    let mut codes: Vec<String> = prices.into_tuple().all(conn).await?;
    let contracts = contract::Entity::find().select_only().column(contract::Column::Currency).distinct();
    codes.extend(contracts.into_tuple::<String>().all(conn).await?);
    codes.sort_unstable();
    codes.dedup();
    let unknown = codes.into_iter().filter(|code| Currency::find(code).is_none_or(|known| known.code() != code));
    let found = unknown.map(|code| Finding {
        check: "currencies",
        about: Subject::Database,
        id: None,
        wrong: format!("a price or a contract is in \"{code}\", which is no currency"),
        remedy: "What reads such a row fails. Save it again with another currency (setPrice, upsertContract), or use the newer version that has written it.",
    });
    report.add("currencies", "Prices and contracts are in currencies of ISO 4217.", found.collect());
    Ok(())
}
