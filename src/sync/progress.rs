//! How far the running syncs are. Told from memory, about once a second per run, and
//! may be lost: state never depends on it.

use std::time::{Duration, Instant};

use tokio::sync::broadcast;
use uuid::Uuid;

const FRAME: Duration = Duration::from_secs(1);
const KEPT: usize = 256;

/// The counts of a run that goes on; `started_at` in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressFrame {
    pub instance_id: Uuid,
    pub run_id: Uuid,
    pub seen: i64,
    pub expected: Option<i64>,
    pub pages: i32,
    pub started_at: i64,
}

/// Hands frames to everybody who watches.
#[derive(Clone)]
pub struct Progress(broadcast::Sender<ProgressFrame>);

impl Default for Progress {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Progress {
    pub fn watch(&self) -> broadcast::Receiver<ProgressFrame> {
        self.0.subscribe()
    }

    /// For the frames of one run.
    pub fn meter(&self) -> Meter {
        Meter { sender: self.0.clone(), told: None }
    }
}

/// Tells one run's progress, no more often than people can read.
pub struct Meter {
    sender: broadcast::Sender<ProgressFrame>,
    told: Option<Instant>,
}

impl Meter {
    pub fn tell(&mut self, frame: ProgressFrame) {
        #[expect(clippy::disallowed_methods, reason = "measures an interval inside the process")]
        let now = Instant::now();
        if self.told.is_some_and(|at| now.duration_since(at) < FRAME) {
            return;
        }
        self.told = Some(now);
        // An error only says that nobody watches.
        let _ = self.sender.send(frame);
    }
}
