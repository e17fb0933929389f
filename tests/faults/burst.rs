//! Many tasks that start at the same moment.

use std::sync::Arc;

use tokio::sync::Barrier;

/// Starts `hands` tasks behind one barrier and answers what each of them brought, in their order. The
/// closure makes the future of hand `n`: what it does before its first `await` happens before the start.
pub async fn at_once<F, T>(hands: usize, one: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let barrier = Arc::new(Barrier::new(hands));
    let begun: Vec<_> = (0..hands)
        .map(|hand| {
            let (barrier, work) = (Arc::clone(&barrier), one(hand));
            tokio::spawn(async move {
                barrier.wait().await;
                work.await
            })
        })
        .collect();
    let mut brought = Vec::new();
    for hand in begun {
        brought.push(hand.await.expect("a hand that does not panic"));
    }
    brought
}
