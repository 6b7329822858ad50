//! The rules of the types about findings and figures.

use super::need::{EDGE, Need, Object};

pub(super) const OBJECTS: &[Object] = &[
    (
        "FindingConnection",
        Need::People,
        &["edges", "evaluatedAt", "nodes", "pageInfo", "totalCount", "totalCountIsExact"],
    ),
    ("FindingEdge", Need::People, EDGE),
    (
        "Finding",
        Need::People,
        &[
            "closeReason",
            "closedAt",
            "evidence",
            "exception",
            "id",
            "instance",
            "openedAt",
            "severity",
            "state",
            "type",
            "user",
        ],
    ),
    ("Fact", Need::People, &["field", "value"]),
    ("FindingException", Need::People, &["at", "by", "reason", "severity", "until"]),
    ("ExceptFindingPayload", Need::Operate, &["finding", "userErrors"]),
    ("RevokeExceptionPayload", Need::Operate, &["finding", "userErrors"]),
    // Figures
    (
        "Posture",
        Need::Figures,
        &[
            "accounts",
            "adminMfa",
            "admins",
            "conflicts",
            "duplicates",
            "externalAdmins",
            "externals",
            "inactive",
            "leavers",
            "mfa",
            "neverActive",
            "neverUsed",
            "ownedServices",
            "unmatched",
        ],
    ),
    ("PostureAccounts", Need::Figures, &["active", "invited", "service", "shared", "suspended", "unknownStatus"]),
    ("Measure", Need::Figures, &["basis", "excepted", "no", "ratio", "unknown", "yes"]),
    ("TrendDay", Need::Figures, &["day", "isCarried", "no", "ratio", "unknown", "yes"]),
    ("Basis", Need::Figures, &["asOf", "evaluatedAt", "staleSources", "unassessed"]),
    ("StaleSource", Need::Figures, &["asOf", "instance", "staleSince"]),
    (
        "ReportSettings",
        Need::Figures,
        &["disabledTypes", "inactiveDays", "pendingEvaluations", "signInEnforcedBy", "weeklyDigest"],
    ),
    ("SignInEnforcement", Need::Figures, &["instance", "provider"]),
    ("SetReportSettingsPayload", Need::Administer, &["settings", "userErrors"]),
];
