use entity::{license_count, license_tally, price};
use proptest::prelude::*;

use super::*;
use crate::spend::facts::Seats;

fn price(code: &str, amount: i64) -> Price {
    Price { currency: Currency::find(code).unwrap(), amount, seats: 1, months: 12 }
}

/// A licence with this many holders; with `None`, nobody's licences are known.
fn license(integration: &str, name: &str, holders: Option<i64>) -> License {
    let instance_id = Uuid::nil();
    let untold = if holders.is_some() { 0 } else { 5 };
    let tally = license_tally::Model { accounts: 5, untold, ..license_tally::Model::none(instance_id, -1) };
    let count = |active| license_count::Model { active, ..license_count::Model::none(instance_id, name.into()) };
    License {
        instance_id,
        integration_key: integration.into(),
        name: name.into(),
        tally: Some(tally),
        count: holders.map(count),
        price: None,
        lines: Vec::new(),
    }
}

fn at(license: License, price: Price) -> License {
    let row = price::Model {
        instance_id: license.instance_id,
        license: license.name.clone(),
        currency: price.currency.code().into(),
        amount: price.amount,
        seats: None,
        months: price.months,
        updated_at: 0,
    };
    License { price: Some((price, row)), ..license }
}

fn with(license: License, lines: &[(i64, Option<Price>)]) -> License {
    let lines = lines.iter().map(|(seats, price)| Seats { seats: *seats, price: *price }).collect();
    License { lines, ..license }
}

fn cost(held: i128, free: i128, unknown: i128, quantity: i64) -> Cost {
    Cost { held, free, unknown, quantity }
}

fn costs(license: &License) -> Vec<Cost> {
    license.bill().unwrap().lines.into_iter().map(|line| line.cost).collect()
}

#[test]
fn without_a_contract_holders_are_paid_for_and_with_one_seats_as_well() {
    let ten = price("EUR", 1_000);
    let priced = |holders| at(license("a", "A", Some(holders)), ten);
    assert_eq!(costs(&priced(3)), [cost(3_000, 0, 0, 3)]);
    assert_eq!(costs(&with(priced(3), &[(5, None)])), [cost(3_000, 2_000, 0, 5)]);
    assert_eq!(costs(&with(priced(7), &[(5, None)])), [cost(7_000, 0, 0, 7)], "over-use is not clipped");
    // The price of the contract counts first.
    assert_eq!(costs(&with(priced(3), &[(5, Some(price("EUR", 800)))])), [cost(2_400, 1_600, 0, 5)]);
    let unknown = with(at(license("a", "A", None), ten), &[(5, None)]);
    assert_eq!((costs(&unknown), unknown.free(), unknown.seats()), (vec![cost(0, 0, 5_000, 5)], None, Some(5)));
}

#[test]
fn holders_fill_contracts_in_their_order_and_the_last_one_has_those_beyond() {
    let lines = [(5, Some(price("EUR", 100))), (10, Some(price("USD", 200)))];
    let of = |holders| costs(&with(license("a", "A", Some(holders)), &lines));
    assert_eq!(of(3), [cost(300, 200, 0, 5), cost(0, 2_000, 0, 10)]);
    assert_eq!(of(9), [cost(500, 0, 0, 5), cost(800, 1_200, 0, 10)]);
    assert_eq!(of(16), [cost(500, 0, 0, 5), cost(2_200, 0, 0, 11)]);
    let both = with(license("a", "A", Some(16)), &lines);
    assert_eq!((both.seats(), both.free(), both.over()), (Some(15), Some(0), Some(1)));
}

#[test]
fn what_has_no_price_is_listed_and_costs_nothing() {
    let unpriced = |license: &License| {
        let bill = license.bill().unwrap();
        (bill.lines.len(), bill.unpriced.map(|it| (it.reason, it.quantity)))
    };
    let held = license("a", "A", Some(3));
    assert_eq!(unpriced(&held), (0, Some((Reason::NoPrice, Some(3)))));
    assert_eq!((held.seats(), held.free(), held.over()), (None, None, None), "no contract is not unlimited");
    assert_eq!(unpriced(&with(held, &[(5, None)])), (0, Some((Reason::NoPrice, Some(5)))));
    let known_price = at(license("a", "A", None), price("EUR", 100));
    assert_eq!(unpriced(&known_price), (0, Some((Reason::HoldersUnknown, None))));
}

fn some_license() -> impl Strategy<Value = License> {
    let money = || prop::option::of((prop_oneof!["EUR", "JPY"], 0..=money::MOST, 1..40_i64, 1..=money::MOST_MONTHS));
    let of = |money: Option<(String, i64, i64, i32)>| {
        money.map(|(code, amount, seats, months)| Price { seats, months, ..price(&code, amount) })
    };
    let lines = prop::collection::vec((0..2_000_i64, money()), 0..4);
    ("[ab]", "[A-C]", prop::option::of(0..2_000_i64), money(), lines).prop_map(move |(key, name, held, own, lines)| {
        let lines: Vec<_> = lines.into_iter().map(|(seats, money)| (seats, of(money))).collect();
        let license = with(license(&key, &name, held), &lines);
        match of(own) {
            Some(price) => at(license, price),
            None => license,
        }
    })
}

proptest! {
    #[test]
    fn the_groups_of_every_report_add_up_to_its_totals(licenses in prop::collection::vec(some_license(), 0..30)) {
        let by = |group_by| sum_up(&licenses, &Holders::new(), group_by, true).unwrap();
        let (of_applications, of_licenses) = (by(GroupBy::Application), by(GroupBy::License));
        prop_assert_eq!(&of_applications.totals, &of_licenses.totals);
        prop_assert_eq!(&of_applications.unpriced, &of_licenses.unpriced);
        for group_by in [GroupBy::Department, GroupBy::Person] {
            prop_assert_eq!(&by(group_by).totals, &of_licenses.totals);
        }
        for report in [of_applications, of_licenses, by(GroupBy::Department), by(GroupBy::Person)] {
            for (currency, total) in &report.totals {
                let mut sum = Cost::default();
                for bucket in report.buckets.iter().filter(|bucket| bucket.currency == *currency) {
                    sum.add(bucket.cost).unwrap();
                }
                prop_assert_eq!(sum, *total);
            }
            let amounts: Vec<_> = report.buckets.iter().map(|it| (it.currency.code(), -it.cost.amount().unwrap())).collect();
            prop_assert!(amounts.is_sorted());
        }
    }

    #[test]
    fn a_bill_pays_for_the_larger_of_seats_and_holders(license in some_license()) {
        let bill = license.bill().unwrap();
        let priced: i64 = bill.lines.iter().map(|line| line.cost.quantity).sum();
        let quantity = match (license.seats(), license.assigned()) {
            (Some(seats), held) => seats.max(held.unwrap_or(0)),
            (None, held) => held.unwrap_or(0),
        };
        let without = bill.unpriced.and_then(|it| it.quantity).unwrap_or(0);
        prop_assert_eq!(priced + without, quantity);
    }
}
