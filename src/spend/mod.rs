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
mod holders;
pub mod licenses;
pub mod money;
pub mod people;
pub mod prices;
pub mod reclaim;
pub mod reminders;
pub mod renewals;
pub mod report;
pub mod tally;
