use futures::stream;
use rotation_core::testkit::{StoreFault, StoreOp};
use rotation_core::{Problem, RunId, SecretStore, Select, StoreError, Version, VersionState};
use secret_stores::lag;

use crate::workshop::{HOUR, Workshop, account, version};

fn current(number: usize) -> Version {
    let mut version = Version::from(&version(RunId::new(), number, "x"));
    version.state = VersionState::Current;
    version
}

fn all(versions: &[Version]) -> impl futures::Stream<Item = Result<Version, StoreError>> + use<> {
    stream::iter(versions.iter().cloned().map(Ok).collect::<Vec<_>>())
}

#[tokio::test]
async fn counts_what_is_missing_or_another_whatever_the_order() {
    let earlier: Vec<_> = (0..300).map(current).collect();
    let mut primary: Vec<_> = (0..300).map(current).collect();
    let mut copy = primary.clone();
    copy[7] = earlier[7].clone();
    copy.remove(9);
    // Another one with a later id: clocks differ, so the id does not say that it is the later one.
    primary[20] = earlier[20].clone();
    // What only the copy has is none of the primary's.
    copy.push(current(1000));
    // What is not current does not count.
    primary[30].state = VersionState::Pending;
    copy[40].state = VersionState::Previous;
    let number_40 = copy[40].key.account.clone();
    for reverse in [false, true] {
        if reverse {
            copy.reverse();
        }
        let found = lag(all(&primary), all(&copy)).await.unwrap();
        assert_eq!(found.accounts, 4);
        assert_eq!(
            found.named,
            [account(7), account(9), account(20), number_40.clone()]
        );
    }
}

#[tokio::test]
async fn names_the_first_few_of_many() {
    let primary: Vec<_> = (0..100).rev().map(current).collect();
    let found = lag(all(&primary), all(&[])).await.unwrap();
    assert_eq!(found.accounts, 100);
    assert_eq!(found.named, (0..10).map(account).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_of_either_is_an_error() {
    let broken = || stream::iter([Err(StoreError::Unusable(Problem::new("broken")))]);
    assert!(lag(broken(), all(&[])).await.is_err());
    assert!(lag(all(&[current(1)]), broken()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn copies_are_pruned_with_the_primary_and_never_fail_it() {
    let shop = Workshop::new();
    let mirror = shop.mirror().await;
    for number in 0..6 {
        shop.rotate(&mirror, 1, &format!("password-{number}")).await;
        while shop.copied().await.len() <= number {
            tokio::task::yield_now().await;
        }
    }
    shop.copy.inject(StoreFault::on(StoreOp::Prune));
    assert_eq!(mirror.prune(&Select::All, 3).await.unwrap(), 2);
    assert_eq!(shop.copied().await.len(), 6, "it could not, this time");
    assert_eq!(mirror.prune(&Select::All, 3).await.unwrap(), 0);
    let kept: Vec<_> = shop
        .copied()
        .await
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    assert_eq!(
        kept,
        ["password-2", "password-3", "password-4", "password-5"]
    );
    mirror.close(HOUR).await;
}
