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
#[path = "../common/certificates.rs"]
mod certificates;
mod crash;
mod faults;
mod limits;
mod lists;
mod memory;
mod protocol;
mod races;
mod resumable;
mod s3;
mod store;
mod sweeping;
mod unfinished;
