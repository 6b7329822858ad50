//! The metrics of this process, as Prometheus reads them.

use std::sync::OnceLock;

use entity::job::Kind;
use entity::run::Outcome;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sea_orm::Iterable;

/// Each metric with its help text.
const COUNTERS: [(&str, &str); 17] = [
    ("muster_budgets_exhausted_total", "Requests that were refused because of a limit of their token, by limit."),
    ("muster_connections_refused_total", "Connections and requests for which there was no room, by reason."),
    (
        "muster_database_transactions_undone_total",
        "Transactions that the database rolled back, and that were run again.",
    ),
    ("muster_graphql_closures_total", "WebSockets that the server closed, by close code."),
    ("muster_findings_changed_total", "Findings that evaluations have opened and closed, by type and change."),
    (
        "muster_graphql_kept_answers_total",
        "Queries whose answer may be kept, by whether it was found (hit) or had to be computed (miss).",
    ),
    ("muster_graphql_panics_total", "Requests that panicked."),
    ("muster_graphql_requests_total", "GraphQL operations, by transport, kind and outcome."),
    ("muster_instances_created_total", "Instances that were created."),
    ("muster_internal_errors_total", "Responses with the code INTERNAL: faults of the server."),
    ("muster_job_errors_total", "Jobs that failed by a fault of the server and are tried again, by kind."),
    ("muster_job_panics_total", "Jobs that panicked and are tried again, by kind."),
    ("muster_mails_total", "Attempts to send a mail, by outcome."),
    ("muster_pruned_rows_total", "Rows removed because they were older than the retention settings allow, by kind."),
    ("muster_sync_runs_total", "Sync runs that ended, by outcome."),
    ("muster_users_synced_total", "Users that sync runs have read."),
    ("muster_webhook_deliveries_total", "Attempts to send a message to a webhook, by outcome."),
];
const GAUGES: [(&str, &str); 14] = [
    ("muster_accounts", "Accounts by question and answer, as the query `posture` has them, of all instances."),
    ("muster_build_info", "Always 1. Its label says which version this process is of."),
    ("muster_database_connections_busy", "Connections to PostgreSQL that are in use."),
    ("muster_database_connections_limit", "How many connections to PostgreSQL this process may have."),
    ("muster_database_connections_open", "Connections to PostgreSQL that are open."),
    ("muster_findings", "Findings that hold, by type and severity, in all instances."),
    ("muster_graphql_event_streams", "Open streams of server-sent events."),
    ("muster_graphql_sockets", "Open WebSockets."),
    ("muster_oldest_due_job_seconds", "How long the oldest due job has been waiting for a worker of any replica."),
    ("muster_people", "People by state, also those who have no account at present."),
    ("muster_people_backlog", "Tasks of finding whose accounts are that are still to be done, of all replicas."),
    (READY, "Whether this process can serve requests (1), as `/readyz` says it, or not (0)."),
    (
        "muster_report_age_seconds",
        "How long ago the accounts of an instance were last looked at; of all instances, the longest.",
    ),
    ("muster_webhook_deliveries_queued", "Messages that wait to be accepted by the receivers of all webhooks."),
];
/// The name of the gauge that says whether this process can serve requests.
pub const READY: &str = "muster_ready";
/// The histogram buckets, in seconds.
const BUCKETS: [f64; 9] = [0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0];

/// The registry, with every metric described.
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
        metrics::describe_histogram!("muster_database_statement_seconds", "Duration of database statements.");
        metrics::gauge!("muster_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
        // Until the database is open.
        metrics::gauge!(READY).set(0);
        // Counters that alerts watch exist from the start, so that their first increase is seen.
        for name in
            ["muster_database_transactions_undone_total", "muster_graphql_panics_total", "muster_internal_errors_total"]
        {
            metrics::counter!(name).increment(0);
        }
        for name in ["muster_mails_total", "muster_webhook_deliveries_total"] {
            metrics::counter!(name, "outcome" => "failed").increment(0);
        }
        for outcome in Outcome::iter() {
            let outcome = format!("{outcome:?}").to_lowercase();
            metrics::counter!("muster_sync_runs_total", "outcome" => outcome).increment(0);
        }
        for outcome in ["hit", "miss"] {
            metrics::counter!("muster_graphql_kept_answers_total", "outcome" => outcome).increment(0);
        }
        for name in ["muster_graphql_event_streams", "muster_graphql_sockets"] {
            metrics::gauge!(name).set(0);
        }
        for reason in ["full", "address"] {
            metrics::counter!("muster_connections_refused_total", "reason" => reason).increment(0);
        }
        for kind in Kind::iter() {
            for name in ["muster_job_errors_total", "muster_job_panics_total"] {
                metrics::counter!(name, "kind" => format!("{kind:?}")).increment(0);
            }
        }
        handle
    })
}
