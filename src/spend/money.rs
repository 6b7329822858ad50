//! Amounts of money: whole minor units of a currency, and exact arithmetic with them.

use std::fmt;

use iso_currency::Currency as Iso;

use crate::error::{Error, Result};

/// The largest amount that can be given, in minor units. With the limits of seats and months, no sum of amounts overflows.
pub const MOST: i64 = 1_000_000_000_000_000;
/// The longest period that an amount can be for.
pub const MOST_MONTHS: i32 = 120;
/// The most seats.
pub const MOST_SEATS: i64 = 100_000_000;
const MONTHS_OF_YEAR: i128 = 12;

/// A currency of ISO 4217 in which something can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    code: &'static str,
    /// How many decimal places its minor unit has.
    places: u32,
}

impl Currency {
    /// The currency with this code, in any case. Codes without a minor unit, such as those of metals, are none.
    pub fn find(code: &str) -> Option<Self> {
        let iso = Iso::from_code(&code.to_ascii_uppercase())?;
        Some(Self { code: iso.code(), places: iso.exponent()?.into() })
    }

    /// Of a stored row.
    pub fn stored(code: &str) -> Result<Self> {
        Self::find(code).ok_or_else(|| Error::Internal(format!("the stored currency {code:?} is not known").into()))
    }

    pub fn code(self) -> &'static str {
        self.code
    }

    /// Minor units from a decimal number, such as `250.00`.
    ///
    /// # Errors
    /// A sentence for the person who gave the number.
    pub fn parse(self, text: &str) -> Result<i64, String> {
        let Self { code, places } = self;
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(part) || text.ends_with('.') {
            return Err("An amount is a decimal number such as \"250.00\", without signs and separators.".into());
        }
        // Further zeros say nothing.
        let part = if part.len() > places as usize { part.trim_end_matches('0') } else { part };
        if part.len() > places as usize {
            return Err(match places {
                0 => format!("{code} has no decimal places."),
                places => {
                    format!("{code} has {places} decimal places: give a total for several seats if one costs less.")
                }
            });
        }
        let digits = format!("{whole}{part:0<width$}", width = places as usize);
        match digits.trim_start_matches('0') {
            "" => Some(0),
            digits => digits.parse().ok().filter(|amount| *amount <= MOST),
        }
        .ok_or_else(|| format!("An amount is at most {}.", self.format(MOST.into())))
    }

    /// The decimal number of an amount, always with all decimal places.
    pub fn format(self, minor: i128) -> String {
        let width = self.places as usize;
        let (sign, digits) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs().to_string());
        let digits = format!("{digits:0>least$}", least = width + 1);
        let (whole, part) = digits.split_at(digits.len() - width);
        if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

/// What a number of seats costs for a number of months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    pub currency: Currency,
    /// In minor units.
    pub amount: i64,
    /// How many seats the amount is for; at least 1.
    pub seats: i64,
    /// How many months the amount is for; at least 1.
    pub months: i32,
}

fn overflow() -> Error {
    Error::Internal("an amount of money is too large to be computed".into())
}

impl Price {
    /// What this many seats cost in a year, in minor units, rounded once: half a unit and more is rounded up.
    pub fn of_year(self, quantity: i64) -> Result<i128> {
        let Self { amount, seats, months, .. } = self;
        let period = i128::from(seats.max(1)) * i128::from(months.max(1));
        let product = i128::from(amount).checked_mul(quantity.into()).and_then(|it| it.checked_mul(MONTHS_OF_YEAR));
        let doubled = product.and_then(|it| it.checked_mul(2)).ok_or_else(overflow)?;
        Ok(doubled.checked_add(period).ok_or_else(overflow)?.div_euclid(2 * period))
    }
}

/// Adds amounts of one currency.
pub fn add(a: i128, b: i128) -> Result<i128> {
    a.checked_add(b).ok_or_else(overflow)
}

/// Divides an amount by weights, so that the parts add up to it. Each part is the exact share without its fraction, and
/// the minor units that are left go to the largest fractions, of equal ones to the first. Without any weight, the first
/// part gets everything.
pub fn divide(total: i128, weights: &[i64]) -> Result<Vec<i128>> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let mut parts = vec![0; weights.len()];
    if sum == 0 {
        if let Some(first) = parts.first_mut() {
            *first = total;
        }
        return Ok(parts);
    }
    let mut fractions = Vec::with_capacity(weights.len());
    let mut left = total;
    for (index, weight) in weights.iter().enumerate() {
        let share = total.checked_mul((*weight).into()).ok_or_else(overflow)?;
        parts[index] = share.div_euclid(sum);
        left -= parts[index];
        fractions.push((share.rem_euclid(sum), index));
    }
    fractions.sort_by(|(a, first), (b, second)| b.cmp(a).then(first.cmp(second)));
    let units = usize::try_from(left).unwrap_or(0);
    for (_, index) in fractions.into_iter().take(units) {
        parts[index] += 1;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::find(code).unwrap()
    }

    #[test]
    fn a_currency_has_the_decimal_places_of_the_standard() {
        for (code, places) in
            [("EUR", 2), ("usd", 2), ("JPY", 0), ("KRW", 0), ("ISK", 0), ("BHD", 3), ("TND", 3), ("CLF", 4)]
        {
            assert_eq!(currency(code).places, places, "{code}");
        }
        for code in ["", "EU", "EURO", "XXX", "XAU", "ZZZ", "€", "E\u{0}R"] {
            assert_eq!(Currency::find(code), None, "{code}");
        }
    }

    #[test]
    fn an_amount_comes_back_as_it_was_given_with_all_its_places() {
        for (code, given, minor, shown) in [
            ("EUR", "250.00", 25_000, "250.00"),
            ("EUR", "250", 25_000, "250.00"),
            ("EUR", "0.5", 50, "0.50"),
            ("EUR", "007.10", 710, "7.10"),
            ("EUR", "1.2000", 120, "1.20"),
            ("EUR", "0", 0, "0.00"),
            ("JPY", "1200", 1_200, "1200"),
            ("JPY", "1200.0", 1_200, "1200"),
            ("KWD", "1.234", 1_234, "1.234"),
            ("EUR", "10000000000000.00", MOST, "10000000000000.00"),
        ] {
            let currency = currency(code);
            assert_eq!(
                (currency.parse(given), currency.format(minor.into())),
                (Ok(minor), shown.to_owned()),
                "{given}"
            );
        }
        assert_eq!(currency("EUR").format(-5), "-0.05");
    }

    #[test]
    fn what_is_no_amount_of_the_currency_is_refused_with_a_reason() {
        for (code, text, reason) in [
            ("EUR", "", "decimal number"),
            ("EUR", "-1", "without signs"),
            ("EUR", "+1", "without signs"),
            ("EUR", "1,5", "separators"),
            ("EUR", "1e3", "decimal number"),
            ("EUR", "1.", "decimal number"),
            ("EUR", ".5", "decimal number"),
            ("EUR", " 1", "decimal number"),
            ("EUR", "١", "decimal number"),
            ("EUR", "1.005", "2 decimal places"),
            ("JPY", "0.5", "no decimal places"),
            ("EUR", "10000000000000.01", "at most 10000000000000.00"),
            ("EUR", &"9".repeat(100), "at most"),
        ] {
            let refused = currency(code).parse(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn a_price_is_for_a_year_whatever_it_was_given_for() {
        let price = |amount, seats, months| Price { currency: currency("EUR"), amount, seats, months };
        assert_eq!(price(1_000, 1, 1).of_year(3).unwrap(), 36_000);
        assert_eq!(price(12_000, 1, 12).of_year(3).unwrap(), 36_000);
        assert_eq!(price(36_000, 1, 36).of_year(1).unwrap(), 12_000);
        // A total of 100.00 for 3 seats: two of them cost 66.67.
        assert_eq!(price(10_000, 3, 12).of_year(2).unwrap(), 6_667);
        assert_eq!(price(10_000, 3, 12).of_year(3).unwrap(), 10_000);
        // Half a unit is rounded up.
        assert_eq!(price(1, 1, 24).of_year(1).unwrap(), 1);
        assert_eq!(price(1, 1, 36).of_year(1).unwrap(), 0);
        let largest = price(MOST, 1, 1).of_year(MOST_SEATS).unwrap();
        assert_eq!(largest, i128::from(MOST) * i128::from(MOST_SEATS) * 12);
        assert!(price(i64::MAX, 1, 1).of_year(i64::MAX).is_err(), "refused, and not wrong");
    }

    #[test]
    fn the_units_that_are_left_go_to_the_largest_fractions() {
        assert_eq!(divide(100, &[1, 1, 1]).unwrap(), [34, 33, 33]);
        assert_eq!(divide(10, &[1, 2, 3]).unwrap(), [2, 3, 5]);
        assert_eq!(divide(7, &[0, 0]).unwrap(), [7, 0]);
        assert_eq!(divide(0, &[]).unwrap(), Vec::<i128>::new());
    }

    proptest! {
        #[test]
        fn an_amount_survives_the_way_out_and_in(minor in 0..=MOST, code in "EUR|JPY|BHD|CLF|USD") {
            let currency = currency(&code);
            prop_assert_eq!(currency.parse(&currency.format(minor.into())), Ok(minor));
        }

        #[test]
        fn parts_add_up_to_the_total_and_are_within_a_unit_of_their_share(
            total in 0i128..=1_000_000_000_000_000_000,
            weights in prop::collection::vec(0i64..=MOST_SEATS, 1..30),
        ) {
            let parts = divide(total, &weights).unwrap();
            prop_assert_eq!(parts.iter().sum::<i128>(), total);
            let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
            if sum > 0 {
                for (part, weight) in parts.iter().zip(&weights) {
                    let distance = part * sum - total * i128::from(*weight);
                    prop_assert!(distance.abs() < sum, "{part} of {total} for {weight}");
                    prop_assert!(*weight > 0 || *part == 0);
                }
            }
        }

        #[test]
        fn more_seats_never_cost_less(amount in 0..=MOST, seats in 1..=MOST_SEATS, months in 1..=MOST_MONTHS, quantity in 0..MOST_SEATS) {
            let price = Price { currency: currency("EUR"), amount, seats, months };
            prop_assert!(price.of_year(quantity).unwrap() <= price.of_year(quantity + 1).unwrap());
            prop_assert_eq!(Price { months: 12, ..price }.of_year(seats).unwrap(), i128::from(amount));
        }
    }
}
