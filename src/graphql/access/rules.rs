//! Who may use which field.
//!
//! Every field of the schema has its rule here, and nowhere else. A field without one is refused to everybody.

use crate::auth::Caller;
use crate::graphql::error::ApiError;

pub use need::Need;
use need::{EDGE, Object, PAGE};

mod catalog;
mod findings;
mod lists;
mod need;
mod people;
mod spend;
mod webhooks;

/// What a field at the root shows a caller that is limited to some instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only what belongs to these instances.
    Instances,
    /// It is about the whole installation, and is refused.
    Installation,
}

/// The rule of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub need: Need,
    pub reach: Reach,
}

impl Rule {
    /// Whether the caller may use the field.
    pub fn check(self, caller: &Caller) -> Result<(), ApiError> {
        let (may, reason) = match self.need {
            Need::Own | Need::Figures => (true, ""),
            Need::People => (caller.may_read_people(), "Your role shows figures, and nothing about a person."),
            Need::Operate => (caller.may_operate(), "Your role may read, but not change anything."),
            Need::Administer => (caller.may_administer(), "Only administrators may do this."),
            Need::Schema => (caller.may_read_schema(), "Your role does not show the schema."),
        };
        if !may {
            return Err(ApiError::Forbidden(reason));
        }
        match self.reach {
            Reach::Installation if caller.scope.is_some() => {
                Err(ApiError::Forbidden("This token is limited to some instances, and this is about all of them."))
            }
            Reach::Installation | Reach::Instances => Ok(()),
        }
    }
}

const INTROSPECTION: [&str; 2] = ["__schema", "__type"];

/// The fields at the root.
const ROOTS: &[(&str, Need, Reach, &[&str])] = &[
    (
        "Query",
        Need::Figures,
        Reach::Instances,
        &[
            "eventCursor",
            "instance",
            "instanceCounts",
            "instanceEvents",
            "instances",
            "integration",
            "integrations",
            "licenses",
            "renewals",
            "spend",
            "posture",
            "syncHistory",
            "syncRun",
            "trend",
        ],
    ),
    ("Query", Need::Figures, Reach::Installation, &["reportSettings", "serverStatus"]),
    ("Query", Need::People, Reach::Instances, &["findings", "node", "notifications", "userChanges", "users"]),
    ("Query", Need::People, Reach::Installation, &["peopleSettings", "person", "persons", "recipients"]),
    (
        "Query",
        Need::Administer,
        Reach::Installation,
        &["apiTokens", "auditLog", "members", "webhook", "webhookDeliveries", "webhooks"],
    ),
    ("Query", Need::Own, Reach::Instances, &["me"]),
    ("Query", Need::Own, Reach::Installation, &["sessions"]),
    ("Mutation", Need::Administer, Reach::Installation, &["createMember", "resetMember", "updateMember"]),
    ("Mutation", Need::Own, Reach::Installation, &["changePassword", "endSession"]),
    (
        "Mutation",
        Need::Operate,
        Reach::Instances,
        &[
            "beginAuthorization",
            "cancelSync",
            "createInstance",
            "deleteAllUsers",
            "deleteContract",
            "deleteInstance",
            "setPrice",
            "exceptFinding",
            "revokeException",
            "syncInstance",
            "testConnection",
            "updateInstance",
            "upsertContract",
        ],
    ),
    (
        "Mutation",
        Need::Operate,
        Reach::Installation,
        &["linkAccount", "resetLink", "sendTestMail", "setAccountKind", "setOwner", "setRecipients", "unlinkAccount"],
    ),
    (
        "Mutation",
        Need::Administer,
        Reach::Installation,
        &["erasePerson", "setOwnedDomains", "setPeopleSources", "setReportSettings"],
    ),
    ("Mutation", Need::Administer, Reach::Installation, &["createApiToken", "revokeApiToken"]),
    (
        "Mutation",
        Need::Administer,
        Reach::Installation,
        &[
            "createWebhook",
            "deleteWebhook",
            "retryFailedDeliveries",
            "retryWebhookDelivery",
            "rotateWebhookSecret",
            "testWebhook",
            "updateWebhook",
        ],
    ),
    ("Subscription", Need::Figures, Reach::Instances, &["instanceStateChanged", "syncProgress"]),
];

/// The fields of all other types.
fn objects() -> impl Iterator<Item = &'static Object> {
    let more = people::OBJECTS
        .iter()
        .chain(findings::OBJECTS)
        .chain(spend::OBJECTS)
        .chain(webhooks::OBJECTS)
        .chain(lists::OBJECTS);
    OBJECTS.iter().chain(catalog::OBJECTS).chain(more)
}

const OBJECTS: &[Object] = &[
    ("PageInfo", Need::Figures, &["endCursor", "hasNextPage", "hasPreviousPage", "startCursor"]),
    ("Node", Need::Figures, &["id"]),
    ("UserError", Need::Figures, &["code", "field", "message"]),
    // Members
    ("Me", Need::Own, &["email", "member", "name", "role", "scope"]),
    ("Member", Need::Own, &["createdAt", "disabledAt", "email", "hasPassword", "id", "name", "role"]),
    ("MemberConnection", Need::Administer, PAGE),
    ("MemberEdge", Need::Administer, EDGE),
    ("Session", Need::Own, &["address", "createdAt", "expiresAt", "id", "isCurrent", "lastUsedAt", "userAgent"]),
    ("CreateMemberPayload", Need::Administer, &["link", "member", "userErrors"]),
    ("ResetMemberPayload", Need::Administer, &["link", "member", "userErrors"]),
    ("UpdateMemberPayload", Need::Administer, &["member", "userErrors"]),
    ("ChangePasswordPayload", Need::Own, &["userErrors"]),
    ("EndSessionPayload", Need::Own, &["userErrors"]),
    // Instances
    ("InstanceConnection", Need::Figures, PAGE),
    ("InstanceEdge", Need::Figures, EDGE),
    (
        "Instance",
        Need::Figures,
        &[
            "capabilityStates",
            "createdAt",
            "credentialExpiresAt",
            "currentSync",
            "events",
            "failingSince",
            "freshness",
            "headline",
            "health",
            "id",
            "inactiveReason",
            "integration",
            "lastDelivery",
            "lastSync",
            "name",
            "needsAttention",
            "nextSyncAt",
            "nextTryAt",
            "notice",
            "posture",
            "revision",
            "status",
            "syncHistory",
            "syncIntervalMinutes",
            "syncState",
            "updatedAt",
            "userCount",
        ],
    ),
    ("InstanceCounts", Need::Figures, &["byHeadline", "needsAttention", "stale", "total"]),
    ("InstanceHeadlineCount", Need::Figures, &["count", "headline"]),
    // Settings may be the address of an account.
    ("Instance", Need::People, &["config", "createdBy", "users"]),
    ("ConfigValue", Need::People, &["isSet", "key", "value"]),
    ("CapabilityState", Need::Figures, &["asOf", "capability", "lostSince", "missingPermission", "provided"]),
    // Applications may name an account when they say what went wrong.
    ("CapabilityState", Need::People, &["reason"]),
    ("Freshness", Need::Figures, &["asOf", "staleSince", "state"]),
    ("Notice", Need::Figures, &["remedies", "severity", "since", "title"]),
    ("Notice", Need::People, &["detail"]),
    ("Remedy", Need::Figures, &["action", "label", "mutation"]),
    ("InstanceEventConnection", Need::Figures, PAGE),
    ("InstanceEventEdge", Need::Figures, EDGE),
    ("InstanceEvent", Need::Figures, &["at", "cause", "cursor", "instance", "usersRemoved"]),
    ("InstanceEvent", Need::People, &["actor"]),
    // Runs
    ("SyncRunConnection", Need::Figures, PAGE),
    ("SyncRunEdge", Need::Figures, EDGE),
    (
        "SyncRun",
        Need::Figures,
        &[
            "added",
            "changed",
            "failure",
            "finishedAt",
            "id",
            "instance",
            "mailDecision",
            "newBaseline",
            "outcome",
            "queuedAt",
            "removed",
            "seen",
            "startedAt",
            "trigger",
            "waitingFor",
            "waitingUntil",
        ],
    ),
    ("SyncRun", Need::People, &["changes", "remark", "waitingReason", "wouldRemove"]),
    ("SyncFailure", Need::Figures, &["class", "httpStatus", "lostCapabilities", "missingPermissions"]),
    ("SyncFailure", Need::People, &["message"]),
    ("MailDecision", Need::Figures, &["kind", "reason"]),
    (
        "SyncProgress",
        Need::Figures,
        &["expected", "instanceId", "pages", "runId", "seen", "startedAt", "waitingFor", "waitingUntil"],
    ),
    // Accounts
    ("UserConnection", Need::People, &["edges", "nodes", "pageInfo", "searchAsOf", "totalCount", "totalCountIsExact"]),
    ("UserEdge", Need::People, EDGE),
    (
        "User",
        Need::People,
        &[
            "aliases",
            "createdAt",
            "department",
            "displayName",
            "email",
            "employeeId",
            "externalId",
            "findings",
            "firstSeenAt",
            "guest",
            "id",
            "instance",
            "isAdmin",
            "kind",
            "lastActiveAt",
            "lastSeenAt",
            "licenses",
            "link",
            "manager",
            "mfaEnabled",
            "neverActive",
            "owner",
            "person",
            "removedAt",
            "sourceId",
            "status",
        ],
    ),
    ("UserChangeConnection", Need::People, PAGE),
    ("UserChangeEdge", Need::People, EDGE),
    ("UserChange", Need::People, &["at", "fields", "kind", "user"]),
    ("UserChangeFeed", Need::People, &["cursor", "hasMore", "nodes"]),
    // Mail
    ("Recipients", Need::People, &["emails"]),
    ("NotificationConnection", Need::People, PAGE),
    ("NotificationEdge", Need::People, EDGE),
    (
        "Notification",
        Need::People,
        &[
            "address",
            "attempts",
            "createdAt",
            "id",
            "instance",
            "kind",
            "lastError",
            "reason",
            "run",
            "sentAt",
            "standsFor",
            "state",
            "subject",
        ],
    ),
    // The installation
    ("ServerStatus", Need::Figures, &["databaseTrouble"]),
    ("ServerStatus", Need::Administer, &["expiringTokens"]),
    ("DatabaseTrouble", Need::Figures, &["kind", "message", "since"]),
    ("AuditEntryConnection", Need::Administer, PAGE),
    ("AuditEntryEdge", Need::Administer, EDGE),
    (
        "AuditEntry",
        Need::Administer,
        &[
            "action",
            "actor",
            "actorId",
            "actorKind",
            "address",
            "at",
            "code",
            "detail",
            "instance",
            "isChained",
            "number",
            "outcome",
            "requestId",
            "subjectId",
            "subjectKind",
            "subjectName",
            "times",
        ],
    ),
    ("ApiTokenConnection", Need::Administer, PAGE),
    ("ApiTokenEdge", Need::Administer, EDGE),
    (
        "ApiToken",
        Need::Administer,
        &[
            "createdAt",
            "createdBy",
            "email",
            "expiresAt",
            "expiresSoon",
            "id",
            "isPersonal",
            "isUnlimited",
            "lastUsedAt",
            "name",
            "revokedAt",
            "role",
            "scope",
        ],
    ),
    ("ApiTokenScope", Need::Own, &["instanceIds", "integrationKeys"]),
    // What mutations answer
    ("CreateApiTokenPayload", Need::Administer, &["apiToken", "token", "userErrors"]),
    ("RevokeApiTokenPayload", Need::Administer, &["apiToken", "userErrors"]),
    ("BeginAuthorizationPayload", Need::Operate, &["authorizationUrl", "expiresAt", "userErrors"]),
    ("CancelSyncPayload", Need::Operate, &["run", "userErrors"]),
    ("CreateInstancePayload", Need::Operate, &["instance", "userErrors"]),
    ("DeleteAllUsersPayload", Need::Operate, &["instance", "userErrors"]),
    ("DeleteInstancePayload", Need::Operate, &["instance", "userErrors"]),
    ("SendTestMailPayload", Need::Operate, &["notification", "userErrors"]),
    ("SetRecipientsPayload", Need::Operate, &["recipients", "userErrors"]),
    ("SyncInstancePayload", Need::Operate, &["run", "userErrors"]),
    ("TestConnectionPayload", Need::Operate, &["lostCapabilities", "missingPermissions", "ok", "tenant", "userErrors"]),
    ("UpdateInstancePayload", Need::Operate, &["conflict", "instance", "userErrors"]),
    ("UpdateConflict", Need::Operate, &["at", "by", "instance", "revision"]),
];

/// The rule of a field of a type. `None` if it has none.
pub fn rule(on: &str, field: &str) -> Option<Rule> {
    if INTROSPECTION.contains(&field) || on.starts_with("__") {
        return Some(Rule { need: Need::Schema, reach: Reach::Instances });
    }
    let root = ROOTS.iter().find(|(of, .., fields)| *of == on && fields.contains(&field));
    let object = || objects().find(|(of, _, fields)| *of == on && fields.contains(&field));
    match root {
        Some((_, need, reach, _)) => Some(Rule { need: *need, reach: *reach }),
        None => object().map(|(_, need, _)| Rule { need: *need, reach: Reach::Instances }),
    }
}

#[cfg(test)]
mod tests;
