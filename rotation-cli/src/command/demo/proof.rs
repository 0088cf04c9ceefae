//! Signing in as the accounts themselves: the one proof that a rotation worked.

use std::collections::HashMap;

use futures::TryStreamExt;
use reqwest::{Client, StatusCode, Url};
use rotation_core::{Select, VersionState};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::world::World;
use crate::config::Config;
use crate::exit::Failure;
use crate::stored;

/// How many accounts to sign in as: enough to convince, few enough to take no time.
const SAMPLE: usize = 25;

/// How many new and old passwords were tried at the sign-in page, and how many worked.
#[derive(Debug, Default, Serialize)]
pub(super) struct Proof {
    pub(super) new_tried: u64,
    pub(super) new_worked: u64,
    pub(super) old_tried: u64,
    pub(super) old_worked: u64,
}

impl Proof {
    /// Signs in as a sample of the accounts of which the store has a current password, spread over all of them.
    pub(super) async fn by_signing_in(world: &World, config: &Config) -> Result<Self, Failure> {
        let old: HashMap<_, _> = world
            .users()
            .into_iter()
            .filter_map(|user| Some((user.id.to_string(), user.initial_password?)))
            .collect();
        let every = (old.len() / SAMPLE).max(1);
        let sign_in = SignIn::new(world)?;
        let reader = stored::open(config, world.identities()?).await?;
        let mut versions = reader.reveal(Select::All);
        let (mut proof, mut seen) = (Self::default(), 0);
        while let Some((version, password)) = versions
            .try_next()
            .await
            .map_err(|error| stored::failure(&error))?
        {
            if version.state != VersionState::Current {
                continue;
            }
            seen += 1;
            if seen % every != 1 % every {
                continue;
            }
            let upn = &version.user_name;
            proof.new_tried += 1;
            proof.new_worked += u64::from(sign_in.works(upn, password.expose()).await?);
            if let Some(old) = old.get(version.key.account.account.as_str()) {
                proof.old_tried += 1;
                proof.old_worked += u64::from(sign_in.works(upn, old).await?);
            }
        }
        Ok(proof)
    }

    pub(super) fn new_all_work(&self) -> bool {
        self.new_tried > 0 && self.new_worked == self.new_tried
    }

    pub(super) fn old_none_works(&self) -> bool {
        self.old_worked == 0
    }

    pub(super) fn holds(&self) -> bool {
        self.new_all_work() && self.old_none_works()
    }
}

/// The tenant's token endpoint, asked as an application on behalf of a person who typed a password
/// (<https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc>).
struct SignIn {
    client: Client,
    url: Url,
    client_id: String,
    client_secret: SecretString,
}

impl SignIn {
    fn new(world: &World) -> Result<Self, Failure> {
        let url = format!(
            "{}/{}/oauth2/v2.0/token",
            world.base_url(),
            world.tenant().id()
        );
        let url = Url::parse(&url).map_err(|error| failed(&error))?;
        // a proxy has no business on the way to ourselves
        let client = Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| failed(&error))?;
        Ok(Self {
            client,
            url,
            client_id: world.tenant().client_id().to_string(),
            client_secret: world.tenant().client_secret().into(),
        })
    }

    /// Whether `password` signs `user_name` in.
    async fn works(&self, user_name: &str, password: &str) -> Result<bool, Failure> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose_secret())
            .append_pair("scope", "https://graph.microsoft.com/.default")
            .append_pair("username", user_name)
            .append_pair("password", password)
            .finish();
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = request.send().await.map_err(|error| failed(&error))?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Ok(false),
            status => Err(failed(&format!("the simulator answered {status}"))),
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(miette::miette!("cannot try to sign in: {error}"))
}
