//! Interleaved rounds, medians, and the control beside each ratio.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// One side of a comparison: runs its work `n` times.
pub(crate) type Side<'a> = (&'a str, Box<dyn FnMut(u32) -> Pin<Box<dyn Future<Output = ()> + 'a>> + 'a>);

/// Runs a bench on one core: every thread that is started later inherits the pin.
pub(crate) fn pinned(bench: impl Future<Output = ()>) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    match cores.last() {
        Some(core) if core_affinity::set_for_current(*core) => println!("# pinned to core {}", core.id),
        _ => println!("# could not be pinned: ratios of this run do not count"),
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(bench);
}

/// Runs a bench on every core: where the peer is the whole machine.
pub(crate) fn free(bench: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(bench);
}

/// Prints a ratio that has to be at least, or at most, `limit`.
pub(crate) fn verdict(name: &str, ratio: f64, limit: f64, at_least: bool, spread: f64) {
    let met = if at_least { ratio >= limit } else { ratio <= limit };
    let word = if at_least { "at least" } else { "at most" };
    if spread > 0.10 {
        println!("ratio {name} void (spread {:.0}%, median {ratio:.3})", spread * 100.0);
    } else {
        let verdict = if met { "met" } else { "NOT met" };
        println!("ratio {name} {ratio:.3} ({word} {limit}, {verdict}, spread {:.0}%)", spread * 100.0);
    }
}

/// Prints a point of a picture: see [`crate::plot`].
pub(crate) fn point(series: &str, x: impl std::fmt::Display, y: f64, unit: &str) {
    let digits = if y >= 100.0 { 1 } else { 3 };
    println!("point {series} {x} {y:.digits$} {unit}");
}

/// The middle value, and how far the values spread around it.
pub(crate) fn middle(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted[sorted.len() / 2];
    (middle, (sorted[sorted.len() - 1] - sorted[0]) / middle)
}

/// Nanoseconds per operation of each side, round by round; the order changes with every round.
pub(crate) async fn rounds(sides: &mut [Side<'_>], rounds: usize, per_round: u32) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(rounds); sides.len()];
    for (_, side) in sides.iter_mut() {
        side(per_round).await;
    }
    for round in 0..rounds {
        for step in 0..sides.len() {
            let at = (round + step) % sides.len();
            let start = Instant::now();
            sides[at].1(per_round).await;
            times[at].push(start.elapsed().as_nanos() as f64 / f64::from(per_round));
        }
    }
    times
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Rounds that make one block; the ratio of a block is that of its medians.
const BLOCK: usize = 15;

/// `of` against `against`: the median over blocks, and how far the blocks spread (their middle 80%).
pub(crate) fn quotient(of: &[f64], against: &[f64]) -> (f64, f64) {
    let blocks = of.chunks(BLOCK).zip(against.chunks(BLOCK));
    let mut quotients: Vec<f64> = blocks.map(|(a, b)| median(a) / median(b)).collect();
    quotients.sort_by(f64::total_cmp);
    let last = quotients.len() - 1;
    let (low, high) = (quotients[last / 10], quotients[last - last / 10]);
    let middle = quotients[quotients.len() / 2];
    (middle, (high - low) / middle)
}

/// Prints a comparison: sides are `[plain, plain again, ours, others ..]`; at most `limit` is asked of ours.
pub(crate) async fn compare(name: &str, limit: f64, sides: &mut [Side<'_>], count: usize, per_round: u32) {
    let times = rounds(sides, count, per_round).await;
    for ((side, _), times) in sides.iter().zip(&times) {
        println!("figure {name}.{} {:.2} us", side.replace(' ', "-"), median(times) / 1_000.0);
    }
    let (control, control_spread) = quotient(&times[1], &times[0]);
    println!("control {name} {control:.3}");
    for (index, (side, _)) in sides.iter().enumerate().skip(2) {
        let (ratio, spread) = quotient(&times[index], &times[0]);
        let label = if index == 2 { name.to_owned() } else { format!("{name}.{}", side.replace(' ', "-")) };
        let wide = spread.max(control_spread);
        if wide > 0.10 {
            println!("ratio {label} void (spread {:.0}%, median {ratio:.3})", wide * 100.0);
        } else if index == 2 {
            let verdict = if ratio <= limit { "met" } else { "NOT met" };
            println!("ratio {label} {ratio:.3} (limit {limit}, {verdict}, spread {:.0}%)", spread * 100.0);
        } else {
            println!("ratio {label} {ratio:.3} (spread {:.0}%)", spread * 100.0);
        }
    }
}
