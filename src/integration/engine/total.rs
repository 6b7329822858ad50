//! The meaning of the total that pages report.
//!
//! Not every application counts all records. Some count those on the page, and some those from the page on. Both are
//! recognised, because a wrong total would end the list too early.

use serde::{Deserialize, Serialize};

/// The totals of a list's pages so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Total {
    meaning: Meaning,
    /// What the latest page reported.
    last: Option<u64>,
    /// The number of records on the latest page.
    last_records: u64,
    /// The smallest number of all records that any page reported.
    least: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Meaning {
    /// No page has reported a total yet.
    #[default]
    Untold,
    /// The number of all records.
    All,
    /// The first page reported as many records as it has, and is full: the total is of all records, or of the page
    /// only.
    AllOrPage,
    /// The number of records from the page on.
    Rest,
    /// A number that cannot be the total.
    Unusable,
}

impl Total {
    /// Notes the number that a page reported. `records` is the number of records on it, `received` the number on the
    /// pages before, and `asked` how many were asked for. Returns by how much the number of all records shrank since
    /// the page before.
    pub fn observe(&mut self, told: Option<u64>, records: u64, received: u64, asked: Option<u64>) -> u64 {
        let before = std::mem::replace(&mut self.last, told);
        let records_before = std::mem::replace(&mut self.last_records, records);
        let Some(told) = told else { return 0 };
        let mut shrunk = 0;
        self.meaning = match (self.meaning, before) {
            (Meaning::Untold, _) if told == records && is_full(records, asked) => Meaning::AllOrPage,
            (Meaning::Untold, _) => Meaning::All,
            (Meaning::AllOrPage, Some(before)) if (records == 0 && told == before) || told > before.max(received) => {
                Meaning::All
            }
            (Meaning::AllOrPage, _) => Meaning::Unusable,
            (Meaning::All, Some(before))
                if records_before > 0 && told + records_before == before && (records > 0 || told == 0) =>
            {
                Meaning::Rest
            }
            (Meaning::All, Some(before)) => {
                shrunk = before.saturating_sub(told);
                Meaning::All
            }
            (Meaning::Rest, Some(before)) if told + records_before == before => Meaning::Rest,
            (Meaning::Rest, _) => Meaning::Unusable,
            (meaning, _) => meaning,
        };
        match self.meaning {
            Meaning::All => self.least = Some(self.least.map_or(told, |least| least.min(told))),
            // The pages before also reported the rest; for the first page, the rest was all records.
            Meaning::Rest => {}
            Meaning::Untold | Meaning::AllOrPage | Meaning::Unusable => self.least = None,
        }
        shrunk
    }

    /// The number of all records, if the latest page reported it. `received` is the number of records on the pages
    /// before it.
    pub fn all(&self, received: u64) -> Option<u64> {
        match self.meaning {
            Meaning::All => self.last,
            Meaning::Rest => self.last.map(|rest| received + rest),
            Meaning::Untold | Meaning::AllOrPage | Meaning::Unusable => None,
        }
    }

    /// Whether the total may be that of the first page only.
    pub fn may_be_of_page(&self) -> bool {
        self.meaning == Meaning::AllOrPage
    }

    /// The smallest number of all records that any page reported: users who joined since may be missing.
    pub fn least(&self) -> Option<u64> {
        self.least
    }
}

/// Whether a page may have been limited: it has as many records as were requested, or a round number, as limits of
/// applications usually are.
fn is_full(records: u64, asked: Option<u64>) -> bool {
    records > 0 && (asked.is_some_and(|asked| records >= asked) || records.is_multiple_of(10))
}

#[cfg(test)]
mod tests {
    use super::Total;

    /// Observes pages of (told, records), and returns what counts as all records after each.
    fn all(pages: &[(u64, u64)]) -> Vec<Option<u64>> {
        let (mut total, mut received) = (Total::default(), 0);
        let observe = |&(told, records): &(u64, u64)| {
            total.observe(Some(told), records, received, Some(100));
            let all = total.all(received);
            received += records;
            all
        };
        pages.iter().map(observe).collect()
    }

    #[test]
    fn a_total_is_recognised_for_what_it_is() {
        assert_eq!(all(&[(230, 100), (230, 100), (230, 30)]), [Some(230); 3], "all records");
        assert_eq!(all(&[(7, 7)]), [Some(7)], "all records on one page that is not full");
        assert_eq!(all(&[(100, 100), (100, 0)]), [None, Some(100)], "all records on one page that is full");
        assert_eq!(all(&[(100, 100), (101, 1)]), [None, Some(101)], "somebody joined");
        assert_eq!(all(&[(100, 100), (100, 100), (50, 50), (0, 0)]), [None; 4], "the page");
        assert_eq!(all(&[(50, 50), (20, 20), (0, 0)]), [None; 3], "a page smaller than was asked for");
        assert_eq!(all(&[(250, 100), (150, 100), (50, 50)]), [Some(250); 3], "the rest");
        assert_eq!(all(&[(250, 100), (150, 100), (150, 50)]), [Some(250), Some(250), None], "neither");
    }

    #[test]
    fn a_list_that_shrinks_is_told() {
        let mut total = Total::default();
        assert_eq!(total.observe(Some(230), 100, 0, None), 0);
        assert_eq!(total.observe(Some(228), 100, 100, None), 2);
        assert_eq!((total.all(100), total.least()), (Some(228), Some(228)));
        assert_eq!(total.observe(Some(240), 40, 200, None), 0);
        assert_eq!((total.all(200), total.least()), (Some(240), Some(228)));
    }
}
