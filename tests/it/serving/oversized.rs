//! Requests of which some part is larger than it may be.

use super::*;

#[tokio::test]
async fn an_oversized_request_is_refused_by_the_part_that_is_too_large() {
    let served = Served::plain().await;
    let (uri, large) = ("x".repeat(8 * 1024), "x".repeat(16 * 1024));
    assert_eq!(status(&served.get(&format!("/?{uri}"), "").await), "414");
    assert_eq!(status(&served.get("/", &format!("X-Large: {large}\r\n")).await), "431");

    let declared = "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n";
    let answer = served.told(&format!("{declared}{}", "x".repeat(65537))).await;
    assert_eq!(
        (status(&answer), header(&answer, "connection")),
        ("413", Some("close")),
        "{answer}"
    );
}

#[tokio::test]
async fn what_the_parser_will_not_hold_is_refused_too_in_words_that_its_sender_can_read() {
    let served = Served::plain().await;
    let huge = format!("X-Huge: {}\r\n", "x".repeat(500_000));
    let many = "X-Many: x\r\n".repeat(200);
    let long = format!("/authorize?state={}", "x".repeat(80_000));
    let get = async |path: &str, more: &str| served.get(path, more).await;
    let garbage = served.told("GET /\u{1} HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for (answer, expected, page, words) in [
        (get("/form", &huge).await, "431", false, "the headers are too large"),
        (get("/form", &many).await, "431", false, "the headers are too large"),
        (get("/authorize?client_id=x", &huge).await, "431", true, "Delete its cookies"),
        (get("/", &huge).await, "431", true, "Delete its cookies"),
        (get(&long, "").await, "414", true, "too long to be read"),
        (get(&format!("/token?{long}"), "").await, "414", false, "the address is too long"),
        (garbage, "400", false, "no HTTP that can be read"),
    ] {
        assert_eq!(status(&answer), expected, "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(body.contains(words), "{words}: {answer}");
        assert_eq!(header(&answer, "content-length"), Some(&*body.len().to_string()), "{answer}");
        let kind = if page { "text/html; charset=utf-8" } else { "application/json" };
        assert_eq!(header(&answer, "content-type"), Some(kind), "{answer}");
        assert_eq!(header(&answer, "connection"), Some("close"), "{answer}");
        assert_eq!(header(&answer, "cache-control"), Some("no-store"), "{answer}");
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"), "{answer}");
        assert!(header(&answer, "x-request-id").is_some_and(|id| page == body.contains(id)));
    }
}

#[tokio::test]
async fn what_is_just_within_the_limits_is_served() {
    let served = Served::plain().await;
    let (uri, large) = ("x".repeat(8 * 1024 - 2), "x".repeat(16 * 1024 - 100));
    assert_eq!(status(&served.get(&format!("/?{uri}"), "").await), "200");
    assert_eq!(status(&served.get("/", &format!("X-Large: {large}\r\n")).await), "200");
}
