//! The checks of people, their keys and links. Each is one SQL statement, see [`super::sql_checks`].

use super::Subject;
use super::sql_checks::Row;

const REPORT: &str = "Give the domains again with setOwnedDomains, so that all accounts are looked at. If the finding stays, keep a backup of the database and report it.";
const FINISH: &str = "Nobody works on it. Keep a backup and report it; give the domains again with setOwnedDomains, so that all accounts are looked at.";

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
