//! The rules of the types of the catalog.

use super::need::{EDGE, Need, Object, PAGE};

pub(super) const OBJECTS: &[Object] = &[
    ("IntegrationConnection", Need::Figures, PAGE),
    ("IntegrationEdge", Need::Figures, EDGE),
    (
        "Integration",
        Need::Figures,
        &[
            "alsoKnownAs",
            "authentication",
            "authenticationOptions",
            "capabilities",
            "category",
            "configFields",
            "description",
            "documentationUrl",
            "id",
            "instanceCount",
            "instanceCounts",
            "instances",
            "isDelivered",
            "key",
            "name",
            "providedFields",
            "requiredPermissions",
            "setup",
            "userCount",
        ],
    ),
    ("AuthenticationOption", Need::Figures, &["key", "kind", "label", "redirectUri"]),
    (
        "ConfigField",
        Need::Figures,
        &[
            "default",
            "help",
            "key",
            "label",
            "onlyWith",
            "options",
            "pattern",
            "placeholder",
            "required",
            "secret",
            "type",
        ],
    ),
];
