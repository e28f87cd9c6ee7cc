//! What sealing costs beside the bare cipher: a stream of 16 KiB chunks, on one core and on two; and beside `age` and
//! `openssl enc` on a file.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use aurora_core::crypto::{
    Context, DataKey, DatabaseKeys, KeyFile, KeyOwner, KeyTextProvider, Keyring, Purpose,
};
use aurora_core::env::{SystemClock, SystemEntropy};
use aurora_core::store::SqliteDatabase;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::data::Folder;
use crate::measure::{Side, median, middle, quotient, rounds, verdict};

/// A side of a comparison.
pub(crate) type Work<'a> = Box<dyn FnMut(u32) -> Pin<Box<dyn Future<Output = ()> + 'a>> + 'a>;

const CHUNK: usize = 16 * 1024;
/// Of one message.
const STREAM: usize = 16 << 20;
const FILE: Context<'static> =
    Context::File { owner: &KeyOwner::Service, bucket: "bench", object: b"one", generation: b"two" };

/// A key for files and one for fields.
pub(crate) async fn keys() -> (DataKey, DataKey) {
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

/// The length of the file that the programs are given.
const FILE_LENGTH: usize = 1 << 30;

/// A file of 1 GiB, from the page cache to nowhere, beside the programs that people seal files with. They are started
/// for each file; all have one core.
pub(crate) async fn files() {
    let (key, _) = keys().await;
    let folder = Folder::new("seal-files");
    let plain = folder.0.join("plain");
    let piece: Vec<u8> = (0..1 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut file = File::create(&plain).unwrap();
    for _ in 0..FILE_LENGTH >> 20 {
        file.write_all(&piece).unwrap();
    }
    drop(file);
    let Ok(made) = Command::new("age-keygen").output() else {
        println!("# age is not there (Debian: age)");
        return;
    };
    let said = String::from_utf8_lossy(&made.stderr).into_owned() + &String::from_utf8_lossy(&made.stdout);
    let public = said.split_whitespace().find(|word| word.starts_with("age1")).unwrap().to_owned();
    let begin = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).arg(&plain).stdout(Stdio::null()).status();
        assert!(status.unwrap().success(), "{program}");
    };
    let mut rates: [Vec<f64>; 3] = Default::default();
    for _ in 0..5 {
        for (at, rates) in rates.iter_mut().enumerate() {
            let began = Instant::now();
            match at {
                0 => seal_file(&key, &plain),
                1 => begin("age", &["-r", &public, "-o", "/dev/null"]),
                _ => begin(
                    "openssl",
                    &[
                        "enc",
                        "-aes-256-ctr",
                        "-pbkdf2",
                        "-k",
                        "a password of a bench",
                        "-out",
                        "/dev/null",
                        "-in",
                    ],
                ),
            }
            rates.push(FILE_LENGTH as f64 / began.elapsed().as_nanos() as f64);
        }
    }
    let [ours, age, openssl] = rates.map(|rates| middle(&rates));
    for (name, (rate, spread)) in [("aurora", ours), ("age", age), ("openssl-enc-aes-256-ctr", openssl)] {
        println!("figure seal-files.{name} {rate:.2} GB/s (spread {:.0}%)", spread * 100.0);
    }
    println!("figure seal-files.aurora-to-age {:.2}", ours.0 / age.0);
    println!("figure seal-files.aurora-to-openssl {:.2} (which authenticates nothing)", ours.0 / openssl.0);
}

/// As the files of a service are sealed: a piece at a time.
fn seal_file(key: &DataKey, plain: &Path) {
    let mut from = File::open(plain).unwrap();
    let mut to = File::options().write(true).open("/dev/null").unwrap();
    let (mut piece, mut out) = (vec![0; 256 * 1024], Vec::new());
    let mut sealer = key.sealer(&FILE).unwrap();
    loop {
        let read = from.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        sealer.push(&piece[..read], &mut out).unwrap();
        to.write_all(&out).unwrap();
        out.clear();
    }
    sealer.finish(&mut out).unwrap();
    to.write_all(&out).unwrap();
}
