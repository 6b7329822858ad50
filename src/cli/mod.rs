//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::output::say;
use crate::app::{self, App, StartError};
use crate::audit::{Actor, acting};
use crate::auth::Role;
use crate::clock::Clock;
use crate::config::{Roles, Settings};
use crate::graphql::schema;
use crate::server::{self, Edge, descriptors};
use crate::telemetry;

mod audit;
mod backup;
mod client;
mod connectors;
mod demo;
mod doctor;
mod erasures;
mod file;
mod hardening;
mod health;
mod keys;
mod list;
mod manager;
mod manual;
mod members;
mod output;
mod restore;
mod token;

/// The pause before another attempt to open the database.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// The stack of a thread, in bytes. The deepest queries need more than 2 MiB in a debug build. What is not used takes no
/// memory.
const STACK: usize = 8 * 1024 * 1024;
/// How long a start may take before the server begins to answer that it is not ready.
const READY_SOON: Duration = Duration::from_millis(500);

/// Keeps an up-to-date register of every user account in the applications that a company uses.
#[derive(Parser)]
#[command(name = "muster", version, arg_required_else_help = false)]
struct Cli {
    /// A TOML file with settings. Environment variables (`MUSTER_…`) override it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the API, the console and the workers (the default command).
    Serve {
        /// Run the API and the console, without the workers unless --workers is given too.
        #[arg(long)]
        api: bool,
        /// Run the workers (sync, deletion, mail, schedule), without the API unless --api is given too.
        #[arg(long)]
        workers: bool,
    },
    /// Run with a temporary data folder and simulated applications.
    Demo,
    /// Ask the server of these settings, on this machine, whether it is running.
    Health(health::Command),
    /// Bring the database to the schema of this version, and end.
    Migrate,
    /// Manage the people who may sign in.
    #[command(subcommand)]
    Member(members::Command),
    /// Manage API tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// List, add and rotate the keys that seal what is stored.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Check, seal and export the audit log.
    #[command(subcommand)]
    Audit(audit::Command),
    /// List who was erased, and erase again whom an older database still knows.
    #[command(subcommand)]
    Erasures(erasures::Command),
    /// Print the GraphQL schema of the API.
    Schema,
    /// Copy the database into one file, while the server runs.
    Backup(backup::Command),
    /// Replace the database by a backup.
    Restore(restore::Command),
    /// Check the database for violated rules.
    Doctor(doctor::Command),
    /// Deliver lists of users.
    #[command(subcommand)]
    List(list::Command),
    /// Write the settings of a server into a file, to be kept in git.
    Export(file::Export),
    /// Show what `muster apply` would change. Changes nothing.
    ///
    /// Exit code 0: there is nothing to do; 1: there are differences; 2: it failed.
    Plan(file::Plan),
    /// Change the settings of a server to those of a file.
    ///
    /// Exit code 0: the server has what the file says; 1: something is left, and each is said; 2: it failed.
    Apply(file::Apply),
    /// List, check and try connector manifests.
    #[command(subcommand)]
    Connectors(connectors::Command),
    /// Print what completes the commands in a shell.
    Completions { shell: clap_complete::Shell },
    /// Write a manual page for each command into a folder.
    Man { folder: PathBuf },
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Admin,
    Operator,
    Viewer,
    Reports,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Admin => Role::Admin,
            RoleName::Operator => Role::Operator,
            RoleName::Viewer => Role::Viewer,
            RoleName::Reports => Role::Reports,
        }
    }
}

/// Runs the command of the command line.
pub fn main() -> ExitCode {
    if let Err(line) = hardening::harden() {
        return fail(&line);
    }
    let cli = Cli::parse();
    // Fails only if a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("threads: {error}")),
    };
    let ended = runtime.block_on(acting(Actor::command_line(), run(cli)));
    match ended.and_then(|code| output::finish().map(|()| code)) {
        Ok(code) => code,
        Err(line) => fail(&line),
    }
}

fn fail(line: &str) -> ExitCode {
    eprintln!("muster: {}", output::harmless(line));
    ExitCode::FAILURE
}

async fn run(cli: Cli) -> Result<ExitCode, String> {
    let settings = || Settings::load(settings_file(&cli.config)?.as_deref());
    match cli.command.unwrap_or(Command::Serve { api: false, workers: false }) {
        Command::Serve { api, workers } if api || workers => {
            return Box::pin(serve(settings()?, Roles { api, workers }, false)).await;
        }
        Command::Serve { .. } => return Box::pin(serve(settings()?, Roles::BOTH, false)).await,
        Command::Demo => return Box::pin(serve(demo::settings(settings()?)?, Roles::BOTH, true)).await,
        Command::Health(command) => health::run(&command, &settings()?).await,
        Command::Migrate => migrate(&settings()?).await,
        Command::Member(command) => members::run(command, &settings()?).await,
        Command::Token(command) => token::run(command, &settings()?).await,
        Command::Keys(command) => keys::run(command, &settings()?).await,
        Command::Erasures(command) => erasures::run(command, &settings()?).await,
        Command::Schema => {
            say!("{}", schema::sdl().trim_end());
            Ok(())
        }
        Command::Backup(command) => backup::run(&command, &settings()?).await,
        Command::Restore(command) => Box::pin(restore::run(&command, &settings()?)).await,
        Command::Audit(command) => return audit::run(command, &settings()?).await,
        Command::Doctor(command) => return Ok(doctor::run(&command, settings()).await),
        Command::List(command) => return Ok(Box::pin(list::run(command)).await),
        Command::Export(command) => return Ok(Box::pin(file::export(command)).await),
        Command::Plan(command) => return Ok(Box::pin(file::plan(command)).await),
        Command::Apply(command) => return Ok(Box::pin(file::apply(command)).await),
        Command::Connectors(command) => connectors::run(command, &cli.config).await,
        Command::Completions { shell } => {
            manual::completions(shell, &mut Cli::command());
            Ok(())
        }
        Command::Man { folder } => manual::pages(&folder, Cli::command()),
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn migrate(settings: &Settings) -> Result<(), String> {
    app::migrate(settings).await?;
    say!("the database has the schema of muster {}", env!("CARGO_PKG_VERSION"));
    Ok(())
}

/// The error of `backup` and `restore` on PostgreSQL.
fn use_postgres_tools() -> String {
    "the data is in PostgreSQL: use pg_dump and pg_restore, see \"Back up and restore\" in docs/operations.md".into()
}

/// The value of `--config`.
fn settings_file(config: &[String]) -> Result<Option<PathBuf>, String> {
    match config {
        [] => Ok(None),
        [file] => Ok(Some(PathBuf::from(file))),
        [_, _, ..] => Err("--config: give only one file".to_owned()),
    }
}

async fn serve(mut settings: Settings, roles: Roles, demo: bool) -> Result<ExitCode, String> {
    let exporter = telemetry::start(&settings)?;
    telemetry::metrics();
    descriptors::raise();
    for warning in settings.warnings() {
        warn!("{warning}");
    }
    let scratch = demo.then(|| settings.data_dir.clone());
    let stop = CancellationToken::new();
    let signal = stop.clone();
    tokio::spawn(async move {
        shutdown_signal().await;
        info!("stopping");
        manager::tell(&[NotifyState::Stopping]);
        signal.cancel();
    });
    let listener = if settings.listen.port() == 0 { Some(bind_any(&mut settings).await?) } else { None };
    let Some((app, listener)) = start(&settings, listener, roles, &stop).await? else { return Ok(ExitCode::SUCCESS) };
    let shutdown = app.shutdown();
    tokio::spawn(async move {
        stop.cancelled().await;
        shutdown.cancel();
    });
    if !roles.workers && !app.db.shared() {
        warn!("nothing is synced and no mail is sent: use --api alone only if another process runs the workers");
    }
    info!(mail = %app.mailer.describe(), "mail");
    info!(data = %app.settings.data_dir.display(), "serving on {}", app.settings.public_url());
    if demo {
        demo::fill(&app).await?;
    } else if roles.api {
        invite_first(&app).await?;
    }
    manager::tell(&[NotifyState::Status("serving")]);
    let code = app.run(listener).await;
    exporter.stop().await;
    if let Some(scratch) = scratch {
        let _ = std::fs::remove_dir_all(scratch);
    }
    Ok(code)
}

/// Listens at a port that the system chooses, and sets it, because the address of the server is told and checked.
async fn bind_any(settings: &mut Settings) -> Result<TcpListener, String> {
    let listener = app::bind(settings.listen).await?;
    settings.listen = listener.local_addr().map_err(|error| format!("setting listen: {}: {error}", settings.listen))?;
    Ok(listener)
}

/// Prints how to become the first administrator, unless one can sign in.
async fn invite_first(app: &App) -> Result<(), String> {
    if let Some(link) = app.members.first_link().await.map_err(|error| error.chain().to_string())? {
        let address = link.address(&app.settings.reachable_url());
        let until = members::until(&link);
        let hint = match app.settings.public_url_hint() {
            Some(hint) => format!("  {hint}\n\n"),
            None => String::new(),
        };
        let first = "No administrator can sign in yet. This link makes you one. It works once, until";
        say!("\n  {first} {until}:\n\n  {address}\n\n{hint}");
    }
    Ok(())
}

/// Opens the app, and waits for its database as long as necessary. In the meantime the server
/// answers health checks and reports that it is not ready. `None` if it was stopped. It listens at the address of the
/// settings, unless it listens already.
async fn start(
    settings: &Settings,
    listener: Option<TcpListener>,
    roles: Roles,
    stop: &CancellationToken,
) -> Result<Option<(App, TcpListener)>, String> {
    let open = || App::new(settings.clone(), roles, Clock::System);
    let mut opening = Box::pin(open());
    // Usually the database opens at once, and the server never has to report that it is not ready.
    let mut opened = tokio::time::timeout(READY_SOON, &mut opening).await.ok();
    if let Some(Err(StartError::Fatal(line))) = opened {
        return Err(line);
    }
    let listener = match listener {
        Some(listener) => listener,
        None => app::bind(settings.listen).await?,
    };
    // Also while it waits for the database: what waits for this, such as the installation of packages, may be what the
    // database waits for.
    manager::tell(&[NotifyState::Ready]);
    manager::feed_watchdog();
    if !matches!(opened, Some(Ok(_))) {
        info!("not ready: the database is not open yet");
        manager::tell(&[NotifyState::Status("waiting for the database")]);
        let opened_or_stopped = stop.child_token();
        let edge = Edge::of(settings)?;
        let serving = server::serve(&listener, &edge, server::not_ready(), opened_or_stopped.clone());
        let trying = async {
            while !stop.is_cancelled() {
                if opened.is_none() {
                    opened = tokio::select! {
                        () = stop.cancelled() => None,
                        outcome = &mut opening => Some(outcome),
                    };
                }
                let Some(Err(StartError::Database(line))) = &opened else { break };
                warn!(error = %line, "the database cannot be used yet; trying again");
                opened = None;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(RETRY_PAUSE) => opening = Box::pin(open()),
                }
            }
            opened_or_stopped.cancel();
        };
        tokio::join!(serving, trying);
    }
    match opened {
        Some(Ok(app)) => Ok(Some((app, listener))),
        Some(Err(StartError::Fatal(line))) => Err(line),
        Some(Err(StartError::Database(_))) | None => Ok(None),
    }
}

/// Waits for SIGINT or SIGTERM.
async fn shutdown_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
