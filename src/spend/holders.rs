//! Divides what is held of a licence among those who hold it.
//!
//! Every holder of a licence pays the same share of each currency. Among departments, the minor units that are left go to
//! the largest fractions. People are read by pages, so each of their accounts pays the share without its fraction, and
//! what is left is a group of its own.
//!
//! **Suppressed.** A caller who may not see people sees no cell of fewer than [`FEWEST`] people. A cell is a licence and a
//! department. Sums of larger cells tell nothing about smaller ones, whatever is filtered. If the suppressed cells of a
//! licence have fewer people together, the smallest other one is suppressed as well, so that no difference shows them.

use std::collections::BTreeMap;

use entity::license_group::{Kind, Model};

use super::facts::{Key, License};
use super::money::{self, Currency};
use super::report::{Cost, Group, Line, Quantities, Rest};
use crate::error::Result;

/// The least number of people of a cell that is shown to a caller who may not see people.
pub const FEWEST: i64 = 5;

/// What one account pays for a licence that it holds.
pub type Rates = BTreeMap<Key, Vec<(Currency, Cost)>>;

type Part = (Group, Currency, Cost);

/// The costs of a licence in one currency, and of how many licences and seats.
type Sum = (Currency, Cost, Quantities);

/// The lines of a licence by their currencies.
fn sums(lines: &[Line]) -> Result<Vec<Sum>> {
    let mut sums: Vec<Sum> = Vec::new();
    for line in lines {
        if !sums.iter().any(|(currency, ..)| *currency == line.currency) {
            sums.push((line.currency, Cost::default(), Quantities::default()));
        }
        for (_, cost, quantities) in sums.iter_mut().filter(|(currency, ..)| *currency == line.currency) {
            cost.add(line.cost)?;
            quantities.held = quantities.held.saturating_add(line.quantities.held);
            quantities.free = quantities.free.saturating_add(line.quantities.free);
            quantities.unknown = quantities.unknown.saturating_add(line.quantities.unknown);
        }
    }
    Ok(sums)
}

/// Some of those who hold a licence.
#[derive(Clone, Debug)]
struct Cell {
    group: Group,
    holders: i64,
    people: i64,
}

/// Who holds a licence. Holders of whom nothing was counted have no person, as far as it is known.
fn cells(license: &License, groups: Option<&Vec<Model>>) -> Vec<Cell> {
    let cell = |group: &Model| Cell {
        group: match group.kind {
            Kind::Department => Group::Department(group.department.clone()),
            Kind::NoDepartment => Group::Rest(Rest::NoDepartment),
            Kind::Unmatched => Group::Rest(Rest::Unmatched),
        },
        holders: group.holders,
        people: group.people,
    };
    let mut cells: Vec<Cell> = groups.into_iter().flatten().map(cell).collect();
    let counted: i64 = cells.iter().map(|cell| cell.holders).sum();
    let left = license.assigned().unwrap_or(0) - counted;
    if left > 0 {
        cells.push(Cell { group: Group::Rest(Rest::Unmatched), holders: left, people: left });
    }
    cells
}

/// Suppresses the cells of too few people, and so many more that they are not too few together.
fn suppress(cells: &mut [Cell]) {
    let mut suppressed = 0;
    let hide = |cell: &mut Cell| {
        cell.group = Group::Rest(Rest::Suppressed);
        cell.people
    };
    for cell in cells.iter_mut().filter(|cell| cell.people < FEWEST) {
        suppressed += hide(cell);
    }
    if (1..FEWEST).contains(&suppressed) {
        let others = cells.iter_mut().filter(|cell| cell.group != Group::Rest(Rest::Suppressed));
        if let Some(smallest) = others.min_by(|a, b| (a.people, &a.group).cmp(&(b.people, &b.group))) {
            hide(smallest);
        }
    }
}

/// What nobody holds, or nobody knows who does.
fn unheld((currency, cost, quantities): Sum) -> impl Iterator<Item = Part> {
    let free = Cost { free: cost.free, quantity: quantities.free, ..Cost::default() };
    let unknown = Cost { unknown: cost.unknown, quantity: quantities.unknown, ..Cost::default() };
    let parts = [(Rest::FreeSeats, free), (Rest::UnknownHolders, unknown)];
    parts
        .into_iter()
        .filter(|(_, cost)| *cost != Cost::default())
        .map(move |(rest, cost)| (Group::Rest(rest), currency, cost))
}

/// The costs of a licence by the departments of those who hold it.
pub fn by_department(
    license: &License,
    lines: &[Line],
    groups: Option<&Vec<Model>>,
    shows_people: bool,
) -> Result<Vec<Part>> {
    let mut cells = cells(license, groups);
    if !shows_people {
        suppress(&mut cells);
    }
    let weights: Vec<i64> = cells.iter().map(|cell| cell.holders).collect();
    let mut parts = Vec::new();
    for sum in sums(lines)? {
        let (currency, cost, quantities) = sum;
        let held = money::divide(cost.held, &weights)?;
        let numbers = money::divide(quantities.held.into(), &weights)?;
        for ((cell, held), number) in cells.iter().zip(held).zip(numbers) {
            let quantity = i64::try_from(number).unwrap_or(i64::MAX);
            parts.push((cell.group.clone(), currency, Cost { held, quantity, ..Cost::default() }));
        }
        parts.extend(unheld(sum));
    }
    Ok(parts)
}

/// The costs of a licence that are no person's, and what each account of a person pays. Without `rates`, the people are
/// suppressed.
pub fn without_people(
    license: &License,
    lines: &[Line],
    groups: Option<&Vec<Model>>,
    rates: Option<&mut Rates>,
) -> Result<Vec<Part>> {
    let is_unmatched = |cell: &Cell| cell.group == Group::Rest(Rest::Unmatched);
    let (unmatched, matched): (Vec<Cell>, Vec<Cell>) = cells(license, groups).into_iter().partition(is_unmatched);
    let count = |cells: &[Cell]| cells.iter().map(|cell| cell.holders).sum::<i64>();
    let (unmatched, accounts) = (count(&unmatched), count(&matched));
    let hidden = Group::Rest(Rest::Suppressed);
    // With the costs by department beside it, the number of the unmatched would show a cell that is suppressed there.
    let of_unmatched = if rates.is_none() { hidden.clone() } else { Group::Rest(Rest::Unmatched) };
    let (mut parts, mut own) = (Vec::new(), Vec::new());
    for sum in sums(lines)? {
        let (currency, cost, quantities) = sum;
        parts.extend(unheld(sum));
        let all = unmatched + accounts;
        if all == 0 {
            continue;
        }
        let each = Cost { held: cost.held / i128::from(all), quantity: quantities.held / all, ..Cost::default() };
        let times = |accounts: i64| Cost {
            held: each.held * i128::from(accounts),
            quantity: each.quantity * accounts,
            ..Cost::default()
        };
        own.push((currency, each));
        let rest = Cost {
            held: cost.held - times(all).held,
            quantity: quantities.held - times(all).quantity,
            ..Cost::default()
        };
        let mut groups = vec![(of_unmatched.clone(), times(unmatched)), (Group::Rest(Rest::Rounding), rest)];
        if rates.is_none() {
            groups.push((hidden.clone(), times(accounts)));
        }
        let real = groups.into_iter().filter(|(_, cost)| *cost != Cost::default());
        parts.extend(real.map(|(group, cost)| (group, currency, cost)));
    }
    if let Some(rates) = rates.filter(|_| accounts > 0) {
        rates.insert((license.instance_id, license.name.clone()), own);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_few_people_are_suppressed_and_no_difference_shows_them() {
        let shown = |people: &[i64]| {
            let cell = |(place, people): (usize, &i64)| Cell {
                group: Group::Department(place.to_string()),
                holders: *people,
                people: *people,
            };
            let mut cells: Vec<Cell> = people.iter().enumerate().map(cell).collect();
            suppress(&mut cells);
            let is_shown = |cell: &&Cell| cell.group != Group::Rest(Rest::Suppressed);
            cells.iter().filter(is_shown).map(|cell| cell.people).collect::<Vec<_>>()
        };
        for (people, expected) in [
            (&[5, 6][..], &[5, 6][..]),
            (&[4, 6, 9], &[9]),
            (&[1, 6, 5, 9], &[6, 9]),
            (&[2, 3, 6], &[6]),
            (&[4, 4], &[]),
            (&[3], &[]),
            (&[4, 7], &[]),
            (&[], &[]),
        ] {
            assert_eq!(shown(people), expected, "{people:?}");
        }
    }
}
