//! What is counted of the accounts of an instance.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};

use entity::finding::{Kind, Severity};
use sea_orm::Iterable;
use serde::{Deserialize, Serialize};

use super::code::{Answer, Asked, Code, Question};
use super::standard::Standard;
use crate::error::Result;
use crate::events::findings::Counts;

pub use super::code::Sort;

/// The answers to one question. Accounts that were not asked are in none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    pub yes: i64,
    pub no: i64,
    pub unknown: i64,
}

impl AddAssign for Answers {
    fn add_assign(&mut self, more: Self) {
        self.yes += more.yes;
        self.no += more.no;
        self.unknown += more.unknown;
    }
}

impl Sub for Answers {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        Self { yes: self.yes - less.yes, no: self.no - less.no, unknown: self.unknown - less.unknown }
    }
}

/// What one evaluation has counted, and by which standard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub standard: Standard,
    /// The questions that are still to be counted; the answers to the others are those of the evaluation before.
    pub asked: Asked,
    /// Whether a setting had changed before it began.
    pub rules_changed: bool,
    pub answers: BTreeMap<Question, Answers>,
    pub accounts: BTreeMap<Sort, i64>,
    /// What it has opened and closed so far. Empty when it has ended.
    #[serde(default)]
    pub news: Counts,
}

impl Tally {
    pub fn new(standard: Standard, rules_changed: bool) -> Self {
        let asked = Asked::Everything;
        let (answers, accounts) = (BTreeMap::new(), BTreeMap::new());
        Self { standard, asked, rules_changed, answers, accounts, news: Counts::default() }
    }

    /// Counts only what activity changes, if that may be all that has changed since this was counted.
    #[must_use]
    pub fn again(self, standard: Standard) -> Self {
        if !self.standard.is_like(&standard) {
            return Self::new(standard, false);
        }
        let tells_activity = self.standard.edge.is_some() || standard.edge.is_some();
        let asked = if tells_activity { Asked::Activity } else { Asked::Nothing };
        let mut again = Self { standard, asked, rules_changed: false, ..self };
        again.answers.retain(|question, _| !asked.contains(*question));
        again
    }

    /// Counts accounts that have the same code.
    pub fn add(&mut self, code: Code, accounts: i64) {
        for (question, answer) in code.answers().filter(|(question, _)| self.asked.contains(*question)) {
            let own = self.answers.entry(question).or_default();
            match answer {
                Answer::NotAsked => {}
                Answer::No => own.no += accounts,
                Answer::Yes => own.yes += accounts,
                Answer::Unknown => own.unknown += accounts,
            }
        }
        if self.asked == Asked::Everything {
            *self.accounts.entry(code.sort()).or_default() += accounts;
        }
    }

    pub fn of(&self, question: Question) -> Answers {
        self.answers.get(&question).copied().unwrap_or_default()
    }

    pub fn read(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    pub fn text(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// How many confirmed findings are open, by type and severity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open(BTreeMap<Kind, BTreeMap<Severity, i64>>);

impl Open {
    pub fn add(&mut self, kind: Kind, severity: Severity, count: i64) {
        let of_kind = self.0.entry(kind).or_default();
        let own = of_kind.entry(severity).or_default();
        *own += count;
        if *own == 0 {
            of_kind.remove(&severity);
        }
        if of_kind.is_empty() {
            self.0.remove(&kind);
        }
    }

    pub fn of(&self, kind: Kind) -> i64 {
        self.0.get(&kind).map_or(0, |of_kind| of_kind.values().sum())
    }

    /// The count of every type and severity, also of those without a finding.
    pub fn all(&self) -> impl Iterator<Item = (Kind, Severity, i64)> {
        Kind::iter().flat_map(move |kind| {
            let of_kind = self.0.get(&kind);
            Severity::iter().map(move |severity| {
                (kind, severity, of_kind.and_then(|of_kind| of_kind.get(&severity)).copied().unwrap_or(0))
            })
        })
    }

    pub fn merge(&mut self, other: &Open) {
        for (kind, severity, count) in other.all().filter(|(.., count)| *count != 0) {
            self.add(kind, severity, count);
        }
    }

    pub fn read(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    pub fn text(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}
