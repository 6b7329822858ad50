//! The content of a reminder of a contract.

use super::Renewal;
use super::wording::{Detail, MailContent};
use crate::mail::text::one_line;

const FOOTER: &str = "You get this mail because you entered this contract, or because you are on the list of recipients. \
    Muster reminds 120, 30 and 7 days before the last day for notice.";
/// How many licences a mail names.
const NAMED: usize = 20;

pub(super) fn content(renewal: &Renewal) -> MailContent {
    let Renewal { integration, instance, contract, ends_on, notice_by, notice_days, days_left, seats, link } = renewal;
    let (app, name, contract) = (one_line(integration, 60), one_line(instance, 80), one_line(contract, 80));
    let when = match days_left {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        days => format!("in {days} days"),
    };
    let headline = format!("Notice by {notice_by}, {when}");
    let mut details = vec![
        Detail { label: "Contract", value: contract.clone() },
        Detail { label: "Integration", value: app.clone() },
        Detail { label: "Instance", value: name },
        Detail { label: "Last day", value: ends_on.to_string() },
        Detail { label: "Notice", value: format!("{notice_days} days, so by {notice_by}") },
    ];
    let of_licence = |(license, seats): &(&str, i64)| format!("{seats} × {}", one_line(license, 60));
    let mut named: Vec<String> = seats.iter().take(NAMED).map(of_licence).collect();
    if seats.len() > NAMED {
        named.push(format!("and {} more", seats.len() - NAMED));
    }
    details.push(Detail { label: "Seats", value: named.join(", ") });
    MailContent {
        subject: format!("{app} “{contract}”: notice by {notice_by} — {when}"),
        tone: "plain",
        headline,
        happened: vec![format!(
            "The contract “{contract}” about {app} ends on {ends_on}. The last day on which notice can be given is {notice_by}, {when}."
        )],
        meaning: vec!["After that day, it may renew itself as the contract says.".to_owned()],
        steps: vec![
            "Compare the seats with those who hold a licence, and with the licences that can be taken back.".to_owned(),
            "Give notice, change the number of seats, or let the contract renew itself.".to_owned(),
            "When the new term is certain, enter its last day in Muster: reminders then follow that day.".to_owned(),
        ],
        details,
        link: link.clone(),
        footer: FOOTER,
    }
}
