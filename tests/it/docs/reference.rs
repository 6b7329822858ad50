//! The lists of settings and commands are complete and correct.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use muster::config::Settings;

use super::{Page, root};
use crate::process::Home;

/// The names of the fields of `Settings`, read from its source.
fn fields() -> Vec<String> {
    let source = fs::read_to_string(root().join("src/config/mod.rs")).unwrap();
    let (_, after) = source.split_once("pub struct Settings {\n").unwrap();
    let (body, _) = after.split_once("\n}\n").unwrap();
    let lines = body.lines().map(|line| line.trim().trim_start_matches("pub "));
    let mut names: Vec<String> = lines
        .filter(|line| !line.starts_with(['#', '/']))
        .map(|line| line.split_once(':').unwrap().0.to_uppercase())
        .collect();
    names.sort();
    names
}

/// The settings that have a default value, with that value.
fn defaults() -> Vec<(&'static str, String)> {
    let settings = Settings::defaults(Path::new("./muster-data"));
    let text = |value: &dyn ToString| value.to_string();
    vec![
        ("LISTEN", text(&settings.listen)),
        ("DATA_DIR", text(&settings.data_dir.display())),
        ("DATABASE_CONNECTIONS", text(&settings.database_connections)),
        ("MAIL_FROM", settings.mail_from),
        ("OIDC_SCOPES", settings.oidc_scopes),
        ("OIDC_GROUPS_CLAIM", settings.oidc_groups_claim),
        ("OIDC_LABEL", settings.oidc_label),
        ("LOG", settings.log),
        ("LOG_FORMAT", format!("{:?}", settings.log_format).to_lowercase()),
        ("INTROSPECTION", text(&if settings.introspection { "on" } else { "off" })),
        ("MAX_CONNECTIONS", text(&settings.max_connections)),
        ("MAX_CONNECTIONS_PER_ADDRESS", text(&settings.max_connections_per_address)),
        ("TOKEN_OPERATIONS", text(&settings.token_operations)),
        ("TOKEN_SOCKETS", text(&settings.token_sockets)),
        ("TOKEN_SUBSCRIPTIONS", text(&settings.token_subscriptions)),
        ("TOKEN_REQUESTS_PER_MINUTE", text(&settings.token_requests_per_minute)),
        ("TOKEN_COST_PER_MINUTE", text(&settings.token_cost_per_minute)),
        ("TOKEN_TEST_MAILS_PER_HOUR", text(&settings.token_test_mails_per_hour)),
        ("SYNC_CONCURRENCY", text(&settings.sync_concurrency)),
        ("REMOVAL_GUARD_PERCENT", text(&settings.removal_guard_percent)),
        ("REMOVAL_GUARD_MINIMUM", text(&settings.removal_guard_minimum)),
        ("GROWTH_GUARD_FACTOR", text(&settings.growth_guard_factor)),
        ("GROWTH_GUARD_MINIMUM", text(&settings.growth_guard_minimum)),
        ("MAX_USERS_PER_INSTANCE", text(&settings.max_users_per_instance)),
        ("KEEP_EVENTS_DAYS", text(&settings.keep_events_days)),
        ("KEEP_RUNS_DAYS", text(&settings.keep_runs_days)),
        ("KEEP_CHANGES_DAYS", text(&settings.keep_changes_days)),
        ("KEEP_MAILS_DAYS", text(&settings.keep_mails_days)),
        ("KEEP_REMOVED_USERS_DAYS", text(&settings.keep_removed_users_days)),
        ("KEEP_AUDIT_DAYS", text(&settings.keep_audit_days)),
        ("KEEP_AUDIT_NAMES_DAYS", text(&settings.keep_audit_names_days)),
    ]
}

/// The settings in the tables of a page, each with its second cell.
fn described(page: &Page) -> BTreeMap<String, String> {
    let rows = page.rows().filter_map(|cells| {
        let name = cells[0].strip_prefix("`MUSTER_")?.strip_suffix('`')?;
        Some((name.to_owned(), cells[1].trim_matches('`').to_owned()))
    });
    rows.collect()
}

#[test]
fn every_setting_is_described_with_its_default() {
    let described = described(&Page::open("docs/settings.md"));
    assert_eq!(described.keys().cloned().collect::<Vec<_>>(), fields());
    let defaults: BTreeMap<_, _> = defaults().into_iter().collect();
    for (name, default) in &described {
        match defaults.get(name.as_str()) {
            Some(value) => assert_eq!(default, value, "{name}"),
            None => assert!(default == "none" || default.contains('<'), "{name}: {default}"),
        }
    }
}

#[test]
fn the_page_about_retention_has_the_same_defaults() {
    let settings = described(&Page::open("docs/settings.md"));
    let retention = described(&Page::open("docs/operations.md"));
    assert_eq!(retention.len(), settings.keys().filter(|name| name.starts_with("KEEP_")).count());
    for (name, days) in retention {
        assert_eq!(settings[&name], days, "{name}");
    }
}

#[test]
fn every_described_command_exists() {
    let page = Page::open("docs/commands.md");
    let commands: Vec<&str> =
        page.rows().filter_map(|cells| cells[0].strip_prefix("`muster ")?.strip_suffix('`')).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let output = Home::new().run(&arguments);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
