//! `muster erasures`: who was erased, without saying who it was.

use clap::Subcommand;

use super::app;
use super::output::say;
use crate::clock::date_time;
use crate::config::Settings;
use crate::error::Error;
use crate::people::People;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the erasures: when, how many accounts, and why.
    List,
    /// Erase again whom the ledger has and an older database lacks. A server does it when it starts.
    Apply,
}

pub(super) async fn run(command: Command, settings: &Settings) -> Result<(), String> {
    let people = app::open_people(settings).await?;
    let done = match command {
        Command::List => list(&people).await,
        Command::Apply => apply(&people).await,
    };
    done.map_err(|error| error.chain().to_string())
}

async fn list(people: &People) -> Result<(), Error> {
    for erasure in people.erasures().await? {
        let at = date_time(erasure.at).format("%Y-%m-%d %H:%M");
        say!("{at}\t{} accounts\t{}", erasure.accounts, erasure.reason);
    }
    Ok(())
}

async fn apply(people: &People) -> Result<(), Error> {
    let erased = Box::pin(people.settle_erasures()).await?;
    say!("People who were erased again: {erased}. The ledger {} is complete.", people.ledger.path().display());
    Ok(())
}
