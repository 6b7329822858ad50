//! The numbers that the pages give are those of the source.

use std::fs;

use super::{Page, root};

/// What pages say, and where the source says the same. Change both, and the row.
const NUMBERS: &[(&str, &str, &str, &str)] = &[
    ("api.md", "`first` (at most 100)", "graphql/page.rs", "MAX_SIZE: i32 = 100;"),
    ("api.md", "counted up to 10,000", "db/total.rs", "MOST_COUNTED: i64 = 10_000;"),
    ("api.md", "1 MiB per request", "graphql/transport/http.rs", "MAX_BODY_BYTES: usize = 1024 * 1024;"),
    ("api.md", "32 KiB per document", "graphql/guard/mod.rs", "MAX_DOCUMENT_BYTES: usize = 32 * 1024;"),
    ("api.md", "2,000 selections", "graphql/guard/mod.rs", "MAX_SELECTIONS: u32 = 2_000;"),
    ("api.md", "15 levels", "graphql/guard/mod.rs", "MAX_DEPTH: u32 = 15;"),
    ("api.md", "50 aliases", "graphql/guard/mod.rs", "MAX_ALIASES: u32 = 50;"),
    ("api.md", "10 definitions", "graphql/guard/mod.rs", "MAX_DEFINITIONS: usize = 10;"),
    ("api.md", "up to 1,000 documents", "graphql/documents/mod.rs", "MAX_DOCUMENTS: usize = 1_000;"),
    ("api.md", "100 operations per WebSocket", "graphql/transport/ws/session.rs", "MAX_OPERATIONS: usize = 100;"),
    (
        "api.md",
        "30 seconds per execution",
        "graphql/schema.rs",
        "EXECUTION_TIMEOUT: Duration = Duration::from_secs(30);",
    ),
    ("commands.md", "stops within 10 seconds", "app.rs", "SHUTDOWN_GRACE: Duration = Duration::from_secs(9);"),
    ("connectors.md", "at most 1000 bytes", "integration/manifest/expr.rs", "MAX_PATH: usize = 1000;"),
    ("connectors.md", "12 nested brackets", "integration/manifest/expr.rs", "MAX_DEPTH: usize = 12;"),
    ("connectors.md", "at most 256 KiB", "integration/manifest.rs", "bytes: 256 * 1024,"),
    ("connectors.md", "one request (default 15)", "app/clients.rs", "max_wait: Duration::from_secs(15),"),
    ("connectors.md", "at a time (default 4)", "integration/engine/detail.rs", "DEFAULT_CONCURRENCY: u32 = 4;"),
    ("instances.md", "within ten minutes", "instance/authorization/mod.rs", "PATIENCE_MS: i64 = 600_000;"),
    ("instances.md", "retried for 48 hours", "notification/deliver.rs", "MAX_AGE_MS: i64 = 48 * 3600 * 1000;"),
    ("instances.md", "warns 14 days ahead", "instance/credential_expiry.rs", "AHEAD_MS: i64 = 14 * 24 * 3_600_000;"),
    ("instances.md", "more than 20 % of the users", "config/defaults.rs", "fn guard_percent() -> u8 { 20 }"),
    ("instances.md", "and at least 10,", "config/defaults.rs", "fn guard_minimum() -> u32 { 10 }"),
    ("instances.md", "| `users` | `100` |", "integration/rehearsal.rs", "(\"users\", \"Users\", \"100\","),
    ("instances.md", "| `page_size` | `100` |", "integration/rehearsal.rs", "(\"page_size\", \"Page size\", \"100\","),
    ("instances.md", "| `latency_ms` | `0` |", "integration/rehearsal.rs", "(\"latency_ms\", \"Latency\", \"0\","),
    ("instances.md", "| `churn_percent` | `0` |", "integration/rehearsal.rs", "(\"churn_percent\", \"Churn\", \"0\","),
    (
        "api.md",
        "cost](operations.md#limits-for-clients) up to 20,000",
        "graphql/guard/mod.rs",
        "MAX_COMPLEXITY: usize = 20_000;",
    ),
    ("api.md", "up to 2,000 for each event", "graphql/documents/validation.rs", "MAX_EVENT_COMPLEXITY: usize = 2_000;"),
    ("operations.md", "An operation may cost 20,000", "graphql/guard/mod.rs", "MAX_COMPLEXITY: usize = 20_000;"),
    (
        "operations.md",
        "may cost 2,000 for each event",
        "graphql/documents/validation.rs",
        "MAX_EVENT_COMPLEXITY: usize = 2_000;",
    ),
    ("operations.md", "A list costs 1,", "graphql/page.rs", "PLAIN: Prices = Prices { rows: 1, total: 40 };"),
    ("operations.md", "or 80 with a filter", "graphql/page.rs", "FILTERED: Prices = Prices { rows: 80, total: 400 };"),
    (
        "operations.md",
        "wait for up to 10 seconds",
        "graphql/budget/mod.rs",
        "LONGEST_WAIT: Duration = Duration::from_secs(10);",
    ),
    ("operations.md", "ten for each one", "graphql/budget/mod.rs", "WAITING_PER_OPERATION: usize = 10;"),
    ("operations.md", "a quarter of them, but at most 1,024,", "server/descriptors.rs", "RESERVED: u64 = 1024;"),
    ("operations.md", "up to 32 more are accepted", "server/places.rs", "SPARE: usize = 32;"),
    ("operations.md", "nothing for 30 seconds", "server/connection.rs", "unused: Duration::from_secs(30),"),
    ("operations.md", "or for 75 seconds", "server/connection.rs", "idle: Duration::from_secs(75),"),
    ("operations.md", "more than 10 seconds for the head", "server/connection.rs", "head: Duration::from_secs(10),"),
    ("operations.md", "may differ by 60 seconds", "oidc/token.rs", "LEEWAY: TimeDelta = TimeDelta::seconds(60);"),
    ("operations.md", "limited to 256 KiB", "oidc/provider.rs", "MAX_ANSWER: usize = 256 * 1024;"),
    (
        "operations.md",
        "and 10 seconds. **Network.**",
        "oidc/provider.rs",
        "RESPONSE: Duration = Duration::from_secs(10);",
    ),
    ("operations.md", "again every hour", "oidc/provider.rs", "FRESH: Duration = Duration::from_hours(1);"),
    ("operations.md", "once, for ten minutes", "oidc/mod.rs", "PENDING_MS: i64 = 600_000;"),
    ("operations.md", "10 seconds for the handshake", "server/connection.rs", "head: Duration::from_secs(10),"),
    (
        "operations.md",
        "reads nothing of a response for 30 seconds",
        "server/connection.rs",
        "stall: Duration::from_secs(30),",
    ),
    ("operations.md", "expire after 30 seconds", "queue/mod.rs", "LEASE_MS: i64 = 30_000;"),
    ("operations.md", "or after 30 seconds", "directory/index.rs", "LAG: Duration = Duration::from_secs(30);"),
    ("operations.md", "looks at 2,000 entries", "directory/search/mod.rs", "BUDGET: u64 = 2_000;"),
    (
        "operations.md",
        "transaction after 15 seconds",
        "db/postgres/mod.rs",
        "IDLE: Duration = Duration::from_secs(15);",
    ),
    ("operations.md", "kept for an hour", "db/postgres/commit.rs", "KEEP_MS: i64 = 3_600_000;"),
    (
        "operations.md",
        "answers 503 after two seconds",
        "server/mod.rs",
        "READINESS: Duration = Duration::from_secs(2);",
    ),
    ("operations.md", "up to five seconds", "db/postgres/mod.rs", "ACQUIRE: Duration = Duration::from_secs(5);"),
    (
        "operations.md",
        "come back within 15 seconds",
        "db/postgres/commit.rs",
        "RESOLVE: Duration = Duration::from_secs(15);",
    ),
    (
        "operations.md",
        "reads every ten seconds",
        "db/postgres/clock.rs",
        "READ_INTERVAL: Duration = Duration::from_secs(10);",
    ),
    ("operations.md", "replaced after 30 minutes", "db/postgres/mod.rs", "Duration::from_mins(30)"),
    ("operations.md", "closed after five minutes", "db/postgres/mod.rs", "idle_timeout(age.map(|age| age / 6))"),
    ("operations.md", "CONNECTIONS` (20)", "config/defaults.rs", "fn database_connections() -> u32 { 20 }"),
    ("operations.md", "`statement_timeout` (20 s;", "db/mod.rs", "STATEMENT: Duration = Duration::from_secs(20);"),
    ("operations.md", "10 min for the removals", "sync/removal.rs", "REMOVAL: Duration = Duration::from_mins(10);"),
    ("operations.md", "`lock_timeout` (10 s)", "db/postgres/mod.rs", "LOCK: Duration = Duration::from_secs(10);"),
    ("operations.md", "_session_timeout` (15 s)", "db/postgres/mod.rs", "IDLE: Duration = Duration::from_secs(15);"),
    ("operations.md", "noticed within two seconds", "events/log.rs", "POLL: Duration = Duration::from_secs(2);"),
    ("operations.md", "pg_advisory_xact_lock(7301)", "db/postgres/commit.rs", "EVENTS_LOCK: i64 = 7301;"),
    ("operations.md", "schema every ten seconds", "jobs/mod.rs", "SCHEMA: Duration = Duration::from_secs(10);"),
    (
        "operations.md",
        "first one minute after its start, then every ten minutes",
        "jobs/mod.rs",
        "(Duration::from_mins(1), Duration::from_mins(10));",
    ),
    ("operations.md", "removes 500 rows at a time", "maintenance/retention.rs", "BATCH: u64 = 500;"),
    ("operations.md", "older than 48 hours", "notification/deliver.rs", "MAX_AGE_MS: i64 = 48 * 3600 * 1000;"),
    (
        "operations.md",
        "collects them for 5 ms",
        "db/postgres/wakeups.rs",
        "COLLECT: Duration = Duration::from_millis(5);",
    ),
    ("operations.md", "64 MiB together", "integration/engine/memory.rs", "BUDGET: usize = 64 * 1024 * 1024;"),
    ("operations.md", "at most 64 KiB never wait", "integration/engine/memory.rs", "UNIT: usize = 64 * 1024;"),
    ("webhooks.md", "at most 50 webhooks", "webhook/mod.rs", "MOST_WEBHOOKS: u64 = 50;"),
    ("webhooks.md", "within 15 seconds", "webhook/attempt.rs", "TRY: Duration = Duration::from_secs(15);"),
    ("webhooks.md", "again after 5 seconds", "webhook/attempt.rs", "first: Duration::from_secs(5),"),
    ("webhooks.md", "double up to four hours", "webhook/attempt.rs", "longest: Duration::from_hours(4),"),
    ("webhooks.md", "accepted for three days", "webhook/attempt.rs", "PATIENCE_MS: i64 = 3 * DAY_MS;"),
    ("webhooks.md", "is kept, up to a day", "webhook/attempt.rs", "LONGEST_ASKED_MS: i64 = DAY_MS;"),
    ("webhooks.md", "For 24 hours, each message", "webhook/manage.rs", "BOTH_SECRETS_MS: i64 = DAY_MS;"),
    ("channels.md", "three or more of one kind", "webhook/gather.rs", "MANY: usize = 3;"),
    ("channels.md", "waits for 60 seconds", "notification/storm.rs", "storm: Duration::from_mins(1)"),
    ("channels.md", "every 3 minutes", "webhook/alert.rs", "REPEAT_MS: i64 = 3 * 60 * 1_000;"),
    ("channels.md", "ends by itself 10 minutes", "webhook/alert.rs", "LASTS_MS: i64 = 10 * 60 * 1_000;"),
    ("channels.md", "after a minute", "webhook/alert.rs", "TEST_LASTS_MS: i64 = 60_000;"),
    ("operations.md", "1: findings;", "cli/doctor.rs", "EXIT_FINDINGS: u8 = 1;"),
    ("operations.md", "2: the database could not", "cli/doctor.rs", "EXIT_NOT_CHECKED: u8 = 2;"),
];

/// A text without line breaks.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_page_and_the_source_give_the_same_numbers() {
    let mut wrong = Vec::new();
    for (page, said, file, constant) in NUMBERS {
        let source =
            fs::read_to_string(root().join("src").join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        if !on_one_line(&Page::open(&format!("docs/{page}")).text).contains(said) {
            wrong.push(format!("docs/{page} does not say \"{said}\""));
        }
        if !on_one_line(&source).contains(constant) {
            wrong.push(format!("src/{file} does not say \"{constant}\", but docs/{page} says \"{said}\""));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
