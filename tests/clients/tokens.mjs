// The tokens that an application of the operator's own gets for the person, by openid-client.

import * as oidc from 'openid-client'

/** `client` is `{ client_id, secret, redirect_uri, scope }`; what else is in `more` goes into both requests. */
export const tokensFor = async (userAgent, { client_id, secret, redirect_uri, scope }, more = {}) => {
  const config = await oidc.discovery(new URL(userAgent.issuer), client_id, secret, undefined, { execute: [oidc.allowInsecureRequests] })
  const verifier = oidc.randomPKCECodeVerifier()
  const link = oidc.buildAuthorizationUrl(config, { redirect_uri, scope, code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256', ...more })
  const back = await userAgent.visit(link, { stop: (url) => url.href.startsWith(redirect_uri) })
  const tokens = await oidc.authorizationCodeGrant(config, back.url, { pkceCodeVerifier: verifier }, more)
  return { config, tokens }
}
