//! Reading PostgreSQL on a few connections that all requests share. Statements are sent without waiting for the
//! answers to those before them, and each connection prepares a statement once.
//!
//! The connections are opened when they are needed. A statement that finds none is left to the pool of sea-orm, and so
//! is one whose connection is lost before the answer: there, connections are tested, awaited and replaced.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::fault::Fault;
use super::statement::Rendered;
use crate::backoff::Backoff;
use crate::db::postgres::{ACQUIRE, AGE};
use crate::error::Chain;
use line::{Connection, Line};
use target::Target;
pub use tls::AnyCertificate;

mod line;
mod target;
mod tls;

/// How long to wait after a connection could not be opened.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5), jitter: 0.5 };

/// The shared connections.
pub(in crate::db::rows) struct Lines {
    slots: Arc<[Slot]>,
    stop: CancellationToken,
    keepers: Mutex<Vec<JoinHandle<()>>>,
}

/// The place of one connection.
#[derive(Default)]
struct Slot {
    line: Mutex<Option<Arc<Line>>>,
    wanted: Notify,
}

impl Lines {
    /// Up to `count` connections; the first is opened at once.
    pub(in crate::db::rows) async fn open(url: &str, count: u32) -> Result<Self, Fault> {
        let target = Arc::new(Target::new(url).map_err(Fault::url)?);
        let slots: Arc<[Slot]> = (0..count).map(|_| Slot::default()).collect();
        let stop = CancellationToken::new();
        let mut keepers = Vec::with_capacity(slots.len());
        for index in 0..slots.len() {
            let first = if index == 0 { connect(&target).await } else { None };
            // Requests may come before the task begins.
            *slots[index].line.lock() = first.as_ref().map(|(line, _)| line.clone());
            let (slots, target, stop) = (slots.clone(), target.clone(), stop.clone());
            keepers.push(tokio::spawn(async move {
                let slot = &slots[index];
                stop.run_until_cancelled(slot.keep(&target, first)).await;
                slot.line.lock().take();
            }));
        }
        Ok(Self { slots, stop, keepers: Mutex::new(keepers) })
    }

    /// The rows that a statement finds; `None` if there is no connection, or none any more.
    pub(in crate::db::rows) async fn read<T: DeserializeOwned>(
        &self,
        statement: &Rendered,
    ) -> Option<Result<Vec<T>, Fault>> {
        let line = self.least_busy()?;
        match line.read(statement).await {
            Err(fault) if fault.is_lost() => None,
            outcome => Some(outcome),
        }
    }

    /// A connection with the fewest statements. If it has any, another connection is opened for the next caller.
    fn least_busy(&self) -> Option<Arc<Line>> {
        let (mut best, mut free): (Option<(usize, Arc<Line>)>, Option<&Slot>) = (None, None);
        for slot in self.slots.iter() {
            let line = slot.line.lock();
            let Some(line) = line.as_ref().filter(|line| !line.is_closed()) else {
                free = free.or(Some(slot));
                continue;
            };
            let busy = line.busy.load(Ordering::Relaxed);
            if best.as_ref().is_none_or(|(least, _)| busy < *least) {
                best = Some((busy, line.clone()));
            }
        }
        if let Some(slot) = free
            && best.as_ref().is_none_or(|(least, _)| *least > 0)
        {
            slot.wanted.notify_one();
        }
        best.map(|(_, line)| line)
    }

    /// How many connections are open, and how many of them are in use.
    pub(in crate::db::rows) fn connections(&self) -> (u32, u32) {
        let (mut open, mut used) = (0, 0);
        for slot in self.slots.iter() {
            if let Some(line) = slot.line.lock().as_ref() {
                open += 1;
                used += u32::from(line.busy.load(Ordering::Relaxed) > 0);
            }
        }
        (open, used)
    }

    pub(in crate::db::rows) async fn close(&self) {
        self.stop.cancel();
        let keepers = std::mem::take(&mut *self.keepers.lock());
        for keeper in keepers {
            let _ = keeper.await;
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Connects, or says why not.
async fn connect(target: &Target) -> Option<(Arc<Line>, Connection)> {
    let opened = tokio::time::timeout(ACQUIRE, target.connect()).await.unwrap_or_else(|_| Err(Fault::late()));
    match opened {
        Ok((client, connection)) => Some((Arc::new(Line::new(client)), connection)),
        Err(fault) => {
            info!(error = %Chain(&fault), "there is no connection for reading; trying again when it is needed");
            None
        }
    }
}

impl Slot {
    /// Opens a connection whenever one is wanted and there is none.
    async fn keep(&self, target: &Target, mut opened: Option<(Arc<Line>, Connection)>) {
        let mut failures = 0;
        loop {
            if let Some((line, connection)) = opened {
                failures = 0;
                self.serve(line, connection).await;
            } else if failures > 0 {
                tokio::time::sleep(BACKOFF.wait(failures, fastrand::f64())).await;
            }
            self.wanted.notified().await;
            opened = connect(target).await;
            failures += 1;
        }
    }

    /// Lets requests use the connection until it ends or is old.
    async fn serve(&self, line: Arc<Line>, connection: Connection) {
        let broken = line.broken.clone();
        *self.line.lock() = Some(line);
        let mut serving = std::pin::pin!(line::serve(connection, &broken));
        if tokio::time::timeout(AGE, &mut serving).await.is_ok() {
            self.line.lock().take();
            return;
        }
        // The connection ends when the last request has its answer.
        self.line.lock().take();
        serving.await;
    }
}
