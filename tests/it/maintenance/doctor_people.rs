//! What the checks of people and of findings find.

/// Each of these checks with a statement after which only this check has findings.
pub const BREAKS: [(&str, &str); 13] = [
    (
        "account-links",
        "INSERT INTO account_link (user_id, instance_id, state, address_since) SELECT id, id, 'unmatched', 0 FROM instance WHERE name = 'Well'",
    ),
    ("link-states", "UPDATE account_link SET rule = NULL WHERE user_id = (SELECT user_id FROM account_link LIMIT 1)"),
    (
        "people",
        "INSERT INTO person (id, address, state, state_since) SELECT id, 'x', 'unknown', 0 FROM instance WHERE name = 'Well'",
    ),
    (
        "person-keys",
        "UPDATE person SET address = NULL WHERE id = (SELECT person_id FROM account_link WHERE person_id IS NOT NULL LIMIT 1)",
    ),
    ("person-words", "INSERT INTO person_word (word, person_id) SELECT 'x', id FROM instance WHERE name = 'Well'"),
    (
        "people-sources",
        "INSERT INTO people_source (instance_id, rank, settled) SELECT id, 1, TRUE FROM instance WHERE status = 'deleted'",
    ),
    (
        "people-tasks",
        "INSERT INTO people_task (id, kind, at, phase) SELECT id, 'run', 0, 0 FROM instance WHERE name = 'Well'",
    ),
    (
        "decisions",
        "INSERT INTO person_pin (instance_id, external_id, links, decided_by, decided_at) SELECT id, 'x', TRUE, 'x', 0 FROM instance WHERE status = 'deleted'",
    ),
    (
        "erased-accounts",
        "INSERT INTO erased_account (instance_id, stand_in, erasure_id, listed_at) SELECT instance_id, external_id, instance_id, 0 FROM user_account WHERE email IS NOT NULL LIMIT 1",
    ),
    (
        "evaluations",
        "UPDATE evaluation SET requested = requested + 1 WHERE instance_id = (SELECT id FROM instance WHERE name = 'Well')",
    ),
    (
        "findings",
        "UPDATE finding SET close_reason = 'fixed' WHERE id = (SELECT id FROM finding WHERE closed_at IS NULL LIMIT 1)",
    ),
    (
        "finding-exceptions",
        "INSERT INTO finding_exception (kind, instance_id, external_id, severity, reason, decided_by, decided_at, until) SELECT 'no_mfa', id, 'x', 'low', 'x', 'x', 0, 1 FROM instance WHERE status = 'deleted'",
    ),
    ("figures", "UPDATE evaluation SET open = '{}' WHERE instance_id = (SELECT id FROM instance WHERE name = 'Well')"),
];
