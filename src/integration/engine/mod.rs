//! The engine: lists the users of an application over HTTP, as its manifest says.
//!
//! **Guarantees.** A listing succeeds only if its own stop rule ended it. Everything else is an
//! error with a class and a sentence for a person; an error about a page names the page's number
//! and the field. A page is read whole or not at all: no response, however broken, makes the list
//! shorter without an error. A list that cannot prove that it is complete (`proof`) is read once more, and then
//! reported as incomplete. Memory holds one page at a time, and the parts that `join` keeps; the pages of all
//! connections share a budget (`memory`). Requests go only to the application's own origin, and to addresses that the
//! operator permits (`address`). No error, log line or checkpoint contains a credential.
//!
//! **Retries.** Errors that may pass by themselves are retried with growing, jittered waits. If
//! the application asks to slow down, the engine waits as long as it asks for. The
//! [`RetryPolicy`] limits both for each request. Refusals are not retried here.
//!
//! **Not guaranteed.** A user may come twice in a listing, because some applications shift their
//! list between pages; within a page, repetitions are dropped. If an application orders its list but reports no
//! total, the engine can miss a user who moved to a page that was already read, because another user left. That user
//! is missing in this run and back in the next. Lists that report their total are read again from where they shrank.
//!
//! **Interruption.** Dropping the stream cancels the request and leaves nothing behind. The `next`
//! of a page lets another process resume the listing, with the counts and the pages seen so far.
//! If the application no longer knows that position, the list is read from its beginning, once.
//!
//! **A user's forms.** A [`Record`](record::Record) is what the application says about a user, as
//! JSON, because joins and details must be added before anything can be mapped. A
//! [`SourceUser`](crate::user::SourceUser) has the register's columns, so that nothing outside
//! of this crate depends on an application's format. The server turns it into the database's row.
//!
//! The files, from the outside in; each uses only those below it:
//!
//! | file | purpose |
//! | --- | --- |
//! | `http_source` | the source that a manifest describes |
//! | `pass`, `check` | one pass over the user list; the credential check |
//! | `detail`, `join` | requests per user; further lists |
//! | `map` | from a record to a user |
//! | `record` | from the entries of a page to the users' records |
//! | `rules`, `time` | how a rule of `map` is evaluated |
//! | `list` | one page of a list |
//! | `progress`, `position`, `total`, `page_info` | where a list continues, and when it has ended |
//! | `proof` | whether a list that has ended is complete |
//! | `identify` | whose credential it is |
//! | `request` | from a position in a list to a request |
//! | `connection` | one request with its retries, signed and classified |
//! | `token`, `code_flow` | tokens, and a person's consent |
//! | `classify`, `purpose` | what an error response means, and how it is explained |
//! | `wall`, `graphql`, `wording` | refusals by something in front, errors next to data, the meaning of texts |
//! | `body`, `spelling` | from bytes to JSON, and to the attribute names of the manifest |
//! | `credential` | what signs a request |
//! | `client`, `address`, `host_limit`, `memory` | one request to a permitted address, when it is its turn and there is memory |
//! | `retry` | what is retried, and after which wait |
//! | `losses` | optional parts that were refused |
//! | `observe` | what the author of a manifest sees of a page |

mod address;
mod body;
mod check;
mod classify;
mod client;
mod code_flow;
mod connection;
mod credential;
mod detail;
mod graphql;
mod host_limit;
mod http_source;
mod identify;
mod join;
mod list;
mod losses;
mod map;
mod memory;
mod observe;
mod page_info;
mod pass;
mod position;
mod progress;
mod proof;
mod purpose;
mod record;
mod request;
mod retry;
mod rules;
mod scim;
mod spelling;
mod time;
mod token;
mod total;
mod transport;
mod wall;
mod wording;

#[cfg(test)]
mod tests;

pub(crate) use body::parse as parse_body;
pub use client::{Body, Client, ClientSettings, Request, Response, Transport};
pub use code_flow::CodeFlow;
pub use host_limit::HostLimits;
pub use http_source::HttpSource;
pub use memory::Share;
pub use observe::{PageObserver, RawPage};
pub(crate) use observe::{is_secret_name, is_secret_text};
pub use request::tenant_in_settings;
pub use retry::RetryPolicy;
pub use transport::TransportError;
