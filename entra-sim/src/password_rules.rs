//! What Entra demands of a password of a cloud account.
//!
//! <https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy>

use crate::banned::Banned;
use crate::switches::Switches;

const LENGTH: std::ops::RangeInclusive<usize> = 8..=256;
const MIN_CLASSES: usize = 3;
/// User names shorter than this are too common inside passwords to be refused.
const MIN_USER_NAME: usize = 4;

/// Whose password it will be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) user_principal_name: &'a str,
    pub(crate) given_name: Option<&'a str>,
    pub(crate) surname: Option<&'a str>,
    pub(crate) password_policies: Option<&'a str>,
}

/// The rule that a password breaks. Graph has one message for all; tests want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    Banned,
    Classes,
    ForbiddenCharacter,
    Length,
    UserName,
}

/// Checks a new password against every rule that is switched on.
pub(crate) fn check(
    password: &str,
    owner: Owner<'_>,
    tenant_name: &str,
    banned: &Banned,
    switches: &Switches,
) -> Result<(), Breach> {
    // Only ASCII passes, so a count of characters is a count of bytes from here on.
    if !password.chars().all(|c| matches!(c, ' '..='~')) {
        return Err(Breach::ForbiddenCharacter);
    }
    if !LENGTH.contains(&password.len()) {
        return Err(Breach::Length);
    }
    let strong = !owner
        .password_policies
        .is_some_and(|policies| policies.split(", ").any(|p| p == "DisableStrongPassword"));
    if strong && classes(password, switches.space_is_symbol) < MIN_CLASSES {
        return Err(Breach::Classes);
    }
    if switches.user_name_check && contains_user_name(password, owner.user_principal_name) {
        return Err(Breach::UserName);
    }
    let names = [owner.given_name, owner.surname, Some(tenant_name)];
    if switches.banned_password_check && banned.rejects(password, &names) {
        return Err(Breach::Banned);
    }
    Ok(())
}

fn classes(password: &str, space_is_symbol: bool) -> usize {
    let is_symbol = |c: char| c.is_ascii_punctuation() || (c == ' ' && space_is_symbol);
    [
        password.contains(|c: char| c.is_ascii_lowercase()),
        password.contains(|c: char| c.is_ascii_uppercase()),
        password.contains(|c: char| c.is_ascii_digit()),
        password.contains(is_symbol),
    ]
    .into_iter()
    .filter(|present| *present)
    .count()
}

fn contains_user_name(password: &str, upn: &str) -> bool {
    let name = upn.split('@').next().unwrap_or_default().to_lowercase();
    name.len() >= MIN_USER_NAME && password.to_lowercase().contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner<'static> {
        Owner {
            user_principal_name: "alexandra@contoso.example",
            given_name: Some("Alexandra"),
            surname: Some("Li"),
            password_policies: None,
        }
    }

    fn verdict(password: &str) -> Result<(), Breach> {
        check(
            password,
            owner(),
            "Contoso",
            &Banned::new(&["blank".to_owned()]),
            &Switches::default(),
        )
    }

    #[test]
    fn each_rule_is_enforced_at_its_edge() {
        let at_limit = format!("Aa1{}", "x!".repeat(126) + "y");
        assert_eq!(at_limit.len(), 256);
        let over = format!("{at_limit}z");
        for (password, expected) in [
            ("Vk3!vk3", Err(Breach::Length)),
            ("Vk3!vk3z", Ok(())),
            (at_limit.as_str(), Ok(())),
            (over.as_str(), Err(Breach::Length)),
            ("lower7lower7", Err(Breach::Classes)),
            ("lower lower7", Err(Breach::Classes)),
            ("lower!jower7", Ok(())),
            ("LOWER!JOWER7", Ok(())),
            ("Löwer!jower7", Err(Breach::ForbiddenCharacter)),
            ("Tab\tbed!wer7", Err(Breach::ForbiddenCharacter)),
            ("C0ntos0Blank12", Err(Breach::Banned)),
            ("xx9!Alex@ndra77", Err(Breach::Banned)),
            ("Li9!fkdjw8Li", Ok(())),
        ] {
            assert_eq!(verdict(password), expected, "{password:?}");
        }
    }

    #[test]
    fn disable_strong_password_drops_the_classes_alone() {
        let weak = Owner {
            password_policies: Some("DisablePasswordExpiration, DisableStrongPassword"),
            ..owner()
        };
        let verdict = |password| {
            check(
                password,
                weak,
                "Contoso",
                &Banned::new(&[]),
                &Switches::default(),
            )
        };
        assert_eq!(verdict("fkdjwqzmbv"), Ok(()));
        assert_eq!(verdict("fkdjwqz"), Err(Breach::Length));
    }

    #[test]
    fn switches_change_what_is_undocumented() {
        let ask = |password, change: fn(&mut Switches)| {
            let mut switches = Switches::default();
            change(&mut switches);
            check(password, owner(), "Contoso", &Banned::new(&[]), &switches)
        };
        assert_eq!(
            ask("xx9!Alexandra77", |s| s.banned_password_check = false),
            Ok(())
        );
        assert_eq!(ask("lower jower7", |s| s.space_is_symbol = true), Ok(()));
        let own_name = |s: &mut Switches| {
            s.banned_password_check = false;
            s.user_name_check = true;
        };
        assert_eq!(ask("xx9!Alexandra77", own_name), Err(Breach::UserName));
    }
}
