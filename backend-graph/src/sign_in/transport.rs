use azure_core::http::{AsyncRawResponse, HttpClient, Request};

/// Our own HTTP client beneath `azure_identity`, which accepts authorities with `https` only. For a loopback
/// authority in plain `http`, which [`CustomCloud::new`](crate::CustomCloud::new) has checked, the scheme is put
/// back just before sending.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) plain: bool,
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        if !self.plain {
            return self.http.execute_request(request).await;
        }
        let mut request = request.clone();
        // From one special scheme to another this cannot fail; if it did, TLS would.
        let _ = request.url_mut().set_scheme("http");
        self.http.execute_request(&request).await
    }
}
