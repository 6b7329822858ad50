use proptest::prelude::*;

use super::*;

const ANN: Uuid = Uuid::from_u128(1);
const BOB: Uuid = Uuid::from_u128(2);
const HR: Uuid = Uuid::from_u128(10);

/// A settled company: one source, two domains of its own, a third that stands for the first, and tags.
fn company() -> Settings {
    let mut settings = Settings { strip_tags: true, ..Settings::default() };
    settings.ranks.insert(HR, 1);
    settings.owned.extend(["acme.example".to_owned(), "acme.test".to_owned()]);
    settings.declare_equivalent("acme.example", "acme.test");
    settings
}

fn account(address: &str) -> Account {
    Account { address: Some(address.to_owned()), address_since: 100, ..Account::default() }
}

fn always(rank: i32, person: Uuid) -> Claim {
    Claim { rank, person, from: 0, to: None }
}

fn given(address: &str, claims: &[Claim]) -> Claims {
    Claims { addresses: [(address.to_owned(), claims.to_vec())].into(), ..Claims::default() }
}

fn told(account: &Account, claims: &Claims, settings: &Settings) -> (Whose, Option<Rule>, State) {
    let Decision { whose, rule, state, evidence } = decide(account, None, None, claims, settings);
    assert_eq!(evidence.is_some(), rule.is_some(), "{whose:?}");
    (whose, rule, state)
}

#[test]
fn a_pin_wins_against_everything() {
    let claims = given("ann@acme.example", &[always(1, ANN)]);
    for (person, is_known, whose, state) in [
        (Some(BOB), true, Whose::Person(BOB), State::Linked),
        (Some(BOB), false, Whose::Nobody, State::Unmatched),
        (None, true, Whose::Nobody, State::Nobody),
    ] {
        let pin = Pin { person, is_known, evidence: "ada".into() };
        let found = decide(&account("ann@acme.example"), Some(&pin), Some(ANN), &claims, &company());
        assert_eq!((found.whose, found.rule, found.state), (whose, Some(Rule::Pin), state));
    }
}

#[test]
fn an_account_of_a_source_is_the_persons_of_the_source_whatever_its_address_says() {
    let claims = given("ann@acme.example", &[always(1, ANN)]);
    let found = decide(&account("ann@acme.example"), None, Some(BOB), &claims, &company());
    assert_eq!((found.whose, found.rule), (Whose::Person(BOB), Some(Rule::Source)));
}

#[test]
fn a_source_id_decides_before_the_address_if_it_is_one_persons() {
    let mut claims = given("ann@acme.example", &[always(1, ANN)]);
    let account = Account { source_id: Some("7".into()), ..account("ann@acme.example") };
    for (ids, expected) in [
        (vec![always(1, BOB)], (BOB, Rule::SourceId)),
        (vec![always(2, ANN), always(1, BOB)], (BOB, Rule::SourceId)),
        (vec![always(1, BOB), always(1, BOB)], (BOB, Rule::SourceId)),
        (vec![always(1, ANN), always(1, BOB)], (ANN, Rule::Address)),
    ] {
        claims.ids = [("7".to_owned(), ids)].into();
        let (whose, rule, state) = told(&account, &claims, &company());
        assert_eq!((whose, rule, state), (Whose::Person(expected.0), Some(expected.1), State::Linked));
    }
}

#[test]
fn an_address_is_that_of_its_holder_when_the_account_was_first_seen() {
    let claim = |person, from, to| Claim { rank: 1, person, from, to };
    for (claims, whose, state) in [
        (vec![claim(ANN, 0, None)], Whose::Person(ANN), State::Linked),
        // Handed over before the account was seen.
        (vec![claim(ANN, 0, Some(50)), claim(BOB, 50, None)], Whose::Person(BOB), State::Linked),
        (vec![claim(ANN, 0, Some(100)), claim(BOB, 100, None)], Whose::Person(BOB), State::Linked),
        // And while it was there.
        (vec![claim(ANN, 0, Some(101)), claim(BOB, 101, None)], Whose::Person(ANN), State::Conflict),
        // It came back.
        (
            vec![claim(ANN, 0, Some(110)), claim(BOB, 110, Some(120)), claim(ANN, 120, None)],
            Whose::Person(ANN),
            State::Linked,
        ),
        // Two have it at once.
        (vec![claim(ANN, 0, None), claim(BOB, 0, None)], Whose::Nobody, State::Conflict),
        (vec![claim(ANN, 0, None), claim(BOB, 101, None)], Whose::Person(ANN), State::Conflict),
        // Two had it, until one gave it up.
        (vec![claim(ANN, 0, Some(120)), claim(BOB, 0, None)], Whose::Person(BOB), State::Linked),
    ] {
        let found = told(&account("a@acme.example"), &given("a@acme.example", &claims), &company());
        assert_eq!(found, (whose, Some(Rule::Address), state), "{claims:?}");
    }
}

#[test]
fn of_several_sources_the_one_with_the_lowest_rank_has_the_last_word() {
    let claims = given("a@acme.example", &[always(2, ANN), always(1, BOB)]);
    assert_eq!(told(&account("a@acme.example"), &claims, &company()).0, Whose::Person(BOB));
    let claims = given("a@acme.example", &[always(1, ANN), always(1, BOB)]);
    assert_eq!(told(&account("a@acme.example"), &claims, &company()).2, State::Conflict);
}

#[test]
fn an_equivalent_domain_and_a_tag_find_the_same_person_one_at_a_time() {
    let claims = given("ann@acme.test", &[always(1, ANN)]);
    let linked = |rule| (Whose::Person(ANN), Some(rule), State::Linked);
    let unmatched = (Whose::Nobody, None, State::Unmatched);
    for (address, expected) in [
        ("ann@acme.test", linked(Rule::Address)),
        ("ann@acme.example", linked(Rule::EquivalentDomain)),
        ("ann+news@acme.test", linked(Rule::Tag)),
        // Rules are not combined.
        ("ann+news@acme.example", unmatched.clone()),
        ("ann.b@acme.test", unmatched.clone()),
        ("+ann@acme.test", unmatched),
    ] {
        assert_eq!(told(&account(address), &claims, &company()), expected, "{address}");
    }
    let plain = Settings { strip_tags: false, equivalents: BTreeMap::new(), ..company() };
    for address in ["ann@acme.example", "ann+news@acme.test"] {
        assert_eq!(told(&account(address), &claims, &plain).2, State::Unmatched, "{address}");
    }
}

#[test]
fn without_a_source_an_owned_address_stands_for_a_person_and_a_foreign_one_always_does() {
    let nobody = Claims::default();
    let at = |is_external, rule| (Whose::AtAddress { is_external }, Some(rule), State::Linked);
    let (mut without_source, mut without_domain) = (company(), company());
    without_source.ranks.clear();
    without_domain.owned.clear();
    for (settings, address, expected) in [
        (&without_source, "ann@acme.test", at(Some(false), Rule::OwnedAddress)),
        (&without_source, "ann@else.test", at(Some(true), Rule::ForeignAddress)),
        (&company(), "ann@else.test", at(Some(true), Rule::ForeignAddress)),
        (&company(), "ann@acme.test", (Whose::Nobody, None, State::Unmatched)),
        (&without_domain, "ann@acme.test", at(None, Rule::ForeignAddress)),
    ] {
        assert_eq!(told(&account(address), &nobody, settings), expected, "{address}");
    }
}

#[test]
fn a_program_is_somebodys_only_if_a_source_says_so() {
    let of = |kind| Account { kind: Some(kind), ..account("bot@else.test") };
    let claims = given("bot@else.test", &[always(1, ANN)]);
    for kind in [AccountKind::Service, AccountKind::Shared] {
        assert_eq!(told(&of(kind), &claims, &company()).0, Whose::Person(ANN));
        assert_eq!(told(&of(kind), &Claims::default(), &company()).2, State::NotPersonal);
        let unaddressed = Account { address: None, ..of(kind) };
        assert_eq!(told(&unaddressed, &claims, &company()).2, State::NotPersonal);
    }
    assert_eq!(told(&of(AccountKind::Human), &Claims::default(), &company()).1, Some(Rule::ForeignAddress));
    assert_eq!(told(&Account::default(), &claims, &company()).2, State::NoAddress);
}

proptest! {
    /// The claims of the sources come in any order.
    #[test]
    fn the_decision_is_the_same_in_any_order_of_what_is_known(
        claims in prop::collection::vec((0..3_i32, 1..4_u128, 0..5_i64, prop::option::of(0..9_i64)), 0..6),
        ids in prop::collection::vec((0..3_i32, 1..4_u128), 0..4),
        since in 0..9_i64,
        turn in 0..6_usize,
    ) {
        let claims: Vec<Claim> = claims
            .into_iter()
            .map(|(rank, person, from, length)| {
                Claim { rank, person: Uuid::from_u128(person), from, to: length.map(|length| from + length) }
            })
            .collect();
        let ids: Vec<Claim> = ids.into_iter().map(|(rank, person)| always(rank, Uuid::from_u128(person))).collect();
        let known = |claims: Vec<Claim>, ids: Vec<Claim>| Claims {
            ids: [("7".to_owned(), ids)].into(),
            addresses: [("a@acme.example".to_owned(), claims)].into(),
        };
        let account = Account { source_id: Some("7".into()), address_since: since, ..account("a@acme.example") };
        let first = decide(&account, None, None, &known(claims.clone(), ids.clone()), &company());
        let turned = |mut all: Vec<Claim>| {
            let by = turn % all.len().max(1);
            all.rotate_left(by);
            all.reverse();
            all
        };
        prop_assert_eq!(decide(&account, None, None, &known(turned(claims), turned(ids)), &company()), first);
    }
}

#[test]
fn an_erased_account_is_nobodys_whatever_else_holds() {
    let person = Uuid::now_v7();
    let pin = Pin { person: Some(person), is_known: true, evidence: "x".into() };
    let account = Account { is_erased: true, ..account("ann@acme.example") };
    let decision = decide(&account, Some(&pin), Some(person), &Claims::default(), &Settings::default());
    assert_eq!((decision.whose, decision.rule, decision.state), (Whose::Nobody, None, State::Nobody));
}
