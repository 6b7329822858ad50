use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Limits, Smtp, own_name};

/// How a peer answers: by the first word of what it hears; `greeting` and `.` (the end of
/// a message) count as words too. `None` means that it never answers.
type Answers = fn(&str) -> Option<&'static str>;

struct Peer {
    url: String,
    connections: Arc<AtomicUsize>,
}

async fn peer(answers: Answers) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(converse(stream, answers));
        }
    });
    Peer { url, connections }
}

async fn converse(stream: TcpStream, answers: Answers) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut word = "greeting".to_owned();
    let mut in_message = false;
    loop {
        if !in_message {
            let answer = answers(&word).map(|answer| format!("{answer}\r\n"));
            let Some(answer) = answer else { return std::future::pending().await };
            stream.write_all(answer.as_bytes()).await?;
            in_message = answer.starts_with("354");
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        word = line.split_whitespace().next().unwrap_or_default().to_uppercase();
        in_message = in_message && word != ".";
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the `Answers`")]
fn friendly(word: &str) -> Option<&'static str> {
    Some(match word {
        "greeting" => "220 peer",
        "EHLO" => "250-peer\r\n250 AUTH PLAIN",
        "AUTH" => "235 welcome",
        "DATA" => "354 go on",
        _ => "250 fine",
    })
}

fn parse(url: &str) -> Result<Smtp, String> {
    Smtp::from_url(url, ClientId::Domain("muster.example.org".into()), None)
}

fn smtp(url: &str) -> Smtp {
    let mut smtp = parse(url).unwrap();
    let short = Duration::from_millis(200);
    smtp.limits = Limits { connect: short, step: short, message: 3 * short, ..Limits::default() };
    smtp
}

async fn send(smtp: &Smtp) -> Result<(), super::SendError> {
    let envelope = Envelope::new(Some("muster@localhost".parse().unwrap()), vec!["ann@example.org".parse().unwrap()]);
    smtp.send(&envelope.unwrap(), b"Subject: Hello\r\n\r\n.Text\r\n", &|| true).await
}

#[tokio::test]
async fn messages_share_a_connection() {
    let peer = peer(friendly).await;
    let smtp = smtp(&peer.url);
    for _ in 0..3 {
        send(&smtp).await.unwrap();
    }
    assert_eq!(peer.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_message_that_is_no_longer_ours_is_held_back_at_the_last_moment() {
    // If the message were sent, its refusal would be final.
    let peer = peer(|word| if word == "." { Some("550 5.1.1 too late") } else { friendly(word) }).await;
    let smtp = smtp(&peer.url);
    let envelope = Envelope::new(Some("muster@localhost".parse().unwrap()), vec!["ann@example.org".parse().unwrap()]);
    let error = smtp.send(&envelope.unwrap(), b"Subject: Hello\r\n\r\n.Text\r\n", &|| false).await.unwrap_err();
    assert!(!error.permanent && error.message.contains("held back"), "{error}");
    assert!(send(&smtp).await.unwrap_err().permanent, "and the next one is sent");
    assert_eq!(peer.connections.load(Ordering::SeqCst), 2, "on a connection of its own");
}

#[tokio::test]
async fn only_a_refusal_of_the_address_is_final() {
    let answers: [(Answers, bool, &str); 9] = [
        (|w| if w == "RCPT" { Some("550 5.1.1 no such user") } else { friendly(w) }, true, "550 5.1.1 no such user"),
        (|w| if w == "." { Some("550 unknown recipient") } else { friendly(w) }, true, "550 unknown recipient"),
        (|w| if w == "." { Some("554 5.7.1 spam") } else { friendly(w) }, false, "554 5.7.1 spam The mail server"),
        (|w| if w == "RCPT" { Some("504 bad HELO") } else { friendly(w) }, false, "504 bad HELO Set MUSTER_SMTP_HELO"),
        (|w| if w == "RCPT" { Some("550 no relaying") } else { friendly(w) }, false, "does not relay"),
        (|w| if w == "RCPT" { Some("450 4.2.1 busy") } else { friendly(w) }, false, "450 4.2.1 busy"),
        (|w| if w == "." { Some("451 4.3.0 local error") } else { friendly(w) }, false, "451 4.3.0 local error"),
        (|w| if w == "DATA" { Some("421 going down") } else { friendly(w) }, false, "421 going down"),
        (|w| if w == "RCPT" { Some("530 sign in first") } else { friendly(w) }, false, "MUSTER_SMTP_URL"),
    ];
    for (answers, permanent, message) in answers {
        let peer = peer(answers).await;
        let smtp = smtp(&peer.url);
        for attempt in 1..=2 {
            let error = send(&smtp).await.unwrap_err();
            assert!(error.permanent == permanent && error.message.contains(message), "{error:?}");
            assert_eq!(peer.connections.load(Ordering::SeqCst), attempt, "a connection was used again");
        }
    }
}

#[tokio::test]
async fn the_advice_is_told_even_if_the_server_says_much() {
    let peer = peer(|w| {
        let long =
            "550-5.7.1 Relay access denied, as is written in the rules of this house,\r\n550-5.7.1 which are long";
        if w == "RCPT" {
            Some(LONG.get_or_init(|| format!("{}\r\n550 5.7.1 end", [long; 9].join("\r\n"))))
        } else {
            friendly(w)
        }
    })
    .await;
    let error = send(&smtp(&peer.url)).await.unwrap_err();
    assert!(!error.permanent && error.message.starts_with("550 5.7.1 Relay"), "{error}");
    assert!(error.message.ends_with("in MUSTER_SMTP_URL.") && error.message.len() < 310, "{error}");
}

static LONG: std::sync::OnceLock<String> = std::sync::OnceLock::new();

#[tokio::test]
async fn we_introduce_ourselves_by_the_setting_or_the_path_of_the_url() {
    static HEARD: parking_lot::Mutex<Vec<String>> = parking_lot::Mutex::new(Vec::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"220 peer\r\n").await.unwrap();
            let mut line = String::new();
            BufReader::new(&mut stream).read_line(&mut line).await.unwrap();
            HEARD.lock().push(line.trim().to_owned());
        }
    });
    for url in [url.clone(), format!("{url}/other.example.org")] {
        let _cut = send(&smtp(&url)).await.unwrap_err();
    }
    assert_eq!(*HEARD.lock(), ["EHLO muster.example.org", "EHLO other.example.org"]);
    let own = ClientId::default().to_string();
    let expected = if own.contains('.') { own.as_str() } else { "muster.example.org" };
    assert_eq!(own_name("muster.example.org").to_string(), expected);
    assert_eq!(own_name("localhost").to_string(), own);
}

#[tokio::test]
async fn a_refusal_of_the_session_is_a_passing_trouble() {
    let answers: [(Answers, &str); 4] = [
        (|w| if w == "greeting" { Some("554 no") } else { friendly(w) }, "cannot be reached: 554 no"),
        (|w| if w == "EHLO" { Some("550 who?") } else { friendly(w) }, "cannot be reached: 550 who?"),
        (
            |w| if w == "AUTH" { Some("535 bad login hunter22 AHUAaHVudGVyMjI=") } else { friendly(w) },
            "refused the login: 535 bad login [removed] [removed]",
        ),
        (|w| if w == "MAIL" { Some("553 not your sender") } else { friendly(w) }, "not accepted: 553 not your sender"),
    ];
    for (answers, message) in answers {
        let peer = peer(answers).await;
        let error = send(&smtp(&peer.url.replace("//", "//u:hunter22@"))).await.unwrap_err();
        assert!(!error.permanent && error.message.contains(message), "{error:?}");
    }
}

#[tokio::test]
async fn silence_ends_and_its_connection_is_not_used_again() {
    let answers: [Answers; 5] = [
        |w| if w == "greeting" { None } else { friendly(w) },
        |w| if w == "EHLO" { None } else { friendly(w) },
        |w| if w == "MAIL" { None } else { friendly(w) },
        |w| if w == "DATA" { None } else { friendly(w) },
        |w| if w == "." { None } else { friendly(w) },
    ];
    for answers in answers {
        let peer = peer(answers).await;
        let smtp = smtp(&peer.url);
        for attempt in 1..=2 {
            let error = send(&smtp).await.unwrap_err();
            assert!(!error.permanent && error.message.contains("no answer within"), "{error:?}");
            assert_eq!(peer.connections.load(Ordering::SeqCst), attempt);
        }
    }
}

#[tokio::test]
async fn an_idle_connection_that_died_is_replaced() {
    static NOOPS: AtomicUsize = AtomicUsize::new(0);
    let peer = peer(|w| match w {
        "NOOP" if NOOPS.fetch_add(1, Ordering::SeqCst) == 0 => Some("421 idle for too long"),
        _ => friendly(w),
    })
    .await;
    let smtp = smtp(&peer.url);
    for _ in 0..3 {
        send(&smtp).await.unwrap();
    }
    assert_eq!(peer.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn answers_that_are_no_smtp_and_closed_ports_are_passing_troubles() {
    let peer = peer(|_| Some("<html>502</html>")).await;
    assert!(!send(&smtp(&peer.url)).await.unwrap_err().permanent);

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = send(&smtp(&format!("smtp://{closed}"))).await.unwrap_err();
    assert!(!error.permanent && error.message.starts_with("The mail server cannot be reached"), "{error:?}");
}

#[tokio::test]
async fn encryption_that_is_required_and_not_offered_is_not_done_without() {
    let peer = peer(friendly).await;
    let error = send(&smtp(&format!("{}?tls=required", peer.url))).await.unwrap_err();
    assert!(!error.permanent && error.message.contains("cannot be encrypted"), "{error:?}");
    send(&smtp(&format!("{}?tls=opportunistic", peer.url))).await.unwrap();
}

#[test]
fn urls_say_where_and_how() {
    for (url, said) in [
        ("smtp://mail.example.org", "mail.example.org port 25 (unencrypted, not signed in)"),
        ("smtp://mail.example.org?tls=required", "mail.example.org port 587 (STARTTLS, not signed in)"),
        ("smtp://mail.example.org:2525?tls=opportunistic", "port 2525 (STARTTLS if offered, not signed in)"),
        ("smtps://u%40x:hunter%2022@mail.example.org/muster.example.org", "mail.example.org port 465 (TLS, signed in)"),
        ("smtps://[::1]:4465", "::1 port 4465 (TLS"),
    ] {
        let described = parse(url).unwrap_or_else(|e| panic!("{url}: {e}")).describe();
        assert!(described.contains(said) && !described.contains("hunter"), "{described}");
    }
}

#[test]
fn a_malformed_url_is_named_without_repeating_it() {
    for url in [
        "",
        "mail.example.org",
        "http://u:hunter22@mail.example.org",
        "smtp://",
        "smtp://u:hunter22@mail.example.org?tls=no",
        "smtp://u:hunter22@mail.example.org?password=x",
        "smtps://u:hunter22@mail.example.org?tls=required",
        "smtp://hunter22@mail.example.org",
        "smtp://:hunter22@mail.example.org",
        "smtp://u:hunter22%FF@mail.example.org",
        "smtp://u:hunter22@mail.example.org/a%0D%0Ab",
        "smtp://u:hunter22@mail.example.org:99999",
    ] {
        let error = parse(url).err().unwrap_or_else(|| panic!("{url}"));
        assert!(!error.contains("hunter") && !error.contains('\n') && error.len() < 120, "{url}: {error}");
    }
}
