// openid-client against the running server: what a server-side client does, from discovery to the end
// of a token.

import * as oidc from 'openid-client'
import { check, refused, run } from './check.mjs'
import { ScriptedUser } from './scripted_user.mjs'

const REDIRECT = 'http://localhost:9/callback'
const LOOPBACK = { execute: [oidc.allowInsecureRequests] }

/** A registered client, with the discovered server. */
const register = (issuer, metadata, authentication) =>
  oidc.dynamicClientRegistration(new URL(issuer),
    { redirect_uris: [REDIRECT], client_name: 'openid-client', ...metadata }, authentication ?? oidc.ClientSecretBasic(), LOOPBACK)

const signIn = async (config, person, more = {}) => {
  const verifier = oidc.randomPKCECodeVerifier()
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()]
  const link = oidc.buildAuthorizationUrl(config, { redirect_uri: REDIRECT, scope: 'openid profile email',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', state, nonce, ...more })
  const back = await person.visit(link)
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  return { back, checks, tokens: await oidc.authorizationCodeGrant(config, back, checks) }
}

const codeFlow = async (config, person) => {
  const { back, checks, tokens } = await signIn(config, person,
    { scope: 'openid profile email offline_access', prompt: 'consent', max_age: '600' })
  check('the answer names its issuer', back.searchParams.get('iss') === person.issuer, back.href)
  const claims = tokens.claims()
  check('the ID token is verified, with its nonce', claims.nonce === checks.expectedNonce, claims)
  check('and with auth_time, because max_age was asked', Number.isInteger(claims.auth_time), claims)

  const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub)
  check('userinfo has profile and email', userinfo.preferred_username === person.username && userinfo.email, userinfo)

  const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token)
  check('a refresh gives other tokens', renewed.access_token !== tokens.access_token, renewed)
  check('the refresh token is another one', renewed.refresh_token && renewed.refresh_token !== tokens.refresh_token)
  check('the refreshed ID token has the same subject', renewed.claims()?.sub === claims.sub, renewed.claims())
  return renewed
}

const endOfATokensLife = async (config, tokens) => {
  const alive = await oidc.tokenIntrospection(config, tokens.access_token)
  check('introspection calls the access token active', alive.active && alive.client_id === config.clientMetadata().client_id, alive)
  const refresh = await oidc.tokenIntrospection(config, tokens.refresh_token)
  check('and the refresh token', refresh.active === true, refresh)
  await oidc.tokenRevocation(config, tokens.access_token)
  const dead = await oidc.tokenIntrospection(config, tokens.access_token)
  check('a revoked access token is inactive, and nothing else is said', Object.keys(dead).join() === 'active' && !dead.active, dead)
  await oidc.tokenRevocation(config, tokens.refresh_token, { token_type_hint: 'refresh_token' })
  const error = await refused(() => oidc.refreshTokenGrant(config, tokens.refresh_token))
  check('a revoked refresh token gives nothing', error.error === 'invalid_grant', error)
  const userinfo = await refused(() => oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck))
  check('userinfo refuses the revoked token', userinfo.cause?.[0]?.parameters?.error === 'invalid_token', userinfo)
}

const replay = async (config, person) => {
  const { back, checks, tokens } = await signIn(config, person)
  const guess = { ...checks, pkceCodeVerifier: oidc.randomPKCECodeVerifier() }
  const error = await refused(() => oidc.authorizationCodeGrant(config, back, guess))
  check('a spent code is refused', error.error === 'invalid_grant', error)
  const about = await oidc.tokenIntrospection(config, tokens.access_token)
  check('and takes the tokens it gave along', about.active === false, about)
}

const machine = async (issuer) => {
  const config = await register(issuer, { token_endpoint_auth_method: 'client_secret_post', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
    oidc.ClientSecretPost())
  const tokens = await oidc.clientCredentialsGrant(config)
  const about = await oidc.tokenIntrospection(config, tokens.access_token)
  check('client_secret_post: client_credentials gives an active token', about.active && about.client_id === config.clientMetadata().client_id, about)
  const error = await refused(() => oidc.clientCredentialsGrant(config, { scope: 'profile' }))
  check("a person's scopes are not for a client on its own", error.error === 'invalid_scope', error)
  check('no refresh token comes along, and no ID token', !tokens.refresh_token && !tokens.id_token, tokens)
}

const ownKey = async (issuer, person) => {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const jwk = { ...await crypto.subtle.exportKey('jwk', pair.publicKey), kid: 'mine', use: 'sig', alg: 'ES256' }
  delete jwk.key_ops
  delete jwk.ext
  const config = await register(issuer, { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] },
    token_endpoint_auth_signing_alg: 'ES256' }, oidc.PrivateKeyJwt({ key: pair.privateKey, kid: 'mine' }))
  check('a client with its own key has no secret', config.clientMetadata().client_secret === undefined)
  const { tokens } = await signIn(config, person)
  check('private_key_jwt redeems a code', tokens.claims().aud === config.clientMetadata().client_id, tokens.claims())
  const about = await oidc.tokenIntrospection(config, tokens.access_token)
  check('private_key_jwt introspects', about.active === true, about)
}

await run('ISSUER USER PASSWORD', async (issuer, username, password) => {
  const person = new ScriptedUser(issuer, username, password)
  const config = await register(issuer, { grant_types: ['authorization_code', 'refresh_token'],
    scope: 'openid profile email offline_access' })
  check('discovery and registration', config.clientMetadata().client_secret?.length >= 32)
  check('discovery says PKCE with S256', config.serverMetadata().supportsPKCE())
  await endOfATokensLife(config, await codeFlow(config, person))
  await replay(config, person)
  await machine(issuer)
  await ownKey(issuer, person)
})
