//! Compresses records. They are so similar that compression with a shared dictionary makes them six times smaller;
//! without the dictionary, it would make them only three times smaller.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::error::{Error, Result};

/// The first byte of a record. A different dictionary or algorithm needs a new version.
const VERSION: u8 = 2;
/// The dictionary of that version. It must never change, because stored records could not be read any more.
const DICTIONARY: &[u8] = include_bytes!("dictionary.txt");
/// The most bytes that the version and DEFLATE add to a text that cannot be compressed.
const OVERHEAD: usize = 64;

/// The version, followed by the text compressed by raw DEFLATE (RFC 1951) with the dictionary.
pub fn compress(text: &[u8]) -> Result<Vec<u8>> {
    let failed = |error| Error::internal("compressing an event's record", error);
    let mut record = Vec::with_capacity(text.len() + OVERHEAD);
    record.push(VERSION);
    let mut deflate = Compress::new(Compression::best(), false);
    deflate.set_dictionary(DICTIONARY).map_err(failed)?;
    match deflate.compress_vec(text, &mut record, FlushCompress::Finish).map_err(failed)? {
        Status::StreamEnd => Ok(record),
        status @ (Status::Ok | Status::BufError) => {
            Err(Error::Internal(format!("compressing an event's record ended with {status:?}").into()))
        }
    }
}

/// # Errors
/// Fails on a record that a newer version has written, and on one that is damaged.
pub fn decompress(record: &[u8]) -> Result<Vec<u8>> {
    let data = match record.split_first() {
        Some((&VERSION, data)) => data,
        Some((version, _)) => {
            return Err(Error::Internal(
                format!("the record has version {version}, which only a newer Muster reads").into(),
            ));
        }
        None => return Err(Error::Internal("the record is empty".into())),
    };
    let failed = |error| Error::internal("an event's record", error);
    let mut inflate = Decompress::new(false);
    inflate.set_dictionary(DICTIONARY).map_err(failed)?;
    let mut text = Vec::with_capacity(8 * record.len());
    loop {
        let rest = usize::try_from(inflate.total_in()).ok().and_then(|read| data.get(read..)).unwrap_or_default();
        match inflate.decompress_vec(rest, &mut text, FlushDecompress::Finish).map_err(failed)? {
            Status::StreamEnd => return Ok(text),
            Status::Ok | Status::BufError if text.len() == text.capacity() => text.reserve(text.capacity()),
            Status::Ok | Status::BufError => return Err(Error::Internal("an event's record is cut off".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back(text in prop::collection::vec(any::<u8>(), 0..4_000), repeats in 1..20usize) {
            let text = text.repeat(repeats);
            prop_assert_eq!(decompress(&compress(&text).unwrap()).unwrap(), text);
        }

        #[test]
        fn a_damaged_record_is_an_error_or_another_text(at in 0..60usize, byte in any::<u8>()) {
            let mut record = compress(br#"{"instance":{"name":"Acme","config":{"token":null}}}"#).unwrap();
            let at = at % record.len();
            record[at] = byte;
            let _ = decompress(&record);
        }
    }

    #[test]
    fn what_is_cut_off_or_of_a_newer_version_is_refused() {
        let mut record = compress(br#"{"instance":{"name":"Acme"}}"#).unwrap();
        for length in 0..record.len() {
            assert!(decompress(&record[..length]).is_err(), "{length} bytes");
        }
        record[0] = 3;
        assert!(decompress(&record).unwrap_err().to_string().contains("version 3"));
    }
}
