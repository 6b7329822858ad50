//! The checks of who may come in: tokens, members, sessions, links, consents and the names in the audit log. Each is one SQL
//! statement, see [`super::sql_checks`].
//!
//! Signed rows are checked as a whole, see [`super::members`] and [`super::keys`]. These checks find what a signature does
//! not show: a row that is missing, that is out of date, or that does not fit another one.

use entity::{
    api_token, audit_entry, instance, job, list_delivery, member_link, notification, people_task, run, source_account,
    webhook, webhook_delivery,
};
use sea_orm::ActiveEnum;

use super::Subject;
use super::sql_checks::Row;

/// What stands for a value that a version does not know. None writes it.
const UNKNOWN: &str = "unknown";

pub(super) const CHECKS: &[Row] = &[
    (
        "token-owner",
        "A personal token belongs to a member.",
        Subject::Token,
        "The token is refused. Find out who removed the member. Restore a backup, or revoke the token by its name (`muster token revoke`).",
        "SELECT t.id, 'the member to whom the token \"' || t.name || '\" belongs does not exist' AS wrong FROM api_token t
        WHERE t.member_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM member m WHERE m.id = t.member_id)",
    ),
    (
        "session-member",
        "A session belongs to a member who may sign in.",
        Subject::Session,
        "The session is refused, and is removed when it is over. To end it now, disable the member again (`muster member disable`), or delete the row from the table session.",
        "SELECT s.id, CASE WHEN m.id IS NULL THEN 'its member does not exist' ELSE 'its member is disabled' END AS wrong
        FROM session s LEFT JOIN member m ON m.id = s.member_id WHERE m.id IS NULL OR m.disabled_at IS NOT NULL",
    ),
    (
        "link-member",
        "A link belongs to a member who may sign in, or makes the first administrator.",
        Subject::Member,
        "The link does not work, and is removed when it has expired. Make a new one with `muster member reset`.",
        "SELECT l.member_id AS id, CASE WHEN l.member_id IS NULL THEN 'a link belongs to no member'
            WHEN l.purpose = 'first_admin' THEN 'a link that makes the first administrator belongs to a member'
            WHEN m.id IS NULL THEN 'the member of a link does not exist'
            ELSE 'there is a link for this disabled member' END AS wrong
        FROM member_link l LEFT JOIN member m ON m.id = l.member_id
        WHERE (l.purpose = 'first_admin') <> (l.member_id IS NULL)
            OR (l.member_id IS NOT NULL AND (m.id IS NULL OR m.disabled_at IS NOT NULL))",
    ),
    (
        "identity-member",
        "An account at an identity provider belongs to a member, who has one of each provider.",
        Subject::Member,
        "Reset the member (`muster member reset`), who then connects one account by signing in. If the member does not exist, restore a backup, or delete the row from the table member_identity.",
        "SELECT i.member_id AS id, 'this member of an account at an identity provider does not exist' AS wrong
        FROM member_identity i WHERE NOT EXISTS (SELECT 1 FROM member m WHERE m.id = i.member_id)
        UNION ALL
        SELECT member_id, 'it has ' || CAST(COUNT(*) AS TEXT) || ' accounts at ' || issuer FROM member_identity
        GROUP BY member_id, issuer HAVING COUNT(*) > 1",
    ),
    (
        "door-times",
        "Nothing that happened to members, sessions and tokens lies in the future, and no link, session or consent lasts too long.",
        Subject::Database,
        "A clock is wrong, or was wrong when the row was written: correct it. A time in the future is right when it comes, and the finding then ends by itself. To end it now: enable and disable a member who was disabled in the future, reset one whose account was connected then (`muster member reset`), revoke a token and then delete its row from the table api_token, or delete the row from the table session, member_link, sign_in_attempt, oidc_sign_in or oauth_authorization. A token that expires before its creation never works: delete its row.",
        "SELECT id, 'the member was created or disabled in the future' AS wrong FROM member
        WHERE created_at > {tomorrow} OR disabled_at > {tomorrow}
        UNION ALL
        SELECT member_id, 'an account at an identity provider was connected to the member in the future' FROM member_identity
        WHERE created_at > {tomorrow}
        UNION ALL
        SELECT id, 'the session began, or was used, in the future, or lasts for more than a week' FROM session
        WHERE created_at > {tomorrow} OR last_used_at > {tomorrow} OR expires_at > {tomorrow} + {session}
        UNION ALL
        SELECT member_id, 'a link works for more than three days' FROM member_link WHERE expires_at > {tomorrow} + {link}
        UNION ALL
        SELECT id, 'the token \"' || name || '\" was created, used or revoked in the future, or expires before its creation'
        FROM api_token WHERE created_at > {tomorrow} OR revoked_at > {tomorrow} OR last_used_at > {tomorrow}
            OR expires_at < created_at
        UNION ALL
        SELECT CAST(NULL AS UUID), 'somebody tried to sign in in the future' FROM sign_in_attempt WHERE last_at > {tomorrow}
        UNION ALL
        SELECT CAST(NULL AS UUID), 'a sign-in with the identity provider may be completed for more than a day' FROM oidc_sign_in
        WHERE expires_at > {tomorrow}
        UNION ALL
        SELECT instance_id, 'a consent was begun in the future, or is waited for more than a day' FROM oauth_authorization
        WHERE created_at > {tomorrow} OR expires_at > {tomorrow}",
    ),
    (
        "sign-in-counts",
        "A count of attempts to sign in is not negative, and is that of an account.",
        Subject::Database,
        "Delete the row from the table sign_in_attempt: attempts are then counted anew.",
        "SELECT CAST(NULL AS UUID) AS id, 'a count is ' || CAST(count AS TEXT) || ', and its key has ' ||
            CAST(LENGTH(account) AS TEXT) || ' bytes' AS wrong
        FROM sign_in_attempt WHERE count < 0 OR LENGTH(account) <> 32",
    ),
    (
        "consents",
        "A consent that is waited for is either for a new instance or for one that exists.",
        Subject::Instance,
        "It cannot be completed, and is removed when it has expired. Begin the consent again.",
        "SELECT a.instance_id AS id, CASE WHEN (a.instance_id IS NULL) = (a.name IS NULL)
            THEN 'a consent is for both a new instance and an existing one, or for neither'
            ELSE 'it does not exist, but a consent is waited for' END AS wrong
        FROM oauth_authorization a WHERE (a.instance_id IS NULL) = (a.name IS NULL)
            OR (a.instance_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = a.instance_id))",
    ),
    (
        "shared-redirects",
        "An instance whose application still has the redirect address of all integrations exists.",
        Subject::Instance,
        "Delete the row from the table oauth_shared_redirect: as long as there is one, that address stays open.",
        "SELECT r.instance_id AS id, 'it is deleted, but keeps the redirect address of all integrations open' AS wrong
        FROM oauth_shared_redirect r
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = r.instance_id AND i.status IN ('live', 'inactive'))",
    ),
    (
        "audit-names",
        "Names and addresses in the audit log belong to an entry.",
        Subject::Database,
        "They are kept although nothing needs them. Delete the row from the table audit_person.",
        "SELECT CAST(NULL AS UUID) AS id, 'there are names for the audit entry ' || CAST(p.entry_id AS TEXT) ||
            ', which does not exist' AS wrong
        FROM audit_person p WHERE NOT EXISTS (SELECT 1 FROM audit_entry e WHERE e.id = p.entry_id)",
    ),
    (
        "expired-rows",
        "What is over is removed while workers are running.",
        Subject::Database,
        "Look in the log of the server for \"expired rows could not be removed; trying again later\", or for consents \"consents that were never completed could not be removed; trying again\". If its clock went ahead for a while, restart it.",
        // Runs show that workers were running for more than an hour since, and are running now.
        "SELECT CAST(NULL AS UUID) AS id, CAST(COUNT(*) AS TEXT) || ' ' || what || ' should have been removed more than an hour ago' AS wrong
        FROM (SELECT 'sessions' AS what, CASE WHEN expires_at < last_used_at + {idle} THEN expires_at ELSE last_used_at + {idle} END AS ended
                FROM session
            UNION ALL SELECT 'links', expires_at FROM member_link
            UNION ALL SELECT 'consents', expires_at FROM oauth_authorization
            UNION ALL SELECT 'counts of attempts to sign in', last_at + {day} FROM sign_in_attempt
            UNION ALL SELECT 'sign-ins with the identity provider', expires_at + {day} FROM oidc_sign_in) gone
        WHERE ended + {hour} < (SELECT MAX(finished_at) FROM sync_run WHERE finished_at < {now} - {hour})
            AND EXISTS (SELECT 1 FROM sync_run WHERE started_at > {now} - {hour})
        GROUP BY what",
    ),
];

/// The statement that finds values that no version up to this one writes. Users and events are not looked at, because
/// there may be very many of them.
pub(super) fn unknown_values() -> String {
    let columns = [
        column::<member_link::Purpose>("member_link", "purpose"),
        column::<instance::Status>("instance", "status"),
        column::<instance::InactiveReason>("instance", "inactive_reason"),
        column::<instance::SyncState>("instance", "sync_state"),
        column::<instance::Health>("instance", "health"),
        column::<run::Trigger>("sync_run", "trigger"),
        column::<run::Outcome>("sync_run", "outcome"),
        column::<job::Kind>("job", "kind"),
        column::<list_delivery::State>("list_delivery", "state"),
        column::<people_task::Kind>("people_task", "kind"),
        column::<source_account::Presence>("source_account", "presence"),
        column::<notification::NotificationState>("notification", "state"),
        column::<webhook::Kind>("webhook", "kind"),
        column::<webhook::State>("webhook", "state"),
        column::<webhook::DisabledReason>("webhook", "disabled_reason"),
        column::<webhook_delivery::State>("webhook_delivery", "state"),
    ];
    columns.join(" UNION ALL ")
}

/// The same for the columns in which this version reads every value: newer versions add values to them at any time.
pub(super) fn newer_values() -> String {
    let columns = [
        column::<api_token::Role>("api_token", "role"),
        column::<api_token::Role>("member", "role"),
        column::<audit_entry::Action>("audit_entry", "action"),
        column::<audit_entry::Outcome>("audit_entry", "outcome"),
        column::<audit_entry::ActorKind>("audit_entry", "actor_kind"),
        column::<audit_entry::SubjectKind>("audit_entry", "subject_kind"),
        column::<run::FailureClass>("instance", "failure_class"),
        column::<run::FailureClass>("sync_run", "failure_class"),
        column::<notification::NotificationKind>("notification", "kind"),
    ];
    columns.join(" UNION ALL ")
}

fn column<E: ActiveEnum<Value = String>>(table: &str, column: &str) -> String {
    let known = E::values().into_iter().filter(|value| value != UNKNOWN);
    let known: Vec<String> = known.map(|value| format!("'{value}'")).collect();
    format!(
        "SELECT CAST(NULL AS UUID) AS id, '{table}.{column} is \"' || \"{column}\" || '\" in ' || CAST(COUNT(*) AS TEXT) || ' rows' AS wrong
        FROM {table} WHERE \"{column}\" IS NOT NULL AND \"{column}\" NOT IN ({}) GROUP BY \"{column}\"",
        known.join(", ")
    )
}
