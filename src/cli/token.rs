//! `muster token`: API tokens.

use std::collections::BTreeSet;

use clap::Subcommand;
use entity::audit_entry::Action;
use uuid::Uuid;

use super::output::say;
use super::{RoleName, app};
use crate::audit::doing;
use crate::auth::Scope;
use crate::auth::tokens::{self, Allowance, LIFETIME_MS, NewToken, Tokens};
use crate::clock::{Clock, DAY_MS, date_time};
use crate::config::Settings;
use crate::graphql::id::{self, Kind};
use crate::instance::queries;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a token and print it. It cannot be shown again.
    Create(Create),
    /// List the tokens without their secret text.
    List,
    /// Revoke every token with this name.
    Revoke {
        #[arg(long)]
        name: String,
    },
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// The name of the token. Histories show it.
    #[arg(long)]
    name: String,
    #[arg(long, value_enum, default_value = "admin")]
    role: RoleName,
    /// The address that gets mail about the instances that are created with this token.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Limit the token to the instances of this integration. May be given several times.
    #[arg(long, value_name = "KEY")]
    integration: Vec<String>,
    /// Limit the token to the instance with this id, as the API shows it. May be given several times.
    #[arg(long, value_name = "ID")]
    instance: Vec<String>,
    /// After how many days the token expires, or `never`; after a year by default.
    #[arg(long, value_name = "DAYS", value_parser = lifetime)]
    expires: Option<Lifetime>,
    /// Do not apply the limits of tokens, for a gateway that serves many people with one token.
    #[arg(long)]
    unlimited: bool,
}

/// For how many days a token is valid; `None` for ever.
#[derive(Clone, Copy)]
struct Lifetime(Option<u16>);

fn lifetime(text: &str) -> Result<Lifetime, String> {
    match text.parse() {
        _ if text == "never" => Ok(Lifetime(None)),
        Ok(days) if days > 0 => Ok(Lifetime(Some(days))),
        _ => Err("give a number of days from 1 to 65535, or never".into()),
    }
}

pub(super) async fn run(command: Command, settings: &Settings) -> Result<(), String> {
    let tokens = app::open_tokens(settings).await?;
    match command {
        Command::Create(create) => print_new(&tokens, settings, create).await,
        Command::List => list(&tokens).await,
        Command::Revoke { name } => {
            let revoke = doing(Action::TokenRevoked, "The tokens of a name were revoked.", tokens.revoke(&name));
            let revoked = revoke.await.map_err(|error| error.chain().to_string())?;
            if revoked == 0 {
                return Err(format!("--name: there is no valid token named \"{name}\""));
            }
            say!("{revoked} revoked");
            Ok(())
        }
    }
}

async fn print_new(tokens: &Tokens, settings: &Settings, create: Create) -> Result<(), String> {
    let Create { name, role, email, integration, instance, expires, unlimited } = create;
    let name = tokens::name(&name).map_err(|refusal| format!("--name: {}", refusal.message))?;
    let email = email
        .map(|text| tokens::address(&text))
        .transpose()
        .map_err(|refusal| format!("--email: {}", refusal.message))?;
    let new = NewToken {
        email,
        allowance: if unlimited { Allowance::Unlimited } else { Allowance::Limited },
        scope: scope(tokens, settings, integration, &instance).await?,
        expires_at: match expires {
            None => Some(tokens.clock().now() + LIFETIME_MS),
            Some(Lifetime(days)) => days.map(|days| tokens.clock().now() + i64::from(days) * DAY_MS),
        },
        ..NewToken::new(name, role.into())
    };
    let create = doing(Action::TokenCreated, "A token was created.", tokens.create(new));
    let created = create.await.map_err(|error| error.chain().to_string())?;
    say!("{}", created.text);
    let end = match created.row.expires_at {
        Some(at) => format!("It expires on {}", day(at)),
        None => "It never expires".to_owned(),
    };
    eprintln!("muster: keep this token, which is not shown again. {end}");
    Ok(())
}

fn day(at: i64) -> String {
    date_time(at).format("%Y-%m-%d").to_string()
}

/// The instances that a token is limited to, which exist; `None` if it is not.
async fn scope(
    tokens: &Tokens,
    settings: &Settings,
    integrations: Vec<String>,
    instances: &[String],
) -> Result<Option<Scope>, String> {
    if integrations.is_empty() && instances.is_empty() {
        return Ok(None);
    }
    let (catalog, _faults) = app::load_catalog(settings, Clock::System)?;
    if let Some(unknown) = integrations.iter().find(|key| catalog.find(key).is_none()) {
        return Err(format!("--integration: the catalog has no integration with the key \"{unknown}\""));
    }
    let instances: Result<_, String> = instances.iter().map(|text| id::decode(Kind::Instance, text)).collect();
    let instances: BTreeSet<Uuid> = instances.map_err(|reason| format!("--instance: {reason}"))?;
    let known = queries::existing(&tokens.db, instances.iter().copied().collect(), &None).await;
    if known.map_err(|error| error.chain().to_string())?.len() < instances.len() {
        return Err("--instance: there is no instance with one of these ids".into());
    }
    Ok(Some(Scope { integrations: integrations.into_iter().collect(), instances }))
}

async fn list(tokens: &Tokens) -> Result<(), String> {
    let now = tokens.clock().now();
    for token in tokens.list().await.map_err(|error| error.chain().to_string())? {
        let state = match token.expires_at {
            _ if token.revoked_at.is_some() => "revoked",
            Some(at) if at <= now => "expired",
            _ => "valid",
        };
        let role = format!("{:?}", token.role).to_lowercase();
        let end = match token.expires_at {
            Some(at) if tokens::expires_soon(&token, now) => format!("expires soon, on {}", day(at)),
            Some(at) => format!("expires on {}", day(at)),
            None => "never expires".into(),
        };
        let used = token.last_used_at.map_or_else(|| "never used".into(), |at| format!("used on {}", day(at)));
        let (created, email) = (day(token.created_at), token.email.as_deref().unwrap_or_default());
        let mut cells = vec![token.name.as_str(), &role, state, &created, email, &end, &used];
        cells.extend(token.unlimited.then_some("unlimited"));
        cells.extend(token.scope.is_some().then_some("limited to some instances"));
        let maker = token.created_by.as_ref().map(|maker| format!("created by {maker}"));
        cells.extend(maker.as_deref());
        say!("{}", cells.join("\t"));
    }
    Ok(())
}
