//! The paths and tests of a mapping as text, to find the names of joins and details in them.

use crate::manifest::expr::Predicate;
use crate::manifest::mapping::{Choice, Flag, FlagTest, Labels, Mapping, Rule, Text, Time};
use crate::user::UserField;

/// What a path or test affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Affects {
    /// Whether an entry is a user.
    Identity,
    Field(UserField),
}

pub(super) fn of(map: &Mapping) -> Vec<(Affects, String)> {
    let mut found = Vec::new();
    let mut add = |affects: Affects, rule: &dyn Rule| {
        let mut texts = Vec::new();
        rule.add_expressions(&mut texts);
        found.extend(texts.into_iter().map(|text| (affects, text)));
    };
    add(Affects::Identity, &map.external_id);
    for (field, rule) in map.rules() {
        add(Affects::Field(field), rule);
    }
    found
}

impl Rule for Text {
    fn add_expressions(&self, found: &mut Vec<String>) {
        match self {
            Text::Path(path) => found.push(path.to_string()),
            Text::First(rules) | Text::Join { parts: rules, .. } => {
                for rule in rules {
                    rule.add_expressions(found);
                }
            }
            Text::Const(_) => {}
            Text::When { test, then } => {
                found.push(test.to_string());
                then.add_expressions(found);
            }
            Text::Lookup { of, .. } => of.add_expressions(found),
        }
    }
}

impl<T> Rule for Choice<T> {
    fn add_expressions(&self, found: &mut Vec<String>) {
        match self {
            Choice::Always(_) => {}
            Choice::When { test, .. } => found.push(test.to_string()),
            Choice::Lookup { of, .. } => of.add_expressions(found),
        }
    }
}

impl Rule for Flag {
    fn add_expressions(&self, found: &mut Vec<String>) {
        found.extend(self.known_when.iter().map(ToString::to_string));
        let tests = |tests: &[Predicate]| tests.iter().map(ToString::to_string).collect::<Vec<_>>();
        match &self.test {
            FlagTest::Paths(paths) => found.extend(paths.iter().map(ToString::to_string)),
            FlagTest::Any(list) | FlagTest::All(list) => found.extend(tests(list)),
            FlagTest::Not(rule) => rule.add_expressions(found),
            FlagTest::PresentIn(join) | FlagTest::AbsentIn(join) => found.push(format!("$._joined.{join}")),
        }
    }
}

impl Rule for Labels {
    fn add_expressions(&self, found: &mut Vec<String>) {
        found.push(self.path.to_string());
    }
}

impl Rule for Time {
    fn add_expressions(&self, found: &mut Vec<String>) {
        found.extend(self.from.0.iter().map(ToString::to_string));
        found.extend(self.known_when.iter().map(ToString::to_string));
    }
}
