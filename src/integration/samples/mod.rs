//! Samples: recorded answers of an application, and what must come of them.
//!
//! `samples/KEY.yaml` lies in a folder beside `KEY.yaml`. [`parse`] reads it, and
//! [`Samples::play`] carries the manifest out against it with the real engine, whose
//! network is the recording: each call must be the one that is written, in its order,
//! and the users, losses and errors that come of the answers must be those that are
//! expected. All that differs is a [`Fault`] at the line of the sample that it differs from.
//!
//! **Promises.** A play is the same every time: it is always 2026-03-01T12:00:00Z, waits
//! are counted and not waited for, nothing random is drawn, nothing is called or written.
//!
//! **Does not promise** that the application still answers as it was recorded.
//!
//! Cases do not know each other. Within a case the first call that was not written ends
//! it, since all that follows would differ too.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`format`] | the file |
//! | `recording` | the network: which exchange answers a call, and in what a call differs |
//! | `outcome` | what came of a case, and in what it differs |
//! | `play` | one case, from its settings to its faults |

use std::collections::BTreeMap;

use serde_saphyr::{Location, Spanned};

use super::manifest::Fault;
use super::manifest::yaml;
use super::source::Config;

mod format;
mod outcome;
mod play;
mod recording;
#[cfg(test)]
mod tests;

use format::Case;

/// The time at which samples play: 2026-03-01T12:00:00Z, in Unix milliseconds.
pub const NOW: i64 = 1_772_366_400_000;
/// No samples are longer, in bytes.
const LONGEST: usize = 2 * 1024 * 1024;

/// The samples of one application.
pub struct Samples {
    /// What faults name.
    file: String,
    config: Config,
    cases: Vec<Spanned<Case>>,
}

/// What playing found.
#[derive(Default)]
pub struct Played {
    /// How many cases there are.
    pub cases: usize,
    /// All that differs; empty if the manifest does what the samples say.
    pub faults: Vec<Fault>,
    /// What good samples show and these do not, each as a sentence.
    pub gaps: Vec<String>,
}

/// Reads samples. `file` stands in the faults.
pub fn parse(text: &str, file: &str) -> Result<Samples, Vec<Fault>> {
    let limits = yaml::Limits { bytes: LONGEST, nodes: 200_000 };
    let read: format::File = yaml::read(text, file, limits).map_err(|fault| vec![fault])?;
    let samples = Samples { file: file.to_owned(), config: read.config, cases: read.cases };
    let faults = samples.shape();
    if faults.is_empty() { Ok(samples) } else { Err(faults) }
}

impl Samples {
    fn fault(&self, at: Location, message: impl Into<String>) -> Fault {
        Fault { file: self.file.clone(), line: at.line(), column: at.column(), message: message.into() }
    }

    /// What is wrong with the samples themselves.
    fn shape(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut names = BTreeMap::new();
        if self.cases.is_empty() {
            faults.push(self.fault(Location::UNKNOWN, "there are no cases; write at least one under cases"));
        }
        for Spanned { value: case, referenced: at, .. } in &self.cases {
            if let Some(line) = names.insert(&case.name, at.line()) {
                faults.push(self.fault(*at, format!("the case of line {line} has the same name; give it another")));
            }
            for (at, message) in case.shape() {
                faults.push(self.fault(at.unwrap_or(Location::UNKNOWN), message));
            }
            if case.users.is_none() && case.error.is_none() && !case.check {
                let message = "say what must come of it: users (a list, [] for nobody), error, or check: true";
                faults.push(self.fault(*at, message));
            }
        }
        faults
    }
}
