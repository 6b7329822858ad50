//! The predicate: one SQL expression that answers every question about an account. Its value is a [`Code`](super::code::Code).

use entity::finding::Kind;
use sea_orm::DbBackend;
use uuid::Uuid;

use super::code::{ADMIN_BIT, Asked, Figure, LOW_BITS, Question, SORT_BIT, questions};
use super::standard::Standard;

impl Standard {
    /// The digit of a question about those of P: active accounts of people. `None` if it is about others, too.
    fn of_people(&self, question: Question, backend: DbBackend) -> Option<String> {
        let of_admins = |own: String| format!("CASE WHEN u.is_admin THEN {own} WHEN NOT u.is_admin THEN 0 ELSE 3 END");
        let edge = self.edge;
        Some(match question {
            Question::Finding(Kind::NoMfa) => self.without_factor(backend),
            Question::Finding(Kind::AdminWithoutMfa) => of_admins(self.without_factor(backend)),
            Question::Finding(Kind::ExternalAdmin) => of_admins(self.external(backend)),
            Question::Finding(Kind::External) => self.external(backend),
            Question::Finding(Kind::Inactive) => match edge {
                Some(edge) => format!(
                    "CASE WHEN u.last_active_at IS NULL THEN 3 WHEN u.last_active_at >= {edge} THEN 1
                    WHEN u.last_active_at > 0 THEN CASE WHEN COALESCE(u.created_at, 0) < {edge} THEN 2 ELSE 1 END
                    WHEN COALESCE(u.created_at, u.first_seen_at) < {edge} THEN 2 ELSE 1 END"
                ),
                None => "3".into(),
            },
            // Which licences the account holds is looked at afterwards.
            Question::Finding(Kind::NeverUsed) if self.priced.is_empty() => return None,
            Question::Finding(Kind::NeverUsed) => match edge {
                Some(edge) => format!(
                    "CASE WHEN u.licenses = '[]' THEN 0 WHEN u.licenses IS NULL OR u.last_active_at IS NULL THEN 3
                    WHEN u.last_active_at = 0 AND COALESCE(u.created_at, u.first_seen_at) < {edge} THEN 2 ELSE 1 END"
                ),
                None => "CASE WHEN u.licenses = '[]' THEN 0 ELSE 3 END".into(),
            },
            Question::Figure(Figure::Admin) => {
                "CASE WHEN u.is_admin THEN 2 WHEN NOT u.is_admin THEN 1 ELSE 3 END".into()
            }
            Question::Figure(Figure::NeverActive) => {
                "CASE WHEN u.last_active_at IS NULL THEN 3 WHEN u.last_active_at = 0 THEN 2 ELSE 1 END".into()
            }
            Question::Finding(
                Kind::LeaverActive | Kind::Unmatched | Kind::Duplicate | Kind::UnownedService | Kind::Conflict,
            ) => return None,
        })
    }

    /// The digit of any other question.
    fn of_others(&self, question: Question) -> Option<&'static str> {
        let Question::Finding(kind) = question else { return None };
        Some(match kind {
            Kind::LeaverActive if self.is_source => return None,
            Kind::LeaverActive => {
                "CASE WHEN u.status <> 'active' OR l.state IN ('not_personal', 'nobody') THEN 0
                WHEN l.state = 'linked' AND p.state = 'left' THEN 2
                WHEN l.state = 'linked' AND p.state = 'current' THEN 1 ELSE 3 END"
            }
            Kind::Unmatched if !self.has_sources => return None,
            Kind::Unmatched => {
                "CASE WHEN u.status <> 'active' OR l.state IN ('not_personal', 'nobody') OR l.rule = 'foreign_address'
                THEN 0 WHEN l.state = 'unmatched' THEN 2 WHEN l.state IN ('linked', 'conflict') THEN 1 ELSE 3 END"
            }
            // Most people have one account, which one look at the index tells.
            Kind::Duplicate => {
                "CASE WHEN u.status <> 'active' OR l.state IN ('not_personal', 'nobody') THEN 0
                WHEN l.state IS NULL OR l.state <> 'linked' THEN 3
                WHEN (SELECT count(*) FROM account_link b
                    WHERE b.instance_id = l.instance_id AND b.person_id = l.person_id) = 1 THEN 1
                WHEN EXISTS (SELECT 1 FROM account_link b JOIN user_account v ON v.id = b.user_id
                    WHERE b.instance_id = l.instance_id AND b.person_id = l.person_id AND b.user_id < u.id
                    AND b.state = 'linked' AND v.status = 'active' AND v.removed_at IS NULL AND v.generation > $2) THEN 0
                WHEN EXISTS (SELECT 1 FROM account_link b JOIN user_account v ON v.id = b.user_id
                    WHERE b.instance_id = l.instance_id AND b.person_id = l.person_id AND b.user_id > u.id
                    AND b.state = 'linked' AND v.status = 'active' AND v.removed_at IS NULL AND v.generation > $2) THEN 2 ELSE 1 END"
            }
            Kind::UnownedService => {
                "CASE WHEN COALESCE(l.kind, u.kind) IS NULL THEN 3 WHEN COALESCE(l.kind, u.kind) = 'human' THEN 0
                ELSE COALESCE((SELECT CASE q.state WHEN 'current' THEN 1 WHEN 'left' THEN 2 ELSE 3 END
                    FROM account_owner o JOIN person q ON q.id = o.person_id
                    WHERE o.instance_id = u.instance_id AND o.external_id = u.external_id), 2) END"
            }
            Kind::Conflict => {
                "CASE l.state WHEN 'linked' THEN 1 WHEN 'conflict' THEN 2 WHEN 'not_personal' THEN 0 WHEN 'nobody' THEN 0
                WHEN 'unmatched' THEN 0 ELSE 3 END"
            }
            Kind::NoMfa
            | Kind::AdminWithoutMfa
            | Kind::ExternalAdmin
            | Kind::Inactive
            | Kind::NeverUsed
            | Kind::External => return None,
        })
    }

    /// Whether the account has no second factor, where one counts.
    fn without_factor(&self, backend: DbBackend) -> String {
        if self.mfa_is_lost {
            return "3".into();
        }
        let Some(provider) = self.provider else {
            return "CASE WHEN u.mfa_enabled THEN 1 WHEN NOT u.mfa_enabled THEN 2 ELSE 3 END".into();
        };
        let provider = literal(provider, backend);
        // Of several accounts of the person at the provider, the weakest counts.
        format!(
            "CASE (SELECT MIN(CASE WHEN v.mfa_enabled THEN 2 WHEN NOT v.mfa_enabled THEN 0 ELSE 1 END)
                FROM account_link b JOIN user_account v ON v.id = b.user_id JOIN instance i ON i.id = b.instance_id
                WHERE b.instance_id = {provider} AND b.person_id = l.person_id AND b.state = 'linked'
                AND l.state = 'linked' AND v.status = 'active' AND v.removed_at IS NULL
                AND v.generation > i.purge_through)
            WHEN 2 THEN 1 WHEN 0 THEN 2 ELSE 3 END"
        )
    }

    /// Whether the account is of somebody from outside.
    fn external(&self, backend: DbBackend) -> String {
        if !self.owns_domains {
            return "CASE WHEN u.guest THEN 2 ELSE 3 END".into();
        }
        let at = if backend == DbBackend::Postgres { "strpos" } else { "instr" };
        format!(
            "CASE WHEN u.guest THEN 2 WHEN u.match_key IS NULL THEN 3
            WHEN substr(u.match_key, {at}(u.match_key, '@') + 1) IN (SELECT d.domain FROM owned_domain d) THEN 1 ELSE 2 END"
        )
    }

    /// Selects the listed accounts of the instance ($1), last seen after the run with a number ($2): id, status, code, and
    /// the licences that the code depends on, see [`Priced`].
    pub fn accounts(&self, asked: Asked, backend: DbBackend) -> String {
        let (mut people, mut others) = (String::from("0"), String::new());
        for (place, question) in questions().enumerate().filter(|(_, question)| asked.contains(*question)) {
            let is_off = matches!(question, Question::Finding(kind) if self.disabled.contains(&kind));
            if is_off {
                continue;
            }
            let unit = (1_i64 << (2 * place)).to_string();
            if let Some(digit) = self.of_people(question, backend) {
                people.extend([" + (", &digit, ") * ", &unit]);
            } else if let Some(digit) = self.of_others(question) {
                others.extend([" + (", digit, ") * ", &unit]);
            }
        }
        let admin = format!("(CASE WHEN u.is_admin THEN {} ELSE 0 END)", 1 << ADMIN_BIT);
        let (code, joins) = match asked {
            Asked::Everything => (
                format!(
                    "CASE WHEN u.status = 'active' AND COALESCE(l.kind, u.kind, 'human') = 'human' THEN {people}
                    ELSE (CASE COALESCE(l.kind, u.kind, 'human') WHEN 'service' THEN 1 WHEN 'shared' THEN 2
                        ELSE CASE u.status WHEN 'invited' THEN 3 WHEN 'suspended' THEN 4 ELSE 5 END END) * {} END
                    + {admin}{others}",
                    1 << SORT_BIT
                ),
                "LEFT JOIN account_link l ON l.user_id = u.id LEFT JOIN person p ON p.id = l.person_id",
            ),
            // Whose they are does not matter here, and a look for each of them would be most of the work.
            Asked::Activity | Asked::Nothing => (
                format!(
                    "CASE WHEN u.status = 'active' AND CASE
                        WHEN u.id IN (SELECT l.user_id FROM account_link l WHERE l.instance_id = $1 AND l.kind IS NOT NULL)
                        THEN (SELECT l.kind FROM account_link l WHERE l.user_id = u.id)
                        ELSE COALESCE(u.kind, 'human') END = 'human' THEN {people} ELSE 0 END + {admin}"
                ),
                "",
            ),
        };
        // Without a price, nobody asks for them, and there are fewer groups.
        let licenses = if self.priced.is_empty() { "CAST(NULL AS text)" } else { "u.licenses" };
        format!(
            "SELECT u.id AS id, u.status AS status, {licenses} AS licenses, {code} AS code FROM user_account u {joins}
            WHERE u.instance_id = $1 AND u.removed_at IS NULL AND u.generation > $2"
        )
    }

    /// The condition that a code has a finding.
    pub fn has_finding() -> String {
        format!("((code >> 1) & (~code) & {LOW_BITS}) <> 0")
    }
}

/// An id as a part of a statement.
fn literal(id: Uuid, backend: DbBackend) -> String {
    match backend {
        DbBackend::Postgres => format!("CAST('{id}' AS uuid)"),
        _ => format!("x'{}'", id.simple()),
    }
}
