//! What is said of an account: a number. Each question has a digit of two bits, in the order of [`questions`]; the bits
//! above them say what kind of account it is, and whether it is an administrator.

use entity::finding::{Kind, Severity};
use sea_orm::Iterable;
use serde::{Deserialize, Serialize};

/// A question about an account: whether it has a finding, or one that only figures show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum Question {
    Finding(Kind),
    Figure(Figure),
}

/// What is counted of accounts, and is no finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    Admin,
    NeverActive,
}

/// Which questions an evaluation asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    #[default]
    Everything,
    /// Those whose answers change with the activity of accounts.
    Activity,
    Nothing,
}

impl Asked {
    pub fn contains(self, question: Question) -> bool {
        match self {
            Self::Everything => true,
            Self::Activity => matches!(
                question,
                Question::Finding(Kind::Inactive | Kind::NeverUsed) | Question::Figure(Figure::NeverActive)
            ),
            Self::Nothing => false,
        }
    }
}

/// The answer to a question, which is the value of its digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The account is not in the population.
    NotAsked = 0,
    No = 1,
    Yes = 2,
    Unknown = 3,
}

/// What uses an account, or else its status. Only those of the first kind are asked about second factors and activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    Active,
    Service,
    Shared,
    Invited,
    Suspended,
    UnknownStatus,
}

const SORTS: [Sort; 6] =
    [Sort::Active, Sort::Service, Sort::Shared, Sort::Invited, Sort::Suspended, Sort::UnknownStatus];
/// How many kinds of findings there are.
const KINDS: u32 = 11;
/// The place of the sort of an account, behind the digits.
pub(super) const SORT_BIT: u32 = 2 * (KINDS + 2);
pub(super) const ADMIN_BIT: u32 = SORT_BIT + 3;
/// The low bit of each digit of a finding.
pub(super) const LOW_BITS: i64 = 0x15_5555;

/// The questions in the order of their digits.
pub fn questions() -> impl Iterator<Item = Question> {
    Kind::iter().map(Question::Finding).chain([Figure::Admin, Figure::NeverActive].map(Question::Figure))
}

/// What the expression says about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub i64);

impl Code {
    /// The answers, in the order of [`questions`].
    pub fn answers(self) -> impl Iterator<Item = (Question, Answer)> {
        questions().enumerate().map(move |(place, question)| {
            let answer = match (self.0 >> (2 * place)) & 3 {
                0 => Answer::NotAsked,
                1 => Answer::No,
                2 => Answer::Yes,
                _ => Answer::Unknown,
            };
            (question, answer)
        })
    }

    pub fn answer(self, kind: Kind) -> Answer {
        let own = self.answers().find(|(question, _)| *question == Question::Finding(kind));
        own.map_or(Answer::NotAsked, |(_, answer)| answer)
    }

    /// The findings, with their severities.
    pub fn findings(self) -> impl Iterator<Item = (Kind, Severity)> {
        let is_admin = self.is_admin();
        self.answers().filter_map(move |(question, answer)| match question {
            Question::Finding(kind) if answer == Answer::Yes => Some((kind, severity(kind, is_admin))),
            Question::Finding(_) | Question::Figure(_) => None,
        })
    }

    /// The same, if a question is not asked.
    #[must_use]
    pub fn without(self, kind: Kind) -> Self {
        let place = questions().position(|question| question == Question::Finding(kind));
        Self(place.map_or(self.0, |place| self.0 & !(3 << (2 * place))))
    }

    pub fn sort(self) -> Sort {
        usize::try_from((self.0 >> SORT_BIT) & 7).ok().and_then(|at| SORTS.get(at)).copied().unwrap_or(Sort::Active)
    }

    pub fn is_admin(self) -> bool {
        (self.0 >> ADMIN_BIT) & 1 == 1
    }
}

/// How much a finding matters. It matters more about an administrator.
pub fn severity(kind: Kind, is_admin: bool) -> Severity {
    match kind {
        Kind::AdminWithoutMfa => Severity::Critical,
        Kind::ExternalAdmin => Severity::High,
        Kind::LeaverActive if is_admin => Severity::Critical,
        Kind::LeaverActive => Severity::High,
        Kind::Unmatched | Kind::NoMfa | Kind::UnownedService | Kind::Conflict if is_admin => Severity::High,
        Kind::Unmatched | Kind::NoMfa | Kind::UnownedService | Kind::Conflict => Severity::Medium,
        Kind::Inactive | Kind::NeverUsed | Kind::Duplicate | Kind::External if is_admin => Severity::Medium,
        Kind::Inactive | Kind::NeverUsed | Kind::Duplicate | Kind::External => Severity::Low,
    }
}
