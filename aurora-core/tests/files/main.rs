//! Buckets and objects on a scratch database of either engine, through the wire as an adapter calls it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing test"
)]

mod abuse;
mod attacks;
mod basics;
mod crash;
mod faults;
mod memory;
mod protocol;
mod resumable;
mod store;
mod sweeping;
mod unfinished;
