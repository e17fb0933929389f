use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::domain::clients::ClientId;
use crate::infra::clock::Clock;
use crate::infra::random;
use crate::infra::store::MemoryStore;

struct TestQueue {
    clock: Clock,
    store: Box<dyn Store>,
}

impl TestQueue {
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
        let mut capacity = super::queue::QueueCapacity::read(&*self.store).await.unwrap();
        assert!(capacity.enqueue(&*self.store, new).await.unwrap());
    }

    async fn next(&self, busy: &BTreeSet<String>) -> Option<ClaimedDelivery> {
        claim_next(&*self.store, busy, self.now()).await.unwrap()
    }

    async fn settles(&self, claim: &ClaimedDelivery, outcome: DeliveryOutcome) -> DeliveryResult {
        complete(&*self.store, claim, outcome, self.now()).await.unwrap()
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
    let queue = TestQueue::new();
    queue.queues("shop").await;
    for (pause, settled) in [
        (10, DeliveryResult::WillRetry),
        (60, DeliveryResult::WillRetry),
        (0, DeliveryResult::GivenUp),
    ] {
        let claim = queue.next(&nobody()).await.expect("it is due");
        assert_eq!(queue.settles(&claim, DeliveryOutcome::Unreachable).await, settled);
        queue.clock.advance(Duration::from_secs(pause).saturating_sub(Duration::from_millis(1)));
        assert!(queue.next(&nobody()).await.is_none(), "not before its time");
        queue.clock.advance(Duration::from_millis(1));
    }
    assert!(queue.next(&nobody()).await.is_none());
    assert_eq!(queue.pending().await, 0);
    let kept = list(&*queue.store).await.unwrap();
    assert!(matches!(
        kept[..],
        [Delivery { tries: 3, state: DeliveryState::Failed { refused: false, .. }, .. }]
    ));
    queue.clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(list(&*queue.store).await.unwrap(), []);
}

#[tokio::test]
async fn a_client_that_says_no_is_not_asked_again() {
    let queue = TestQueue::new();
    queue.queues("shop").await;
    let claim = queue.next(&nobody()).await.expect("it is due");
    assert_eq!(queue.settles(&claim, DeliveryOutcome::Refused).await, DeliveryResult::GivenUp);
    let kept = list(&*queue.store).await.unwrap();
    assert!(matches!(
        kept[..],
        [Delivery { tries: 1, state: DeliveryState::Failed { refused: true, .. }, .. }]
    ));
}

#[tokio::test]
async fn what_was_told_leaves_nothing() {
    let queue = TestQueue::new();
    queue.queues("shop").await;
    let claim = queue.next(&nobody()).await.expect("it is due");
    assert_eq!(queue.pending().await, 1, "it is on its way");
    assert_eq!(queue.settles(&claim, DeliveryOutcome::Delivered).await, DeliveryResult::Done);
    assert_eq!((queue.pending().await, list(&*queue.store).await.unwrap().len()), (0, 0));
}

#[tokio::test]
async fn one_server_has_it_until_its_time_is_over() {
    let queue = TestQueue::new();
    queue.queues("shop").await;
    let first = queue.next(&nobody()).await.expect("it is due");
    assert!(queue.next(&nobody()).await.is_none(), "it is somebody's");
    queue.clock.advance(Duration::from_secs(15));
    let second = queue.next(&nobody()).await.expect("the first has gone under");
    assert_eq!(second.delivery.tries, 2);
    // The first comes back late, and changes nothing.
    queue.settles(&first, DeliveryOutcome::Unreachable).await;
    assert_eq!(queue.settles(&second, DeliveryOutcome::Delivered).await, DeliveryResult::Done);
    queue.clock.advance(Duration::from_secs(120));
    assert!(queue.next(&nobody()).await.is_none());
    assert_eq!(queue.pending().await, 0);
}

#[tokio::test]
async fn a_server_that_goes_under_with_the_last_try_leaves_a_failure() {
    let queue = TestQueue::new();
    queue.queues("shop").await;
    for _ in 0..3 {
        assert!(queue.next(&nobody()).await.is_some());
        queue.clock.advance(Duration::from_secs(15));
    }
    assert!(queue.next(&nobody()).await.is_none());
    assert_eq!(queue.pending().await, 0);
    let kept = list(&*queue.store).await.unwrap();
    assert!(matches!(kept[..], [Delivery { state: DeliveryState::Failed { .. }, .. }]));
}

#[tokio::test]
async fn a_slow_client_holds_up_no_other() {
    let queue = TestQueue::new();
    for _ in 0..super::queue::MAX_QUEUED_PER_CLIENT {
        queue.queues("slow").await;
    }
    queue.queues("quick").await;
    let slow = queue.next(&nobody()).await.expect("it is due");
    let busy = BTreeSet::from([slow.tag.clone()]);
    let other = queue.next(&busy).await.expect("somebody else is due");
    assert_eq!(other.delivery.client.as_str(), "quick");
    assert!(queue.next(&BTreeSet::from([slow.tag, other.tag])).await.is_none());
}

#[tokio::test]
async fn the_queue_has_an_end_and_one_client_cannot_fill_it() {
    let queue = TestQueue::new();
    let mut capacity = super::queue::QueueCapacity::read(&*queue.store).await.unwrap();
    let mut takes = async |client: &str| {
        let client = ClientId::parse(client).unwrap();
        let new = Delivery::new(client, "ada".to_owned(), random::uuid(), queue.now());
        capacity.enqueue(&*queue.store, new).await.unwrap()
    };
    for client in 0..super::queue::MAX_QUEUED / super::queue::MAX_QUEUED_PER_CLIENT {
        for _ in 0..super::queue::MAX_QUEUED_PER_CLIENT {
            assert!(takes(&format!("shop-{client}")).await);
        }
        assert!(!takes(&format!("shop-{client}")).await, "its share is used up");
    }
    assert!(!takes("another").await, "there is no capacity at all");
    assert_eq!(queue.pending().await, super::queue::MAX_QUEUED);
}

#[test]
fn a_logout_token_says_what_it_must_and_no_more() {
    let now = UnixTime::from_secs(1_700_000_000);
    let client = ClientId::parse("shop").unwrap();
    let delivery = Delivery::new(client, "ada".to_owned(), random::uuid(), now);
    let claims = logout_token_claims("https://id.example", &delivery, "the session", now);
    let names: Vec<&str> = claims.keys().map(String::as_str).collect();
    let mut expected = ["iss", "sub", "aud", "iat", "exp", "jti", "sid", "events"];
    expected.sort_unstable();
    assert_eq!(names, expected);
    let event = "http://schemas.openid.net/event/backchannel-logout";
    assert_eq!(claims["events"], serde_json::json!({ event: {} }));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 120);
    assert_ne!(
        claims["jti"],
        logout_token_claims("https://id.example", &delivery, "the session", now)["jti"]
    );
}
