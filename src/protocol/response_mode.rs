use super::wire::wire_words;

wire_words! {
    /// How an authorization answer travels back to the client.
    ResponseMode {
        /// In the query of the redirect URI ([RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).
        Query = "query",
        /// In a form the browser posts ([OAuth 2.0 Form Post](https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html)).
        FormPost = "form_post",
    }
}
