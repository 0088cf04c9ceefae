//! A disk that is full for real, under the server.

use std::collections::HashSet;

use rotation_core::{NewVersion, RunId, StoreError};

use crate::cluster::Cluster;
use crate::workshop::{Workshop, account, commit, lease, stage, version_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_lost_a_full_disk_is_told_and_survived() {
    let Some(cluster) = Cluster::with_small_disk() else {
        return;
    };
    let shop = Workshop::new(&cluster).await;
    let place = cluster.small_disk().display().to_string();
    shop.cluster
        .admin("postgres")
        .await
        .batch_execute(&format!("CREATE TABLESPACE small LOCATION '{place}'"))
        .await
        .unwrap();
    let store = shop.open().await;
    shop.sql(
        "ALTER TABLE rotation.version SET TABLESPACE small; \
         CREATE TABLE ballast TABLESPACE small AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)",
    )
    .await;

    let run = RunId::new();
    let mut staged: Vec<NewVersion> = Vec::new();
    let (failed, problem) = loop {
        let mut new = version_of(&account(), run, "hunter2-hunter2");
        // Long, and different everywhere, so that it is stored as it is.
        new.user_name = (0..100).map(|_| RunId::new().to_string()).collect();
        lease(&store, &new).await;
        match stage(&store, &new).await {
            Ok(()) => staged.push(new),
            Err(StoreError::Unavailable { problem, .. }) => break (new, problem),
            Err(other) => panic!("{other:?}"),
        }
        assert!(staged.len() < 100_000, "the disk is not small");
    };
    assert!(staged.len() > 100, "only {} versions", staged.len());
    assert!(problem.message.contains("53100"), "{problem}");
    assert!(problem.fix.unwrap().contains("free some space"));
    let found = |revealed: Vec<(rotation_core::Version, rotation_core::Password)>| -> HashSet<_> {
        revealed
            .into_iter()
            .map(|(version, _)| version.key.version)
            .collect()
    };
    let expected: HashSet<_> = staged.iter().map(|new| new.key.version).collect();
    assert_eq!(found(shop.reveal().await.unwrap()), expected);

    shop.sql("DROP TABLE ballast; CHECKPOINT").await;
    stage(&store, &failed).await.unwrap();
    for new in staged.iter().take(10).chain([&failed]) {
        commit(&store, new).await.unwrap();
    }
    assert_eq!(
        found(shop.reveal().await.unwrap()).len(),
        expected.len() + 1
    );
    println!("{} versions staged until the disk was full", expected.len());
}
