//! Rules that leave no password are errors that name the two that collide.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rotation_core::{
    Class, Forbidden, GenerateError, Generator, PassphrasePolicy, PassphraseRules, PasswordPolicy,
    PasswordRules, PolicyError, forbidden_parts,
};

fn rules() -> PasswordRules {
    PasswordRules::default()
}

#[test]
fn collisions_name_both_rules() {
    let rows: [(PasswordRules, &str, &str); 8] = [
        (
            PasswordRules {
                length: 6,
                ..rules()
            },
            "`length`: 6 characters",
            "`Entra ID`: accepts 8 to 256 characters",
        ),
        (
            PasswordRules {
                length: 257,
                ..rules()
            },
            "`length`: 257 characters",
            "`Entra ID`: accepts 8 to 256 characters",
        ),
        (
            PasswordRules {
                min_digit: Some(5),
                min_lower: Some(20),
                ..rules()
            },
            "`min_*`: minimum 20 lower + 1 upper + 5 digit + 1 symbol = 27 characters",
            "`length`: 24 characters",
        ),
        (
            PasswordRules {
                symbols: "+-".into(),
                exclude_characters: "-+".into(),
                ..rules()
            },
            "`min_symbol`: at least 1 symbol",
            "`exclude_characters`: no symbol left after excluding look-alikes and \"-+\"",
        ),
        (
            PasswordRules {
                symbols: String::new(),
                ..rules()
            },
            "`min_symbol`: at least 1 symbol",
            "`symbols`: no symbol is listed",
        ),
        (
            PasswordRules {
                classes: BTreeSet::from([Class::Lower, Class::Upper]),
                min_digit: Some(2),
                ..rules()
            },
            "`min_digit`: at least 2 digit",
            "`classes`: digit is not used",
        ),
        (
            PasswordRules {
                classes: BTreeSet::from([Class::Lower, Class::Upper, Class::Space]),
                ..rules()
            },
            "`min_*`: the minimums guarantee 1 lower and 1 upper",
            "`Entra ID`: wants at least 3 of lower, upper, digit and symbol",
        ),
        (
            PasswordRules {
                min_lower: Some(usize::MAX),
                ..rules()
            },
            "`min_*`: minimum 18446744073709551615 lower + 1 upper + 1 digit + 1 symbol = 18446744073709551615 characters",
            "`length`: 24 characters",
        ),
    ];
    for (rules, one, other) in rows {
        let error = PasswordPolicy::new(rules).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no password satisfies both {one} and {other}")
        );
    }
}

#[test]
fn fields_without_meaning_are_named() {
    for (rules, field) in [
        (
            PasswordRules {
                symbols: "+a".into(),
                ..rules()
            },
            "symbols",
        ),
        (
            PasswordRules {
                symbols: "+ ".into(),
                ..rules()
            },
            "symbols",
        ),
        (
            PasswordRules {
                symbols: "é".into(),
                ..rules()
            },
            "symbols",
        ),
        (
            PasswordRules {
                forbid: vec!["x".into(), String::new()],
                ..rules()
            },
            "forbid",
        ),
    ] {
        let error = PasswordPolicy::new(rules).unwrap_err();
        assert!(
            matches!(&error, PolicyError::Field { field: found, .. } if *found == field),
            "{error}"
        );
    }
}

#[test]
fn forbidden_terms_that_leave_nothing_are_named() {
    let forbid = ('2'..='9').chain(['1', '0']).map(String::from).collect();
    let policy = PasswordPolicy::new(PasswordRules {
        length: 8,
        forbid,
        ..rules()
    })
    .unwrap();
    let error = Generator::new(&policy).unwrap_err();
    assert!(matches!(error, GenerateError::Collision(_)), "{error}");
    assert!(
        error.to_string().contains("`forbid`: \"2\", \"3\","),
        "{error}"
    );

    let generator = Generator::new(&PasswordPolicy::default()).unwrap();
    let everything = Forbidden::new((' '..='~').map(String::from));
    let error = generator
        .generate(&mut StdRng::seed_from_u64(1), &everything)
        .unwrap_err();
    assert!(matches!(error, GenerateError::Collision(_)), "{error}");
    assert_eq!(
        generator.entropy_bits_for(&everything).unwrap(),
        f64::NEG_INFINITY
    );

    let phrases = Generator::of_passphrases(&PassphrasePolicy::default()).unwrap();
    let error = phrases
        .generate(&mut StdRng::seed_from_u64(1), &Forbidden::new(["-"]))
        .unwrap_err();
    assert!(matches!(error, GenerateError::Collision(_)), "{error}");
}

#[test]
fn counts_beyond_measure_are_refused() {
    let quarter = Some(64);
    let rules = PasswordRules {
        length: 256,
        min_lower: quarter,
        min_upper: quarter,
        min_digit: quarter,
        min_symbol: quarter,
        forbid: vec!["contoso".into()],
        ..rules()
    };
    let generator = Generator::new(&PasswordPolicy::new(rules).unwrap()).unwrap();
    assert!(matches!(
        generator.entropy_bits(),
        Err(GenerateError::TooComplex { .. })
    ));
    let password = generator
        .generate(&mut StdRng::seed_from_u64(1), &Forbidden::default())
        .unwrap();
    assert_eq!(
        password
            .expose()
            .chars()
            .filter(char::is_ascii_digit)
            .count(),
        64
    );
}

#[test]
fn a_phrase_that_entra_may_refuse_is_no_policy() {
    let rules = PassphraseRules::default;
    for (rules, expected) in [
        (
            PassphraseRules {
                words: 1,
                ..rules()
            },
            "accepts 8 to 256",
        ),
        (
            PassphraseRules {
                words: 0,
                digits: 9,
                ..rules()
            },
            "wants at least 3",
        ),
        (
            PassphraseRules {
                words: 26,
                ..rules()
            },
            "accepts 8 to 256",
        ),
        (
            PassphraseRules {
                words: usize::MAX,
                digits: usize::MAX,
                ..rules()
            },
            "accepts 8 to 256",
        ),
        (
            PassphraseRules {
                capitalised: false,
                digits: 0,
                ..rules()
            },
            "every phrase has lower and symbol",
        ),
        (
            PassphraseRules {
                separator: ' ',
                digits: 0,
                ..rules()
            },
            "every phrase has lower and upper",
        ),
        (
            PassphraseRules {
                separator: 'x',
                ..rules()
            },
            "`separator`: found 'x'",
        ),
    ] {
        let error = PassphrasePolicy::new(rules).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_configuration_is_checked_while_it_is_read() {
    let policy: PasswordPolicy =
        toml::from_str("length = 30\nmin_digit = 3\nclasses = ['lower', 'upper', 'digit']")
            .unwrap();
    assert_eq!(policy.rules().length, 30);
    let again: PasswordPolicy = toml::from_str(&toml::to_string(&policy).unwrap()).unwrap();
    assert_eq!(again, policy);
    for (text, expected) in [
        ("lenght = 30", "unknown field `lenght`"),
        ("length = 5", "`length`: 5 characters"),
    ] {
        let error = toml::from_str::<PasswordPolicy>(text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn passphrases_look_as_asked() {
    let mut rng = StdRng::seed_from_u64(3);
    for (capitalised, separator, digits) in [
        (true, '-', 2),
        (true, ' ', 1),
        (false, '.', 3),
        (true, '+', 0),
    ] {
        let rules = PassphraseRules {
            words: 4,
            separator,
            capitalised,
            digits,
            ..PassphraseRules::default()
        };
        let generator = Generator::of_passphrases(&PassphrasePolicy::new(rules).unwrap()).unwrap();
        for _ in 0..200 {
            let phrase = generator
                .generate(&mut rng, &forbidden_parts("kim@x.com", "Kim Olsson"))
                .unwrap();
            let groups: Vec<&str> = phrase.expose().split(separator).collect();
            assert_eq!(groups.len(), 4 + usize::from(digits > 0));
            assert!(
                groups[..4]
                    .iter()
                    .all(|word| word.starts_with(char::is_uppercase) == capitalised)
            );
            assert!(groups.get(4).is_none_or(
                |last| last.len() == digits && last.bytes().all(|b| b.is_ascii_digit())
            ));
        }
    }
}
