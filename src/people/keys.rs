//! Who has an address, as one people source says it: a pure function of what the source said before and says now.
//!
//! An account keeps an address that the source no longer gives it, until another account gets the address. So accounts of
//! somebody who has left, or who has a new name, stay that person's. When another account gets it, the claim of the first
//! one ends, and the new one begins then.

/// A claim of an account of the source on one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The account's external id.
    pub account: String,
    /// Whether the source gives the address to the account still.
    pub listed: bool,
    /// Whether the source lists the account, and has not suspended it.
    pub present: bool,
    pub from: i64,
    pub to: Option<i64>,
    /// The time of the run that found it.
    pub recorded_at: i64,
}

impl Claim {
    fn is_open(&self) -> bool {
        self.to.is_none()
    }

    fn is_live(&self) -> bool {
        self.listed && self.present
    }
}

/// Adds the claim of an account to those on an address, in the run of the time `at`. An account that has the address
/// already keeps its claim.
pub fn add(claims: &mut Vec<Claim>, account: &str, present: bool, at: i64) {
    // An account that had lost it before the same run came to it has it still.
    let is_own = |claim: &&mut Claim| claim.account == account && (claim.is_open() || claim.to == Some(at));
    if let Some(known) = claims.iter_mut().find(is_own) {
        (known.listed, known.to) = (true, None);
        return;
    }
    // What the same run has found was true together, before anybody looked.
    let is_taken = claims.iter().any(|claim| claim.is_open() && claim.recorded_at < at);
    let ended = claims.iter().filter_map(|claim| claim.to).max().unwrap_or(0);
    let from = if is_taken { at } else { ended };
    claims.push(Claim { account: account.to_owned(), listed: true, present, from, to: None, recorded_at: at });
}

/// Ends the claims of those who have lost the address to somebody else. What the same run has ended is looked at again,
/// because the run may have more to say.
pub fn settle(claims: &mut Vec<Claim>, at: i64) {
    for claim in claims.iter_mut().filter(|claim| claim.to == Some(at)) {
        claim.to = None;
    }
    let live = claims.iter().any(|claim| claim.is_open() && claim.is_live());
    let first = claims
        .iter()
        .filter(|claim| claim.is_open())
        .min_by(|one, other| (one.recorded_at, &one.account).cmp(&(other.recorded_at, &other.account)))
        .map(|claim| claim.account.clone());
    // Of those who are all gone, the first one keeps it.
    let loses = |claim: &Claim| {
        claim.is_open() && if live { !claim.is_live() } else { first.as_deref() != Some(&claim.account) }
    };
    // Somebody who had lost it when the run looked never had it, as far as anybody knows.
    claims.retain(|claim| !(loses(claim) && claim.recorded_at >= at));
    if live {
        for claim in claims.iter_mut().filter(|claim| claim.is_open() && !claim.is_live()) {
            claim.to = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    use super::*;

    /// What the source says of each account in one run: whether it gives it the address, and whether it is there.
    type Said = BTreeMap<&'static str, (bool, bool)>;

    /// Processes a run, with the accounts in this order.
    fn hear(claims: &mut Vec<Claim>, said: &Said, order: &[&'static str], at: i64) {
        for account in order {
            let Some((listed, present)) = said.get(account) else { continue };
            for claim in claims.iter_mut().filter(|claim| claim.account == *account) {
                (claim.listed, claim.present) = (*listed, *present);
            }
            if *listed {
                add(claims, account, *present, at);
            }
            settle(claims, at);
        }
        claims.sort_by(|one, other| (one.from, &one.account).cmp(&(other.from, &other.account)));
    }

    /// Who has the address from when to when, after runs at 10, 20, ….
    fn story(runs: &[&[(&'static str, bool, bool)]]) -> Vec<(String, i64, Option<i64>)> {
        let mut claims = Vec::new();
        for (at, run) in (1..).zip(runs) {
            let said: Said = run.iter().map(|(account, listed, present)| (*account, (*listed, *present))).collect();
            let order: Vec<_> = said.keys().copied().collect();
            hear(&mut claims, &said, &order, 10 * at);
        }
        claims.into_iter().map(|claim| (claim.account, claim.from, claim.to)).collect()
    }

    fn has(account: &str, from: i64, to: Option<i64>) -> (String, i64, Option<i64>) {
        (account.to_owned(), from, to)
    }

    #[test]
    fn an_address_is_kept_until_somebody_else_gets_it() {
        let there = ("ann", true, true);
        assert_eq!(story(&[&[there]]), [has("ann", 0, None)]);
        // Left, or renamed.
        assert_eq!(story(&[&[there], &[("ann", true, false)]]), [has("ann", 0, None)]);
        assert_eq!(story(&[&[there], &[("ann", false, true)]]), [has("ann", 0, None)]);
        let handed = [has("ann", 0, Some(20)), has("bob", 20, None)];
        assert_eq!(story(&[&[there], &[("ann", true, false), ("bob", true, true)]]), handed);
        assert_eq!(story(&[&[there], &[("ann", false, true), ("bob", true, true)]]), handed);
    }

    #[test]
    fn who_had_lost_it_before_anybody_looked_never_had_it() {
        assert_eq!(story(&[&[("ann", true, false), ("bob", true, true)]]), [has("bob", 0, None)]);
        assert_eq!(story(&[&[("bob", true, false), ("ann", true, true)]]), [has("ann", 0, None)]);
    }

    #[test]
    fn two_who_are_there_both_have_it_until_one_goes() {
        let both: &[_] = &[("ann", true, true), ("bob", true, true)];
        assert_eq!(story(&[both]), [has("ann", 0, None), has("bob", 0, None)]);
        let one_goes: &[_] = &[("ann", true, false)];
        assert_eq!(story(&[both, one_goes]), [has("ann", 0, Some(20)), has("bob", 0, None)]);
    }

    #[test]
    fn it_can_come_back() {
        let (ann, bob) = (("ann", true, true), ("bob", true, true));
        let (no_ann, no_bob) = (("ann", false, true), ("bob", false, true));
        assert_eq!(
            story(&[&[ann], &[no_ann, bob], &[ann, no_bob]]),
            [has("ann", 0, Some(20)), has("bob", 20, Some(30)), has("ann", 30, None)]
        );
    }

    #[test]
    fn whoever_comes_back_when_somebody_else_gets_it_has_it_all_the_time() {
        let run: Said = [("ann", (true, true)), ("bob", (true, true))].into();
        for order in [["ann", "bob"], ["bob", "ann"]] {
            let mut claims = Vec::new();
            hear(&mut claims, &[("ann", (true, false))].into(), &["ann"], 10);
            hear(&mut claims, &run, &order, 20);
            let found: Vec<_> = claims.into_iter().map(|claim| (claim.account, claim.from, claim.to)).collect();
            assert_eq!(found, [has("ann", 0, None), has("bob", 20, None)], "{order:?}");
        }
    }

    const PEOPLE: [&str; 3] = ["ann", "bob", "cem"];

    proptest! {
        #[test]
        fn the_order_of_the_accounts_in_a_run_does_not_matter(
            runs in prop::collection::vec(prop::collection::vec((0..3_usize, any::<bool>(), any::<bool>()), 0..4), 1..5),
            turn in 0..3_usize,
        ) {
            let (mut straight, mut turned) = (Vec::new(), Vec::new());
            let mut order = PEOPLE;
            order.rotate_left(turn);
            order.reverse();
            for (at, run) in (1..).zip(&runs) {
                let said: Said = run.iter().map(|(who, listed, present)| (PEOPLE[*who], (*listed, *present))).collect();
                hear(&mut straight, &said, &PEOPLE, at);
                hear(&mut turned, &said, &order, at);
                prop_assert_eq!(&straight, &turned);
                let open: Vec<&Claim> = straight.iter().filter(|claim| claim.is_open()).collect();
                let live = open.iter().filter(|claim| claim.is_live()).count();
                // Whoever is gone has it only if nobody else does.
                prop_assert!(live == 0 || open.len() == live, "{:?}", straight);
                prop_assert!(straight.is_empty() || !open.is_empty(), "{:?}", straight);
                // A run that is processed again changes nothing.
                let before = straight.clone();
                hear(&mut straight, &said, &PEOPLE, at);
                prop_assert_eq!(&straight, &before);
            }
        }
    }
}
