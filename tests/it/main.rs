//! The one integration-test binary: the server from outside, over real sockets.

mod support;
