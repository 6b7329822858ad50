//! Tells what an evaluation has opened and closed, once, when it has ended: to webhooks, by a line of the log, and by
//! metrics. What is accepted at the time is left out.

use std::collections::BTreeMap;

use entity::finding::Kind;
use entity::growing;
use serde::{Deserialize, Serialize};
use tracing::info;
use uuid::Uuid;

use crate::error::Result;
use crate::events::findings::Counts;

/// What is kept of an evaluation that has not ended, as far as this matters.
#[derive(Default, Serialize, Deserialize)]
pub struct Pending {
    #[serde(default)]
    pub news: Counts,
}

impl Pending {
    pub fn read(text: Option<&str>) -> Result<Self> {
        Ok(text.map(serde_json::from_str).transpose()?.unwrap_or_default())
    }

    pub fn text(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// Tells operators. Everything is stored.
pub fn tell(news: &Counts, instance: Uuid) {
    if news.is_empty() {
        return;
    }
    let Counts { opened, closed } = news;
    info!(instance.id = %instance, opened = text(opened), closed = text(closed), "findings have changed");
    for (change, counts) in [("opened", opened), ("closed", closed)] {
        for (kind, count) in counts {
            let labels = [("type", growing::text(kind)), ("change", change.to_owned())];
            metrics::counter!("muster_findings_changed_total", &labels).increment(count.unsigned_abs());
        }
    }
}

/// Such as `no_mfa=3 inactive=1`.
fn text(counts: &BTreeMap<Kind, i64>) -> String {
    let all = counts.iter().map(|(kind, count)| format!("{}={count}", growing::text(kind)));
    all.collect::<Vec<_>>().join(" ")
}
