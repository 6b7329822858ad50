//! Logs and metrics.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Settings};

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
        handle
    })
}
