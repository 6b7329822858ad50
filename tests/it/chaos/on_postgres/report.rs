//! The statistics that are printed at the end of a run, also if it fails.

use std::collections::BTreeMap;
use std::time::Duration;

use super::asking::Figures;
use super::faults::Fault;

#[derive(Default)]
pub struct Report {
    pub rounds: u32,
    pub events: i64,
    pub mails: usize,
    pub copies: usize,
    pub dropped_and_sent: usize,
    pub carried_over: usize,
    pub lost_commits: u64,
    pub take_overs: usize,
    pub revocations: i64,
    pub reconnections: usize,
    faults: BTreeMap<String, usize>,
    /// From the end of the faults until all replicas were ready and both APIs acknowledged a mutation.
    recoveries: BTreeMap<String, Vec<Duration>>,
}

impl Report {
    pub fn count(&mut self, faults: &[Fault]) {
        for fault in faults {
            *self.faults.entry(fault.kind()).or_default() += 1;
        }
    }

    pub fn recovered(&mut self, faults: &[Fault], took: Duration) {
        for fault in faults {
            self.recoveries.entry(fault.kind()).or_default().push(took);
        }
        self.recoveries.entry("all rounds".into()).or_default().push(took);
    }

    pub fn print(&mut self, figures: &Figures) {
        let Report { rounds, events, mails, copies, lost_commits, take_overs, reconnections, .. } = self;
        println!(
            "chaos: {rounds} rounds, {events} events, {mails} mails, {copies} of them twice, {take_overs} runs taken over"
        );
        println!("  answers to COMMIT lost: {lost_commits}, subscriptions made again: {reconnections}");
        println!("  instances switched off by a run: {}", self.revocations);
        println!(
            "  rounds whose rest was carried over: {}, mails dropped and yet sent: {}",
            self.carried_over, self.dropped_and_sent
        );
        let Figures { acknowledged, refused, unavailable, lost, reads, failed_reads, slowest, faults: _ } = figures;
        println!(
            "  mutations: {acknowledged} acknowledged, {refused} refused, {unavailable} unavailable, {lost} without an answer"
        );
        println!("  queries: {reads} answered, {failed_reads} not; the slowest request took {slowest:.1?}");
        println!("  {:<24}{:>6}{:>12}{:>12}{:>12}", "fault", "times", "median", "p95", "longest");
        for (kind, times) in &mut self.recoveries {
            times.sort();
            let at = |share: usize| times[(times.len() - 1) * share / 100];
            let count = self.faults.get(kind).copied().unwrap_or(times.len());
            let row = [at(50), at(95), at(100)].map(|time| format!("{time:.2?}"));
            println!("  {kind:<24}{count:>6}{:>12}{:>12}{:>12}", row[0], row[1], row[2]);
        }
    }
}
