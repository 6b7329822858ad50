//! `muster demo`: a temporary data folder with instances of the `rehearsal` integration, and what reports need.

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;

use chrono::Days;
use uuid::Uuid;

use super::output::say;
use crate::app::App;
use crate::auth::members::NewMember;
use crate::auth::tokens::NewToken;
use crate::auth::{Caller, Role, Who};
use crate::clock::date_time;
use crate::config::Settings;
use crate::error::Error;
use crate::instance::create::Create;
use crate::people::settings::{Domains, Source};
use crate::spend::contracts::{self, NewContract, NewLine};
use crate::spend::prices::{self, NewPrice};

const CREATOR: &str = "ada@example.com";

/// The directory, by which people are known.
const DIRECTORY: &str = "Directory";
/// The domain of the invented addresses.
const DOMAIN: &str = "rehearsal.example";

/// Keys and values of a configuration.
type Configured = &'static [(&'static str, &'static str)];

/// Name, interval in minutes, and configuration of each instance.
const INSTANCES: [(&str, i32, Configured); 7] = [
    (DIRECTORY, 5, &[("users", "300"), ("churn_percent", "1")]),
    ("Chat", 1, &[("users", "240"), ("churn_percent", "3")]),
    ("Code hosting", 1, &[("users", "180"), ("page_size", "10"), ("latency_ms", "400"), ("churn_percent", "1")]),
    ("Payroll", 1, &[("users", "90"), ("outcomes", "success,transient,transient,success")]),
    ("Design tool", 1, &[("users", "60"), ("outcomes", "success,token_inactive")]),
    ("Wiki", 1, &[("users", "300"), ("outcomes", "success,partial")]),
    ("Data warehouse", 1, &[("users", "40"), ("outcomes", "insufficient_permissions")]),
];

/// Instance, licence, and price of a seat in EUR a month. The others have no price.
const PRICES: [(&str, &str, &str); 3] =
    [("Chat", "Full", "12.50"), ("Chat", "Basic", "6.00"), ("Wiki", "Full", "4.75")];

/// Replaces the data folder by a temporary one.
pub fn settings(mut settings: Settings) -> Result<Settings, String> {
    let data_dir = std::env::temp_dir().join(format!("muster-demo-{}", Uuid::now_v7().simple()));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&data_dir)
        .map_err(|error| format!("{}: {error}", data_dir.display()))?;
    settings.data_dir = data_dir;
    settings.set_database(None);
    // The demo must not touch a real installation or send real mail.
    settings.smtp_url = None;
    settings.secret_key_file = None;
    Ok(settings)
}

/// Creates the instances and prints how to open the console.
pub async fn fill(app: &App) -> Result<(), String> {
    let email = Some(CREATOR.to_owned());
    let token = app.tokens.create(NewToken { email: email.clone(), ..NewToken::new("demo", Role::Admin) }).await;
    let token = token.map_err(|error| error.chain().to_string())?.text;
    let ada = NewMember { name: "Ada".into(), email: CREATOR.into(), role: Role::Admin };
    let link = async { app.members.sign_in_link(app.members.create(&ada).await?.0.id).await };
    let link = link.await.map_err(|error| error.chain().to_string())?;
    let caller = Caller {
        who: Who::Token(Uuid::nil()),
        name: "demo".into(),
        email,
        role: Role::Admin,
        scope: None,
        unlimited: false,
    };
    let mut ids = HashMap::new();
    for (name, minutes, config) in INSTANCES {
        let create = Create {
            integration_key: "rehearsal".into(),
            name: name.into(),
            config: config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            sync_interval_minutes: Some(minutes),
        };
        let created = app.instances.create(&caller, create).await.map_err(|error| error.chain().to_string())?;
        ids.insert(name, created.id);
    }
    report(app, &caller, &ids).await.map_err(|error| error.chain().to_string())?;
    say!("");
    say!("  console   {}/", app.settings.reachable_url());
    say!("  sign in   {}", link.address(&app.settings.reachable_url()));
    say!("  token     {token}");
    say!("  mails     {}", app.settings.data_dir.join("mail").display());
    say!("");
    Ok(())
}

/// What reports need: who is known by which source, and what the licences cost.
async fn report(app: &App, caller: &Caller, ids: &HashMap<&str, Uuid>) -> Result<(), Error> {
    let people = &app.people;
    people.set_domains(&Domains { owned: vec![DOMAIN.into()], ..Domains::default() }, false).await?;
    people.set_sources(&[Source { instance_id: ids[DIRECTORY], rank: 1 }], false).await?;
    let monthly = |price: &str| NewPrice {
        currency: "EUR".into(),
        unit_price: Some(price.into()),
        total_price: None,
        seats: None,
        months: 1,
    };
    for (instance, license, price) in PRICES {
        prices::set(&app.instances, ids[instance], license, Some(&monthly(price))).await?;
    }
    let today = date_time(app.clock.now()).date_naive();
    let line = |license: &str, seats, price: &str| NewLine {
        license: license.into(),
        seats,
        unit_price: Some(price.into()),
        total_price: None,
    };
    let contract = NewContract {
        id: None,
        instance_id: ids["Code hosting"],
        name: "Order 2071".into(),
        currency: "EUR".into(),
        months: 12,
        starts_on: today - Days::new(265),
        ends_on: today + Days::new(100),
        notice_days: 60,
        lines: vec![line("Full", 80, "228.00"), line("Basic", 100, "96.00")],
        expected_revision: None,
    };
    contracts::upsert(&app.instances, caller, &contract).await?;
    Ok(())
}
