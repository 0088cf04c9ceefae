//! How fast are passwords drawn? Beside it: as many random bytes from the same generator, which is the floor.
//!
//! Run it: `cargo bench -p rotation-benches --bench generator`

use divan::Bencher;
use rand::Rng;
use rotation_core::{
    Forbidden, Generator, PassphrasePolicy, PassphraseRules, PasswordPolicy, PasswordRules,
    forbidden_parts,
};

fn main() {
    divan::main();
}

fn generator(length: usize) -> Generator {
    let rules = PasswordRules {
        length,
        ..PasswordRules::default()
    };
    let policy = PasswordPolicy::new(rules).expect("a sound policy");
    Generator::new(&policy).expect("a sound policy")
}

#[divan::bench(args = [16, 24, 64])]
fn password(bencher: Bencher<'_, '_>, length: usize) {
    let generator = generator(length);
    let names = forbidden_parts("ada.lovelace@contoso.com", "Ada Lovelace");
    bencher.bench_local(|| generator.generate(&mut rand::rng(), &names));
}

#[divan::bench]
fn passphrase(bencher: Bencher<'_, '_>) {
    let policy = PassphrasePolicy::new(PassphraseRules::default()).expect("a sound policy");
    let generator = Generator::of_passphrases(&policy).expect("a sound policy");
    bencher.bench_local(|| generator.generate(&mut rand::rng(), &Forbidden::default()));
}

#[divan::bench(args = [16, 24, 64])]
fn floor_random_words(bencher: Bencher<'_, '_>, length: usize) {
    bencher.bench_local(|| (0..length).fold(0, |sum, _| sum ^ rand::rng().next_u64()));
}

#[divan::bench(args = [24, 256])]
fn new_generator(length: usize) -> Generator {
    generator(length)
}
