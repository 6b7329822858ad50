//! Licences and what they cost: how many users hold each licence, its price, the contracts about its seats, what all
//! that costs in a year, and reminders before a contract renews itself.
//!
//! **Counted once.** When a run ends, its transaction queues a job ([`tally`]) that counts the holders of each licence of
//! the instance in one pass. Nothing is counted when somebody asks. A tally shows what was known when it was made, and is
//! valid as long as no users were deleted since, so that a deletion is complete for readers as soon as it is committed.
//! An interrupted count begins anew.
//!
//! **Exact.** Amounts are whole minor units of a currency ([`money`]). Each line of the bill is rounded once, and divided
//! so that its parts add up to it. Amounts of different currencies are never added.
//!
//! **Unknown is not zero.** What an application does not tell is counted as unknown, a licence without a price is listed
//! as such, and without a contract there is no number of seats.
//!
//! **Reminded once.** A reminder is decided in the transaction that stores its mails, once for each term of a contract
//! and each step ([`reminders`]). A server that was down sends the nearest one only.

pub mod contracts;
pub mod facts;
pub mod licenses;
pub mod money;
pub mod prices;
pub mod reclaim;
pub mod reminders;
pub mod renewals;
pub mod report;
pub mod tally;

use chrono::{Days, NaiveDate};

use crate::clock::DAY_MS;

/// The day of a time (Unix milliseconds), numbered from 1970-01-01 (UTC).
pub fn day_of(ms: i64) -> i32 {
    i32::try_from(ms.div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

/// A day as a date.
pub fn date_of(day: i32) -> NaiveDate {
    let from = NaiveDate::default();
    let days = Days::new(day.unsigned_abs().into());
    let date = if day < 0 { from.checked_sub_days(days) } else { from.checked_add_days(days) };
    date.unwrap_or(NaiveDate::MAX)
}

/// The number of a date.
pub fn day_of_date(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970_in_utc() {
        for (ms, day, date) in [
            (0, 0, "1970-01-01"),
            (DAY_MS - 1, 0, "1970-01-01"),
            (DAY_MS, 1, "1970-01-02"),
            (-1, -1, "1969-12-31"),
            (1_798_761_600_000, 20_819, "2027-01-01"),
        ] {
            assert_eq!((day_of(ms), date_of(day).to_string()), (day, date.to_owned()), "{ms}");
            assert_eq!(day_of_date(date_of(day)), day);
        }
    }
}
