/// What a code of the token endpoint means, and the fix
/// (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).
#[derive(Debug)]
#[non_exhaustive]
pub struct SignInError {
    /// The codes, without `AADSTS`.
    pub codes: &'static [u32],
    /// The cause.
    pub means: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// What it takes.
    pub remedy: Remedy,
}

/// What it takes to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Somebody must do what the fix says.
    Action,
    /// An administrator must consent to the app, on a page that there is for it.
    Consent,
    /// It passes by itself.
    Time,
}

impl SignInError {
    /// What whoever was answered with `codes` is told: the first row that has one of them.
    #[must_use]
    pub fn of(codes: &[u32]) -> Option<&'static Self> {
        let has_one = |row: &&Self| row.codes.iter().any(|code| codes.contains(code));
        ROWS.iter().find(has_one)
    }

    /// All that are known, each code in one row.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        ROWS.iter()
    }
}

const fn row(codes: &'static [u32], means: &'static str, fix: &'static str) -> SignInError {
    SignInError {
        codes,
        means,
        fix,
        remedy: Remedy::Action,
    }
}

const fn consent(codes: &'static [u32], means: &'static str, fix: &'static str) -> SignInError {
    SignInError {
        remedy: Remedy::Consent,
        ..row(codes, means, fix)
    }
}

const fn passes(codes: &'static [u32], means: &'static str) -> SignInError {
    SignInError {
        remedy: Remedy::Time,
        ..row(codes, means, "wait and try again")
    }
}

/// The codes that an application signing in with its own credential, or a person signing in to it, can meet.
#[rustfmt::skip]
const ROWS: &[SignInError] = &[
    row(&[7_000_215], "the client secret is wrong", "configure the secret's value, which the portal shows once, not its id"),
    row(&[7_000_222], "the client secret has expired", "add a new client secret to the app and configure its value"),
    row(&[7_000_218], "the app is no public client, and no credential was sent", "allow public client flows for the app, or configure a credential"),
    consent(&[700_016], "the app does not exist in this tenant", "check `tenant` and `client_id`, or grant the app admin consent in this tenant"),
    row(&[700_011, 70_001], "the app is disabled or unknown in this tenant", "check `client_id`, and enable the app in this tenant"),
    row(&[90_002], "the tenant does not exist", "check `tenant` and `cloud`: a tenant lives in one cloud only"),
    row(&[900_382, 90_038], "the tenant lives in another cloud", "set `cloud` to the tenant's cloud"),
    row(&[9_001_023], "the authority needs one tenant", "name the tenant by its GUID or a verified domain"),
    row(&[500_011], "the tenant does not know Graph by this address", "check `cloud`"),
    row(&[70_011, 28_002, 28_003], "the scope is not valid", "check `cloud`"),
    consent(&[65_001, 650_056, 65_005], "the app has no consent in this tenant", "grant the app admin consent in this tenant"),
    consent(&[90_099], "the app is not authorised in this customer's tenant", "consent to it through Partner Center, or have the customer grant the app admin consent in this tenant"),
    row(&[530_034], "a delegated administrator is blocked for risk in the home tenant", "clear the risk in the home tenant"),
    row(&[700_025], "the app is a public client, which has no credential", "use a confidential client"),
    row(&[700_027, 50_012], "the signature is not by a key that the app knows, or its certificate has expired", "upload the configured certificate to the app; a federated token must be signed by the issuer of the app's federated credential"),
    row(&[700_030], "the certificate's subject is not authorised", "upload the certificate itself to the app"),
    row(&[700_021], "the assertion is for another app", "check `client_id`"),
    row(&[700_023], "the assertion is for another authority", "check `tenant` and `cloud`"),
    row(&[700_024], "the assertion has expired or is not valid yet", "check this machine's clock; a federated token must be one that was made minutes ago"),
    row(&[50_027], "the assertion is no valid token", "check that `credential` names the token of your CI or cluster"),
    row(&[70_021], "the app has no federated credential that the token matches", "add one to the app, with the issuer, subject and audience of the token"),
    row(&[700_211], "the app has no federated credential for the token's issuer", "give its federated credential the token's `iss`, to the last slash"),
    row(&[700_212], "the app has no federated credential for the token's audience", "have the token made for the audience of the federated credential, usually api://AzureADTokenExchange"),
    row(&[700_213], "the app has no federated credential for the token's subject", "give its federated credential the token's `sub`, which names the repository and branch or environment, or the service account"),
    row(&[7_002_138], "the token's subject differs from the federated credential in upper and lower case", "write the subject of the federated credential exactly as the token's `sub`"),
    row(&[700_229], "a token of Entra for a user stands for no app", "use a token of an app or managed identity"),
    row(&[53_003, 53_000, 530_035], "a conditional access policy blocks the app", "exclude the app or this network from the policy"),
    row(&[50_020], "the user who signed in is not in this tenant", "sign in as a user of this tenant, or have that user invited to it"),
    row(&[50_057], "the account of the user who signed in is disabled", "sign in as somebody else"),
    row(&[50_074, 50_076, 50_079], "a second factor is demanded", "sign in again, with the second factor"),
    row(&[50_105], "the user is not assigned to the app", "assign the user to the enterprise application, or turn its \"Assignment required\" off"),
    row(&[50_173, 70_008, 70_043, 700_082], "the sign-in has lapsed or was revoked", "sign in again"),
    passes(&[90_055, 50_196], "too many requests for tokens"),
    passes(&[90_033, 90_024, 90_090, 50_087], "the authority is not available"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_stands_in_one_row_and_consent_is_a_fix_that_says_so() {
        let mut seen = HashSet::new();
        for row in SignInError::all() {
            for &code in row.codes {
                assert!(seen.insert(code), "{code} stands in two rows");
                let found = SignInError::of(&[0, code]).map(|found| found.means);
                assert_eq!(found, Some(row.means), "{code}");
            }
            let says_so = row.fix.contains("admin consent");
            assert_eq!(row.remedy == Remedy::Consent, says_so, "{}", row.fix);
        }
        assert!(SignInError::of(&[]).is_none());
    }
}
