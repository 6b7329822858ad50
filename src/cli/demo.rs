//! `muster demo`: a temporary data folder with instances of the `rehearsal` integration.

use std::os::unix::fs::DirBuilderExt;

use uuid::Uuid;

use super::output::say;
use crate::app::App;
use crate::auth::members::NewMember;
use crate::auth::tokens::NewToken;
use crate::auth::{Caller, Role, Who};
use crate::config::Settings;
use crate::instance::create::Create;

const CREATOR: &str = "ada@example.com";

/// Name and configuration of each instance.
const INSTANCES: [(&str, &[(&str, &str)]); 6] = [
    ("Chat", &[("users", "240"), ("churn_percent", "3")]),
    ("Code hosting", &[("users", "1200"), ("page_size", "50"), ("latency_ms", "400"), ("churn_percent", "1")]),
    ("Payroll", &[("users", "90"), ("outcomes", "success,transient,transient,success")]),
    ("Design tool", &[("users", "60"), ("outcomes", "success,token_inactive")]),
    ("Wiki", &[("users", "300"), ("outcomes", "success,partial")]),
    ("Data warehouse", &[("users", "40"), ("outcomes", "insufficient_permissions")]),
];

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
    for (name, config) in INSTANCES {
        let create = Create {
            integration_key: "rehearsal".into(),
            name: name.into(),
            config: config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            sync_interval_minutes: Some(1),
        };
        app.instances.create(&caller, create).await.map_err(|error| error.chain().to_string())?;
    }
    say!("");
    say!("  console   {}/", app.settings.reachable_url());
    say!("  sign in   {}", link.address(&app.settings.reachable_url()));
    say!("  token     {token}");
    say!("  mails     {}", app.settings.data_dir.join("mail").display());
    say!("");
    Ok(())
}
