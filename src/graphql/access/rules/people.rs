//! The rules of the types about people.

use super::need::{EDGE, Need, Object, PAGE};

pub(super) const OBJECTS: &[Object] = &[
    ("PersonConnection", Need::People, PAGE),
    ("PersonEdge", Need::People, EDGE),
    (
        "Person",
        Need::People,
        &[
            "accounts",
            "department",
            "displayName",
            "email",
            "employeeId",
            "id",
            "isExternal",
            "manager",
            "state",
            "stateAsOf",
            "stateSince",
        ],
    ),
    ("PersonLink", Need::People, &["evidence", "rule", "state", "suggestions"]),
    ("Suggestion", Need::People, &["person"]),
    ("PeopleSettings", Need::People, &["equivalentDomains", "ownedDomains", "pendingTasks", "sources", "stripTags"]),
    ("PeopleSource", Need::People, &["instance", "rank"]),
    ("EquivalentDomain", Need::People, &["domain", "sameAs"]),
    (
        "PeopleChange",
        Need::Administer,
        &[
            "accountsLinked",
            "accountsMoved",
            "accountsUnlinked",
            "becomeCurrent",
            "becomeLeft",
            "becomeUnknown",
            "isComplete",
            "peopleAdded",
            "peopleRemoved",
        ],
    ),
    // What mutations answer
    ("ErasePersonPayload", Need::Administer, &["accounts", "userErrors"]),
    ("LinkAccountPayload", Need::Operate, &["user", "userErrors"]),
    ("ResetLinkPayload", Need::Operate, &["user", "userErrors"]),
    ("SetAccountKindPayload", Need::Operate, &["user", "userErrors"]),
    ("SetOwnedDomainsPayload", Need::Administer, &["change", "settings", "userErrors"]),
    ("SetOwnerPayload", Need::Operate, &["user", "userErrors"]),
    ("SetPeopleSourcesPayload", Need::Administer, &["change", "settings", "userErrors"]),
    ("UnlinkAccountPayload", Need::Operate, &["user", "userErrors"]),
];
