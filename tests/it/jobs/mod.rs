//! Jobs that another process has left unfinished.

mod take_over;
