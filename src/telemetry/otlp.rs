//! The export of traces to an OpenTelemetry collector, by OTLP over HTTP with protocol buffers.
//!
//! Off unless the setting `otlp_endpoint` is given, and then in the background: spans are queued in memory, sent in
//! batches, and dropped if the collector cannot keep up. The standard variables `OTEL_EXPORTER_OTLP_HEADERS`,
//! `OTEL_BSP_*` and `OTEL_TRACES_SAMPLER` are respected. The cargo feature `otlp` (on by default) holds its crates.

#[cfg(feature = "otlp")]
pub use exporting::{Exporter, layer};
#[cfg(not(feature = "otlp"))]
pub use omitted::{Exporter, layer};

#[cfg(feature = "otlp")]
mod exporting {
    use std::time::Duration;

    use async_trait::async_trait;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
    use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
    use tokio::runtime::Handle;
    use tracing::Subscriber;
    use tracing_opentelemetry::OpenTelemetryLayer;
    use tracing_subscriber::registry::LookupSpan;
    use url::Url;

    /// How long the collector may take to answer, and a stopping server waits for it.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// Where OTLP over HTTP takes traces, below the endpoint.
    const PATH: &str = "v1/traces";

    /// The running export, if there is one.
    pub struct Exporter(Option<SdkTracerProvider>);

    impl Exporter {
        /// Sends the spans that are still queued. Spans that end later are dropped.
        pub async fn stop(self) {
            let Some(provider) = self.0 else { return };
            // The shutdown blocks its thread.
            let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(PATIENCE)).await;
            if let Ok(Err(error)) = stopped {
                tracing::warn!(error = %error, "the last traces could not be sent");
            }
        }
    }

    /// The layer that turns spans into traces, if there is an endpoint for them.
    /// `authorities` are certificates in PEM that are trusted besides those of the system.
    pub fn layer<S>(
        endpoint: Option<&Url>,
        authorities: Option<&[u8]>,
    ) -> Result<(Option<OpenTelemetryLayer<S, Tracer>>, Exporter), String>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Some(endpoint) = endpoint else { return Ok((None, Exporter(None))) };
        let provider = provider(endpoint, authorities.unwrap_or_default())
            .map_err(|error| format!("setting otlp_endpoint: {error}"))?;
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        Ok((Some(layer), Exporter(Some(provider))))
    }

    fn provider(endpoint: &Url, authorities: &[u8]) -> Result<SdkTracerProvider, Box<dyn std::error::Error>> {
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let client = Client {
            http: http.tls_certs_merge(reqwest::Certificate::from_pem_bundle(authorities)?).build()?,
            runtime: Handle::try_current()?,
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{}/{PATH}", endpoint.as_str().trim_end_matches('/')))
            .build()?;
        let resource = Resource::builder()
            .with_service_name(env!("CARGO_PKG_NAME"))
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
    }

    /// The exporter works on a thread without a Tokio runtime, which our HTTP client needs.
    #[derive(Debug)]
    struct Client {
        http: reqwest::Client,
        runtime: Handle,
    }

    #[async_trait]
    impl HttpClient for Client {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let (http, request) = (self.http.clone(), reqwest::Request::try_from(request)?);
            let exchange = async move {
                let response = http.execute(request).await?;
                let mut answer = Response::builder().status(response.status());
                for (name, value) in response.headers() {
                    answer = answer.header(name, value);
                }
                Ok(answer.body(response.bytes().await?)?)
            };
            self.runtime.spawn(exchange).await?
        }
    }
}

#[cfg(not(feature = "otlp"))]
mod omitted {
    use tracing_subscriber::layer::Identity;
    use url::Url;

    /// No export.
    pub struct Exporter;

    impl Exporter {
        pub async fn stop(self) {}
    }

    pub fn layer(endpoint: Option<&Url>, _authorities: Option<&[u8]>) -> Result<(Option<Identity>, Exporter), String> {
        match endpoint {
            None => Ok((None, Exporter)),
            Some(_) => Err("setting otlp_endpoint: this program was built without the feature otlp".into()),
        }
    }
}
