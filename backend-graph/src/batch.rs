use reqwest::{Method, StatusCode};
use rotation_core::{Outcome, Problem, RequestKind, SetPassword};

use crate::address::GraphUrl;
use crate::answer::Answer;
use crate::batch_answer::{Said, read};
use crate::body::{Change, batch_body};
use crate::client::{Call, Client};
use crate::outcome::{IN_BETWEEN_FIX, outcome};

/// What to do when an answer to a batch is not one to each of its items.
const BATCH_FIX: &str = "the same password is sent again; if it lasts, turn batches off and look at what is between us and Graph";

/// Sets the passwords of `batch` in one request (<https://learn.microsoft.com/graph/json-batching>), and gives the outcome of
/// each in their order. `None` means that the directory did nothing for a reason that may not be the account's own:
/// its password is best sent alone.
pub(crate) async fn set_passwords(client: &Client, batch: &[SetPassword]) -> Vec<Option<Outcome>> {
    let all = |outcome: Outcome| vec![Some(outcome); batch.len()];
    let urls: Vec<GraphUrl> = batch
        .iter()
        .map(|request| client.graph.user(request.account.as_str()))
        .collect();
    let changes: Vec<Change<'_>> = urls.iter().zip(batch).collect();
    let Ok(body) = batch_body(&changes) else {
        let problem = Problem::new("the passwords cannot be written as JSON");
        return all(Outcome::NotSent(problem));
    };
    let call = Call::batch(client.graph.url(&["$batch"], ""), body);
    let answer = match client.send(&call).await {
        Ok(answer) => answer,
        Err(error) => return all(error.into()),
    };
    if answer.status == StatusCode::OK {
        return outcomes_of_items(client, &answer, &urls);
    }
    match outcome(&answer, &client.consent) {
        // No items are answered with this, nor with anything but 200.
        Outcome::Applied { .. } => all(unanswered(&answer)),
        // Whatever is wrong with the envelope, nothing in it was looked at. A token is the same for all.
        Outcome::Refused(_) if answer.status != StatusCode::UNAUTHORIZED => {
            vec![None; batch.len()]
        }
        outcome => {
            for _ in batch {
                client.hear(RequestKind::Write, &answer);
            }
            all(outcome)
        }
    }
}

/// What became of the items of a batch with these addresses, if `answer` says it.
fn outcomes_of_items(client: &Client, answer: &Answer, urls: &[GraphUrl]) -> Vec<Option<Outcome>> {
    let Some(items) = read(answer, urls.len()) else {
        return vec![Some(unanswered(answer)); urls.len()];
    };
    let items = items.into_iter().zip(urls);
    items
        .map(|(said, url)| {
            let place = url.place(Method::PATCH).in_batch();
            let unknown = |what: &str| {
                let problem = Problem::new(format!("{place} {what}")).with_fix(BATCH_FIX);
                Some(Outcome::Unknown(
                    problem.with_request_id(answer.request_id.clone()),
                ))
            };
            match said {
                Said::Contradiction => unknown("was answered twice, and not the same"),
                Said::Nonsense => unknown("was answered with an item that is not as documented"),
                Said::Nothing => unknown("was left out of the answer"),
                Said::One(item) => {
                    let answer = item.answer(answer, place);
                    client.hear(RequestKind::Write, &answer);
                    // Nothing was done. Alone it gets the new token that a 401 asks for.
                    (answer.status != StatusCode::UNAUTHORIZED)
                        .then(|| outcome(&answer, &client.consent))
                }
            }
        })
        .collect()
}

/// The outcome for every item if `answer` answers none of them.
fn unanswered(answer: &Answer) -> Outcome {
    let mut problem = answer.problem();
    problem.message += " without an answer to each item";
    Outcome::Unknown(problem.with_fix(IN_BETWEEN_FIX))
}
