//! All paths and tests of a mapping as text, to look for the names of joins and details in.

use crate::integration::manifest::expr::Predicate;
use crate::integration::manifest::mapping::{Flag, FlagTest, Mapping, StatusRule, Text};

pub(super) fn of(map: &Mapping) -> Vec<String> {
    let mut found = Vec::new();
    for rule in [Some(&map.external_id), map.email.as_ref(), map.display_name.as_ref()].into_iter().flatten() {
        text(rule, &mut found);
    }
    for rule in &map.status.0 {
        match rule {
            StatusRule::Always(_) => {}
            StatusRule::When { test, .. } => found.push(test.to_string()),
            StatusRule::Lookup { of, .. } => text(of, &mut found),
        }
    }
    for rule in [&map.is_admin, &map.mfa_enabled].into_iter().flatten() {
        flag(rule, &mut found);
    }
    found.extend(map.licenses.iter().flat_map(|rules| rules.0.iter().map(|rule| rule.path.to_string())));
    found.extend(map.last_active_at.iter().flat_map(|rule| rule.from.0.iter().map(ToString::to_string)));
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
        FlagTest::PresentIn(_) | FlagTest::AbsentIn(_) => {}
    }
}
