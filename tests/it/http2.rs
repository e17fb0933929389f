//! HTTP/2 with the real router: a body without a length is cut at the usual limit, and slow forms hold no place.

use axum::http::{Request, StatusCode};
use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::test_server::{Backend, TestServer};

/// One connection to a server.
struct Client {
    send: SendRequest<Bytes>,
    issuer: String,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    async fn connect(server: &TestServer) -> Self {
        let stream = TcpStream::connect(server.at()).await.expect("a connection");
        let (send, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        Self { send, issuer: server.issuer().to_owned(), connection }
    }

    /// Begins a form; its body is still to come.
    async fn begins(&self, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::post(format!("{}{path}", self.issuer));
        let kind = "application/x-www-form-urlencoded";
        let request = request.header("content-type", kind).body(()).expect("a request");
        let mut send = self.send.clone().ready().await.expect("room for a stream");
        send.send_request(request, false).expect("a stream")
    }

    async fn gets(&self, path: &str) -> StatusCode {
        let request = Request::get(format!("{}{path}", self.issuer)).body(()).expect("a request");
        let mut send = self.send.clone().ready().await.expect("room for a stream");
        let (answer, _) = send.send_request(request, true).expect("a stream");
        answer.await.expect("an answer").status()
    }
}

async fn server() -> TestServer {
    TestServer::start_with(Backend::Memory, &[("HTTP2", "prior-knowledge")]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_tells_no_length_is_cut_where_every_body_is_and_the_others_go_on() {
    let server = server().await;
    let client = Client::connect(&server).await;
    for (path, size, expected) in
        [("/token", 64 * 1024, 401), ("/token", 64 * 1024 + 1, 413), ("/login", 64 * 1024 + 1, 413)]
    {
        let (answer, mut body) = client.begins(path).await;
        body.send_data(vec![b'x'; size].into(), true).expect("a body");
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), expected, "{path} {size}");
        let (mut body, mut text) = (answer.into_body(), Vec::new());
        while let Some(piece) = body.data().await {
            text.extend(piece.expect("the rest of the answer"));
        }
        let said: Value = serde_json::from_slice(&text).expect("JSON");
        let error = if expected == 413 { "invalid_request" } else { "invalid_client" };
        assert_eq!(said["error"], error, "{said}");
    }
    assert_eq!(client.gets("/.well-known/openid-configuration").await, 200);
    assert!(!client.connection.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_that_do_not_come_take_no_place_from_those_that_do() {
    let server = server().await;
    server.relying_party("shop").await;
    let clients = [Client::connect(&server).await, Client::connect(&server).await];
    let mut slow = Vec::new();
    // More than there are places before the pages of this server.
    for client in clients.iter().cycle().take(190) {
        slow.push(client.begins("/authorize").await);
    }
    assert_eq!(clients[0].gets("/login").await, 400, "a page, and at once");
    let (answer, mut body) = slow.pop().expect("one of them");
    body.send_data("client_id=no".into(), true).expect("the rest");
    assert_eq!(answer.await.expect("an answer").status(), 303);
}
