use super::ResponseType;
use super::wire::wire_words;

wire_words! {
    /// How an authorization answer travels back to the client.
    ResponseMode {
        /// In the query of the redirect URI ([RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).
        Query = "query",
        /// In its fragment ([OAuth 2.0 Multiple Response Types §2.1](https://openid.net/specs/oauth-v2-multiple-response-types-1_0.html#ResponseModes)).
        Fragment = "fragment",
        /// In a form the browser posts ([OAuth 2.0 Form Post](https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html)).
        FormPost = "form_post",
    }
}

impl ResponseMode {
    /// How an answer of this type travels when the request does not say ([Multiple Response Types §2.1,
    /// §5]).
    ///
    /// [Multiple Response Types §2.1, §5]: https://openid.net/specs/oauth-v2-multiple-response-types-1_0.html#ResponseModes
    pub const fn default_for(response: ResponseType) -> Self {
        if response.is_front_channel() { Self::Fragment } else { Self::Query }
    }

    /// Whether an answer of this type may travel so: tokens never in a query, where servers log them.
    pub fn suits(self, response: ResponseType) -> bool {
        self != Self::Query || !response.is_front_channel()
    }
}
