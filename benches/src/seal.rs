//! What sealing costs beside the bare cipher: a stream of 16 KiB chunks, on one core and on two, and single cells.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use aurora_core::crypto::{
    Context, DataKey, DatabaseKeys, KeyFile, KeyOwner, KeyTextProvider, Keyring, Purpose,
};
use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::store::SqliteDatabase;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::measure::{Side, compare, median, middle, quotient, rounds, verdict};

/// A side of a comparison.
type Work<'a> = Box<dyn FnMut(u32) -> Pin<Box<dyn Future<Output = ()> + 'a>> + 'a>;

const CHUNK: usize = 16 * 1024;
/// Of one message.
const STREAM: usize = 16 << 20;
const FILE: Context<'static> =
    Context::File { owner: &KeyOwner::Service, bucket: "bench", object: b"one", generation: b"two" };
const CELL: Context<'static> =
    Context::Field { owner: &KeyOwner::Service, table: "patients", column: "diagnosis", row: &[7; 16] };

async fn keys() -> (DataKey, DataKey) {
    let folder = std::env::temp_dir().join(format!("aurora-bench-seal-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let entropy = Arc::new(SystemEntropy);
    let file = KeyFile::create_new(&folder.join("root.key"), &SystemEntropy).unwrap();
    let provider = Arc::new(KeyTextProvider::new(&file.to_text(), entropy.clone()).unwrap());
    let database = SqliteDatabase::open(folder.join("app.db").to_str().unwrap(), &SystemClock).await.unwrap();
    let store = Arc::new(DatabaseKeys::new(Arc::new(database)));
    let ring = Keyring::open(provider, store, Arc::new(SystemClock), entropy).await.unwrap();
    let of = async |purpose| ring.data_key(&KeyOwner::Service, purpose).await.unwrap();
    let keys = (of(Purpose::File).await, of(Purpose::Field).await);
    std::fs::remove_dir_all(&folder).unwrap();
    keys
}

fn bare(key: &LessSafeKey, text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for (number, chunk) in text.chunks(CHUNK).enumerate() {
        let at = out.len();
        out.extend_from_slice(chunk);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&(number as u64).to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut out[at..]).unwrap();
        out.extend_from_slice(tag.as_ref());
    }
}

fn ours(key: &DataKey, text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut sealer = key.sealer(&FILE).unwrap();
    sealer.push(text, out).unwrap();
    sealer.finish(out).unwrap();
}

/// On one core: at least 0.85 of the bare cipher.
pub(crate) async fn stream() {
    let (key, _) = keys().await;
    let raw = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let text = vec![5; STREAM];
    let (text, raw, key) = (&text, &raw, &key);
    let side = |bytes: fn(&LessSafeKey, &DataKey, &[u8], &mut Vec<u8>)| {
        let mut out = Vec::with_capacity(STREAM + STREAM / 512);
        let work: Work<'_> = Box::new(move |times| {
            for _ in 0..times {
                bytes(raw, key, text, &mut out);
                black_box(&out);
            }
            Box::pin(async {})
        });
        work
    };
    let bare_side = || side(|raw, _, text, out| bare(raw, text, out));
    let mut sides: Vec<Side<'_>> = vec![
        ("bare", bare_side()),
        ("bare again", bare_side()),
        ("sealed", side(|_, key, text, out| ours(key, text, out))),
    ];
    let times = rounds(&mut sides, 90, 4).await;
    for ((name, _), times) in sides.iter().zip(&times) {
        println!("figure seal.{} {:.2} GB/s", name.replace(' ', "-"), STREAM as f64 / median(times));
    }
    println!("control seal {:.3}", quotient(&times[1], &times[0]).0);
    // In bytes per time: the bare cipher's time over ours.
    let (ratio, spread) = quotient(&times[0], &times[2]);
    verdict("seal", ratio, 0.85, true, spread);
}

/// On two cores against one: at least 1.7.
pub(crate) async fn two_cores() {
    let (key, _) = keys().await;
    let text = vec![5; STREAM];
    let run = |threads: usize| {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut out = Vec::with_capacity(STREAM + STREAM / 512);
                    for _ in 0..16 {
                        ours(&key, &text, &mut out);
                        black_box(&out);
                    }
                });
            }
        });
        (threads * 16 * STREAM) as f64 / began.elapsed().as_nanos() as f64
    };
    let ratios: Vec<f64> = (0..15)
        .map(|_| {
            let (one, two) = (run(1), run(2));
            two / one
        })
        .collect();
    let (ratio, spread) = middle(&ratios);
    verdict("seal-two-cores", ratio, 1.7, true, spread / 2.0);
}

/// A cell of 256 bytes: sealed and opened, at most 3 us each.
pub(crate) async fn fields() {
    let (_, key) = keys().await;
    let text = [5; 256];
    let sealed = key.seal(&CELL, &text).unwrap();
    let (key, sealed) = (&key, &sealed);
    let seal = || -> Work<'_> {
        Box::new(move |times| {
            for _ in 0..times {
                black_box(key.seal(&CELL, &text).unwrap());
            }
            Box::pin(async {})
        })
    };
    let mut sides: Vec<Side<'_>> = vec![
        ("seal", seal()),
        ("seal again", seal()),
        (
            "open",
            Box::new(move |times| {
                for _ in 0..times {
                    black_box(key.unseal(&CELL, sealed).unwrap());
                }
                Box::pin(async {})
            }),
        ),
    ];
    compare("fields", 1.5, &mut sides, 90, 2_000).await;
}
