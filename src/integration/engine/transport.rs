//! Why a request got no response.

use std::error::Error as _;

use super::address::{Blocked, Unresolved};

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    #[error("the address is not permitted")]
    Blocked,
    #[error("plain http is not permitted for this address")]
    Unencrypted,
    #[error("the host name could not be resolved")]
    Unresolved,
    #[error("the connection failed")]
    Unreachable,
    #[error("the TLS handshake failed")]
    Tls,
    #[error("the response did not arrive in time")]
    TimedOut,
    #[error("the connection was closed before the response was complete")]
    BrokeOff,
    #[error("the response is too large")]
    TooLong,
    #[error("the memory for responses is used up")]
    NoRoom,
}

impl TransportError {
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let mut next = error.source();
        while let Some(cause) = next {
            if cause.is::<Blocked>() {
                return TransportError::Blocked;
            }
            if cause.is::<Unresolved>() {
                return TransportError::Unresolved;
            }
            if cause.is::<rustls::Error>() {
                return TransportError::Tls;
            }
            // `source` of an I/O error skips the error that it wraps.
            let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            next = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => cause.source(),
            };
        }
        if error.is_connect() {
            TransportError::Unreachable
        } else if error.is_timeout() {
            TransportError::TimedOut
        } else {
            TransportError::BrokeOff
        }
    }
}
