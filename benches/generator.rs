//! How fast are passwords drawn? Beside it: the same number of random bytes from the same generator of random bytes, which is the
//! floor: as many as a password takes, and, further down than any way to draw reaches, as many as it has characters.
//!
//! Run it: `cargo bench -p rotation-benches --bench generator`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use divan::Bencher;
use rand::{Rng, TryCryptoRng, TryRng};
use rotation_core::{
    Forbidden, Generator, PassphrasePolicy, PassphraseRules, PasswordPolicy, PasswordRules,
    forbidden_parts,
};

fn main() {
    divan::main();
    let measured = std::env::args().any(|argument| argument == "--bench");
    let (rounds, passwords) = if measured { (9, 100_000) } else { (1, 10) };
    println!("\nmedian of {rounds} rounds of {passwords} passwords (target: 4 or less)");
    println!(
        "| characters | ns | random bytes taken | those bytes alone, ns | ratio | as many bytes as characters, ns | ratio |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for length in [16, 24, 64] {
        compare(length, rounds, passwords);
    }
}

/// One row of the table.
fn compare(length: usize, rounds: usize, passwords: usize) {
    let (generator, names) = (generator(length), names());
    let mut counting = Counting {
        rng: rand::rng(),
        bytes: 0,
    };
    for _ in 0..passwords {
        black_box(generator.generate(&mut counting, &names)).expect("a password");
    }
    let taken = counting.bytes / passwords;
    let mut rng = rand::rng();
    let (mut enough, mut few) = (vec![0; taken], vec![0; length]);
    let (mut ours, mut floor, mut depth) = (Vec::new(), Vec::new(), Vec::new());
    // in turns, so that a machine that slows down slows all of them
    for _ in 0..rounds {
        ours.push(nanoseconds(passwords, || {
            black_box(generator.generate(&mut rng, &names)).expect("a password");
        }));
        floor.push(nanoseconds(passwords, || {
            rng.fill_bytes(black_box(&mut enough))
        }));
        depth.push(nanoseconds(passwords, || {
            rng.fill_bytes(black_box(&mut few))
        }));
    }
    let (ours, floor, depth) = (median(ours), median(floor), median(depth));
    println!(
        "| {length} | {ours:.0} | {taken} | {floor:.0} | {:.2} | {depth:.0} | {:.2} |",
        ours / floor,
        ours / depth
    );
}

fn nanoseconds(times: usize, mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    for _ in 0..times {
        work();
    }
    began.elapsed().as_nanos() as f64 / times as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Counts what is taken of `rng`.
struct Counting<R> {
    rng: R,
    bytes: usize,
}

impl<R: Rng> TryRng for Counting<R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.bytes += 4;
        Ok(self.rng.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.bytes += 8;
        Ok(self.rng.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.bytes += bytes.len();
        self.rng.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: Rng> TryCryptoRng for Counting<R> {}

fn generator(length: usize) -> Generator {
    let rules = PasswordRules {
        length,
        ..PasswordRules::default()
    };
    let policy = PasswordPolicy::new(rules).expect("a sound policy");
    Generator::new(&policy).expect("a sound policy")
}

fn names() -> Forbidden {
    forbidden_parts("ada.lovelace@contoso.com", "Ada Lovelace")
}

#[divan::bench(args = [16, 24, 64])]
fn password(bencher: Bencher<'_, '_>, length: usize) {
    let (generator, names) = (generator(length), names());
    bencher.bench_local(|| generator.generate(&mut rand::rng(), &names));
}

#[divan::bench]
fn passphrase(bencher: Bencher<'_, '_>) {
    let policy = PassphrasePolicy::new(PassphraseRules::default()).expect("a sound policy");
    let generator = Generator::of_passphrases(&policy).expect("a sound policy");
    bencher.bench_local(|| generator.generate(&mut rand::rng(), &Forbidden::default()));
}

#[divan::bench(args = [24, 256])]
fn new_generator(length: usize) -> Generator {
    generator(length)
}
