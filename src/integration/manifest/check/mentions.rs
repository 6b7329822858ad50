//! All paths and tests of a mapping as text, to look for the names of joins and details in.

use crate::manifest::expr::Predicate;
use crate::manifest::mapping::{Column, Flag, FlagTest, Mapping, StatusRule, Text};

/// What a path or test decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decides {
    /// Who is a user.
    Identity,
    Status,
    Column(Column),
}

pub(super) fn of(map: &Mapping) -> Vec<(Decides, String)> {
    let mut found = Vec::new();
    let mut note = |decides: Decides, texts: Vec<String>| found.extend(texts.into_iter().map(|text| (decides, text)));
    let texts = |rule: &Text| {
        let mut found = Vec::new();
        text(rule, &mut found);
        found
    };
    note(Decides::Identity, texts(&map.external_id));
    note(Decides::Column(Column::Email), map.email.iter().flat_map(texts).collect());
    note(Decides::Column(Column::DisplayName), map.display_name.iter().flat_map(texts).collect());
    for rule in &map.status.0 {
        match rule {
            StatusRule::Always(_) => {}
            StatusRule::When { test, .. } => note(Decides::Status, vec![test.to_string()]),
            StatusRule::Lookup { of, .. } => note(Decides::Status, texts(of)),
        }
    }
    for (column, rule) in [(Column::IsAdmin, &map.is_admin), (Column::MfaEnabled, &map.mfa_enabled)] {
        let mut said = Vec::new();
        if let Some(rule) = rule {
            flag(rule, &mut said);
        }
        note(Decides::Column(column), said);
    }
    let licenses = map.licenses.iter().flat_map(|rules| rules.0.iter().map(|rule| rule.path.to_string())).collect();
    note(Decides::Column(Column::Licenses), licenses);
    let moments = map.last_active_at.iter().flat_map(|rule| rule.from.0.iter().map(ToString::to_string)).collect();
    note(Decides::Column(Column::LastActiveAt), moments);
    found
}

fn text(rule: &Text, found: &mut Vec<String>) {
    match rule {
        Text::Path(path) => found.push(path.to_string()),
        Text::First(rules) | Text::Join { parts: rules, .. } => rules.iter().for_each(|rule| text(rule, found)),
        Text::Const(_) => {}
        Text::When { test, then } => {
            found.push(test.to_string());
            text(then, found);
        }
        Text::Lookup { of, .. } => text(of, found),
    }
}

fn flag(rule: &Flag, found: &mut Vec<String>) {
    found.extend(rule.known_when.iter().map(ToString::to_string));
    let tests = |tests: &[Predicate]| tests.iter().map(ToString::to_string).collect::<Vec<_>>();
    match &rule.test {
        FlagTest::Paths(paths) => found.extend(paths.iter().map(ToString::to_string)),
        FlagTest::Any(list) | FlagTest::All(list) => found.extend(tests(list)),
        FlagTest::Not(rule) => flag(rule, found),
        FlagTest::PresentIn(join) | FlagTest::AbsentIn(join) => found.push(format!("$._joined.{join}")),
    }
}
