use tokio::sync::watch;

use crate::Problem;

/// A problem that one future meets and another must hear of.
#[derive(Clone, Default)]
pub(super) struct Trouble(watch::Sender<Option<Problem>>);

impl Trouble {
    /// Tells it.
    pub(super) fn tell(&self, problem: Problem) {
        self.0.send_replace(Some(problem));
    }

    /// What was told so far.
    pub(super) fn told(&self) -> Option<Problem> {
        self.0.borrow().clone()
    }

    /// Resolves once it is told, and never without.
    pub(super) async fn at_last(&self) -> Problem {
        let mut told = self.0.subscribe();
        let problem = told
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|problem| problem.clone());
        match problem {
            Some(problem) => problem,
            None => std::future::pending().await,
        }
    }
}
