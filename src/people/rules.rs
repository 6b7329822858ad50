//! Whose an account is: the ordered rules, as a pure function of the account, what members have decided, and what people
//! sources say. The first rule that holds decides. Nothing here depends on other accounts, or on the order of syncs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use entity::account_link::{Rule, State};
use entity::user::AccountKind;
use uuid::Uuid;

/// What is known of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub source_id: Option<String>,
    /// The match key of the address.
    pub address: Option<String>,
    /// Since when it has this address.
    pub address_since: i64,
    /// As the application, or else a member, says it.
    pub kind: Option<AccountKind>,
    /// Whether its person was erased.
    pub is_erased: bool,
}

/// Whether an account may be the only thing that is known of a person.
pub fn is_personal(kind: Option<AccountKind>) -> bool {
    match kind {
        Some(AccountKind::Service | AccountKind::Shared) => false,
        Some(AccountKind::Human) | None => true,
    }
}

/// What administrators say about addresses and sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The rank of each people source. The lowest has the last word.
    pub ranks: BTreeMap<Uuid, i32>,
    pub owned: BTreeSet<String>,
    /// The domains that are equivalent to a domain.
    pub equivalents: BTreeMap<String, BTreeSet<String>>,
    pub strip_tags: bool,
}

impl Settings {
    /// Whether an address is in an owned domain; `None` if no domain is declared.
    pub fn owns(&self, address: &str) -> Option<bool> {
        let (_, domain) = address.rsplit_once('@')?;
        (!self.owned.is_empty()).then(|| self.owned.contains(domain))
    }

    /// The same address in each equivalent domain.
    pub fn equivalents(&self, address: &str) -> Vec<String> {
        let Some((local, domain)) = address.rsplit_once('@') else { return Vec::new() };
        self.equivalents.get(domain).into_iter().flatten().map(|other| format!("{local}@{other}")).collect()
    }

    /// The address without its tag, if that is looked for.
    pub fn untagged(&self, address: &str) -> Option<String> {
        let (local, domain) = address.rsplit_once('@').filter(|_| self.strip_tags)?;
        let (plain, _) = local.split_once('+').filter(|(plain, _)| !plain.is_empty())?;
        self.owned.contains(domain).then(|| format!("{plain}@{domain}"))
    }

    /// Every address by which a source may know the account.
    pub fn addresses(&self, address: &str) -> Vec<String> {
        let mut all = vec![address.to_owned()];
        all.extend(self.equivalents(address));
        all.extend(self.untagged(address));
        all
    }

    /// Declares that each of two domains stands for the other.
    pub fn declare_equivalent(&mut self, domain: &str, same_as: &str) {
        for (one, other) in [(domain, same_as), (same_as, domain)] {
            self.equivalents.entry(one.to_owned()).or_default().insert(other.to_owned());
        }
    }
}

/// What a member has decided about whose an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// `None` for nobody.
    pub person: Option<Uuid>,
    /// Whether the person is known at present.
    pub is_known: bool,
    pub evidence: String,
}

/// A claim of a source: it gives a person something, at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub rank: i32,
    pub person: Uuid,
    pub from: i64,
    /// `None` for a claim that is still valid.
    pub to: Option<i64>,
}

/// What the sources say, by source id and by address.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub ids: HashMap<String, Vec<Claim>>,
    pub addresses: HashMap<String, Vec<Claim>>,
}

/// Whose an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    Nobody,
    Person(Uuid),
    /// The person whom no source has, and who is known by the account's address.
    AtAddress {
        is_external: Option<bool>,
    },
}

/// The decision about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub whose: Whose,
    pub rule: Option<Rule>,
    pub state: State,
    pub evidence: Option<String>,
}

impl Decision {
    fn of(rule: Rule, person: Uuid, evidence: &str) -> Self {
        let whose = Whose::Person(person);
        Self { whose, rule: Some(rule), state: State::Linked, evidence: Some(evidence.to_owned()) }
    }

    fn nobody(state: State) -> Self {
        Self { whose: Whose::Nobody, rule: None, state, evidence: None }
    }
}

/// Decides. `own` is the person who is the account, if its instance is a people source.
pub fn decide(
    account: &Account,
    pin: Option<&Pin>,
    own: Option<Uuid>,
    claims: &Claims,
    settings: &Settings,
) -> Decision {
    if account.is_erased {
        return Decision::nobody(State::Nobody);
    }
    if let Some(pin) = pin {
        return pinned(pin);
    }
    if let Some(person) = own {
        return Decision { evidence: None, ..Decision::of(Rule::Source, person, "") };
    }
    if let Some(decision) = by_source_id(account, claims) {
        return decision;
    }
    let Some(address) = &account.address else {
        let state = if is_personal(account.kind) { State::NoAddress } else { State::NotPersonal };
        return Decision::nobody(state);
    };
    if let Some(decision) = by_address(account, address, claims, settings) {
        return decision;
    }
    if !is_personal(account.kind) {
        return Decision::nobody(State::NotPersonal);
    }
    let (rule, is_external) = match settings.owns(address) {
        Some(true) if settings.ranks.is_empty() => (Rule::OwnedAddress, Some(false)),
        Some(true) => return Decision::nobody(State::Unmatched),
        Some(false) => (Rule::ForeignAddress, Some(true)),
        None => (Rule::ForeignAddress, None),
    };
    let evidence = Some(address.clone());
    Decision { whose: Whose::AtAddress { is_external }, rule: Some(rule), state: State::Linked, evidence }
}

fn pinned(pin: &Pin) -> Decision {
    let (whose, state) = match pin.person {
        Some(person) if pin.is_known => (Whose::Person(person), State::Linked),
        Some(_) => (Whose::Nobody, State::Unmatched),
        None => (Whose::Nobody, State::Nobody),
    };
    Decision { whose, rule: Some(Rule::Pin), state, evidence: Some(pin.evidence.clone()) }
}

/// Ids are not given to others, so that all claims count, however old.
fn by_source_id(account: &Account, claims: &Claims) -> Option<Decision> {
    let id = account.source_id.as_ref()?;
    match holders(claims.ids.get(id)?, |_| true)[..] {
        [person] => Some(Decision::of(Rule::SourceId, person, id)),
        _ => None,
    }
}

fn by_address(account: &Account, address: &str, claims: &Claims, settings: &Settings) -> Option<Decision> {
    let of = |addresses: Vec<String>| {
        let found = addresses.into_iter().filter_map(|address| {
            let claims = claims.addresses.get(&address).filter(|claims| !claims.is_empty())?;
            Some((address, claims.clone()))
        });
        found.reduce(|(first, mut all), (_, more)| {
            all.extend(more);
            (first, all)
        })
    };
    [
        (Rule::Address, vec![address.to_owned()]),
        (Rule::EquivalentDomain, settings.equivalents(address)),
        (Rule::Tag, settings.untagged(address).into_iter().collect()),
    ]
    .into_iter()
    .find_map(|(rule, addresses)| {
        let (evidence, claims) = of(addresses)?;
        held(rule, &claims, account.address_since, &evidence)
    })
}

/// Whose an address is, since a time. An account stays with the person who had its address then; if somebody else has
/// the address by now, that is a conflict.
fn held(rule: Rule, claims: &[Claim], since: i64, evidence: &str) -> Option<Decision> {
    let then = holders(claims, |claim| claim.from <= since && claim.to.is_none_or(|to| since < to));
    let now = holders(claims, |claim| claim.to.is_none());
    let person = match (&then[..], &now[..]) {
        ([], []) => return None,
        ([], [now]) => Some((*now, State::Linked)),
        ([then], [now]) if then == now => Some((*then, State::Linked)),
        ([then], _) => Some((*then, State::Conflict)),
        (many, [now]) if many.contains(now) => Some((*now, State::Linked)),
        _ => None,
    };
    Some(match person {
        Some((person, state)) => Decision { state, ..Decision::of(rule, person, evidence) },
        None => Decision { rule: Some(rule), evidence: Some(evidence.to_owned()), ..Decision::nobody(State::Conflict) },
    })
}

/// The people of the claims that count, in the sources of the lowest rank that has one.
fn holders(claims: &[Claim], counts: impl Fn(&Claim) -> bool) -> Vec<Uuid> {
    let claims: Vec<&Claim> = claims.iter().filter(|claim| counts(claim)).collect();
    let rank = claims.iter().map(|claim| claim.rank).min();
    let best = claims.into_iter().filter(|claim| Some(claim.rank) == rank);
    best.map(|claim| claim.person).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests;
