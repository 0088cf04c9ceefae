//! Every password satisfies its policy, whatever the policy; contradictions are errors, never panics.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rotation_core::{Class, Forbidden, Generator, PasswordPolicy, PasswordRules};

prop_compose! {
    fn any_rules()(
        length in 0usize..48,
        classes in prop::collection::btree_set(
            prop::sample::select(vec![Class::Lower, Class::Upper, Class::Digit, Class::Symbol, Class::Space]), 2..=5),
        minimums in prop::array::uniform4(prop::option::of(0usize..9)),
        symbols in "[!-/:-@]{0,6}",
        exclude_look_alikes: bool,
        exclude_characters in "[ -~]{0,30}",
        forbid in prop::collection::vec("[a-z0-9é]{1,3}", 0..4),
    ) -> PasswordRules {
        let [min_lower, min_upper, min_digit, min_symbol] = minimums;
        PasswordRules {
            length, classes, min_lower, min_upper, min_digit, min_symbol,
            symbols, exclude_look_alikes, exclude_characters, forbid,
        }
    }
}

/// Written from the documentation of the rules alone.
fn violation(rules: &PasswordRules, names: &[&str], text: &str) -> Option<String> {
    let count = |class| {
        text.chars()
            .filter(|&c| Class::of(c) == Some(class))
            .count()
    };
    let lower = text.to_lowercase();
    let mut classes = 0;
    for (class, minimum) in [
        (Class::Lower, rules.min_lower),
        (Class::Upper, rules.min_upper),
        (Class::Digit, rules.min_digit),
        (Class::Symbol, rules.min_symbol),
    ] {
        let used = rules.classes.contains(&class);
        classes += usize::from(count(class) > 0);
        if count(class) < minimum.unwrap_or_else(|| usize::from(used))
            || (!used && count(class) > 0)
        {
            return Some(format!("{} of {class}", count(class)));
        }
    }
    let stray = text.chars().find(|&c| {
        rules.exclude_characters.contains(c)
            || (rules.exclude_look_alikes && "0O1lI|".contains(c))
            || (Class::of(c) == Some(Class::Symbol) && !rules.symbols.contains(c))
            || (c == ' ' && !rules.classes.contains(&Class::Space))
            || !(' '..='~').contains(&c)
    });
    let term = rules
        .forbid
        .iter()
        .map(String::as_str)
        .chain(names.iter().copied())
        .find(|term| lower.contains(*term));
    match (stray, term) {
        (Some(c), _) => Some(format!("stray {c:?}")),
        (_, Some(term)) => Some(format!("contains {term}")),
        _ if text.len() != rules.length => Some(format!("{} characters", text.len())),
        _ => (classes < 3).then(|| format!("{classes} classes")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_password_satisfies_its_policy_or_there_is_an_error(rules in any_rules(), name in "[a-z]{1,4}", seed: u64) {
        let Ok(policy) = PasswordPolicy::new(rules.clone()) else { return Ok(()) };
        let Ok(generator) = Generator::new(&policy) else { return Ok(()) };
        let mut rng = StdRng::seed_from_u64(seed);
        if let Ok(password) = generator.generate(&mut rng, &Forbidden::new([&name])) {
            prop_assert_eq!(violation(&rules, &[&name], password.expose()), None);
        }
    }

    #[test]
    fn arithmetic_that_cannot_work_out_is_always_refused(mut rules in any_rules(), excess in 1usize..9) {
        rules.min_lower = Some((rules.length + excess).saturating_sub(rules.min_upper.unwrap_or(0)));
        rules.min_upper.get_or_insert(0);
        prop_assert!(PasswordPolicy::new(rules).is_err());
    }
}
