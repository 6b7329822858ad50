//! The checks of people, their keys and links. All but the first are SQL statements, see [`super::sql_checks`].

use std::collections::HashSet;
use std::path::Path;

use entity::erasure;
use sea_orm::{ConnectionTrait, EntityTrait};
use uuid::Uuid;

use super::sql_checks::Row;
use super::{Finding, Report, Subject};
use crate::error::Result;
use crate::people::erase::ledger::Ledger;

/// The name of the check of the ledger.
pub(super) const ERASURES: &str = "erasures";

const REPORT: &str = "Give the domains again with setOwnedDomains, so that all accounts are looked at. If the finding stays, keep a backup of the database and report it.";
const FINISH: &str = "Nobody works on it. Keep a backup and report it; give the domains again with setOwnedDomains, so that all accounts are looked at.";

/// Checks that everybody is erased whom the ledger in the data folder has.
pub(super) async fn erasures<C: ConnectionTrait>(conn: &C, data_dir: &Path, report: &mut Report) -> Result<()> {
    let known: HashSet<Uuid> = erasure::Entity::find().all(conn).await?.into_iter().map(|row| row.id).collect();
    let ledger = Ledger::new(data_dir);
    let finding = |wrong, remedy| Finding { check: ERASURES, about: Subject::Database, id: None, wrong, remedy };
    let mut found = Vec::new();
    match ledger.read() {
        Ok(noted) => {
            let missing = noted.iter().filter(|noted| !known.contains(&noted.id)).count();
            if missing > 0 {
                let wrong = format!("{missing} erasures of {} were not carried out here", ledger.path().display());
                let remedy = "Start `muster serve`, which erases them again. Until then, do not read about people.";
                found.push(finding(wrong, remedy));
            }
            let lost = known.iter().filter(|id| !noted.iter().any(|noted| noted.id == **id)).count();
            if lost > 0 {
                report.notes.push(format!(
                    "{} lacks {lost} erasures of the database: a server that runs with this folder adds them",
                    ledger.path().display()
                ));
            }
        }
        Err(error) => {
            let remedy = "Put the file back, with the mode 0600, from a copy of the data folder.";
            found.push(finding(error.chain().to_string(), remedy));
        }
    }
    report.add(ERASURES, "Whom the ledger of erasures has is erased.", found);
    Ok(())
}

pub(super) const CHECKS: &[Row] = &[
    (
        "account-links",
        "A link belongs to a user, and to a person who exists.",
        Subject::User,
        REPORT,
        "SELECT l.user_id AS id, CASE WHEN u.id IS NULL THEN 'it does not exist, but has a link'
            ELSE 'its person does not exist' END AS wrong
        FROM account_link l LEFT JOIN user_account u ON u.id = l.user_id LEFT JOIN person p ON p.id = l.person_id
        WHERE u.id IS NULL OR (l.person_id IS NOT NULL AND p.id IS NULL)",
    ),
    (
        "link-states",
        "An account that is linked has a person and a rule, and one that is nobody's has no person.",
        Subject::User,
        REPORT,
        "SELECT l.user_id AS id, 'its link is in the state ' || l.state || ', with ' ||
            CASE WHEN l.person_id IS NULL THEN 'no person' ELSE 'a person' END AS wrong
        FROM account_link l
        WHERE (l.state = 'linked' AND (l.person_id IS NULL OR l.rule IS NULL))
            OR (l.state NOT IN ('linked', 'conflict') AND l.person_id IS NOT NULL)",
    ),
    (
        "people",
        "A person has an account, or was named by a member.",
        Subject::Person,
        REPORT,
        "SELECT p.id, 'no account is left of this person' AS wrong FROM person p
        WHERE NOT EXISTS (SELECT 1 FROM account_link l WHERE l.person_id = p.id)
            AND NOT EXISTS (SELECT 1 FROM person_pin d WHERE d.person_id = p.id)
            AND NOT EXISTS (SELECT 1 FROM account_owner o WHERE o.person_id = p.id)
            AND NOT EXISTS (SELECT 1 FROM people_task)",
    ),
    (
        "person-keys",
        "A person is known by a people source or by an address, and a key belongs to an account of a people source.",
        Subject::Person,
        REPORT,
        "SELECT p.id, CASE WHEN p.address IS NULL THEN 'neither a people source nor an address knows this person'
            ELSE 'an address knows this person, and a people source as well' END AS wrong
        FROM person p
        WHERE (p.address IS NULL) <> EXISTS (SELECT 1 FROM source_account s WHERE s.person_id = p.id)
            AND NOT EXISTS (SELECT 1 FROM person_pin d WHERE d.person_id = p.id)
            AND NOT EXISTS (SELECT 1 FROM account_owner o WHERE o.person_id = p.id)
            AND NOT EXISTS (SELECT 1 FROM people_task)
        UNION ALL
        SELECT s.person_id, 'a people source has this person, who does not exist' FROM source_account s
        WHERE s.person_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM person p WHERE p.id = s.person_id)
        UNION ALL
        SELECT CAST(NULL AS UUID), 'an address belongs to no account of a people source' FROM person_key k
        WHERE NOT EXISTS (SELECT 1 FROM source_account s WHERE s.instance_id = k.instance_id AND s.external_id = k.external_id)",
    ),
    (
        "person-words",
        "Words by which people are found belong to a person.",
        Subject::Person,
        REPORT,
        "SELECT DISTINCT w.person_id AS id, 'this person does not exist, but is found by words' AS wrong FROM person_word w
        WHERE NOT EXISTS (SELECT 1 FROM person p WHERE p.id = w.person_id)",
    ),
    (
        "people-sources",
        "A people source is an instance that is not deleted, and what was said of people was said by a people source.",
        Subject::Instance,
        REPORT,
        "SELECT s.instance_id AS id, 'it is a people source, but is deleted' AS wrong FROM people_source s
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = s.instance_id AND i.status IN ('live', 'inactive'))
        UNION ALL
        SELECT DISTINCT a.instance_id, 'it is no people source, but has said something of people' FROM source_account a
        WHERE NOT EXISTS (SELECT 1 FROM people_source s WHERE s.instance_id = a.instance_id)
            AND NOT EXISTS (SELECT 1 FROM people_task)",
    ),
    (
        "erased-accounts",
        "An account whose person was erased is nobody's, and says nothing of the person.",
        Subject::User,
        "Erase the person who has the account, or delete the users of its instance. Keep a backup and report it.",
        "SELECT u.id, 'its person was erased, but it tells whose it is' AS wrong FROM erased_account e
        JOIN user_account u ON u.instance_id = e.instance_id AND u.external_id = e.stand_in
        WHERE u.email IS NOT NULL OR u.display_name IS NOT NULL OR u.match_key IS NOT NULL OR u.aliases IS NOT NULL
            OR u.source_id IS NOT NULL OR u.employee_id IS NOT NULL OR u.department IS NOT NULL OR u.manager IS NOT NULL
        UNION ALL
        SELECT u.id, 'its person was erased, but it is somebody''s' FROM erased_account e
        JOIN user_account u ON u.instance_id = e.instance_id AND u.external_id = e.stand_in
        JOIN account_link l ON l.user_id = u.id WHERE l.person_id IS NOT NULL OR l.address IS NOT NULL
        UNION ALL
        SELECT CAST(NULL AS UUID), 'an erased account belongs to no erasure' FROM erased_account e
        WHERE NOT EXISTS (SELECT 1 FROM erasure r WHERE r.id = e.erasure_id)",
    ),
    (
        "people-tasks",
        "A task has a job, and a job of this kind a task.",
        Subject::Job,
        FINISH,
        "SELECT t.id, 'a task has no job' AS wrong FROM people_task t
        WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'people' AND j.subject = t.id)
        UNION ALL
        SELECT j.subject, 'there is no task for this job' FROM job j
        WHERE j.kind = 'people' AND NOT EXISTS (SELECT 1 FROM people_task t WHERE t.id = j.subject)",
    ),
    (
        "decisions",
        "What members have decided about accounts goes with their instance.",
        Subject::Instance,
        "Delete its rows from the tables person_pin and account_owner. Keep a backup and report it.",
        "SELECT DISTINCT d.instance_id AS id, 'it is deleted, but there are decisions about its accounts' AS wrong
        FROM (SELECT instance_id FROM person_pin UNION ALL SELECT instance_id FROM account_owner) d
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = d.instance_id AND i.status <> 'deleted')
            AND NOT EXISTS (SELECT 1 FROM people_task)",
    ),
];
