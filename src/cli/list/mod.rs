//! `muster list`: lists for instances of *List*.

use std::process::ExitCode;

use clap::Subcommand;

mod push;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Deliver a list to an instance, and wait until a run has taken it over.
    ///
    /// Exit code 0: the run succeeded; 1: the list was refused, or the run failed; 2: the list could not be delivered.
    Push(push::Push),
}

pub(super) async fn run(command: Command) -> ExitCode {
    match command {
        Command::Push(push) => push::run(push).await,
    }
}
