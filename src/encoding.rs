//! The content codings in which a client accepts an answer.

use std::io::Write as _;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Why writing into memory does not fail.
const COMPLETE: &str = "memory takes everything";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Brotli,
    Gzip,
    Identity,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    /// What the client prefers, and of equals the smallest.
    pub fn preferred(headers: &HeaderMap) -> Self {
        // Without compression is possible, but nobody asks for it by saying nothing.
        let weight = |encoding: Self| match (weight(headers, encoding.name()), encoding) {
            (Some(weight), _) => weight,
            (None, Self::Identity) => f32::MIN_POSITIVE,
            (None, _) => 0.0,
        };
        let mut best = Self::Identity;
        for encoding in [Self::Gzip, Self::Brotli] {
            if weight(encoding) > 0.0 && weight(encoding) >= weight(best) {
                best = encoding;
            }
        }
        best
    }

    /// As small as possible, for what is encoded once and sent often.
    pub fn encode(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Brotli => {
                let parameters = BrotliEncoderParams { quality: 10, lgwin: 20, ..Default::default() };
                let mut encoded = Vec::new();
                brotli::BrotliCompress(&mut &*content, &mut encoded, &parameters).expect(COMPLETE);
                encoded
            }
            Self::Gzip => gzip(content, Compression::best()),
            Self::Identity => content.to_vec(),
        }
    }
}

/// Compressed by gzip without much work, if the client accepts that.
pub fn quickly(headers: &HeaderMap, content: &[u8]) -> Option<Vec<u8>> {
    let is_accepted = weight(headers, Encoding::Gzip.name()).is_some_and(|weight| weight > 0.0);
    is_accepted.then(|| gzip(content, Compression::fast()))
}

fn gzip(content: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(content).and_then(|()| encoder.finish()).expect(COMPLETE)
}

/// The weight of a coding in `Accept-Encoding`, if the header says anything about it.
fn weight(headers: &HeaderMap, name: &str) -> Option<f32> {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut of_others = None;
    for entry in values.flat_map(|value| value.split(',')) {
        let mut parts = entry.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
        if coding.eq_ignore_ascii_case(name) {
            return Some(quality);
        }
        if coding == "*" {
            of_others = Some(quality);
        }
    }
    of_others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_the_coding() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Encoding::Brotli),
            ("GZIP", Encoding::Gzip),
            ("br;q=0.5, gzip;q=0.8", Encoding::Gzip),
            ("br;q=0, gzip; q=0.1", Encoding::Gzip),
            ("br;q=0, *", Encoding::Gzip),
            ("identity, gzip;q=0.5", Encoding::Identity),
            ("identity;q=0.2, gzip;q=0.5", Encoding::Gzip),
            ("*;q=0", Encoding::Identity),
            ("deflate", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, accepted.parse().unwrap())]);
            assert_eq!(Encoding::preferred(&headers), expected, "{accepted}");
        }
        assert_eq!(Encoding::preferred(&HeaderMap::new()), Encoding::Identity);
    }
}
