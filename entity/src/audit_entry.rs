//! The audit log: what was done, and what was refused.
//!
//! The columns with an enum are texts in the row, because the hash of an entry covers what is written there, also if only
//! a newer version knows it.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

/// What was done, or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(32))", rename_all = "snake_case")]
#[graphql(name = "AuditAction")]
pub enum Action {
    /// The list of recipients was replaced.
    RecipientsSet,
    /// A connection was tested.
    ConnectionTested,
    /// A test mail was requested.
    TestMailSent,
    /// A run was allowed to remove any number of users.
    RemovalsAccepted,
    /// A run was allowed to add any number of users.
    GrowthAccepted,
    /// A person was sent to an application to give consent, and the authorization failed.
    AuthorizationFailed,
    /// An instance was created.
    InstanceCreated,
    /// An instance was changed.
    InstanceUpdated,
    /// An instance was deleted.
    InstanceDeleted,
    /// The users of an instance were deleted.
    UsersDeleted,
    /// A sync was requested.
    SyncRequested,
    /// A sync was cancelled.
    SyncCancelled,
    /// A person was sent to an application to give consent.
    AuthorizationBegun,
    /// A person gave consent, and the instance was connected.
    AuthorizationCompleted,
    /// A member signed in.
    SignedIn,
    /// Somebody tried to sign in, and failed.
    SignInFailed,
    /// A member signed out.
    SignedOut,
    /// A session was ended by somebody.
    SessionEnded,
    /// A member was created.
    MemberCreated,
    /// A member was changed, disabled or enabled.
    MemberUpdated,
    /// A link that signs in was made.
    LinkCreated,
    /// A password was set or changed.
    PasswordSet,
    /// An API token was created.
    TokenCreated,
    /// An API token was changed. Nothing does this yet.
    TokenUpdated,
    /// An API token was revoked.
    TokenRevoked,
    /// Something was asked for without the right to it.
    AccessRefused,
    /// The page of a person, or of a person's account, was read.
    PersonRead,
    /// The audit log was exported.
    AuditExported,
    /// The users of an instance were exported.
    UsersExported,
    /// A report was exported; `detail` says which.
    ReportExported,
    /// The end of the audit log was accepted as it was found.
    AuditAccepted,
    /// The personal part of audit entries was erased.
    NamesErased,
    /// The keys of the installation were rotated.
    KeysRotated,
    /// A backup was restored.
    BackupRestored,
    /// An account was given to a person.
    AccountLinked,
    /// An account was taken from its person.
    AccountUnlinked,
    /// The rules decide again whose an account is.
    LinkReset,
    /// The kind of an account was set.
    AccountKindSet,
    /// The owner of an account was set.
    OwnerSet,
    /// Everything that was known of a person was deleted.
    PersonErased,
    /// The list of people sources was replaced.
    PeopleSourcesSet,
    /// The owned and the equivalent domains were replaced.
    OwnedDomainsSet,
    /// The price of a licence was set or removed.
    PriceSet,
    /// A contract was created.
    ContractCreated,
    /// A contract was changed.
    ContractUpdated,
    /// A contract was deleted.
    ContractDeleted,
    /// A finding was accepted for a time.
    FindingExcepted,
    /// The exception of a finding was taken back.
    ExceptionRevoked,
    /// The settings of reports were changed.
    ReportSettingsSet,
    /// A webhook was created.
    WebhookCreated,
    /// A webhook was changed, or switched on or off.
    WebhookUpdated,
    /// A webhook was deleted.
    WebhookDeleted,
    /// A webhook got another secret.
    WebhookSecretRotated,
    /// A test was sent to a webhook.
    WebhookTested,
    /// Messages of a webhook were sent again.
    DeliveriesRetried,
    /// A list of users was delivered to an instance.
    ListDelivered,
    /// Something else was changed; `detail` has the name of the mutation.
    Changed,
    /// Something that only a newer version of the server, which runs beside this one, knows; `detail` says what.
    Unknown,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))", rename_all = "snake_case")]
#[graphql(name = "AuditOutcome")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was refused, and nothing was changed. `code` says why.
    Refused,
    /// It failed. `code` says why.
    Failed,
}

/// What kind of actor did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[graphql(name = "AuditActorKind")]
pub enum ActorKind {
    /// An API token.
    Token,
    /// A member.
    Member,
    /// The server itself.
    Server,
    /// Somebody on the machine of the server, with the command line.
    CommandLine,
    /// Somebody who did not say, or could not prove, who they are.
    Anonymous,
}

/// What kind of thing it was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[graphql(name = "AuditSubjectKind")]
pub enum SubjectKind {
    /// An instance.
    Instance,
    /// An API token.
    Token,
    /// A member.
    Member,
    /// A session of a member.
    Session,
    /// The account of a person in an application.
    User,
    /// A person.
    Person,
    /// A webhook.
    Webhook,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "audit_entry")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub at: i64,
    /// The kind of the actor, whose name is in `audit_person`. In entries without a hash, the name itself.
    pub actor: String,
    pub action: String,
    pub instance_id: Option<Uuid>,
    /// One sentence for a person, without names, addresses or secrets.
    pub detail: String,
    /// Null in entries without a hash.
    pub actor_kind: Option<String>,
    /// The token or the member.
    pub actor_id: Option<Uuid>,
    pub subject_kind: Option<String>,
    pub subject_id: Option<Uuid>,
    pub request_id: Option<Uuid>,
    pub outcome: String,
    /// Why it was refused or failed.
    pub code: Option<String>,
    /// How many times it happened, if it was counted.
    pub times: i64,
    /// Binds the row of `audit_person` to this entry.
    pub person_digest: Option<Vec<u8>>,
    /// Covers the other columns and the hash of the entry before. Null in entries of earlier versions, which are no part
    /// of the chain.
    pub hash: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// What was done.
    pub fn action(&self) -> Action {
        known(&self.action).unwrap_or(Action::Unknown)
    }

    /// How it ended. What a newer version says otherwise did not succeed.
    pub fn outcome(&self) -> Outcome {
        known(&self.outcome).unwrap_or(Outcome::Failed)
    }

    /// `None` also if only a newer version knows it.
    pub fn actor_kind(&self) -> Option<ActorKind> {
        known(self.actor_kind.as_ref()?)
    }

    /// `None` also if only a newer version knows it.
    pub fn subject_kind(&self) -> Option<SubjectKind> {
        known(self.subject_kind.as_ref()?)
    }
}

fn known<E: ActiveEnum<Value = String>>(text: &String) -> Option<E> {
    E::try_from_value(text).ok()
}
