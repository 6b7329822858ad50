//! A TCP proxy that disturbs connections: it refuses, cuts, freezes or delays them, and loses
//! the response to COMMIT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The message with which sqlx commits a transaction (simple query protocol).
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// New connections are reset at once.
    Down,
    /// New connections are accepted, but forward nothing. Open ones continue.
    Blackhole,
    /// No connection forwards anything.
    Freeze,
    /// Each chunk is delayed.
    Latency(Duration),
    /// Each connection is reset after this number of bytes from the server.
    CutAfter(usize),
}

/// How a COMMIT is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It is executed, but the response is lost.
    Answer,
    /// It never reaches the server.
    Request,
}

/// A proxy on its own port. When dropped, it closes all its connections.
pub struct Proxy {
    pub port: u16,
    line: Arc<Line>,
    accepting: JoinHandle<()>,
}

struct Line {
    target: SocketAddr,
    mode: watch::Sender<Mode>,
    /// When it is incremented, all open connections are reset.
    cuts: watch::Sender<u64>,
    /// How many of the next COMMITs are lost …
    commits: AtomicUsize,
    /// … and how.
    carried_out: AtomicBool,
    lost: AtomicU64,
}

impl Proxy {
    /// A proxy for a port of this machine.
    pub async fn start(target: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line {
            target: SocketAddr::from(([127, 0, 0, 1], target)),
            mode: watch::Sender::new(Mode::Pass),
            cuts: watch::Sender::new(0),
            commits: AtomicUsize::new(0),
            carried_out: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, line.clone()));
        Proxy { port, line, accepting }
    }

    /// Sets the mode from now on.
    pub fn set(&self, mode: Mode) {
        self.line.mode.send_replace(mode);
        if mode == Mode::Down {
            self.cut();
        }
    }

    /// Resets every open connection.
    pub fn cut(&self) {
        self.line.cuts.send_modify(|count| *count += 1);
    }

    /// Loses the next `count` COMMITs together with their connections; 0 stops this.
    pub fn lose_commits(&self, count: usize, lost: Lost) {
        self.line.carried_out.store(lost == Lost::Answer, Ordering::SeqCst);
        self.line.commits.store(count, Ordering::SeqCst);
    }

    /// How many COMMITs were lost so far.
    pub fn lost_commits(&self) -> u64 {
        self.line.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, line: Arc<Line>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let line = line.clone();
        // Subscribes to the cuts now, so that none is missed.
        let cuts = line.cuts.subscribe();
        tokio::spawn(async move { carry(client, &line, cuts).await });
    }
}

/// Serves one connection until it ends.
async fn carry(mut client: TcpStream, line: &Line, mut cuts: watch::Receiver<u64>) {
    if *line.mode.borrow() == Mode::Down {
        return reset(&client);
    }
    let dark = *line.mode.borrow() == Mode::Blackhole;
    let Ok(mut server) = TcpStream::connect(line.target).await else { return reset(&client) };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let swallow = AtomicBool::new(false);
        let up = Pump { line, dark, swallow: &swallow };
        let both = async { tokio::try_join!(up.up(from_client, to_server), up.down(from_server, to_client)) };
        tokio::select! {
            ended = both => ended.is_ok(),
            _ = cuts.changed() => false,
        }
    };
    if !ended {
        reset(&client);
        reset(&server);
    }
}

/// Makes the following close send a reset.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Ends a connection with a reset.
struct Cut;

impl From<std::io::Error> for Cut {
    fn from(_: std::io::Error) -> Self {
        Cut
    }
}

struct Pump<'a> {
    line: &'a Line,
    /// Opened in the mode `Blackhole`.
    dark: bool,
    /// Drop the next response of the server and cut the connection.
    swallow: &'a AtomicBool,
}

impl Pump<'_> {
    async fn up(&self, mut client: ReadHalf<'_>, mut server: WriteHalf<'_>) -> Result<(), Cut> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = client.read(&mut buffer).await?;
            self.hindered().await;
            if count == 0 {
                return Ok(server.shutdown().await?);
            }
            let piece = &buffer[..count];
            if piece.windows(COMMIT.len()).any(|part| part == COMMIT) && self.line.chosen() {
                if !self.line.carried_out.load(Ordering::SeqCst) {
                    return Err(Cut);
                }
                self.swallow.store(true, Ordering::SeqCst);
            }
            server.write_all(piece).await?;
        }
    }

    async fn down(&self, mut server: ReadHalf<'_>, mut client: WriteHalf<'_>) -> Result<(), Cut> {
        let mut buffer = vec![0; 64 * 1024];
        let mut carried = 0;
        loop {
            let count = server.read(&mut buffer).await?;
            if self.swallow.load(Ordering::SeqCst) {
                return Err(Cut);
            }
            self.hindered().await;
            if count == 0 {
                return Ok(client.shutdown().await?);
            }
            client.write_all(&buffer[..count]).await?;
            carried += count;
            if let Mode::CutAfter(limit) = *self.line.mode.borrow()
                && carried >= limit
            {
                return Err(Cut);
            }
        }
    }

    /// Delays a chunk according to the mode.
    async fn hindered(&self) {
        let mut mode = self.line.mode.subscribe();
        let held = |mode: &Mode| *mode == Mode::Freeze || (self.dark && *mode == Mode::Blackhole);
        let _ = mode.wait_for(|mode| !held(mode)).await;
        let now = *mode.borrow();
        if let Mode::Latency(wait) = now {
            tokio::time::sleep(wait).await;
        }
    }
}

impl Line {
    /// True if this COMMIT must be lost.
    fn chosen(&self) -> bool {
        let taken = self.commits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        self.lost.fetch_add(u64::from(taken), Ordering::SeqCst);
        taken
    }
}
