//! A model of the refresh token table, run against the server on every store: after each action the same verdict,
//! the same generation, the same bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::test_server::{TestServer, on_every_store};

on_every_store![the_house_and_the_model_agree_move_by_move];

const GRACE: u64 = 30;
const MOVES: usize = 40;

/// The table as a person would write it down: the newest, the one tolerated before it, and when each of
/// those before was replaced.
struct Model {
    newest: u64,
    tolerated: Option<u64>,
    replaced: BTreeMap<u64, u64>,
    now: u64,
    over: bool,
}

impl Model {
    fn present(&mut self, presented: u64) -> Option<u64> {
        if self.over {
            return None;
        }
        let mut last = self.replaced.iter().rev().take(8);
        if last.any(|(held, at)| *held == presented && self.now < at + GRACE) {
            return Some(self.newest);
        }
        if presented != self.newest && self.tolerated != Some(presented) {
            self.over = true;
            return None;
        }
        self.replaced.insert(presented, self.now);
        (self.newest, self.tolerated) = (self.newest + 1, Some(presented));
        Some(self.newest)
    }
}

/// A small generator of its own, so that a failing seed fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn generation(token: &str) -> u64 {
    token.split('.').nth(2).and_then(|number| number.parse().ok()).expect("rt1.grant.number.mac")
}

async fn the_house_and_the_model_agree_move_by_move(server: TestServer) {
    let (shop, thief) = (server.relying_party("shop").await, server.relying_party("thief").await);
    let mut endings = 0;
    for seed in 1..=8 {
        let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
        let mut held = BTreeMap::from([(0, tokens.refresh().to_owned())]);
        let (replaced, tolerated) = (BTreeMap::new(), None);
        let mut model = Model { newest: 0, tolerated, replaced, now: 0, over: false };
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (seed << 20));
        for step in 0..MOVES {
            // Every third is in a hurry.
            let wait = dice.below(if seed % 3 == 0 { 6 } else { 45 });
            server.advance_time(Duration::from_secs(wait));
            model.now += wait;
            // Every other client is honest: the newest, or the one it may have missed the answer to.
            // The others sometimes show anything they were ever given.
            let newest: u64 = *held.keys().last().expect("one at least");
            let wanted = match dice.below(16) {
                0..10 => newest,
                _ if seed % 2 == 0 => model.tolerated.unwrap_or(newest),
                10..13 => newest.saturating_sub(1),
                13..15 => newest.saturating_sub(dice.below(10)),
                _ => dice.below(newest + 1),
            };
            let Some(token) = held.get(&wanted).cloned() else { continue };
            if dice.below(6) == 0 {
                assert_eq!(thief.refresh(&token).await.status, 400, "seed {seed} step {step}");
            }
            let answer = shop.refresh(&token).await;
            match model.present(wanted) {
                None => {
                    let refused = (400, "invalid_grant".to_owned());
                    assert_eq!(answer.error(), refused, "seed {seed} step {step}");
                }
                Some(expected) => {
                    let next =
                        answer.success_json()["refresh_token"].as_str().expect("one").to_owned();
                    assert_eq!(generation(&next), expected, "seed {seed} step {step}");
                    let before = held.insert(expected, next.clone());
                    assert!(before.is_none_or(|it| it == next), "two successors: seed {seed}");
                }
            }
        }
        endings += usize::from(model.over);
    }
    assert!((1..8).contains(&endings), "both kinds of ending were seen: {endings} of 8");
}
