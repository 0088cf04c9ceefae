//! The part of `$filter` that the directory understands here: comparisons joined by `and`.

use serde_json::Value;

use super::GraphError;

/// The directory refuses longer lists.
const MAX_IN: usize = 15;

#[derive(Clone, Debug, PartialEq)]
enum Test {
    EndsWith(String),
    In(Vec<Value>),
    Is(Value),
    IsNot(Value),
    StartsWith(String),
}

#[derive(Clone, Debug, PartialEq)]
struct Clause {
    property: String,
    test: Test,
}

/// A parsed `$filter`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter(Vec<Clause>);

impl Filter {
    /// Parses `text`; only `properties` may be compared.
    pub(crate) fn parse(text: &str, properties: &[&str]) -> Result<Self, GraphError> {
        let mut tokens = tokens(text)?.into_iter();
        let mut clauses = Vec::new();
        loop {
            let clause = clause(&mut tokens, text)?;
            if !properties.contains(&clause.property.as_str()) {
                return Err(GraphError::unsupported_query(format!(
                    "Unsupported or invalid query filter clause specified for property '{}' of resource.",
                    clause.property
                )));
            }
            clauses.push(clause);
            match tokens.next() {
                None => return Ok(Self(clauses)),
                Some(Token::Word(word)) if word.eq_ignore_ascii_case("and") => {}
                Some(_) => return Err(unsupported(text)),
            }
        }
    }

    /// Needs the header `ConsistencyLevel: eventual` and `$count=true`.
    pub(crate) fn is_advanced(&self) -> bool {
        self.0
            .iter()
            .any(|clause| matches!(clause.test, Test::IsNot(_) | Test::EndsWith(_)))
    }

    /// The values that `property` is limited to, if the filter names them.
    pub(crate) fn candidates(&self, property: &str) -> Option<&[Value]> {
        self.0.iter().find_map(|clause| match &clause.test {
            _ if clause.property != property => None,
            Test::Is(value) => Some(std::slice::from_ref(value)),
            Test::In(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    /// Whether an object with these properties passes.
    pub(crate) fn accepts(&self, property: impl Fn(&str) -> Value) -> bool {
        self.0.iter().all(|clause| {
            let actual = property(&clause.property);
            match &clause.test {
                Test::EndsWith(end) => lower(&actual).is_some_and(|text| text.ends_with(end)),
                Test::In(values) => values.iter().any(|value| equal(&actual, value)),
                Test::Is(value) => equal(&actual, value),
                Test::IsNot(value) => !equal(&actual, value),
                Test::StartsWith(start) => lower(&actual).is_some_and(|t| t.starts_with(start)),
            }
        })
    }
}

/// The directory compares text without regard to case.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

fn lower(value: &Value) -> Option<String> {
    value.as_str().map(str::to_lowercase)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Close,
    Comma,
    Open,
    Text(String),
    Word(String),
}

fn unsupported(text: &str) -> GraphError {
    GraphError::unsupported_query(format!("Unsupported Query: {text}"))
}

fn tokens(text: &str) -> Result<Vec<Token>, GraphError> {
    let mut chars = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            '\'' => {
                let mut literal = String::new();
                loop {
                    match chars.next() {
                        Some('\'') if chars.next_if_eq(&'\'').is_some() => literal.push('\''),
                        Some('\'') => break,
                        Some(other) => literal.push(other),
                        None => {
                            return Err(GraphError::malformed(format!(
                                "There is an unterminated string literal at position {} in '{text}'.",
                                text.len()
                            )));
                        }
                    }
                }
                tokens.push(Token::Text(literal));
            }
            first => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|c| !" \t(),'".contains(*c)) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn clause(tokens: &mut impl Iterator<Item = Token>, text: &str) -> Result<Clause, GraphError> {
    let refuse = || unsupported(text);
    let Some(Token::Word(first)) = tokens.next() else {
        return Err(refuse());
    };
    let operator = match tokens.next() {
        Some(Token::Word(operator)) => operator.to_lowercase(),
        Some(Token::Open) => return function(&first, tokens, text),
        _ => return Err(refuse()),
    };
    let test = match operator.as_str() {
        "eq" => Test::Is(literal(tokens.next()).ok_or_else(refuse)?),
        "ne" => Test::IsNot(literal(tokens.next()).ok_or_else(refuse)?),
        "in" => Test::In(list(tokens, text)?),
        _ => return Err(refuse()),
    };
    Ok(Clause {
        property: first,
        test,
    })
}

fn function(
    name: &str,
    tokens: &mut impl Iterator<Item = Token>,
    text: &str,
) -> Result<Clause, GraphError> {
    let call = (tokens.next(), tokens.next(), tokens.next(), tokens.next());
    let (
        Some(Token::Word(property)),
        Some(Token::Comma),
        Some(Token::Text(part)),
        Some(Token::Close),
    ) = call
    else {
        return Err(unsupported(text));
    };
    let part = part.to_lowercase();
    let test = match name.to_lowercase().as_str() {
        "endswith" => Test::EndsWith(part),
        "startswith" => Test::StartsWith(part),
        _ => return Err(unsupported(text)),
    };
    Ok(Clause { property, test })
}

fn list(tokens: &mut impl Iterator<Item = Token>, text: &str) -> Result<Vec<Value>, GraphError> {
    if tokens.next() != Some(Token::Open) {
        return Err(unsupported(text));
    }
    let mut values = Vec::new();
    loop {
        values.push(literal(tokens.next()).ok_or_else(|| unsupported(text))?);
        match tokens.next() {
            Some(Token::Comma) => {}
            Some(Token::Close) => break,
            _ => return Err(unsupported(text)),
        }
    }
    if values.len() > MAX_IN {
        return Err(GraphError::bad_request(format!(
            "Too many child clauses specified in search filter expression containing 'OR' operators: {}. Max allowed: {MAX_IN}.",
            values.len()
        )));
    }
    Ok(values)
}

fn literal(token: Option<Token>) -> Option<Value> {
    match token? {
        Token::Text(text) => Some(Value::String(text)),
        Token::Word(word) => Some(match word.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ => Value::String(word),
        }),
        Token::Close | Token::Comma | Token::Open => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: &[&str] = &["id", "name", "enabled"];

    fn passes(filter: &str) -> bool {
        let object = json!({"id": "7", "name": "O'Brien", "enabled": true});
        Filter::parse(filter, KNOWN)
            .unwrap()
            .accepts(|property| object[property].clone())
    }

    #[test]
    fn comparisons_hold_where_they_should() {
        for (filter, expected) in [
            ("id eq '7'", true),
            ("id eq '8'", false),
            ("id in ('6','7')", true),
            ("id in ('6', '8')", false),
            ("name eq 'o''brien'", true),
            ("enabled eq true and id eq '7'", true),
            ("enabled eq true and id eq '8'", false),
            ("enabled ne true", false),
            ("startswith(name,'O''b')", true),
            ("endsWith(name, 'x')", false),
        ] {
            assert_eq!(passes(filter), expected, "{filter}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (filter, code) in [
            ("", "Request_UnsupportedQuery"),
            ("id", "Request_UnsupportedQuery"),
            ("id gt '7'", "Request_UnsupportedQuery"),
            ("id eq '7' or id eq '8'", "Request_UnsupportedQuery"),
            ("secret eq '7'", "Request_UnsupportedQuery"),
            ("not(id eq '7')", "Request_UnsupportedQuery"),
            ("id in ()", "Request_UnsupportedQuery"),
            ("id eq '7", "BadRequest"),
        ] {
            let error = Filter::parse(filter, KNOWN).unwrap_err();
            assert_eq!(error.code, code, "{filter}");
        }
        let many = vec!["'x'"; MAX_IN + 1].join(",");
        assert!(Filter::parse(&format!("id in ({many})"), KNOWN).is_err());
    }

    #[test]
    fn ne_and_endswith_are_advanced() {
        for (filter, advanced) in [
            ("id eq '7'", false),
            ("id ne '7'", true),
            ("endswith(name,'x')", true),
            ("startswith(name,'x')", false),
        ] {
            let parsed = Filter::parse(filter, KNOWN).unwrap();
            assert_eq!(parsed.is_advanced(), advanced, "{filter}");
        }
    }
}
