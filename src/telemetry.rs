//! Logs and metrics.

use std::io::IsTerminal;
use std::sync::OnceLock;

use entity::job::Kind;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sea_orm::Iterable;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Settings};

/// What `/metrics` tells, each with its help.
const COUNTERS: [(&str, &str); 12] = [
    ("muster_database_transactions_undone_total", "Transactions that the database undid, and that were run again."),
    ("muster_graphql_closures_total", "WebSockets that the server closed, by code."),
    ("muster_graphql_panics_total", "Requests that met a panic."),
    ("muster_graphql_requests_total", "GraphQL operations, by door, kind and outcome."),
    ("muster_instances_created_total", "Instances that were created."),
    ("muster_internal_errors_total", "Answers INTERNAL: errors of the server's own."),
    ("muster_job_errors_total", "Jobs that met an error of the server's own and are done again, by kind."),
    ("muster_job_panics_total", "Jobs that met a panic and are done again, by kind."),
    ("muster_mails_total", "Attempts to send a mail, by outcome."),
    ("muster_pruned_rows_total", "Rows that were older than the settings keep them, by kind."),
    ("muster_sync_runs_total", "Runs that ended, by outcome."),
    ("muster_users_synced_total", "Users that runs have seen."),
];
const GAUGES: [(&str, &str); 5] = [
    ("muster_database_connections_busy", "Connections to PostgreSQL that are at work."),
    ("muster_database_connections_open", "Connections to PostgreSQL that are open."),
    ("muster_graphql_event_streams", "Streams of server-sent events that are open."),
    ("muster_graphql_sockets", "WebSockets that are open."),
    (
        "muster_oldest_due_job_seconds",
        "For how long the job that has waited longest is due, here or on another replica.",
    ),
];
/// In seconds.
const BUCKETS: [f64; 9] = [0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0];

/// Sends log lines to standard error, as the settings say. The second call in a process changes nothing.
pub fn start_logging(settings: &Settings) {
    // Below info, libraries log whole dialogues, credentials among them: whatever the
    // setting says, only our own lines go further.
    let ours = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("muster", LevelFilter::TRACE)
        // What a start finds done already.
        .with_target("sqlx::postgres::notice", LevelFilter::WARN)
        .with_target("sea_orm_migration", LevelFilter::WARN);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // Filters of the whole and not of the layer: where a library only asks whether a line would be
    // written, and it would not, a layer's own filter drops the next line of that thread instead.
    let filtered = tracing_subscriber::registry().with(EnvFilter::new(&settings.log)).with(ours);
    let _already_started = match settings.log_format {
        LogFormat::Text => filtered.with(lines).try_init(),
        LogFormat::Json => filtered.with(lines.json()).try_init(),
    };
}

/// The process's metrics, as Prometheus reads them.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new())
            .build_recorder();
        let handle = recorder.handle();
        let _already_set = metrics::set_global_recorder(recorder);
        for (name, help) in COUNTERS {
            metrics::describe_counter!(name, help);
        }
        for (name, help) in GAUGES {
            metrics::describe_gauge!(name, help);
        }
        metrics::describe_histogram!("muster_database_statement_seconds", "How long statements took.");
        // From the start, so that the first rise is seen.
        for name in ["muster_internal_errors_total", "muster_database_transactions_undone_total"] {
            metrics::counter!(name).increment(0);
        }
        for kind in Kind::iter() {
            for name in ["muster_job_errors_total", "muster_job_panics_total"] {
                metrics::counter!(name, "kind" => format!("{kind:?}")).increment(0);
            }
        }
        handle
    })
}
