//! What an evaluation has opened and closed. It is told once, when the evaluation has ended and everything is stored: by
//! a line of the log and by metrics.

use std::collections::BTreeMap;

use entity::finding::Kind;
use entity::growing;
use serde::{Deserialize, Serialize};
use tracing::info;
use uuid::Uuid;

/// How many findings of each type were opened and closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    opened: BTreeMap<Kind, i64>,
    closed: BTreeMap<Kind, i64>,
}

impl News {
    pub fn open(&mut self, kind: Kind) {
        *self.opened.entry(kind).or_default() += 1;
    }

    pub fn close(&mut self, kind: Kind) {
        *self.closed.entry(kind).or_default() += 1;
    }

    pub fn tell(&self, instance: Uuid) {
        if *self == Self::default() {
            return;
        }
        let Self { opened, closed } = self;
        info!(instance.id = %instance, opened = text(opened), closed = text(closed), "findings have changed");
        for (change, counts) in [("opened", opened), ("closed", closed)] {
            for (kind, count) in counts {
                let labels = [("type", growing::text(kind)), ("change", change.to_owned())];
                metrics::counter!("muster_findings_changed_total", &labels).increment(count.unsigned_abs());
            }
        }
    }
}

/// Such as `no_mfa=3 inactive=1`.
fn text(counts: &BTreeMap<Kind, i64>) -> String {
    let all = counts.iter().map(|(kind, count)| format!("{}={count}", growing::text(kind)));
    all.collect::<Vec<_>>().join(" ")
}
