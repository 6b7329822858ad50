//! `muster list push`.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use futures_util::stream;
use integration::list::{Encoding, Target, guess_encoding};
use reqwest::Body;
use serde_json::Value;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;

use crate::cli::client::{Client, Run, token};
use crate::cli::output::{harmless, say};

/// How many bytes are sent at once.
const PART: usize = 64 * 1024;
/// How often the run is asked for.
const ASKED_EVERY: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub struct Push {
    /// The list: CSV, or JSON Lines if its name ends with .jsonl or .ndjson.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The name of the instance, or its id.
    #[arg(long, value_name = "NAME")]
    instance: String,
    /// The address of the server, such as https://muster.example.com.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The file with an API token.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The format of the list, if the name of the file does not say it.
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// utf-8, utf-16le, utf-16be or windows-1252. Without it, the file decides.
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    encoding: Option<Encoding>,
    /// comma, semicolon, tab, pipe, or another character. Without it, the first row decides.
    #[arg(long, value_name = "NAME")]
    separator: Option<String>,
    /// The order of dates with slashes: dmy or mdy.
    #[arg(long, value_name = "ORDER")]
    dates: Option<String>,
    /// Say which column has a field, such as email=Work mail. May be given several times. Without any, the names of the
    /// columns decide.
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = column)]
    column: Vec<(String, String)>,
    /// Do not wait for the run.
    #[arg(long)]
    no_wait: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    Csv,
    Jsonl,
}

fn encoding(name: &str) -> Result<Encoding, String> {
    Encoding::find(name).ok_or_else(|| "give utf-8, utf-16le, utf-16be or windows-1252".to_owned())
}

fn column(text: &str) -> Result<(String, String), String> {
    let (field, column) = text.split_once('=').ok_or("write FIELD=COLUMN, such as email=Work mail")?;
    if Target::find(field).is_none() {
        let fields: Vec<_> = Target::all().map(Target::name).collect();
        return Err(format!("the fields are {}", fields.join(", ")));
    }
    Ok((field.to_owned(), column.to_owned()))
}

/// How it ended, as an exit code.
enum End {
    TakenOver,
    Refused,
}

pub(super) async fn run(push: Push) -> ExitCode {
    match push.carry_out().await {
        Ok(End::TakenOver) => ExitCode::SUCCESS,
        Ok(End::Refused) => ExitCode::FAILURE,
        Err(line) => {
            eprintln!("muster: {}", harmless(&line));
            ExitCode::from(2)
        }
    }
}

impl Push {
    async fn carry_out(self) -> Result<End, String> {
        let client = Client::new(&self.server, token(&self.token_file)?)?;
        let instance = client.instance(&self.instance).await?;
        let mut parameters = self.column.clone();
        let mut add = |name: &str, value: Option<&str>| {
            parameters.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        };
        let encoding = match self.encoding {
            Some(encoding) => encoding,
            None => encoding_of(&self.file)?,
        };
        add("encoding", Some(encoding.name()));
        add("separator", self.separator.as_deref());
        add("dates", self.dates.as_deref());
        let body = self.body().await?;
        let accepted = match client.deliver(&instance, self.content_type(), &parameters, body).await? {
            Ok(accepted) => accepted,
            Err(errors) => {
                eprintln!("muster: the list was refused, and nothing was changed");
                for error in errors {
                    eprintln!("  {error}");
                }
                return Ok(End::Refused);
            }
        };
        show_progress("");
        tell(&accepted, encoding);
        let run = accepted["run"].as_str().unwrap_or_default();
        if self.no_wait { Ok(End::TakenOver) } else { wait(&client, run).await }
    }

    fn content_type(&self) -> &'static str {
        let ending = self.file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
        let by_name = if matches!(&*ending, "jsonl" | "ndjson") { FormatName::Jsonl } else { FormatName::Csv };
        match self.format.unwrap_or(by_name) {
            FormatName::Csv => "text/csv",
            FormatName::Jsonl => "application/x-ndjson",
        }
    }

    /// The file in parts, which are read when they are sent.
    async fn body(&self) -> Result<Body, String> {
        let at = |error: std::io::Error| format!("{}: {error}", self.file.display());
        let file = File::open(&self.file).await.map_err(at)?;
        let size = file.metadata().await.map_err(at)?.len();
        let parts = stream::try_unfold((file, 0_u64), move |(mut file, sent)| async move {
            let mut part = vec![0; PART];
            let read = file.read(&mut part).await?;
            part.truncate(read);
            let sent = sent + read as u64;
            let percent = (sent * 100).checked_div(size).unwrap_or(100);
            show_progress(&format!("{percent} % sent"));
            Ok::<_, std::io::Error>((read > 0).then_some((part, (file, sent))))
        });
        Ok(Body::wrap_stream(parts))
    }
}

/// The encoding that fits the whole file.
fn encoding_of(path: &Path) -> Result<Encoding, String> {
    let at = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = std::fs::File::open(path).map_err(at)?;
    let (mut part, mut kept) = (vec![0; PART], Vec::new());
    let mut is_first = true;
    loop {
        let read = file.read(&mut part).map_err(at)?;
        if read == 0 {
            return Ok(Encoding::Utf8);
        }
        kept.extend_from_slice(&part[..read]);
        // A mark counts more than what is said.
        let is_marked = kept.starts_with(b"\xff\xfe") || kept.starts_with(b"\xfe\xff");
        let encoding = guess_encoding(&kept);
        if is_first && is_marked {
            return Ok(Encoding::Utf8);
        }
        if encoding == Encoding::Windows1252 || (is_first && encoding != Encoding::Utf8) {
            return Ok(encoding);
        }
        is_first = false;
        // A character may go on in the next part.
        let whole = std::str::from_utf8(&kept).map_or_else(|error| error.valid_up_to(), str::len);
        kept.drain(..whole);
    }
}

/// Says how the file was read.
fn tell(accepted: &Value, encoding: Encoding) {
    let mut words = vec![encoding.name().to_owned()];
    words.extend(accepted["separator"].as_str().map(|separator| format!("separator {separator:?}")));
    let columns = accepted["columns"].as_object().into_iter().flatten();
    words.extend(columns.map(|(field, columns)| {
        let columns: Vec<_> = columns.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        format!("{field}={}", columns.join("+"))
    }));
    let rows = accepted["rows"].as_i64().unwrap_or_default();
    eprintln!("muster: {rows} rows were delivered ({})", words.join(", "));
}

async fn wait(client: &Client, id: &str) -> Result<End, String> {
    loop {
        let run = client.run(id).await?;
        let Some(outcome) = run.outcome.as_deref() else {
            show_progress(&format!("{} users taken over", run.seen));
            sleep(ASKED_EVERY).await;
            continue;
        };
        show_progress("");
        let Run { seen, added, changed, removed, message, .. } = &run;
        if let Some(message) = message {
            eprintln!("muster: {message}");
        }
        return match outcome {
            "SUCCEEDED" | "PARTIAL" => {
                say!("{seen} users: {added} added, {changed} changed, {removed} removed");
                Ok(End::TakenOver)
            }
            "CANCELLED" => {
                eprintln!(
                    "muster: the run was cancelled: by somebody, or because another list was delivered after this one"
                );
                Ok(End::Refused)
            }
            _ => Ok(End::Refused),
        };
    }
}

/// Shows a line that the next one replaces, if somebody looks.
fn show_progress(line: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{line}");
    }
}
