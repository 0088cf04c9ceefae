//! `docs/errors.md` is what the tables in the code say.

use reqwest::Url;

use crate::config::{Credential, GraphConfig};
use crate::consent::Consent;
use crate::sign_in::aadsts;
use crate::{outcome, password_flow, setup};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");

const INTRODUCTION: &str = "\
# What the errors of Entra ID and Microsoft Graph mean

`rotation` translates what it is answered into a cause and a fix, and shows both, with the code and the request id by which Microsoft
finds the request. These are the tables in the code; a test keeps this page the same
(`ROTATION_WRITE_DOCS=1 cargo test -p backend-graph errors_page` writes it). What they call `tenant` is the `id` of a `[[tenant]]`.

";

fn page() -> String {
    let authority = Url::parse("https://login.microsoftonline.com/").unwrap();
    let credential = Credential::ClientSecret("…".into());
    let config = GraphConfig::new("{tenant}", "{client_id}", credential);
    let consent = Consent::new(&authority, &config);
    let mut page = INTRODUCTION.to_owned();
    for (title, head, rows) in [
        (
            "Signing in",
            "The first row that has one of the codes answered",
            aadsts::documented(),
        ),
        (
            "Setting a password",
            "The first row that fits decides. Whatever is not certain is *unknown*, never *refused*",
            outcome::documented(&consent),
        ),
        (
            "Signing in as an account, with `verify = \"sign-in\"`",
            "Whatever is not here is explained as in signing in, and says nothing of the password",
            password_flow::documented(),
        ),
        (
            "Setting an app up",
            "The first row that fits. What is there already, or was done by a request whose answer got lost, is no error",
            setup::documented(),
        ),
    ] {
        page += &format!("## {title}\n{head}.\n\n");
        page += "| answer | means | what to do |\n| --- | --- | --- |\n";
        page += &rows;
        page.push('\n');
    }
    page.trim_end().to_owned() + "\n"
}

#[test]
fn the_page_of_errors_says_what_the_code_says() {
    let page = page();
    if std::env::var_os("ROTATION_WRITE_DOCS").is_some() {
        std::fs::write(PATH, &page).unwrap();
    }
    let written = std::fs::read_to_string(PATH).unwrap();
    assert!(
        written == page,
        "docs/errors.md is out of date: ROTATION_WRITE_DOCS=1 cargo test -p backend-graph errors_page"
    );
}
