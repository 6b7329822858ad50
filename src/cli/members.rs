//! `muster member`.

use clap::{Args, Subcommand};
use entity::audit_entry::Action;

use super::RoleName;
use super::output::say;
use crate::app;
use crate::audit::doing;
use crate::auth::links::Link;
use crate::auth::members::{Change, Members, NewMember};
use crate::clock::date_time;
use crate::config::Settings;
use crate::error::{Error, RefusalCode};

/// How many members are listed at a time.
const LISTED: u64 = 200;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a member, and print a link with which the member sets a password.
    Create {
        /// The address to sign in with.
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        /// The name that is shown; by default the address.
        #[arg(long)]
        name: Option<String>,
        #[arg(long, value_enum, default_value = "viewer")]
        role: RoleName,
    },
    /// List the members.
    List,
    /// Keep a member out, and end the member's sessions.
    Disable(Who),
    /// Let a disabled member sign in again.
    Enable(Who),
    /// Give a member another role, and end the member's sessions.
    SetRole {
        #[command(flatten)]
        who: Who,
        #[arg(long, value_enum)]
        role: RoleName,
    },
    /// Take away everything with which a member signs in: the password, the accounts at the identity provider, the
    /// sessions and the personal tokens. Print a link with which the member sets a new password.
    Reset(Who),
}

#[derive(Args)]
pub(super) struct Who {
    /// The address that the member signs in with.
    #[arg(long, value_name = "ADDRESS")]
    email: String,
}

pub(super) async fn run(command: Command, settings: &Settings) -> Result<(), String> {
    let members = &app::open_members(settings).await?;
    carry_out(command, members, &settings.reachable_url()).await.map_err(|error| match error {
        Error::Refused(_) => error.to_string(),
        error => error.chain().to_string(),
    })
}

async fn carry_out(command: Command, members: &Members, public_url: &str) -> Result<(), Error> {
    match command {
        Command::Create { email, name, role } => {
            let name = name.unwrap_or_else(|| email.clone());
            let new = NewMember { name, email, role: role.into() };
            let create = doing(Action::MemberCreated, "A member was created.", members.create(&new));
            let (_, link) = create.await.map_err(with_next_step)?;
            print_link(&link, public_url);
        }
        Command::List => list(members).await?,
        Command::Disable(who) => update(members, &who, Change { disabled: Some(true), ..Change::default() }).await?,
        Command::Enable(who) => update(members, &who, Change { disabled: Some(false), ..Change::default() }).await?,
        Command::SetRole { who, role } => {
            update(members, &who, Change { role: Some(role.into()), ..Change::default() }).await?;
        }
        Command::Reset(who) => {
            let reset = members.reset_on_server(members.id_of(&who.email).await?);
            let (_, link) = doing(Action::LinkCreated, "A member was reset.", reset).await?;
            print_link(&link, public_url);
        }
    }
    Ok(())
}

/// Says what to do if there is such a member already.
fn with_next_step(error: Error) -> Error {
    match error {
        Error::Refused(mut refusals) if refusals.iter().any(|refusal| refusal.code == RefusalCode::EmailTaken) => {
            for refusal in &mut refusals {
                refusal.message += " `muster member reset` makes a new link for a member.";
            }
            Error::Refused(refusals)
        }
        error => error,
    }
}

async fn update(members: &Members, who: &Who, change: Change) -> Result<(), Error> {
    let update = members.update(members.id_of(&who.email).await?, &change);
    let member = doing(Action::MemberUpdated, "A member was changed.", update).await?;
    let state = if member.disabled_at.is_some() { "disabled" } else { "enabled" };
    say!("{}: {}, {state}", who.email, format!("{:?}", member.role).to_lowercase());
    Ok(())
}

async fn list(members: &Members) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = members.page(None, after, LISTED).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        let ids: Vec<_> = page.iter().map(|member| member.id).collect();
        let connected = members.connected(&ids).await?;
        for member in page {
            let role = format!("{:?}", member.role).to_lowercase();
            let state = match member.disabled_at {
                Some(_) => "disabled",
                None if member.password_hash.is_some() || connected.contains(&member.id) => "enabled",
                None => "no password",
            };
            let created = date_time(member.created_at).format("%Y-%m-%d");
            say!("{}\t{role}\t{state}\t{created}\t{}", member.email.unwrap_or_default(), member.name);
        }
    }
}

fn print_link(link: &Link, public_url: &str) {
    say!("{}", link.address(public_url));
    eprintln!("muster: give this link to the member. It works once, until {}", until(link));
}

/// Until when a link works, for a person.
pub(super) fn until(link: &Link) -> String {
    date_time(link.expires_at).format("%Y-%m-%d %H:%M UTC").to_string()
}
