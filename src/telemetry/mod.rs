//! What the process reports about itself: log lines, metrics and, if asked for, traces.
//!
//! **Spans.** Each GraphQL operation and each job is a span with the ids of what it works on (`request.id`,
//! `job.id`, `instance.id`, `sync_run.id`, `notification.id`). Every log line written inside carries the span's
//! fields, so single lines do not repeat them. These spans have the level ERROR: the setting `log` then never
//! removes the ids from a line that it lets through.
//!
//! **Traces.** With the setting `otlp_endpoint` the same spans are also sent to an OpenTelemetry collector, with
//! their log lines as span events. See [`otlp`].

use std::io::IsTerminal;

use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Settings};

mod metrics;
mod otlp;

pub use metrics::{READY, metrics};
pub use otlp::Exporter;

/// Starts the log on standard error and, if the settings name a collector, the export of traces.
/// A second call in a process changes nothing. Must be called inside the Tokio runtime.
///
/// # Errors
/// One line that names the setting at fault.
pub fn start(settings: &Settings) -> Result<Exporter, String> {
    // Below info, libraries log whole dialogues with credentials in them. Whatever the setting `log` says,
    // only our own lines go further.
    let filter = EnvFilter::new(&settings.log);
    // No target has a level that the setting excludes: libraries that log with `log` ask for the highest of all.
    let most = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    let targets = Targets::new()
        .with_default(most.min(LevelFilter::INFO))
        .with_target("muster", most)
        .with_target("integration", most)
        // These report at each start that tables exist already.
        .with_target("sqlx::postgres::notice", most.min(LevelFilter::WARN))
        .with_target("sea_orm_migration", most.min(LevelFilter::WARN));
    // Both filters apply to the whole subscriber. With a filter for each layer, a library that only asks whether a
    // line is enabled, and does not write it, would make the next line of its thread disappear.
    let filtered = tracing_subscriber::registry().with(filter).with(targets);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let (traces, exporter) =
        otlp::layer(settings.otlp_endpoint.as_ref(), settings.certificate_authorities()?.as_deref())?;
    let _already_started = filtered.with(lines).with(traces).try_init();
    Ok(exporter)
}
