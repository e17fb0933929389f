//! The actions a trace is made of. Every number in them is taken modulo what there is, so that a trace stays valid
//! when it is shrunk.

use proptest::prelude::*;

/// One thing that happens, by which server, and what goes wrong with it.
#[derive(Clone, Debug)]
pub struct Action {
    pub what: ActionKind,
    pub server: usize,
    pub how: Disturbance,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disturbance {
    None,
    /// It is done, and whoever asked does not see the answer.
    ReplyLost,
    /// It is asked again right afterwards.
    Twice,
    /// Two of the same, one at each server, at the same moment.
    Concurrent,
    /// One command of the store fails, after so many that do not: it is not run, or its answer is lost.
    Fault {
        spared: usize,
        runs: bool,
    },
}

/// What happens.
#[derive(Clone, Debug)]
pub enum ActionKind {
    /// A browser is sent to the authorization endpoint.
    Authorize(AuthorizationParams),
    /// Somebody fills in the login form of one of the last flows, mostly in its own browser.
    Login {
        flow: usize,
        browser: usize,
        person: usize,
        right: bool,
    },
    /// Somebody answers the consent page of one of the last flows, mostly in its own browser.
    Consent {
        flow: usize,
        browser: usize,
        yes: bool,
    },
    /// The whole way at once: whatever the pages ask for, and the code is redeemed.
    SignIn {
        wish: AuthorizationParams,
        person: usize,
    },
    /// The same, and the code is kept.
    Ask {
        wish: AuthorizationParams,
        person: usize,
    },
    Redeem {
        code: usize,
        stranger: bool,
        proof: Proof,
    },
    /// The token so many generations before the newest the client holds.
    Refresh {
        grant: usize,
        back: usize,
        stranger: bool,
        narrow: bool,
    },
    /// An application at work: it refreshes so often, with a minute in between.
    RefreshRepeatedly {
        grant: usize,
        times: usize,
    },
    RevokeRefresh {
        grant: usize,
        stranger: bool,
    },
    RevokeAccess {
        token: usize,
        stranger: bool,
    },
    /// Introspection, or userinfo.
    Introspect {
        token: usize,
        stranger: bool,
        userinfo: bool,
    },
    IntrospectRefresh {
        grant: usize,
        back: usize,
        stranger: bool,
    },
    Logout {
        browser: usize,
    },
    /// A request that needs no page, and an operator cuts its person off between the moment at which their
    /// grants are listed and the one at which this one is stored.
    CutOffBehind {
        wish: AuthorizationParams,
    },
    /// Another tab of the browser signed in at the same moment: two sessions go by one name.
    SecondSession {
        browser: usize,
    },
    SetUserEnabled {
        person: usize,
        enabled: bool,
    },
    ChangeClient {
        client: usize,
        change: Change,
    },
    AdvanceTime {
        seconds: u64,
    },
    Crash,
    /// The store goes back to how it was so many moves ago.
    Rollback {
        moves: usize,
    },
}

/// An authorization request.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationParams {
    pub browser: usize,
    pub client: usize,
    /// Of [`SCOPES`].
    pub scope: usize,
    pub again: Again,
}

/// What an authorization request asks for anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    Nothing,
    Login,
    Consent,
    MaxAge(u64),
    Silent,
}

/// What is shown with a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    Right,
    WrongVerifier,
    WrongRedirectUri,
}

/// What an operator does to a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    Enable,
    Disable,
    /// Another name on the consent page.
    Rename,
    /// Of [`CEILINGS`].
    Scope(usize),
    /// And registers it again under the same id, with the same secret.
    Remove,
}

/// What is asked for.
pub const SCOPES: [&str; 4] =
    ["openid", "openid offline_access", "openid email offline_access", "openid profile email"];

/// What a client may be registered for.
pub const CEILINGS: [&str; 3] = [
    "openid profile email offline_access",
    "openid offline_access",
    "openid email profile offline_access phone",
];

/// How many persons, browsers and clients there are.
pub const PERSONS: usize = 2;
pub const BROWSERS: usize = 3;
pub const CLIENTS: usize = 3;

/// Times around the lifetimes of what is short: the grace, a code, an access token, an interaction.
const SHORT: [u64; 10] = [1, 5, 12, 29, 30, 31, 59, 61, 299, 601];
/// And of what is long: sessions and refresh tokens.
const LONG: [u64; 4] = [1_800, 3_601, 6 * 86_400, 8 * 86_400];

/// A trace of at most so many moves.
pub fn action_sequences(most: usize) -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(actions(), 4..most)
}

fn actions() -> impl Strategy<Value = Action> {
    (action_kinds(), 0..2_usize, disturbances()).prop_map(|(what, server, how)| Action {
        what,
        server,
        how,
    })
}

fn disturbances() -> impl Strategy<Value = Disturbance> {
    prop_oneof![
        12 => Just(Disturbance::None),
        2 => Just(Disturbance::ReplyLost),
        1 => Just(Disturbance::Twice),
        1 => Just(Disturbance::Concurrent),
        3 => (0..9_usize, any::<bool>()).prop_map(|(spared, runs)| Disturbance::Fault { spared, runs }),
    ]
}

fn action_kinds() -> impl Strategy<Value = ActionKind> {
    let n = || 0..64_usize;
    let rarely = || prop::bool::weighted(0.15);
    prop_oneof![
        3 => authorization_params().prop_map(ActionKind::Authorize),
        3 => (n(), n(), n(), prop::bool::weighted(0.8)).prop_map(|(flow, browser, person, right)| {
            ActionKind::Login { flow, browser, person, right }
        }),
        3 => (n(), n(), prop::bool::weighted(0.8))
            .prop_map(|(flow, browser, yes)| ActionKind::Consent { flow, browser, yes }),
        6 => (authorization_params(), n()).prop_map(|(wish, person)| ActionKind::SignIn { wish, person }),
        3 => (authorization_params(), n()).prop_map(|(wish, person)| ActionKind::Ask { wish, person }),
        5 => (n(), 2..5_usize).prop_map(|(grant, times)| ActionKind::RefreshRepeatedly { grant, times }),
        6 => (n(), rarely(), proofs())
            .prop_map(|(code, stranger, proof)| ActionKind::Redeem { code, stranger, proof }),
        14 => (n(), prop_oneof![6 => Just(0), 2 => Just(1), 2 => 2..10_usize, 1 => n()], rarely(), rarely()).prop_map(
            |(grant, back, stranger, narrow)| ActionKind::Refresh { grant, back, stranger, narrow }
        ),
        2 => (n(), rarely()).prop_map(|(grant, stranger)| ActionKind::RevokeRefresh { grant, stranger }),
        2 => (n(), rarely()).prop_map(|(token, stranger)| ActionKind::RevokeAccess { token, stranger }),
        3 => (n(), rarely(), any::<bool>())
            .prop_map(|(token, stranger, userinfo)| ActionKind::Introspect { token, stranger, userinfo }),
        2 => (n(), 0..3_usize, rarely())
            .prop_map(|(grant, back, stranger)| ActionKind::IntrospectRefresh { grant, back, stranger }),
        2 => n().prop_map(|browser| ActionKind::Logout { browser }),
        2 => authorization_params().prop_map(|wish| ActionKind::CutOffBehind { wish }),
        2 => n().prop_map(|browser| ActionKind::SecondSession { browser }),
        1 => (n(), prop::bool::weighted(0.6)).prop_map(|(person, enabled)| ActionKind::SetUserEnabled { person, enabled }),
        3 => (n(), changes()).prop_map(|(client, change)| ActionKind::ChangeClient { client, change }),
        8 => prop::sample::select(SHORT.to_vec()).prop_map(|seconds| ActionKind::AdvanceTime { seconds }),
        1 => prop::sample::select(LONG.to_vec()).prop_map(|seconds| ActionKind::AdvanceTime { seconds }),
        2 => Just(ActionKind::Crash),
        3 => prop_oneof![3 => 1..4_usize, 1 => 4..10_usize].prop_map(|moves| ActionKind::Rollback { moves }),
    ]
}

fn authorization_params() -> impl Strategy<Value = AuthorizationParams> {
    let again = prop_oneof![
        8 => Just(Again::Nothing),
        2 => Just(Again::Login),
        1 => Just(Again::Consent),
        1 => Just(Again::MaxAge(0)),
        1 => Just(Again::MaxAge(60)),
        1 => Just(Again::Silent),
    ];
    (0..BROWSERS, 0..CLIENTS, 0..SCOPES.len(), again).prop_map(|(browser, client, scope, again)| {
        AuthorizationParams { browser, client, scope, again }
    })
}

fn proofs() -> impl Strategy<Value = Proof> {
    prop_oneof![
        5 => Just(Proof::Right),
        1 => Just(Proof::WrongVerifier),
        1 => Just(Proof::WrongRedirectUri),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => Just(Change::Enable),
        1 => Just(Change::Disable),
        1 => Just(Change::Rename),
        3 => (0..CEILINGS.len()).prop_map(Change::Scope),
        1 => Just(Change::Remove),
    ]
}
