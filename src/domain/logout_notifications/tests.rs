use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::domain::clients::ClientId;
use crate::infra::clock::Clock;
use crate::infra::random;
use crate::infra::store::MemoryStore;

struct Desk {
    clock: Clock,
    store: Box<dyn Store>,
}

impl Desk {
    fn new() -> Self {
        let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
        Self { store: Box::new(MemoryStore::new(clock.clone())), clock }
    }

    fn now(&self) -> UnixTime {
        self.clock.now()
    }

    async fn queues(&self, client: &str) {
        let client = ClientId::parse(client).unwrap();
        let new = Delivery::new(client, "ada".to_owned(), random::uuid(), self.now());
        let mut room = queue::Room::look(&*self.store).await.unwrap();
        assert!(room.take(&*self.store, new).await.unwrap());
    }

    async fn next(&self, busy: &BTreeSet<String>) -> Option<Claim> {
        claim_next(&*self.store, busy, self.now()).await.unwrap()
    }

    async fn settles(&self, claim: &Claim, outcome: Outcome) -> Settled {
        settle(&*self.store, claim, outcome, self.now()).await.unwrap()
    }

    async fn pending(&self) -> usize {
        count_pending(&*self.store).await.unwrap()
    }
}

fn nobody() -> BTreeSet<String> {
    BTreeSet::new()
}

#[tokio::test]
async fn a_delivery_is_tried_three_times_with_growing_pauses_and_then_kept_as_failed() {
    let desk = Desk::new();
    desk.queues("shop").await;
    for (pause, settled) in [(10, Settled::Again), (60, Settled::Again), (0, Settled::GivenUp)] {
        let claim = desk.next(&nobody()).await.expect("it is due");
        assert_eq!(desk.settles(&claim, Outcome::NotReached).await, settled);
        desk.clock.advance(Duration::from_secs(pause).saturating_sub(Duration::from_millis(1)));
        assert!(desk.next(&nobody()).await.is_none(), "not before its time");
        desk.clock.advance(Duration::from_millis(1));
    }
    assert!(desk.next(&nobody()).await.is_none());
    assert_eq!(desk.pending().await, 0);
    let kept = list(&*desk.store).await.unwrap();
    assert!(matches!(
        kept[..],
        [Delivery { tries: 3, state: State::Failed { refused: false, .. }, .. }]
    ));
    desk.clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(list(&*desk.store).await.unwrap(), []);
}

#[tokio::test]
async fn a_client_that_says_no_is_not_asked_again() {
    let desk = Desk::new();
    desk.queues("shop").await;
    let claim = desk.next(&nobody()).await.expect("it is due");
    assert_eq!(desk.settles(&claim, Outcome::Refused).await, Settled::GivenUp);
    let kept = list(&*desk.store).await.unwrap();
    assert!(matches!(
        kept[..],
        [Delivery { tries: 1, state: State::Failed { refused: true, .. }, .. }]
    ));
}

#[tokio::test]
async fn what_was_told_leaves_nothing() {
    let desk = Desk::new();
    desk.queues("shop").await;
    let claim = desk.next(&nobody()).await.expect("it is due");
    assert_eq!(desk.pending().await, 1, "it is on its way");
    assert_eq!(desk.settles(&claim, Outcome::Told).await, Settled::Done);
    assert_eq!((desk.pending().await, list(&*desk.store).await.unwrap().len()), (0, 0));
}

#[tokio::test]
async fn one_server_has_it_until_its_time_is_over() {
    let desk = Desk::new();
    desk.queues("shop").await;
    let first = desk.next(&nobody()).await.expect("it is due");
    assert!(desk.next(&nobody()).await.is_none(), "it is somebody's");
    desk.clock.advance(Duration::from_secs(15));
    let second = desk.next(&nobody()).await.expect("the first has gone under");
    assert_eq!(second.delivery.tries, 2);
    // The first comes back late, and changes nothing.
    desk.settles(&first, Outcome::NotReached).await;
    assert_eq!(desk.settles(&second, Outcome::Told).await, Settled::Done);
    desk.clock.advance(Duration::from_secs(120));
    assert!(desk.next(&nobody()).await.is_none());
    assert_eq!(desk.pending().await, 0);
}

#[tokio::test]
async fn a_server_that_goes_under_with_the_last_try_leaves_a_failure() {
    let desk = Desk::new();
    desk.queues("shop").await;
    for _ in 0..3 {
        assert!(desk.next(&nobody()).await.is_some());
        desk.clock.advance(Duration::from_secs(15));
    }
    assert!(desk.next(&nobody()).await.is_none());
    assert_eq!(desk.pending().await, 0);
    let kept = list(&*desk.store).await.unwrap();
    assert!(matches!(kept[..], [Delivery { state: State::Failed { .. }, .. }]));
}

#[tokio::test]
async fn a_slow_client_holds_up_no_other() {
    let desk = Desk::new();
    for _ in 0..queue::MOST_FOR_ONE {
        desk.queues("slow").await;
    }
    desk.queues("quick").await;
    let slow = desk.next(&nobody()).await.expect("it is due");
    let busy = BTreeSet::from([slow.tag.clone()]);
    let other = desk.next(&busy).await.expect("somebody else is due");
    assert_eq!(other.delivery.client.as_str(), "quick");
    assert!(desk.next(&BTreeSet::from([slow.tag, other.tag])).await.is_none());
}

#[tokio::test]
async fn the_queue_has_an_end_and_one_client_cannot_fill_it() {
    let desk = Desk::new();
    let mut room = queue::Room::look(&*desk.store).await.unwrap();
    let mut takes = async |client: &str| {
        let client = ClientId::parse(client).unwrap();
        let new = Delivery::new(client, "ada".to_owned(), random::uuid(), desk.now());
        room.take(&*desk.store, new).await.unwrap()
    };
    for client in 0..queue::MOST / queue::MOST_FOR_ONE {
        for _ in 0..queue::MOST_FOR_ONE {
            assert!(takes(&format!("shop-{client}")).await);
        }
        assert!(!takes(&format!("shop-{client}")).await, "its share is used up");
    }
    assert!(!takes("another").await, "there is no room at all");
    assert_eq!(desk.pending().await, queue::MOST);
}

#[test]
fn a_logout_token_says_what_it_must_and_no_more() {
    let now = UnixTime::from_secs(1_700_000_000);
    let client = ClientId::parse("shop").unwrap();
    let delivery = Delivery::new(client, "ada".to_owned(), random::uuid(), now);
    let claims = logout_claims("https://id.example", &delivery, "the session", now);
    let names: Vec<&str> = claims.keys().map(String::as_str).collect();
    let mut expected = ["iss", "sub", "aud", "iat", "exp", "jti", "sid", "events"];
    expected.sort_unstable();
    assert_eq!(names, expected);
    let event = "http://schemas.openid.net/event/backchannel-logout";
    assert_eq!(claims["events"], serde_json::json!({ event: {} }));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 120);
    assert_ne!(
        claims["jti"],
        logout_claims("https://id.example", &delivery, "the session", now)["jti"]
    );
}
