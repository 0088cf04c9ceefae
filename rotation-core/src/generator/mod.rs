//! Passwords and passphrases, drawn so that every one that satisfies its policy is equally likely.
//!
//! A candidate is drawn uniformly from all texts that satisfy the policy but for the forbidden terms (`passphrase` for
//! passphrases; `trial` for passwords, or `count` where most strings fail their policy) and is thrown away if it contains
//! one: what remains is uniform still. Should that happen too often, `product` counts exactly the texts without forbidden
//! terms and draws from these, or proves that there is none.

mod automaton;
mod choice;
mod count;
mod needs;
mod passphrase;
mod product;
mod steps;
mod template;
mod trial;
mod word;

#[cfg(test)]
mod tests;

use num_bigint::BigUint;
use rand::rngs::StdRng;
use rand::{CryptoRng, SeedableRng};
use zeroize::Zeroizing;

use self::automaton::Automaton;
use self::count::Composition;
use self::product::Product;
use self::template::Template;
use self::trial::Trial;
use crate::Password;
use crate::policy::{Collision, Forbidden, PassphrasePolicy, PasswordPolicy, PolicyError, Rule};

/// How many candidates may contain a forbidden term before they are counted: counting costs as much as thousands of
/// candidates, and ordinary names spoil fewer than one in a thousand.
const MOST_CANDIDATES: usize = 256;

/// Draws passwords of one policy, each compliant password with the same probability.
///
/// ```
/// use rotation_core::{Generator, PasswordPolicy, forbidden_parts};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let generator = Generator::new(&PasswordPolicy::default())?;
/// let names = forbidden_parts("kim.olsson@contoso.com", "Kim Olsson");
/// let password = generator.generate(&mut rand::rng(), &names)?;
/// assert_eq!(password.expose().len(), 24);
/// assert!(generator.entropy_bits_for(&names)? > 140.0);
/// # Ok(())
/// # }
/// ```
pub struct Generator {
    template: Template,
    form: Form,
    /// The length of the longest text.
    longest: usize,
    /// What the policy forbids everywhere, also as a machine, because it may be long.
    forbidden: Forbidden,
    automaton: Automaton,
}

enum Form {
    /// By trial, unless too few strings stand it.
    Characters(Composition, Option<Trial>),
    Phrase,
}

impl Generator {
    /// Draws passwords of `policy`.
    ///
    /// # Errors
    ///
    /// - [`GenerateError::Collision`]: every password contains a term that the policy forbids
    /// - [`GenerateError::TooComplex`]: hardly any password, if one at all, is free of them, and counting is too costly
    pub fn new(policy: &PasswordPolicy) -> Result<Self, GenerateError> {
        let (length, pools) = (policy.rules().length, policy.pools());
        let composition = Composition::new(length, pools);
        let trial = Trial::new(length, pools, &composition.total());
        let form = Form::Characters(composition, trial);
        Self::checked(
            Template::of_characters(length, pools),
            form,
            length,
            policy.forbidden(),
        )
    }

    /// Draws passphrases of `policy`, for passwords that a person must type.
    ///
    /// # Errors
    ///
    /// As of [`Generator::new`].
    pub fn of_passphrases(policy: &PassphrasePolicy) -> Result<Self, GenerateError> {
        Self::checked(
            passphrase::template(policy),
            Form::Phrase,
            policy.longest(),
            policy.forbidden(),
        )
    }

    fn checked(
        template: Template,
        form: Form,
        longest: usize,
        forbidden: &Forbidden,
    ) -> Result<Self, GenerateError> {
        let automaton = Automaton::new([forbidden])?;
        let generator = Self {
            template,
            form,
            longest,
            forbidden: forbidden.clone(),
            automaton,
        };
        // One compliant text, however found, proves that there is one: its drawing needs no secrecy, but the same
        // answer each time.
        generator.draw(&mut StdRng::seed_from_u64(0), &Forbidden::default())?;
        Ok(generator)
    }

    /// Draws a password that satisfies the policy and contains none of `forbidden`, uniformly among all of them.
    ///
    /// # Errors
    ///
    /// - [`GenerateError::Collision`]: every password contains a term that the policy forbids or one of `forbidden`
    /// - [`GenerateError::TooComplex`]: hardly any password, if one at all, is free of them, and counting is too costly
    pub fn generate(
        &self,
        rng: &mut impl CryptoRng,
        forbidden: &Forbidden,
    ) -> Result<Password, GenerateError> {
        self.draw(rng, forbidden).map(Password::new)
    }

    /// The entropy of a password of which nothing but the policy is known, in bits: the binary logarithm of the exact
    /// number of compliant passwords.
    ///
    /// # Errors
    ///
    /// [`GenerateError::TooComplex`]: counting is too costly.
    pub fn entropy_bits(&self) -> Result<f64, GenerateError> {
        self.entropy_bits_for(&Forbidden::default())
    }

    /// The same for an account with terms of its own; negative infinity if they leave no password.
    ///
    /// # Errors
    ///
    /// [`GenerateError::TooComplex`]: counting is too costly.
    pub fn entropy_bits_for(&self, forbidden: &Forbidden) -> Result<f64, GenerateError> {
        if self.forbidden.terms().is_empty() && forbidden.terms().is_empty() {
            return Ok(log2(&match &self.form {
                Form::Characters(composition, _) => composition.total(),
                Form::Phrase => self.template.fillings(),
            }));
        }
        Ok(log2(&self.product(forbidden)?.total()))
    }

    fn draw(
        &self,
        rng: &mut impl CryptoRng,
        forbidden: &Forbidden,
    ) -> Result<Zeroizing<String>, GenerateError> {
        for _ in 0..MOST_CANDIDATES {
            let text = self.draw_candidate(rng);
            if self.passes(&text) && !forbidden.is_in(&text) {
                return Ok(text);
            }
        }
        self.draw_counted(rng, forbidden)
    }

    /// Whether `text` contains nothing that the policy forbids everywhere.
    fn passes(&self, text: &str) -> bool {
        self.forbidden.terms().is_empty() || self.automaton.passes(text)
    }

    /// Draws from the texts that satisfy all but the forbidden terms.
    fn draw_candidate(&self, rng: &mut impl CryptoRng) -> Zeroizing<String> {
        match &self.form {
            Form::Characters(_, Some(trial)) => trial.draw(rng),
            Form::Characters(composition, None) => composition.draw(rng),
            Form::Phrase => passphrase::draw(&self.template, self.longest, rng),
        }
    }

    /// Draws without rejecting anything.
    fn draw_counted(
        &self,
        rng: &mut impl CryptoRng,
        forbidden: &Forbidden,
    ) -> Result<Zeroizing<String>, GenerateError> {
        let mut text = Zeroizing::new(String::with_capacity(self.longest));
        let product = self.product(forbidden)?;
        if product.draw(&product.layers(), rng, &mut text) {
            return Ok(text);
        }
        let terms = [&self.forbidden, forbidden]
            .into_iter()
            .flat_map(Forbidden::terms);
        let terms: Vec<String> = terms.map(|term| format!("{term:?}")).collect();
        let allowed = match &self.form {
            Form::Characters(composition, _) => composition.describe(),
            Form::Phrase => "phrases of words from the EFF large word list".to_owned(),
        };
        Err(Collision::new(
            Rule::new("forbid", terms.join(", ")),
            Rule::new("policy", allowed),
        )
        .into())
    }

    fn product(&self, forbidden: &Forbidden) -> Result<Product<'_>, GenerateError> {
        Product::new(
            &self.template,
            &Automaton::new([&self.forbidden, forbidden])?,
        )
    }
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator")
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

/// Why no password can be drawn.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The forbidden terms leave no password: shorten the list, or allow more characters.
    #[error(transparent)]
    Collision(#[from] Collision),
    /// The rules are no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The exact count is needed and too costly: lower the minimums, or shorten the list of forbidden terms.
    #[error(
        "counting the passwords without forbidden terms takes {words} words of memory, at most {most} are allowed"
    )]
    TooComplex {
        /// 64-bit words that the table would have.
        words: u64,
        /// The most that it may have.
        most: u64,
    },
}

/// Characters of policies, which are all of ASCII, as a text, without a copy.
fn text(characters: &mut Zeroizing<Vec<u8>>) -> Zeroizing<String> {
    debug_assert!(characters.is_ascii());
    let text = String::from_utf8(std::mem::take(&mut **characters));
    let text = text.map_err(|error| Zeroizing::new(error.into_bytes()));
    text.unwrap_or_default().into()
}

/// The binary logarithm, as exact as its type.
fn log2(count: &BigUint) -> f64 {
    let shift = count.bits().saturating_sub(64);
    let top = (count >> shift).iter_u64_digits().next().unwrap_or(0);
    (top as f64).log2() + shift as f64
}
