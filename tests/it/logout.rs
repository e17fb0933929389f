//! The ends of a session.

mod rp_initiated;
