//! Mail about instances: whether to write one, to whom, and what became of it.
//!
//! **Decided once.** [`decide`](decide::decide) is pure; it runs in the transaction that
//! records a run's outcome, and what it called for is written there too: one row per
//! address, with the rendered body and its Message-ID. After that no crash can lose a
//! mail or invent one.
//!
//! **Delivered apart.** A job per mail hands it to the mail server. Trouble there is
//! retried for 48 hours and never touches the state of an instance. A crash between the
//! server's "OK" and our record of it sends the same message again, with the same
//! Message-ID; nothing else can.
//!
//! **Kept.** Every mail stays in the ledger with its attempts and its last error; every
//! decision, also to send nothing, stands on its run.

pub mod compose;
pub mod decide;
pub mod deliver;
pub mod ledger;
pub mod outbox;
pub mod recipients;
pub mod test_mail;
