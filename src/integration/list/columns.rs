//! Which column of a file is which field.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Fault, names};
use crate::user::{Kind, UserField};

/// What a column can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The id of the account. Without it, the e-mail address is the id.
    ExternalId,
    Field(UserField),
}

impl Target {
    const ID: &str = "externalId";

    pub fn all() -> impl Iterator<Item = Self> {
        [Self::ExternalId].into_iter().chain(UserField::ALL.iter().copied().map(Self::Field))
    }

    /// The name in requests and in JSON Lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExternalId => Self::ID,
            Self::Field(field) => field.info().api_name,
        }
    }

    pub fn find(name: &str) -> Option<Self> {
        Self::all().find(|target| target.name() == name)
    }

    /// Whether its value can be in several columns.
    fn takes_several(self) -> bool {
        match self {
            Self::ExternalId => false,
            Self::Field(field) => field == UserField::DisplayName || field.info().kind == Kind::Texts,
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::find(&name).ok_or_else(|| de::Error::custom("unknown field of a list"))
    }
}

/// The names of the columns of each field. A name has several: first name and last name.
pub type Columns = BTreeMap<Target, Vec<String>>;

/// The first row of a file.
pub(super) struct Header {
    pub names: Vec<String>,
    /// The place of each column that is used.
    pub targets: Vec<(Target, usize)>,
    pub used: Columns,
}

impl Header {
    /// Finds the wanted columns, or if none are, those whose names are known.
    pub fn of(line: u64, names: Vec<String>, wanted: &Columns) -> Result<Self, Fault> {
        let names: Vec<String> = names.into_iter().map(|name| name.trim().to_owned()).collect();
        let targets = if wanted.is_empty() { known(&names) } else { chosen(line, &names, wanted)? };
        let has = |wanted: Target| targets.iter().any(|(target, _)| *target == wanted);
        if !has(Target::ExternalId) && !has(Target::Field(UserField::Email)) {
            let shown: Vec<_> = names.iter().take(12).map(|name| format!("“{}”", cut(name))).collect();
            let message = format!(
                "No column has the e-mail addresses or the ids: say which one does (email=… or externalId=…). The \
                 columns are {}.",
                shown.join(", ")
            );
            return Err(Fault::row(line, message));
        }
        let mut used = Columns::new();
        for (target, at) in &targets {
            used.entry(*target).or_default().push(names[*at].clone());
        }
        Ok(Self { names, targets, used })
    }
}

fn chosen(line: u64, names: &[String], wanted: &Columns) -> Result<Vec<(Target, usize)>, Fault> {
    let mut targets = Vec::new();
    for (target, columns) in wanted {
        if columns.len() > 1 && !target.takes_several() {
            let message = format!("The field {} can be in one column only.", target.name());
            return Err(Fault::row(line, message));
        }
        for column in columns {
            let is_it = |name: &&String| name.to_lowercase() == column.trim().to_lowercase();
            let count = names.iter().filter(is_it).count();
            let message = match names.iter().position(|name| is_it(&name)) {
                Some(at) if count == 1 => {
                    targets.push((*target, at));
                    continue;
                }
                Some(_) => "Several columns have this name.",
                None => "The file has no column of this name.",
            };
            return Err(Fault { line, column: Some(cut(column)), message: message.to_owned() });
        }
    }
    Ok(targets)
}

/// The columns whose names are known. Of several that could be the same field, the first is.
pub(super) fn known(names: &[String]) -> Vec<(Target, usize)> {
    let mut targets: Vec<(Target, usize)> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if let Some(target) = names::target(name)
            && !targets.iter().any(|(other, _)| *other == target)
        {
            targets.push((target, at));
        }
    }
    let display_name = Target::Field(UserField::DisplayName);
    if !targets.iter().any(|(target, _)| *target == display_name) {
        let part = |is_it: fn(&str) -> bool| names.iter().position(|name| is_it(name));
        let parts = [part(names::is_first_name), part(names::is_last_name)];
        targets.extend(parts.into_iter().flatten().map(|at| (display_name, at)));
    }
    targets
}

/// The name of a column, for an error.
fn cut(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(64).collect()
}
