//! Which lists of the API can be had as files, and what is in them.

use serde_json::Value;

/// A list of the API that can be had as a file.
pub(super) struct Report {
    pub(super) name: &'static str,
    /// The field at the root, with its arguments.
    field: &'static str,
    /// The type of its filter.
    filter: &'static str,
    /// The list below the field, if the field is no list itself.
    list: &'static str,
    /// What is asked of each row: the names of its fields, and of the fields below these, with spaces between them.
    columns: &'static str,
}

pub(super) const REPORTS: [Report; 9] = [
    Report {
        name: "users",
        field: "users(first: 100, after: $after, filter: $filter)",
        filter: "UserFilter",
        list: "",
        columns: "id instance.id instance.name externalId displayName email status kind guest isAdmin \
            mfaEnabled licenses lastActiveAt neverActive createdAt firstSeenAt lastSeenAt removedAt \
            person.id link.state link.rule",
    },
    Report {
        name: "people",
        field: "persons(first: 100, after: $after, filter: $filter)",
        filter: "PersonFilter",
        list: "",
        columns: "id displayName email department employeeId state stateSince stateAsOf isExternal \
            manager.id",
    },
    Report {
        name: "findings",
        field: "findings(first: 100, after: $after, filter: $filter)",
        filter: "FindingFilter",
        list: "",
        columns: "id type severity state openedAt closedAt closeReason evidence.field evidence.value \
            exception.reason exception.by exception.until instance.id instance.name user.id \
            user.externalId user.displayName user.email",
    },
    Report {
        name: "licenses",
        field: "licenses(first: 100, after: $after, filter: $filter)",
        filter: "LicenseFilter",
        list: "",
        columns: "instance.id instance.name name assigned unknownHolders seats free over holders.active \
            holders.suspended holders.invited holders.unknown reclaimable.count reclaimable.unknown \
            reclaimable.parts.reason reclaimable.parts.count annualCosts.amount annualCosts.currency \
            asOf activityAsOf countedAt",
    },
    Report {
        name: "spend",
        field: "spend(filter: $filter, groupBy: LICENSE)",
        filter: "SpendFilter",
        list: "buckets",
        columns: "integration.key instance.id instance.name license quantity amount.amount amount.currency \
            held.amount freeSeats.amount unknownHolders.amount",
    },
    Report {
        name: "spend-by-department",
        field: "spend(filter: $filter, groupBy: DEPARTMENT)",
        filter: "SpendFilter",
        list: "buckets",
        columns: "kind department quantity amount.amount amount.currency held.amount freeSeats.amount \
            unknownHolders.amount",
    },
    Report {
        name: "spend-by-person",
        field: "spend(filter: $filter, groupBy: PERSON)",
        filter: "SpendFilter",
        list: "buckets",
        columns: "kind person.id person.displayName person.email person.department quantity amount.amount \
            amount.currency held.amount freeSeats.amount unknownHolders.amount",
    },
    Report {
        name: "unpriced",
        field: "spend(filter: $filter, groupBy: LICENSE)",
        filter: "SpendFilter",
        list: "unpriced",
        columns: "instance.id instance.name license quantity reason",
    },
    Report {
        name: "renewals",
        field: "renewals(first: 100, after: $after, filter: $filter)",
        filter: "RenewalFilter",
        list: "",
        columns: "id instance.id instance.name name startsOn endsOn noticeDays noticeBy daysToNotice \
            currency billingMonths annualCost.amount lines.license lines.seats",
    },
];

/// What a file says about each instance that the caller sees.
pub(super) const SOURCES: &str =
    "query($after: String) { list: instances(first: 100, after: $after) { pageInfo { hasNextPage endCursor }
    nodes { id name status integration { key } freshness { state asOf } lastSync { id outcome finishedAt } } } }";

impl Report {
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.split_whitespace()
    }

    pub(super) fn document(&self) -> String {
        let rows = format!(
            "pageInfo {{ hasNextPage endCursor }} nodes {{ {} }}",
            selection(&self.columns().collect::<Vec<_>>())
        );
        let (field, filter) = (self.field, self.filter);
        match self.list {
            "" => format!("query($after: String, $filter: {filter}) {{ list: {field} {{ {rows} }} }}"),
            list => format!(
                "query($after: String, $filter: {filter}) {{ of: {field} {{ list: {list}(first: 100, after: $after) {{ {rows} }} }} }}"
            ),
        }
    }
}

/// The fields at these paths, as GraphQL selects them. Paths with the same beginning stand together.
fn selection(paths: &[&str]) -> String {
    let mut below: Vec<(&str, Vec<&str>)> = Vec::new();
    for path in paths {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match below.last_mut().filter(|(last, _)| *last == name) {
            Some((_, fields)) => fields.push(rest),
            None => below.push((name, vec![rest])),
        }
    }
    let field = |(name, fields): &(&str, Vec<&str>)| match fields[..] {
        [""] => (*name).to_owned(),
        _ => format!("{name} {{ {} }}", selection(fields)),
    };
    below.iter().map(field).collect::<Vec<_>>().join(" ")
}

/// The values at a path, as a cell. Several stand side by side; what is not known is empty.
pub(super) fn cell(row: &Value, path: &str) -> String {
    if let Value::Array(rows) = row {
        return rows.iter().map(|row| cell(row, path)).collect::<Vec<_>>().join("; ");
    }
    match (path.split_once('.'), row) {
        _ if row.is_null() => String::new(),
        (Some((name, rest)), row) => cell(&row[name], rest),
        (None, row) if !path.is_empty() => cell(&row[path], ""),
        (None, Value::String(text)) => text.clone(),
        (None, other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_become_a_selection_and_cells() {
        let paths = ["id", "instance.id", "instance.integration.key", "name"];
        assert_eq!(selection(&paths), "id instance { id integration { key } } name");
        let row = json!({ "id": "x", "n": 3, "is": true, "not": null, "costs": [{ "a": "1.50" }, { "a": "2" }], "names": ["A", "B"] });
        for (path, expected) in [
            ("id", "x"),
            ("n", "3"),
            ("is", "true"),
            ("not", ""),
            ("not.a", ""),
            ("costs.a", "1.50; 2"),
            ("names", "A; B"),
        ] {
            assert_eq!(cell(&row, path), expected, "{path}");
        }
    }
}
