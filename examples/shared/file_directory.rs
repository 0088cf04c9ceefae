//! A backend of one's own: a directory in a JSON file of user names, change times and hashes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Caller, Clock, Holdings, Outcome, Problem,
    Refusal, RefusalReason, RoleAssignment, RoleId, RotationBackend, SetPassword, SystemClock,
    TenantId,
};
use sha2::{Digest, Sha256};

/// By account id: user name, change time, hash.
pub(crate) type Users = BTreeMap<String, (String, Option<Timestamp>, String)>;

pub(crate) struct FileDirectory(pub(crate) PathBuf);

impl FileDirectory {
    pub(crate) fn read(&self) -> Result<Users, std::io::Error> {
        Ok(serde_json::from_slice(&std::fs::read(&self.0)?)?)
    }

    pub(crate) fn write(&self, users: &Users) -> Result<(), std::io::Error> {
        std::fs::write(self.0.with_extension("new"), serde_json::to_vec(users)?)?;
        std::fs::rename(self.0.with_extension("new"), &self.0)
    }
}

pub(crate) fn hash(id: &AccountId, password: &str) -> String {
    format!("{:x}", Sha256::digest(format!("{id}:{password}")))
}

#[async_trait]
impl RotationBackend for FileDirectory {
    fn name(&self) -> &'static str {
        "file"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        let mut caller = Caller::app_only(TenantId::new("file"), AccountId::new("rotation"));
        caller.roles = vec![RoleAssignment::active(RoleId::GLOBAL_ADMINISTRATOR)];
        Ok(caller)
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        let users = match self.read() {
            Ok(users) => users,
            Err(error) => {
                let problem = Problem::new(error.to_string());
                return stream::iter([Err(BackendError::Unavailable(problem))]).boxed();
            }
        };
        let accounts = users.into_iter().map(|(id, (name, changed, _))| {
            let mut account = Account::new(AccountId::new(&id), name).holding(Holdings::default());
            account.password_changed = changed;
            account
        });
        stream::iter(accounts.filter(move |account| query.names(account)).map(Ok)).boxed()
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        let Ok(mut users) = self.read() else {
            return Outcome::NotSent(Problem::new("the file cannot be read"));
        };
        let Some(user) = users.get_mut(request.account.as_str()) else {
            let problem = Problem::new("no such account");
            return Outcome::Refused(Refusal::new(RefusalReason::AccountMissing, problem));
        };
        let changed = SystemClock.now();
        user.1 = Some(changed);
        user.2 = hash(&request.account, request.password.expose());
        match self.write(&users) {
            Ok(()) => Outcome::Applied {
                request_id: None,
                answered_at: Some(changed),
            },
            Err(error) => Outcome::Unknown(Problem::new(error.to_string())),
        }
    }

    async fn password_changed(&self, id: &AccountId) -> Result<Option<Timestamp>, BackendError> {
        Ok(self.read().ok().and_then(|users| users.get(id.as_str())?.1))
    }
}
