//! The content of a weekly digest: counts and a link, and no list of people.

use super::Digest;
use super::wording::{Detail, MailContent};

const FOOTER: &str = "You get this mail because you are on the list of recipients, and the weekly digest is switched on. \
    A week in which nothing was found or closed has no mail.";

pub(super) fn content(digest: &Digest) -> MailContent {
    let Digest { week: (first, last), types, closed, link } = digest;
    let new: i64 = types.iter().map(|(_, new, _)| new).sum();
    let found = match new {
        0 => "no new findings".to_owned(),
        1 => "1 new finding".to_owned(),
        new => format!("{new} new findings"),
    };
    let there = if new == 1 { "There is" } else { "There are" };
    let are_closed =
        if *closed == 1 { "1 finding was closed".to_owned() } else { format!("{closed} findings were closed") };
    let of_type = |(name, new, open): &(&'static str, i64, i64)| Detail {
        label: name,
        value: if *new > 0 { format!("{open} open, {new} of them new") } else { format!("{open} open") },
    };
    MailContent {
        subject: format!("The week until {last}: {found}, {closed} closed"),
        tone: "plain",
        headline: format!("The week from {first} to {last}"),
        happened: vec![format!("{there} {found}, and {are_closed}. Findings that were accepted are not counted.")],
        meaning: Vec::new(),
        steps: vec!["Open the list, and mend or accept what is new.".to_owned()],
        details: types.iter().map(of_type).collect(),
        link: link.clone(),
        footer: FOOTER,
    }
}
