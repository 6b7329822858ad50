//! Webhooks: what happens to instances, sent to other programs, to chats, and to alert managers.
//!
//! **One way of delivery, and three of saying.** A [kind] says who receives the messages of a webhook. A program gets
//! [events](wanted) as signed JSON. A chat gets what is also written by mail ([`notice`], [`chat`]); what happens to many
//! instances within a minute is [one message](gather). An alert manager gets one [alert] for each instance that
//! fails, until it no longer does. Everything else is the same for all.
//!
//! **Decided from the log.** Each webhook has the number of the last event about which it was decided. [`plan`] reads the
//! events after it, writes one delivery for each message that the webhook [wants](wanted), and moves the number, in one
//! transaction. A kill before the commit has decided nothing, and one after it loses nothing. What evaluations of findings
//! have changed is in a log beside it ([`crate::events::findings`]), and is decided in the same way.
//!
//! **One job for each webhook** plans and [sends](send). Its lease makes one worker of one replica the only sender, and
//! fences every record of it. The job exists while the webhook has something to do; [`wake`] makes it when the log is
//! ahead of the number. Workers have as many places as there can be webhooks, so no webhook waits for another.
//!
//! **In order.** Of each instance, the first delivery that is not accepted or given up is sent, and the next one after
//! that. Some instances are served at once. A failed attempt postpones its delivery, and also the webhook as a whole, so
//! that a receiver that is down is not asked for each instance.
//!
//! **At least once.** If the process is cut between the answer and its record, the message is sent again. Its id and body
//! are stored, so the receiver can tell.
//!
//! **The end.** The answer 410, and three days without success, switch a webhook off and write a mail. What was queued has
//! failed then, and somebody can have it sent [`again`]. While it is switched off, nothing is decided for it; when it is
//! switched on, it goes on with the newest event.

use std::sync::Arc;

use ipnet::IpNet;
use uuid::Uuid;

use crate::error::{Error, Refusal, RefusalCode};
use crate::instance::Instances;

pub mod again;
pub mod alert;
mod alerts;
pub mod attempt;
pub mod chat;
mod gather;
pub mod input;
pub mod kind;
pub mod manage;
pub mod notice;
pub mod payload;
mod plan;
pub mod prune;
pub mod queries;
mod record;
pub mod reply;
pub mod request;
pub mod sealed;
pub mod send;
pub mod signature;
pub mod text;
pub mod wake;
pub mod wanted;

/// How many webhooks there are at most.
pub const MOST_WEBHOOKS: u64 = 50;
/// How many webhooks are worked on at once: all of them, so that a slow one delays no other.
pub const PLACES: usize = 50;

/// The commands about webhooks.
#[derive(Clone)]
pub struct Webhooks {
    pub instances: Instances,
    /// The own networks that may be called, also by plain http.
    pub networks: Vec<IpNet>,
    /// Where links begin.
    pub public_url: Arc<str>,
    pub ids: Ids,
}

/// There is no webhook with this id.
pub fn not_found() -> Error {
    Refusal::new(RefusalCode::NotFound, "There is no webhook with this id.").into()
}

/// How messages name things, so that clients of the API find them.
#[derive(Clone, Copy)]
pub struct Ids {
    pub instance: fn(Uuid) -> String,
    pub run: fn(Uuid) -> String,
    /// The path of an instance's page in the console, without a slash in front.
    pub page: fn(Uuid) -> String,
}

impl Ids {
    /// The address of an instance's page in the console.
    fn link(self, public_url: &str, instance: Uuid) -> String {
        format!("{public_url}/{}", (self.page)(instance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_webhook_has_a_place() {
        assert!(u64::try_from(PLACES).unwrap() >= MOST_WEBHOOKS);
    }
}
