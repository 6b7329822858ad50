//! `muster connectors new`: writes the first version of a manifest, from options or from answers to a few questions.

use std::fs::File;
use std::io::{self, BufRead, ErrorKind, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use integration::manifest;
use url::Url;

use super::super::output::say;
use super::draft::{self, BaseUrl, Draft, Member, Pages, Signing};

/// The answer that makes the address a setting.
const SETTING: &str = "setting";

#[derive(Args)]
pub struct New {
    /// The integration's key: lower-case letters, digits and -. The file is KEY.yaml.
    key: String,
    /// The folder in which the file is written.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The application's name, as its vendor writes it.
    #[arg(long)]
    name: Option<String>,
    /// Where the API begins, such as https://api.example.com/v1; or “setting”, if every connection has its own address.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// How a request is signed.
    #[arg(long, value_enum)]
    auth: Option<Signing>,
    /// With --auth header or query: the name of the header or of the parameter.
    #[arg(long, value_name = "NAME")]
    auth_name: Option<String>,
    /// With --auth oauth: where an access token is obtained; an address, or a path such as /oauth/token.
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// How pages follow each other. With scim, the other questions about the list are not asked.
    #[arg(long, value_enum)]
    pages: Option<Pages>,
    /// The path of the list of users, such as /members or /orgs/{org}/members; {org} becomes a setting.
    #[arg(long)]
    path: Option<String>,
    /// With --pages cursor or next-url: the member of the response with the cursor or with the next page's address.
    #[arg(long, value_name = "MEMBER")]
    next: Option<String>,
    /// With --pages cursor, page or offset: the parameter that asks for a page.
    #[arg(long, value_name = "NAME")]
    param: Option<String>,
    /// With --pages page or offset: the member of the response with the number of all users, if there is one.
    #[arg(long, value_name = "MEMBER")]
    total: Option<String>,
    /// The member of the response with the users; $ if the response is the list.
    #[arg(long, value_name = "MEMBER")]
    records: Option<String>,
    /// The member of a user with the id.
    #[arg(long, value_name = "MEMBER")]
    id: Option<String>,
    /// The member of a user with the e-mail address, if there is one.
    #[arg(long, value_name = "MEMBER")]
    email: Option<String>,
    /// The member of a user with the name, if there is one.
    #[arg(long, value_name = "MEMBER")]
    display_name: Option<String>,
    /// The member of a user with the status, if there is one.
    #[arg(long, value_name = "MEMBER")]
    status: Option<String>,
}

/// Writes KEY.yaml. Asks for what the options do not say, if there is a terminal.
pub fn run(new: &New) -> Result<(), String> {
    let file_name = format!("{}.yaml", new.key);
    let file = new.dir.join(&file_name);
    let shown = file.display();
    let exists = format!("{shown} exists already, and is not overwritten; choose another key, or another --dir");
    // Said before the questions; `create_new` below makes sure of it.
    if file.exists() {
        return Err(exists);
    }
    let mut lines = io::stdin().lock();
    let asked: Option<&mut dyn BufRead> = if io::stdin().is_terminal() { Some(&mut lines) } else { None };
    let draft = collect(new, asked)?;
    let text = draft::write(&draft);
    let faults = match manifest::parse(&text, &file_name) {
        Ok(manifest) => manifest::advice(&manifest, &file_name),
        Err(faults) => faults,
    };
    if !faults.is_empty() {
        let lines: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
        return Err(format!("the answers make no manifest, and nothing was written\n{}", lines.join("\n")));
    }
    let created = File::options().write(true).create_new(true).open(&file);
    let mut created = created.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists,
        _ => format!("{shown}: {error}"),
    })?;
    created.write_all(text.as_bytes()).map_err(|error| format!("{shown}: {error}"))?;
    say!("{shown} is written. Next:");
    say!("  correct the lines marked “To do”, by the documentation of {}", draft.name);
    say!("  muster connectors check {shown}");
    say!("  muster connectors try {shown}{}", draft::example_settings(&draft));
    Ok(())
}

/// Questions on a terminal, or none if there is no terminal.
struct Questions<'a> {
    lines: Option<&'a mut dyn BufRead>,
    /// The options without which nothing can be written, if nobody can be asked.
    missing: Vec<&'static str>,
}

/// A question, and the option that answers it.
struct Question {
    option: &'static str,
    text: &'static str,
    /// The answer if nothing is typed. An empty one means that the application has no such thing.
    default: Option<&'static str>,
}

impl Questions<'_> {
    /// The value of the option, or the answer to the question. `read` checks it; its error is a clause for a person.
    fn ask<T: Default>(
        &mut self,
        given: Option<&String>,
        question: &Question,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        let Question { option, text, default } = *question;
        if let Some(given) = given {
            return read(given.trim()).map_err(|clause| format!("{option}: {clause}"));
        }
        let Some(lines) = self.lines.as_mut() else {
            if let Some(default) = default {
                return read(default);
            }
            self.missing.push(option);
            return Ok(T::default());
        };
        let hint = match default {
            Some("") => " [none]".to_owned(),
            Some(default) => format!(" [{default}]"),
            None => String::new(),
        };
        loop {
            say!("{text}{hint}");
            let mut line = String::new();
            if lines.read_line(&mut line).map_err(|error| error.to_string())? == 0 {
                return Err("the answers ended before the questions; nothing was written".to_owned());
            }
            let answer = match (line.trim(), default) {
                ("", Some(default)) => default,
                ("", None) => continue,
                (answer, _) => answer,
            };
            match read(answer) {
                Ok(answer) => return Ok(answer),
                Err(clause) => {
                    say!("  {clause}");
                }
            }
        }
    }

    /// The same for one of a fixed set of words.
    fn choose<T: ValueEnum + Default>(&mut self, given: Option<T>, question: &Question) -> Result<T, String> {
        if let Some(given) = given {
            return Ok(given);
        }
        self.ask(None, question, |answer| {
            T::from_str(answer, true).map_err(|_| {
                let known = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
                let names: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
                format!("write one of {}", names.join(", "))
            })
        })
    }
}

/// Puts the answers together.
fn collect(new: &New, lines: Option<&mut dyn BufRead>) -> Result<Draft, String> {
    let mut ask = Questions { lines, missing: Vec::new() };
    key(&new.key)?;
    let question = Question { option: "--name", text: "What is the application called?", default: None };
    let name = ask.ask(new.name.as_ref(), &question, line)?;
    let text = "Where does its API begin? An address such as https://api.example.com/v1; or “setting”, if every \
                connection has its own address.";
    let question = Question { option: "--base-url", text, default: None };
    let base_url = ask.ask(new.base_url.as_ref(), &question, base_url)?;
    let text = "How is a request signed? bearer, basic, header, query, oauth (client credentials) or none";
    let question = Question { option: "--auth", text, default: None };
    let signing = ask.choose(new.auth, &question)?;
    let text = "What is the header or the parameter called that carries the token?";
    let default = if signing == Signing::Query { "api_key" } else { "X-Api-Key" };
    let question = Question { option: "--auth-name", text, default: Some(default) };
    let auth_name = match signing {
        Signing::Header | Signing::Query => ask.ask(new.auth_name.as_ref(), &question, line)?,
        Signing::Bearer | Signing::Basic | Signing::Oauth | Signing::None => String::new(),
    };
    let text = "Where is an access token obtained? An address, or a path such as /oauth/token";
    let question = Question { option: "--token-url", text, default: None };
    let token_url =
        if signing == Signing::Oauth { ask.ask(new.token_url.as_ref(), &question, line)? } else { String::new() };
    let mut draft = Draft { key: new.key.clone(), name, base_url, signing, auth_name, token_url, ..Draft::default() };
    list(new, &mut ask, &mut draft)?;
    if ask.missing.is_empty() {
        return Ok(draft);
    }
    let missing = ask.missing.join(", ");
    Err(format!("there is no terminal to ask on, so these options are needed as well: {missing}"))
}

/// Asks about the list of users.
fn list(new: &New, ask: &mut Questions<'_>, draft: &mut Draft) -> Result<(), String> {
    let text = "How do pages follow each other? none, link (a Link header), next-url (an address in the response), \
                cursor, page (numbers), offset, or scim (SCIM 2.0)";
    draft.pages = ask.choose(new.pages, &Question { option: "--pages", text, default: None })?;
    if draft.pages == Pages::Scim {
        return Ok(());
    }
    let text = "What is the path of the list of users, such as /members or /orgs/{org}/members?";
    draft.path = ask.ask(new.path.as_ref(), &Question { option: "--path", text, default: None }, path)?;
    if matches!(draft.pages, Pages::Cursor | Pages::NextUrl) {
        let text = "Which member of the response has the cursor, or the next page's address?";
        let question = Question { option: "--next", text, default: Some("next") };
        draft.next = ask.ask(new.next.as_ref(), &question, member)?;
    }
    if matches!(draft.pages, Pages::Cursor | Pages::Page | Pages::Offset) {
        let default = match draft.pages {
            Pages::Page => "page",
            Pages::Offset => "offset",
            _ => "cursor",
        };
        let text = "Which parameter asks for a page?";
        let question = Question { option: "--param", text, default: Some(default) };
        draft.param = ask.ask(new.param.as_ref(), &question, line)?;
    }
    if matches!(draft.pages, Pages::Page | Pages::Offset) {
        let text = "Which member of the response has the number of all users?";
        let question = Question { option: "--total", text, default: Some("") };
        draft.total = ask.ask(new.total.as_ref(), &question, member)?;
    }
    let text = "Which member of the response has the users? $ if the response is the list";
    draft.records = ask.ask(new.records.as_ref(), &Question { option: "--records", text, default: None }, member)?;
    let text = "Which member of a user is the id?";
    draft.id = ask.ask(new.id.as_ref(), &Question { option: "--id", text, default: Some("id") }, member)?;
    let text = "Which member of a user is the e-mail address?";
    draft.email = ask.ask(new.email.as_ref(), &Question { option: "--email", text, default: Some("") }, member)?;
    let text = "Which member of a user is the name?";
    let question = Question { option: "--display-name", text, default: Some("") };
    draft.display_name = ask.ask(new.display_name.as_ref(), &question, member)?;
    let text = "Which member of a user is the status, such as “suspended”?";
    draft.status = ask.ask(new.status.as_ref(), &Question { option: "--status", text, default: Some("") }, member)?;
    Ok(())
}

fn key(text: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.is_empty() && text.bytes().all(plain) {
        return Ok(());
    }
    Err(format!("“{text}” is no key: it has lower-case letters, digits and -, such as quillwork"))
}

/// One line of text.
fn line(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("write a line of text".to_owned());
    }
    Ok(text.to_owned())
}

fn base_url(text: &str) -> Result<BaseUrl, String> {
    if text == SETTING {
        return Ok(BaseUrl::default());
    }
    let wrong = || "write an address such as https://api.example.com/v1, without parameters; or “setting”".to_owned();
    let url = Url::parse(text).ok().filter(Url::has_host).ok_or_else(wrong)?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !plain || url.fragment().is_some() || text.contains(['{', '}']) {
        return Err(wrong());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let origin = url.origin().ascii_serialization();
    match url.scheme() {
        "https" => Ok(BaseUrl { origin: Some(origin), example: None, path }),
        // Plain http is for a company's own network only, and there every connection has its own address.
        "http" => Ok(BaseUrl { origin: None, example: Some(origin), path }),
        _ => Err(wrong()),
    }
}

fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        return Err("a path begins with /, such as /members".to_owned());
    }
    if text.contains("{{") {
        return Err("write {org}; the setting is made from it".to_owned());
    }
    Ok(text.to_owned())
}

/// A member by its name or by its JSONPath.
fn member(text: &str) -> Result<Member, String> {
    match text {
        "" => Ok(Member::default()),
        _ if text.chars().any(char::is_control) => Err("write the name of a member, or a JSONPath".to_owned()),
        _ if text.starts_with('$') => Ok(Member(text.to_owned())),
        _ => Ok(Member(format!("$.{}", text.trim_start_matches('.')))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        new: New,
    }

    #[test]
    fn a_wrong_answer_is_asked_for_again_and_an_empty_one_is_the_default() {
        let Line { new } = Line::parse_from(["new", "quillwork", "--auth", "bearer"]);
        let answers = "Quillwork\nquillwork.example\nhttps://api.quillwork.example/v1\nguess\ncursor\n/members\n\nafter\n\
                       members\n\nmail\n\nstate\n";
        let mut lines = answers.as_bytes();
        let draft = collect(&new, Some(&mut lines)).unwrap();
        let texts = [&draft.next, &draft.records, &draft.id, &draft.email, &draft.display_name, &draft.status];
        assert_eq!(texts.map(|member| member.0.as_str()), ["$.next", "$.members", "$.id", "$.mail", "", "$.state"]);
        assert_eq!((draft.name.as_str(), draft.param.as_str(), draft.pages), ("Quillwork", "after", Pages::Cursor));
        assert_eq!(draft.base_url.path, "/v1");

        let mut lines = "Quillwork\n".as_bytes();
        let ended = collect(&new, Some(&mut lines)).err().unwrap();
        assert!(ended.contains("nothing was written"), "{ended}");
    }
}
