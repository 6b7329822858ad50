//! Invented people.

use std::collections::BTreeSet;

use crate::user::{AccountKind, SourceUser, Timestamp, UserStatus};
use crate::with_user_fields;

/// 2026-01-01, the earliest invented activity.
const EPOCH_MS: i64 = 1_767_225_600_000;
const DAY_MS: i64 = 86_400_000;

const FIRST: [&str; 16] = [
    "Ada", "Bela", "Chinua", "Dag", "Elif", "Farid", "Greta", "Hana", "Imre", "Jun", "Kofi", "Lena", "Mira", "Noor",
    "Olu", "Pia",
];
const LAST: [&str; 16] = [
    "Abe", "Berg", "Costa", "Diaz", "Engel", "Fofana", "Gupta", "Haas", "Ito", "Jansen", "Kaya", "Lund", "Moreau",
    "Novak", "Okoye", "Park",
];

/// An invented person. The number decides everything.
pub(super) struct Person {
    pub number: i64,
}

impl Person {
    fn first_and_last_name(&self) -> (&'static str, &'static str) {
        let at = |table: &[&'static str; 16], n: i64| table[usize::try_from(n.rem_euclid(16)).unwrap_or(0)];
        (at(&FIRST, self.number), at(&LAST, self.number / 16))
    }

    fn email(&self) -> String {
        let (first, last) = self.first_and_last_name();
        format!("{}.{}.{}@rehearsal.example", first.to_lowercase(), last.to_lowercase(), self.number)
    }

    fn name(&self) -> String {
        let (first, last) = self.first_and_last_name();
        format!("{first} {last}")
    }

    fn status(&self) -> UserStatus {
        match self.number % 50 {
            7 | 8 => UserStatus::Suspended,
            9 => UserStatus::Invited,
            _ => UserStatus::Active,
        }
    }

    /// Who is only invited was never active.
    fn last_active_at(&self) -> Timestamp {
        match self.status() {
            UserStatus::Invited => Timestamp::NEVER,
            _ => Timestamp(EPOCH_MS + (self.number % 300) * DAY_MS),
        }
    }

    fn created_at(&self) -> Timestamp {
        Timestamp(EPOCH_MS - (self.number % 1_000 + 1) * DAY_MS)
    }

    fn kind(&self) -> AccountKind {
        match self.number % 100 {
            37 => AccountKind::Service,
            73 => AccountKind::Shared,
            _ => AccountKind::Human,
        }
    }

    fn aliases(&self) -> Vec<String> {
        if self.number % 10 == 3 { vec![format!("p{}@rehearsal.example", self.number)] } else { Vec::new() }
    }

    fn department(&self) -> &'static str {
        const DEPARTMENTS: [&str; 5] = ["Design", "Engineering", "Finance", "Sales", "Support"];
        DEPARTMENTS[usize::try_from(self.number.rem_euclid(5)).unwrap_or(0)]
    }

    fn manager(&self) -> Option<String> {
        (self.number > 0).then(|| format!("person-{}", self.number / 10))
    }
}

macro_rules! define {
    ($(
        #[$doc:meta] $name:ident: $Variant:ident($Type:ty) { $($info:tt)* } rehearsal(|$person:ident| $value:expr)
    )*) => {
        impl Person {
            pub fn user(&self) -> SourceUser {
                SourceUser {
                    external_id: format!("person-{}", self.number),
                    $($name: { let $person = self; $value },)*
                    refused: BTreeSet::new(),
                }
            }
        }
    };
}

with_user_fields!(define);
