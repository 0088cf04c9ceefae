use std::path::PathBuf;
use std::time::Duration;

/// Which program keeps the passwords, and where what became of them is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecConfig {
    /// The program; without a slash in it, it is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments. Others on the machine can read them: no place for a secret.
    pub args: Vec<String>,
    /// The file that remembers every version's state and history, without its password.
    pub ledger: PathBuf,
    /// How long the program may take to answer one request, before it is killed; a day at most. With several
    /// unanswered, it has this long after each answer.
    pub timeout: Duration,
}

impl ExecConfig {
    /// `program` without arguments, given 30 seconds for each request; what became of the passwords is remembered in
    /// the file `ledger`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, ledger: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            ledger: ledger.into(),
            timeout: Duration::from_secs(30),
        }
    }

    /// The same, started with these arguments.
    #[must_use]
    pub fn with_args(self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// The same, with this much time for each request.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}
