//! Collects the statements that the server logs and the plans that the driver logs.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The server's statements.
const STATEMENTS: &str = "muster::db";
/// PostgreSQL's notices.
const NOTICES: &str = "sqlx::postgres::notice";
/// Those on the connections that requests share.
const SHARED_NOTICES: &str = "muster::db::notice";

/// Each text with the target that logged it.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<BTreeSet<(&'static str, String)>>>);

impl Heard {
    /// Collects from everything in this process from now on.
    pub fn from_now_on() -> Self {
        let heard = Self::default();
        tracing_subscriber::registry().with(heard.clone()).init();
        heard
    }

    pub fn statements(&self) -> Vec<String> {
        self.by(STATEMENTS)
    }

    pub fn notices(&self) -> Vec<String> {
        [self.by(NOTICES), self.by(SHARED_NOTICES)].concat()
    }

    fn by(&self, teller: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|(by, _)| *by == teller).map(|(_, text)| text.clone()).collect()
    }
}

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some((teller, wanted)) = [(STATEMENTS, "sql"), (NOTICES, "message"), (SHARED_NOTICES, "notice")]
            .into_iter()
            .find(|(teller, _)| *teller == event.metadata().target())
        else {
            return;
        };
        let mut text = Text { wanted, found: None };
        event.record(&mut text);
        if let Some(found) = text.found {
            self.0.lock().unwrap().insert((teller, found));
        }
    }
}

/// One field of an event.
struct Text {
    wanted: &'static str,
    found: Option<String>,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == self.wanted {
            self.found = Some(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.wanted {
            self.found = Some(value.to_owned());
        }
    }
}
