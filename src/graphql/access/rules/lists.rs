//! The rules of lists that are delivered.

use super::need::{Need, Object};

pub(super) const OBJECTS: &[Object] = &[
    (
        "ListDelivery",
        Need::Figures,
        &["columns", "dateOrder", "deliveredAt", "encoding", "format", "isWaiting", "separator", "userCount"],
    ),
    ("ListDelivery", Need::People, &["deliveredBy"]),
    ("ListColumn", Need::Figures, &["columns", "field"]),
];
