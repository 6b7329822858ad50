//! `muster doctor`: checks the database, and prints the findings for people or as JSON.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::output::say;
use crate::auth::Role;
use crate::clock::{Clock, date_time};
use crate::config::Settings;
use crate::doctor::{self, CheckResult, Examination, Finding, Provider, Report};
use crate::maintenance::retention::Retention;

#[derive(clap::Args)]
pub(super) struct Command {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Also check every page and index of a SQLite file, and the whole event log. This takes longer.
    #[arg(long)]
    thorough: bool,
}

const EXIT_FINDINGS: u8 = 1;
const EXIT_NOT_CHECKED: u8 = 2;

/// Exit code 0: no findings; 1: findings; 2: the database could not be checked.
pub(super) async fn run(command: &Command, settings: Result<Settings, String>) -> ExitCode {
    let examined = async {
        let settings = settings?;
        let location = settings.database()?;
        let key_file = settings.secret_key_file();
        let now = Clock::System.now();
        let examination = Examination {
            key_file: Path::new(&key_file),
            data_dir: &settings.data_dir,
            retention: Retention::of(&settings),
            provider: settings.oidc()?.map(|provider| Provider {
                makes_admins: provider
                    .roles
                    .iter()
                    .map(|(_, role)| *role)
                    .chain(provider.default_role)
                    .any(|role| role == Role::Admin),
                issuer: provider.issuer,
            }),
            thorough: command.thorough,
            now,
        };
        #[expect(clippy::disallowed_methods, reason = "measures a duration inside the process")]
        let began = Instant::now();
        let report =
            doctor::examine(&location, &examination).await.map_err(|error| format!("{location}: {}", error.chain()))?;
        Ok::<_, String>((location.to_string(), now, report, began.elapsed()))
    };
    let (location, now, report, took) = match examined.await {
        Ok(examined) => examined,
        Err(line) => {
            eprintln!("muster: doctor: the database could not be checked: {line}");
            return ExitCode::from(EXIT_NOT_CHECKED);
        }
    };
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if command.json {
        let Report { checks, findings, notes } = &report;
        let at = date_time(now).to_rfc3339();
        let document = serde_json::json!({ "database": location, "at": at, "tookMs": milliseconds,
            "checks": checks, "findings": findings, "notes": notes });
        say!("{document:#}");
    } else {
        print(&location, &report, milliseconds);
    }
    if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) }
}

fn print(location: &str, report: &Report, milliseconds: u64) {
    for Finding { check, about, id, wrong, remedy } in &report.findings {
        let about = format!("{about:?}").to_lowercase();
        let id = id.map_or_else(String::new, |id| format!(" {id}"));
        say!("{check}: {about}{id}: {wrong}\n    {remedy}");
    }
    if !report.findings.is_empty() {
        say!("");
    }
    for CheckResult { name, promise, findings } in &report.checks {
        let mark = if *findings == 0 { "ok".to_owned() } else { format!("{findings} found") };
        say!("{mark:>9}  {name}: {promise}");
    }
    for note in &report.notes {
        say!("     note  {note}");
    }
    let count = report.findings.len();
    let summary = match count {
        0 => "all is well".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    };
    say!("{location}: {} checks, {summary}, {milliseconds} ms", report.checks.len());
}
