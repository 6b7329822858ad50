//! How far a subscriber has read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// What the holder of the cursor has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// All events up to this one, …
    pub seq: i64,
    /// … of the instances up to this id, the last one whose snapshot was sent; `None`: of all instances.
    pub snapshots_through: Option<Uuid>,
}

impl Cursor {
    /// All events up to this one.
    pub fn at(seq: i64) -> Self {
        Cursor { seq, snapshots_through: None }
    }

    /// Nothing.
    pub fn start() -> Self {
        Cursor { seq: 0, snapshots_through: Some(Uuid::nil()) }
    }

    /// As clients hold it. `epoch` identifies the log that the number belongs to.
    pub fn encode(self, epoch: i64) -> String {
        let text = match self.snapshots_through {
            None => format!("e{}@{epoch}", self.seq),
            Some(id) => format!("e{}@{epoch}.{}", self.seq, id.simple()),
        };
        URL_SAFE_NO_PAD.encode(text)
    }

    /// A cursor of another log is the start of this one.
    pub fn decode(text: &str, epoch: i64) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let text = text.strip_prefix('e')?;
        let (position, snapshots_through) = match text.split_once('.') {
            None => (text, None),
            Some((position, id)) => (position, Some(Uuid::try_parse(id).ok()?)),
        };
        let (seq, log) = position.split_once('@').unwrap_or((position, ""));
        let seq = seq.parse().ok().filter(|seq| (0..i64::MAX).contains(seq))?;
        let known = log.parse() == Ok(epoch);
        Some(if known { Cursor { seq, snapshots_through } } else { Cursor::start() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_says_what_its_holder_knows() {
        let amid_snapshots = Cursor { seq: 7, snapshots_through: Some(Uuid::now_v7()) };
        for cursor in [Cursor::at(0), Cursor::at(i64::MAX - 1), Cursor::start(), amid_snapshots] {
            assert_eq!(Cursor::decode(&cursor.encode(42), 42), Some(cursor));
            assert_eq!(Cursor::decode(&cursor.encode(42), 43), Some(Cursor::start()), "another log");
        }
        assert_eq!(Cursor::decode("ZTE", 42), Some(Cursor::start()), "from before logs had numbers");
        for bad in ["", "e1", "ZS0x", "ZTEueA", "💥", &"A".repeat(9999)] {
            assert_eq!(Cursor::decode(bad, 42), None, "{bad}");
        }
    }
}
