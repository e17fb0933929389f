use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::test_server::{TestServer, on_every_store};

on_every_store![bodies_that_come_slowly_keep_nobody_from_signing_in];

/// More than there are places before the pages of these servers.
const SLOW: usize = 200;

/// A form that has been asked for, so that its request is in the server's hands, and does not come.
async fn begins_a_form(server: &TestServer) -> TcpStream {
    let mut stream = TcpStream::connect(server.at()).await.expect("a connection");
    let head = format!(
        "POST /authorize HTTP/1.1\r\nHost: localhost:{}\r\nExpect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\n\r\n",
        server.at().port()
    );
    stream.write_all(head.as_bytes()).await.expect("a head that arrives");
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.expect("an interim answer");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

async fn bodies_that_come_slowly_keep_nobody_from_signing_in(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(begins_a_form(&server).await);
    }
    shop.sign_in(&server.browser("ada"), "openid").await;
    // Slow is not lost: one that comes to its end is answered like any other.
    let last = slow.last_mut().expect("one of them");
    last.write_all(b"client_id=no").await.expect("the rest");
    let mut answer = [0; 12];
    last.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 303");
}
