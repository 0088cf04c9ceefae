use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A block of a PEM file (<https://www.rfc-editor.org/rfc/rfc7468>).
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    /// Whether it has headers that say that it is encrypted, as OpenSSL once wrote them (RFC 1421).
    pub(crate) encrypted: bool,
    /// What it encodes, in a buffer that never grew; nothing, if it is not base64.
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// The blocks of `text`, whatever stands between them. By hand, since it may be a private key, of which the crates for
/// PEM leave copies behind.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((block, after)) = next(rest) {
        blocks.push(block);
        rest = after;
    }
    blocks
}

fn next(text: &str) -> Option<(Block<'_>, &str)> {
    let (_, text) = text.split_once("-----BEGIN ")?;
    let (label, text) = text.split_once("-----")?;
    let (body, text) = text.split_once("-----END ")?;
    let (_, after) = text.split_once("-----").unwrap_or((text, ""));
    let block = Block {
        label,
        encrypted: body.contains("Proc-Type:") && body.contains("ENCRYPTED"),
        der: decoded(body),
    };
    Some((block, after))
}

fn decoded(body: &str) -> Zeroizing<Vec<u8>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(body.len()));
    packed.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; body.len()]);
    let length = STANDARD.decode_slice(&*packed, &mut der).unwrap_or(0);
    der.truncate(length);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_among_other_text_and_half_ones_are_none() {
        let text = "Bag Attributes\n-----BEGIN A-----\r\nAQ\r\nI=\r\n-----END A-----\nsubject=x\n\
                    -----BEGIN B-----\n!\n-----END B-----\n-----BEGIN C-----\nAQI=";
        let found: Vec<_> = blocks(text)
            .iter()
            .map(|block| (block.label, block.der.to_vec()))
            .collect();
        assert_eq!(found, [("A", vec![1, 2]), ("B", vec![])]);
        for text in ["", "-----BEGIN ", "-----BEGIN A-----", "-----END A-----"] {
            assert!(blocks(text).is_empty(), "{text}");
        }
    }
}
