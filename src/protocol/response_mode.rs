use super::ResponseType;
use super::string_enum::string_enum;

string_enum! {
    /// How an authorization response is sent to the client.
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
    /// The mode of a response of this type if the request names none ([Multiple Response Types §2.1,
    /// §5]).
    ///
    /// [Multiple Response Types §2.1, §5]: https://openid.net/specs/oauth-v2-multiple-response-types-1_0.html#ResponseModes
    pub const fn default_for(response: ResponseType) -> Self {
        if response.is_front_channel() { Self::Fragment } else { Self::Query }
    }

    /// Whether a response of this type may be sent in this mode: never tokens in a query, which servers log.
    pub fn is_allowed_for(self, response: ResponseType) -> bool {
        self != Self::Query || !response.is_front_channel()
    }
}
