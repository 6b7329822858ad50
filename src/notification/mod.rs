//! Mail about instances: deciding, writing, delivering, and the history of all mails.
//!
//! **Decided once.** The pure function [`decide`](decide::decide) is called in the transaction
//! that records the outcome of a run. The same transaction stores the resulting mails: one
//! row per address, with the rendered body and its Message-ID. After that, no crash can lose
//! a mail or create an additional one.
//!
//! **Delivered separately.** One job per mail delivers it to the mail server, and retries for
//! 48 hours. Delivery never changes the state of an instance. If the process crashes between
//! the server's "OK" and our record of it, the same message is sent again with the same
//! Message-ID. Nothing else sends a mail twice.
//!
//! **Recorded.** Every mail is kept with its number of attempts and its last error. Every
//! decision, including the decision to send nothing, is stored in its run.

pub mod compose;
pub mod decide;
pub mod deliver;
pub mod history;
mod order;
pub mod outbox;
pub mod recipients;
pub mod storm;
pub mod test_mail;
