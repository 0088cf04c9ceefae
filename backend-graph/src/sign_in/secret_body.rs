use zeroize::Zeroizing;

/// Answers with tokens have a few kilobytes; what is larger is no such answer.
const LONGEST: usize = 128 * 1024;

/// The body of an answer that holds tokens, in a buffer that never moves and is wiped; nothing, if it is too long. What the HTTP
/// library itself buffered is out of our hands.
pub(crate) async fn read(
    mut response: reqwest::Response,
) -> Result<Zeroizing<Vec<u8>>, reqwest::Error> {
    let mut body = Zeroizing::new(Vec::with_capacity(LONGEST));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST {
            return Ok(Zeroizing::default());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
