//! Samples: recorded responses of an application, and the expected result.
//!
//! The file `samples/KEY.yaml` is in a folder next to the manifest `KEY.yaml`. [`parse`] reads
//! it, and [`Samples::replay`] runs the real engine on it, with the recording in place of the
//! network. The requests must be those in the file, in the same order, and the users, losses
//! and errors must be the expected ones. Every difference is a [`Fault`] at its line in the file.
//!
//! **Guarantees.** A replay always gives the same result: the time is always 2026-03-01T12:00:00Z, waits are skipped,
//! and nothing is random. No real request is sent.
//!
//! **Not guaranteed.** The application may respond differently today.
//!
//! Cases are independent. The first unexpected request ends a case, because everything after
//! it would differ too.
//!
//! | file | content |
//! | --- | --- |
//! | [`format`] | the format of the file |
//! | `recording` | answers requests from the file, and compares them with it |
//! | `outcome` | the result of a case, and how it differs from the expected one |
//! | `replay` | replays a case; finds what a file of samples does not cover |
//! | [`record`] | makes a sample from what a real application answered |

use std::collections::BTreeMap;

use serde_saphyr::{Location, Spanned};

use super::manifest::Fault;
use super::manifest::yaml;
use super::source::Config;

mod format;
mod outcome;
pub mod record;
mod recording;
mod replay;
#[cfg(test)]
mod tests;

use format::Case;

/// The time of all replays: 2026-03-01T12:00:00Z, in Unix milliseconds.
pub const NOW: i64 = 1_772_366_400_000;
/// The size limit for a file of samples, in bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The samples of one application.
pub struct Samples {
    /// The file name in faults.
    file: String,
    config: Config,
    cases: Vec<Spanned<Case>>,
}

/// The result of a replay.
#[derive(Default)]
pub struct Replay {
    /// The number of cases.
    pub cases: usize,
    /// All differences; empty if the manifest does what the samples say.
    pub faults: Vec<Fault>,
    /// What the samples should cover and do not, each as a sentence.
    pub gaps: Vec<String>,
}

/// Reads samples. `file` is named in the faults.
pub fn parse(text: &str, file: &str) -> Result<Samples, Vec<Fault>> {
    let limits = yaml::Limits { bytes: MAX_BYTES, nodes: 200_000 };
    let read: format::File = yaml::read(text, file, limits).map_err(|fault| vec![fault])?;
    let samples = Samples { file: file.to_owned(), config: read.config, cases: read.cases };
    let faults = samples.shape();
    if faults.is_empty() { Ok(samples) } else { Err(faults) }
}

impl Samples {
    fn fault(&self, at: Location, message: impl Into<String>) -> Fault {
        Fault { file: self.file.clone(), line: at.line(), column: at.column(), message: message.into() }
    }

    /// The faults of the file itself.
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
                let message = "say what the result must be: users (a list, [] for nobody), error, or check: true";
                faults.push(self.fault(*at, message));
            }
        }
        faults
    }
}
