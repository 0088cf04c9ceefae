//! The loop that a user of `graph-rs-sdk` writes: set every password, so many requests at once. It keeps nothing and makes
//! no password: both come ready through standard input, as `benches/harness/setup.rs` says.

use std::error::Error;
use std::io::{BufRead, ErrorKind, Write};

use futures::{StreamExt, TryStreamExt, stream};
use graph_rs_sdk::http::Url;
use graph_rs_sdk::{GraphClient, GraphClientConfiguration};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Setup {
    directory: Directory,
    concurrency: usize,
    batch: usize,
    accounts: usize,
}

#[derive(Deserialize)]
struct Directory {
    base_url: String,
    token: String,
}

#[derive(Deserialize)]
struct Target {
    id: String,
    password: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut lines = std::io::stdin().lock().lines();
    let mut next = || lines.next().ok_or(ErrorKind::UnexpectedEof)?;
    let setup: Setup = serde_json::from_str(&next()?)?;
    let mut targets: Vec<Target> = Vec::with_capacity(setup.accounts);
    for _ in 0..setup.accounts {
        targets.push(serde_json::from_str(&next()?)?);
    }
    let graph = graph(&setup.directory)?;
    say("ready")?;
    if next()? != "go" {
        return Err("nobody said go".into());
    }
    let rotated = match setup.batch {
        1 => single(&graph, &targets, setup.concurrency).await?,
        most => batches(&graph, &targets, setup.concurrency, most).await?,
    };
    say(&json!({"rotated": rotated}).to_string())?;
    // our parent looks at what we used until it closes our input
    lines.for_each(drop);
    Ok(())
}

/// As its documentation says, but for the address.
fn graph(directory: &Directory) -> Result<GraphClient, Box<dyn Error>> {
    let configuration = GraphClientConfiguration::new()
        .access_token(&directory.token)
        .https_only(false)
        .retry(Some(3))
        .wait_for_retry_after_headers(true);
    let mut graph = GraphClient::from(configuration);
    graph.use_test_endpoint(&Url::parse(&format!("{}/v1.0", directory.base_url))?);
    Ok(graph)
}

fn say(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

fn profile(password: &str) -> Value {
    json!({"passwordProfile": {"password": password, "forceChangePasswordNextSignIn": false}})
}

async fn single(
    graph: &GraphClient,
    targets: &[Target],
    concurrency: usize,
) -> Result<usize, Box<dyn Error>> {
    let answers = stream::iter(targets).map(|target| async {
        let user = graph.user(&target.id);
        user.update_user(&profile(&target.password)).send().await
    });
    let good = answers
        .buffer_unordered(concurrency)
        .map_ok(|answer| usize::from(answer.status().is_success()));
    Ok(good.try_fold(0, async |sum, good| Ok(sum + good)).await?)
}

async fn batches(
    graph: &GraphClient,
    targets: &[Target],
    concurrency: usize,
    most: usize,
) -> Result<usize, Box<dyn Error>> {
    let answers = stream::iter(targets.chunks(most)).map(|targets| async move {
        let items = targets.iter().enumerate().map(|(index, target)| {
            json!({
                "id": index.to_string(),
                "method": "PATCH",
                "url": format!("/users/{}", target.id),
                "headers": {"Content-Type": "application/json"},
                "body": profile(&target.password),
            })
        });
        let envelope = json!({"requests": items.collect::<Vec<_>>()});
        let answer: Value = graph.batch(&envelope).send().await?.json().await?;
        let responses = answer["responses"].as_array().into_iter().flatten();
        let good = responses.filter(|response| response["status"] == 204);
        Ok::<_, Box<dyn Error>>(good.count())
    });
    let good = answers.buffer_unordered(concurrency);
    good.try_fold(0, async |sum, good| Ok(sum + good)).await
}
