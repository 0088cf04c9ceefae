//! What a contestant is told through its standard input, where no other process sees it: one line of JSON, then one line for
//! each account. It answers "ready" in a line, waits for the line "go", works, and ends with a line of JSON. Then it
//! stays until its input ends, so that its parent can see what it used.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Failure;

/// What to do where. Without `Debug`, because of the secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) task: Task,
    pub(crate) directory: Directory,
    /// Requests at once.
    pub(crate) concurrency: usize,
    /// Passwords in one request.
    pub(crate) batch: usize,
    /// How many lines follow.
    pub(crate) accounts: usize,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Sends requests made before, and does nothing else.
    BareLoop,
    /// Rotates the accounts told.
    Engine(Store),
    /// Rotates all accounts of the tenant, which it lists and plans itself.
    PlanAndRun(Store),
    /// Is the least server that answers.
    LeastServer,
    /// Whatever a program of somebody else's does.
    Peer,
}

/// Where an engine keeps passwords.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Store {
    Memory,
    Sqlite {
        folder: PathBuf,
        audited: bool,
    },
    Postgres {
        url: String,
        password: String,
    },
    OpenBao {
        address: String,
        mount: String,
        token: String,
    },
}

/// A tenant of the simulator, and how to sign in to it.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Directory {
    pub(crate) base_url: String,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// For those who do not sign in themselves.
    pub(crate) token: String,
}

/// An account, and a password for those who make none.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) user_name: String,
    pub(crate) display_name: String,
    pub(crate) password: String,
}

/// What a contestant says at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) rotated: usize,
}

impl Setup {
    pub(crate) fn write(&self, targets: &[Target], to: &mut impl Write) -> Result<(), Failure> {
        serde_json::to_writer(&mut *to, self)?;
        writeln!(to)?;
        for target in targets {
            serde_json::to_writer(&mut *to, target)?;
            writeln!(to)?;
        }
        Ok(())
    }

    pub(crate) fn read(from: &mut impl BufRead) -> Result<(Self, Vec<Target>), Failure> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let setup: Self = serde_json::from_str(&line)?;
        let mut targets = Vec::with_capacity(setup.accounts);
        for _ in 0..setup.accounts {
            line.clear();
            from.read_line(&mut line)?;
            targets.push(serde_json::from_str(&line)?);
        }
        Ok((setup, targets))
    }
}
