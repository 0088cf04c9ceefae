use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// `application/x-www-form-urlencoded`, in one buffer that never moves and is wiped with its last clone.
pub(crate) fn encode(fields: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let mut form = Zeroizing::new(Vec::with_capacity(capacity(fields)));
    for (name, value) in fields {
        if !form.is_empty() {
            form.push(b'&');
        }
        form.extend_from_slice(name.as_bytes());
        form.push(b'=');
        byte_serialize(value.as_bytes()).for_each(|piece| form.extend_from_slice(piece.as_bytes()));
    }
    form
}

/// At worst every byte of a value becomes `%XX`.
fn capacity(fields: &[(&str, &str)]) -> usize {
    let lengths = fields
        .iter()
        .map(|(name, value)| name.len() + 3 * value.len() + 2);
    lengths.sum()
}

#[cfg(test)]
mod tests {
    use url::form_urlencoded;

    use super::*;

    #[test]
    fn a_form_is_read_as_it_was_written_and_its_buffer_never_moves() {
        for value in ["", "a b+c&d=e%f", "ü€😀", "\u{1}\"\\", "&"] {
            let value = value.repeat(500);
            let fields = [("username", value.as_str()), ("password", value.as_str())];
            let form = encode(&fields);
            assert_eq!(form.capacity(), capacity(&fields), "{value:.4}");
            let read: Vec<_> = form_urlencoded::parse(&form).collect();
            assert_eq!(read.len(), fields.len());
            for ((name, value), expected) in read.iter().zip(fields) {
                assert_eq!((name.as_ref(), value.as_ref()), expected);
            }
        }
    }
}
