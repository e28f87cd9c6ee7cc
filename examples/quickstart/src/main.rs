//! Quickstart
fn main() {}
