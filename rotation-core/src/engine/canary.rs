//! Which accounts go first: of every kind some, so that what goes wrong with one kind goes wrong early.

use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};

use futures::{Stream, StreamExt, stream};

use crate::{Account, AccountKind, BackendError, Decision, Due, Planned};

/// Among how many accounts the first are chosen: fewer than a page of a directory, so that nobody waits for a second one.
const AMONG: usize = 200;

/// The same plan, but the first `canary` accounts to be rotated are of as many kinds as there are near its beginning.
pub(super) fn spread<'a>(
    plan: impl Stream<Item = Result<Planned, BackendError>> + Send + Unpin + 'a,
    canary: u64,
) -> impl Stream<Item = Result<Planned, BackendError>> + Send + Unpin + 'a {
    let canary = usize::try_from(canary).unwrap_or(usize::MAX);
    let spread = async move {
        let mut plan = plan;
        let ahead = if canary > 1 { AMONG } else { 0 };
        let mut first = Vec::with_capacity(ahead);
        let mut broken = None;
        while first.len() < ahead {
            match plan.next().await {
                Some(Ok(planned)) => first.push(planned),
                Some(Err(error)) => {
                    broken = Some(Err(error));
                    break;
                }
                None => break,
            }
        }
        let first = by_kinds(first, canary).into_iter().map(Ok);
        stream::iter(first).chain(stream::iter(broken)).chain(plan)
    };
    stream::once(spread).flatten().boxed()
}

/// What makes a rotation like another one: where the account lives, what is so special about it, and why it is due.
type Kind = (AccountKind, bool, bool, Discriminant<Due>);

fn kind(account: &Account, due: &Due) -> Kind {
    let holds = account
        .holdings
        .as_ref()
        .is_some_and(|holdings| !holdings.roles.is_empty());
    (account.kind, account.enabled, holds, discriminant(due))
}

/// Moves `canary` rotations to the front: the first of each kind, then the second of each, and so on.
fn by_kinds(planned: Vec<Planned>, canary: usize) -> Vec<Planned> {
    let mut kinds: Vec<(Kind, VecDeque<usize>)> = Vec::new();
    for (index, planned) in planned.iter().enumerate() {
        let Decision::Rotate { due, .. } = &planned.decision else {
            continue;
        };
        let kind = kind(&planned.account, due);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, indices)) => indices.push_back(index),
            None => kinds.push((kind, VecDeque::from([index]))),
        }
    }
    let mut chosen = Vec::new();
    while chosen.len() < canary {
        let round: Vec<usize> = kinds
            .iter_mut()
            .filter_map(|(_, indices)| indices.pop_front())
            .collect();
        if round.is_empty() {
            break;
        }
        chosen.extend(round);
    }
    chosen.truncate(canary);
    let mut rest: Vec<Option<Planned>> = planned.into_iter().map(Some).collect();
    let mut first: Vec<Planned> = chosen
        .into_iter()
        .filter_map(|index| rest.get_mut(index)?.take())
        .collect();
    first.extend(rest.into_iter().flatten());
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RoleId;

    fn planned(name: &str, kind: AccountKind, due: Due) -> Planned {
        let mut account = Account::new(crate::AccountId::new(name), name);
        account.kind = kind;
        let by = RoleId::new(uuid::Uuid::nil());
        Planned::new(account, Decision::Rotate { due, by })
    }

    #[test]
    fn every_kind_is_among_the_first_and_nothing_else_changes_places() {
        use AccountKind::{Cloud, Synced};
        let plan = vec![
            planned("a", Cloud, Due::UnknownAge),
            planned("b", Cloud, Due::UnknownAge),
            planned("c", Cloud, Due::UnknownAge),
            planned("d", Synced, Due::UnknownAge),
            planned("e", Synced, Due::UnknownAge),
            planned("f", Cloud, Due::NeverChanged),
        ];
        let names = |canary| {
            let spread = by_kinds(plan.clone(), canary);
            let names = spread
                .iter()
                .map(|planned| planned.account.user_name.clone());
            names.collect::<String>()
        };
        assert_eq!(names(1), "abcdef");
        assert_eq!(names(3), "adfbce");
        assert_eq!(names(5), "adfbec");
        assert_eq!(names(100), "adfbec");
    }
}
