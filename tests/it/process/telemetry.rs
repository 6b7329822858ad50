//! What the program reports about itself: log lines that carry the ids of their work, and traces.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::Value;

use super::Home;
use crate::peers::faulty::Faulty;

/// Syncs an instance whose application refuses the first page of the run once, and stops. The log is left in `home`.
async fn sync_with_a_retry(home: &Home) {
    let application = Faulty::start(3).await;
    let mut program = home.serve(&home.token()).await;
    let id = program.client.integrate("scim", "Acme", &application.config()).await;
    program.client.idle(&id, "").await;
    let refused = std::sync::atomic::AtomicBool::new(false);
    application.answer(move |_| {
        let first = !refused.swap(true, std::sync::atomic::Ordering::Relaxed);
        first.then(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
    });
    let run = program.client.sync(&id, "outcome").await;
    assert_eq!(run["outcome"], "SUCCEEDED", "{run}");
    program.terminate();
    assert!(program.ended(Duration::from_secs(15)).await.success());
}

fn home(format: &str) -> Home {
    Home::new().set("LOG", "info,integration=debug").set("LOG_FORMAT", format).set("ALLOWED_NETWORKS", "127.0.0.0/8")
}

/// The line that the integration's engine writes when it repeats a call, far below the job.
const DEEP: &str = "A request is repeated";

#[tokio::test]
async fn a_json_line_from_deep_below_carries_the_ids_of_the_run() {
    let home = home("json");
    sync_with_a_retry(&home).await;
    let lines: Vec<Value> = home.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let deep = lines.iter().find(|line| line["fields"]["message"] == DEEP).expect("a call was repeated");
    let span = &deep["span"];
    assert_eq!(span["name"], "sync", "{deep:#}");
    for field in ["instance.id", "sync_run.id"] {
        let id = span[field].as_str().unwrap_or_else(|| panic!("{field} in {deep:#}"));
        id.parse::<uuid::Uuid>().unwrap();
    }
    let end =
        lines.iter().find(|line| line["span"]["sync_run.id"] == span["sync_run.id"] && line["fields"]["seen"] == 3);
    assert_eq!(end.expect("the run's last line")["span"]["instance.id"], span["instance.id"]);
}

#[tokio::test]
async fn a_text_line_from_deep_below_carries_the_ids_of_the_run() {
    let home = home("text");
    sync_with_a_retry(&home).await;
    let log = home.log();
    let deep = log.lines().find(|line| line.contains(DEEP)).expect("a call was repeated");
    assert!(deep.contains("sync{job.id=") && deep.contains("sync_run.id=") && deep.contains("instance.id="), "{deep}");
    assert_eq!(deep.matches("instance.id=").count(), 1, "{deep}");
}

#[cfg(feature = "otlp")]
mod traces {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::routing::post;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message;

    use super::*;

    type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

    /// A collector, and what it has received.
    async fn collector() -> (String, Received) {
        let received = Received::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let take = async |State(received): State<Received>, body: Bytes| {
            received.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(received.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (endpoint, received)
    }

    fn text(attribute: &KeyValue) -> Option<(&str, &str)> {
        match attribute.value.as_ref()?.value.as_ref()? {
            any_value::Value::StringValue(text) => Some((&attribute.key, text)),
            _ => None,
        }
    }

    #[tokio::test]
    async fn the_span_of_a_run_reaches_the_collector() {
        let (endpoint, received) = collector().await;
        let home = home("json").set("OTLP_ENDPOINT", endpoint);
        sync_with_a_retry(&home).await;
        let received = received.lock().unwrap();
        let spans: Vec<&Span> = received
            .iter()
            .flat_map(|request| &request.resource_spans)
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| &scope.spans)
            .collect();
        let run = spans
            .iter()
            .find(|span| span.name == "sync" && span.events.iter().any(|event| event.name == DEEP))
            .expect("the span of the run with the repeated call, sent at the latest when the server stopped");
        let texts: HashMap<_, _> = run.attributes.iter().filter_map(text).collect();
        let log = home.log();
        assert!(log.contains(&format!("\"sync_run.id\":\"{}\"", texts["sync_run.id"])), "{texts:?}");
        assert!(log.contains(&format!("\"instance.id\":\"{}\"", texts["instance.id"])), "{texts:?}");
    }
}
