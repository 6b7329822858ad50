//! The database tables, one module each: rows and stored enums, without queries or business rules.
//!
//! Every time is stored as milliseconds since 1970 (UTC) in a `BIGINT`. Unlike text and
//! native timestamps, it compares in the same way on every database.

pub mod account_link;
pub mod account_owner;
pub mod api_token;
pub mod audit_chain;
pub mod audit_entry;
pub mod audit_person;
pub mod capability_state;
pub mod contract;
pub mod contract_line;
pub mod contract_reminder;
pub mod digest;
pub mod equivalent_domain;
pub mod evaluation;
pub mod event;
pub mod finding;
pub mod finding_exception;
pub mod growing;
pub mod installation;
pub mod instance;
pub mod job;
pub mod license_count;
pub mod license_group;
pub mod license_tally;
pub mod member;
pub mod member_identity;
pub mod member_link;
pub mod notification;
pub mod oauth_authorization;
pub mod oauth_grant;
pub mod oauth_shared_redirect;
pub mod oidc_sign_in;
pub mod owned_domain;
pub mod people_setting;
pub mod people_source;
pub mod people_task;
pub mod person;
pub mod person_key;
pub mod person_pin;
pub mod person_word;
pub mod posture_day;
pub mod price;
pub mod recipient;
pub mod replica;
pub mod report_setting;
pub mod run;
pub mod session;
pub mod sign_in_attempt;
pub mod sign_in_provider;
pub mod source_account;
pub mod user;
pub mod user_backlog;
pub mod user_change;
pub mod user_word;
