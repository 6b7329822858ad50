//! What the checks of people find.

/// Each check of people with a statement after which only this check has findings.
pub const BREAKS: [(&str, &str); 8] = [
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
];
