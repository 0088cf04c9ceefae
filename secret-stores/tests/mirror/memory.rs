use std::sync::Arc;

use rotation_core::SecretStore;
use rotation_core::testkit::{StoreFault, StoreOp};
use std::time::Duration;

use crate::workshop::{Workshop, commit, stage, version};

/// The primary and the copy of these tests keep passwords in memory themselves, so it is what else holds one that counts.
const IN_PRIMARY: usize = 1;

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_down_for_good_takes_bounded_memory() {
    let workshop = Workshop::new();
    workshop
        .copy
        .inject(StoreFault::on(StoreOp::Lease).forever());
    let mirror = workshop.mirror().await;
    let mut passwords = Vec::new();
    for number in 0..20_000 {
        let new = version(workshop.run, number, "password");
        passwords.push(Arc::downgrade(&new.password));
        stage(&mirror, &new).await.unwrap();
        commit(&mirror, &new).await.unwrap();
    }
    let held = |passwords: &[std::sync::Weak<_>]| {
        let is_held = |password: &&std::sync::Weak<_>| password.strong_count() > IN_PRIMARY;
        passwords.iter().filter(is_held).count()
    };
    let while_open = held(&passwords);
    assert!(while_open > 10_000, "{while_open}: the test sees nothing");
    assert!(while_open <= 16 * 1024 + 64, "{while_open}");
    let behind = mirror.close(Duration::from_secs(1)).await.remove(0);
    assert_eq!(behind.versions, 20_000);
    // Whoever was stopped drops what it held when it is next polled.
    tokio::task::yield_now().await;
    assert_eq!(held(&passwords), 0);
}

#[tokio::test(start_paused = true)]
async fn a_password_is_dropped_once_it_is_settled_or_its_run_has_ended() {
    let workshop = Workshop::new();
    let mirror = workshop.mirror().await;
    let new: Vec<_> = (0..3)
        .map(|number| version(workshop.run, number, "password"))
        .collect();
    for new in &new {
        stage(&mirror, new).await.unwrap();
    }
    commit(&mirror, &new[0]).await.unwrap();
    mirror.discard(&new[1].key).await.unwrap();
    mirror.release(&new[2].lease()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Ours; the primary's and the copy's; the primary dropped the second.
    let counts: Vec<_> = new
        .iter()
        .map(|new| Arc::strong_count(&new.password))
        .collect();
    assert_eq!(counts, [3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn more_staged_than_can_be_kept_in_mind_is_told_when_it_is_committed() {
    let workshop = Workshop::new();
    let mirror = workshop.mirror().await;
    let new: Vec<_> = (0..16 * 1024 + 1)
        .map(|number| version(workshop.run, number, "password"))
        .collect();
    for batch in new.chunks(1000) {
        mirror.stage(batch).await;
    }
    commit(&mirror, &new[0]).await.unwrap();
    commit(&mirror, &new[1]).await.unwrap();
    let behind = mirror.close(Duration::from_secs(1)).await.remove(0);
    assert_eq!(behind.accounts, [new[0].key.account.clone()]);
    assert_eq!(workshop.copied().await.len(), 1);
}
