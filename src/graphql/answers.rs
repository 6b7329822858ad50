//! Answers that are kept, so that dashboards that poll do not cost an execution each.
//!
//! An answer that shows instances, runs, events and integrations alone is the same as long as the [position](Position)
//! is the same. [`covered`](super::documents::covered) says which documents ask for nothing else. An answer is kept with
//! the position that was read before it was computed, and given again only if the position is still the same: so each
//! reader sees its own writes, and those that anybody was told of before, on every replica. Parts that change with time
//! or with a run in progress say until when they hold, see [`holds_until`].
//!
//! The position is read only for what was asked before, so that a query that nobody repeats costs nothing more.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_graphql::Context;
use bytes::Bytes;
use hashlink::LruCache;
use parking_lot::Mutex;
use uuid::Uuid;

use super::documents::QueryKey;
use super::guard::Operation;
use crate::auth::{Caller, Role, Seen};
use crate::clock::Clock;
use crate::db::Db;
use crate::events::position::{Position, Positions};

/// How many bytes of answers are kept, about.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;
/// The largest answer that is kept, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// How many bytes a question takes besides its answer, about.
const OVERHEAD: usize = 256;
/// How long the position is waited for. After that, the question is executed.
const LONGEST_LOOK: Duration = Duration::from_millis(500);
/// How long an answer is kept at most, in milliseconds. After this, even a change is seen that somebody made in the
/// database without the server.
const KEEP_MS: i64 = 60_000;

/// What an answer depends on besides the position.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    query: QueryKey,
    token: Uuid,
    role: Role,
    seen: Seen,
}

struct Answer {
    position: Position,
    /// Since and until when it holds, in milliseconds since 1970.
    since: i64,
    until: i64,
    json: Bytes,
}

/// The answers that are kept.
pub struct Answers {
    positions: Positions,
    clock: Clock,
    kept: Mutex<Kept>,
}

/// A question whose answer can be kept, with all that was read before it is executed.
pub struct Asked {
    question: Question,
    position: Position,
    since: i64,
    pub holds: Holds,
}

/// What is known about a question.
pub enum Found {
    /// Its answer.
    Answer(Bytes),
    /// It must be executed. With something, the answer can be [kept](Answers::keep).
    Nothing(Option<Asked>),
}

/// Until when an answer holds if nothing is stored until then, in milliseconds since 1970. In the data of the requests
/// whose answers can be kept.
#[derive(Clone)]
pub struct Holds(Arc<AtomicI64>);

/// Notes until when a part of the answer is as it is, although nothing is stored that moves the position.
pub fn holds_until(ctx: &Context<'_>, at: i64) {
    if let Some(Holds(until)) = ctx.data_opt() {
        until.fetch_min(at, Ordering::Relaxed);
    }
}

impl Answers {
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { positions: Positions::new(db), clock, kept: Mutex::default() }
    }

    /// The answer to an operation, if it is the one that would be computed now.
    pub async fn find(&self, caller: &Caller, operation: &Operation) -> Found {
        if !operation.checked().document.keeps_answers {
            return Found::Nothing(None);
        }
        let seen = caller.scope.clone();
        let question = Question { query: operation.key(), token: caller.id(), role: caller.role, seen };
        let was_asked = self.kept.lock().was_asked(&question);
        let asked = if was_asked { Box::pin(self.look(question)).await } else { None };
        let found = asked.as_ref().and_then(|asked| self.kept.lock().find(asked));
        count(if found.is_some() { "hit" } else { "miss" });
        found.map_or(Found::Nothing(asked), Found::Answer)
    }

    /// `None` if the database does not answer soon, which the execution will report.
    async fn look(&self, question: Question) -> Option<Asked> {
        let position = tokio::time::timeout(LONGEST_LOOK, self.positions.now()).await.ok()?.ok()?;
        let since = self.clock.now();
        let holds = Holds(Arc::new(AtomicI64::new(since.saturating_add(KEEP_MS))));
        Some(Asked { question, position, since, holds })
    }

    /// Keeps an answer without errors.
    pub fn keep(&self, asked: &Asked, json: &Bytes) {
        let Asked { question, position, since, holds: Holds(until) } = asked;
        let until = until.load(Ordering::Relaxed);
        if *since < until && json.len() <= MAX_ANSWER_BYTES {
            // A copy, because the buffer may be larger than the answer.
            let json = Bytes::copy_from_slice(json);
            let answer = Answer { position: *position, since: *since, until, json };
            self.kept.lock().insert(question.clone(), Some(answer));
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("muster_graphql_kept_answers_total", "outcome" => outcome).increment(1);
}

/// Those that were used least recently first.
struct Kept {
    /// The last answer to each question; `None` if it was only asked.
    answers: LruCache<Question, Option<Answer>>,
    bytes: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self { answers: LruCache::new_unbounded(), bytes: 0 }
    }
}

impl Kept {
    /// Whether a question was asked before. From now on, it was.
    fn was_asked(&mut self, question: &Question) -> bool {
        let known = self.answers.get(question).is_some();
        if !known {
            self.insert(question.clone(), None);
        }
        known
    }

    fn find(&self, asked: &Asked) -> Option<Bytes> {
        let answer = self.answers.peek(&asked.question)?.as_ref()?;
        let holds = answer.position == asked.position && (answer.since..answer.until).contains(&asked.since);
        holds.then(|| answer.json.clone())
    }

    fn insert(&mut self, question: Question, answer: Option<Answer>) {
        self.bytes += size(answer.as_ref());
        if let Some(replaced) = self.answers.insert(question, answer) {
            self.bytes -= size(replaced.as_ref());
        }
        while self.bytes > MAX_KEPT_BYTES {
            let Some((_, oldest)) = self.answers.remove_lru() else { return };
            self.bytes -= size(oldest.as_ref());
        }
    }
}

fn size(answer: Option<&Answer>) -> usize {
    OVERHEAD + answer.map_or(0, |answer| answer.json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(number: u8, since: i64) -> Asked {
        let question = Question { query: [number; 32], token: Uuid::nil(), role: Role::Viewer, seen: None };
        Asked { question, position: Position::default(), since, holds: Holds(Arc::default()) }
    }

    fn answer(since: i64, until: i64, bytes: usize) -> Answer {
        Answer { position: Position::default(), since, until, json: vec![b' '; bytes].into() }
    }

    #[test]
    fn an_answer_holds_from_its_beginning_to_its_end() {
        let mut kept = Kept::default();
        assert!(!kept.was_asked(&asked(1, 0).question) && kept.was_asked(&asked(1, 0).question));
        assert!(kept.find(&asked(1, 10)).is_none(), "it was only asked");
        kept.insert(asked(1, 0).question, Some(answer(10, 20, 5)));
        let found = |since| kept.find(&asked(1, since)).is_some();
        assert_eq!([9, 10, 19, 20].map(found), [false, true, true, false]);
        let other = Question { role: Role::Admin, ..asked(1, 10).question };
        assert!(kept.find(&Asked { question: other, ..asked(1, 10) }).is_none());
    }

    #[test]
    fn what_was_used_least_recently_is_dropped() {
        let mut kept = Kept::default();
        let most = MAX_KEPT_BYTES / (MAX_ANSWER_BYTES + OVERHEAD);
        for number in 0..=u8::try_from(most).unwrap() {
            kept.insert(asked(number, 0).question, Some(answer(0, 1, MAX_ANSWER_BYTES)));
            assert!(kept.was_asked(&asked(0, 0).question));
        }
        assert!(kept.find(&asked(0, 0)).is_some() && kept.find(&asked(1, 0)).is_none());
        assert_eq!((kept.answers.len(), kept.bytes), (most, most * (MAX_ANSWER_BYTES + OVERHEAD)));
        kept.insert(asked(0, 0).question, None);
        assert_eq!(kept.bytes, (most - 1) * (MAX_ANSWER_BYTES + OVERHEAD) + OVERHEAD);
    }
}
