//! The least of an HTTP client: what the modules ask of Graph and of the token endpoint.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

pub(crate) struct Graph {
    base: String,
    token: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> String {
        let mut lines = self.headers.lines();
        let value = lines.find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found
                .trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim())
        });
        value.unwrap_or_default().to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

impl Graph {
    /// Signs in with a client secret; the answer of the token endpoint if that is no.
    pub(crate) fn sign_in(
        base: &str,
        tenant: &str,
        client_id: &str,
        secret: &str,
    ) -> Result<Self, String> {
        let mut graph = Self {
            base: base.trim_start_matches("http://").to_owned(),
            token: String::new(),
        };
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
            encoded(client_id),
            encoded(secret),
            encoded(&format!("http://{}/.default", graph.base))
        );
        let path = format!("/{tenant}/oauth2/v2.0/token");
        let media = "application/x-www-form-urlencoded";
        let answer = graph.send("POST", &path, Some((media, &form)))?;
        match answer.json()["access_token"].as_str() {
            Some(token) => token.clone_into(&mut graph.token),
            None => return Err(answer.body),
        }
        Ok(graph)
    }

    /// The part of the token that says who we are.
    pub(crate) fn claims(&self) -> &str {
        self.token.split('.').nth(1).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer, String> {
        self.send("GET", &format!("/{path}"), None)
    }

    /// Sets a password.
    pub(crate) fn patch(
        &self,
        account: &str,
        password: &str,
        force: bool,
    ) -> Result<Answer, String> {
        let body = serde_json::json!({
            "passwordProfile": {"password": password, "forceChangePasswordNextSignIn": force}
        });
        let path = format!("/v1.0/users/{}", encoded(account));
        self.send(
            "PATCH",
            &path,
            Some(("application/json", &body.to_string())),
        )
    }

    /// Sets a password in the on-premises directory of the simulator.
    pub(crate) fn set_on_premises(
        &self,
        tenant: &str,
        control_token: &str,
        account: &str,
        password: &str,
    ) -> Result<Answer, String> {
        let body = serde_json::json!({"password": password}).to_string();
        let path = format!(
            "/__control/tenants/{tenant}/onPremises/{}",
            encoded(account)
        );
        let control = Self {
            base: self.base.clone(),
            token: control_token.to_owned(),
        };
        control.send("POST", &path, Some(("application/json", &body)))
    }

    fn send(&self, method: &str, path: &str, body: Option<(&str, &str)>) -> Result<Answer, String> {
        let (media, body) = body.unwrap_or(("text/plain", ""));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {media}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.base,
            self.token,
            body.len()
        );
        let mut text = Vec::new();
        let mut stream = TcpStream::connect(&self.base).map_err(|error| error.to_string())?;
        stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.read_to_end(&mut text))
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let (headers, body) = text.split_once("\r\n\r\n").ok_or("the answer broke off")?;
        let status = headers
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Ok(Answer {
            status: status.ok_or("no status")?,
            headers: headers.to_owned(),
            body: body.to_owned(),
        })
    }
}

pub(crate) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
