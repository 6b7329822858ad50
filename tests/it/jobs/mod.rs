//! Work that another process has left.

mod take_over;
