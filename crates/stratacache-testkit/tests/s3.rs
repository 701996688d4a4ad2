//! The servers that stand in for S3 start, and the proxy before them does what it is told.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // everything here is a test

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use stratacache_testkit::s3::{HttpFault, HttpProxy, Moto, Requests, S3Server, Times};

/// Sends a request and returns everything that comes back.
async fn ask(addr: SocketAddr, method: &'static str, path: &'static str, body: &'static str) -> io::Result<String> {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-length: {length}\r\nx-mine: 1\r\n\
             x-amz-acl: public-read\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() {
            read?;
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    })
    .await
    .unwrap()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test]
async fn the_server_in_process_refuses_who_does_not_sign() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let proxy = HttpProxy::start(server.addr(), 1).await.unwrap();
    assert_eq!(status(&ask(proxy.addr(), "GET", "/bucket/x", "").await.unwrap()), "403");
    assert_eq!(server.keys("bucket").unwrap(), [""; 0]);
    assert_eq!((proxy.count("GET"), proxy.requests()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_an_answer_is_what_it_says() {
    let server = Moto::start(&["bucket"]).await.unwrap();
    let proxy = HttpProxy::start(server.addr(), 1).await.unwrap();
    let get = async || ask(proxy.addr(), "GET", "/bucket/x", "").await.unwrap();
    let next = |fault| proxy.fail(Requests::of("GET").path("/bucket/x"), fault, Times::Next(1));
    proxy.remember();
    assert_eq!(status(&ask(proxy.addr(), "PUT", "/bucket/x", "hello").await.unwrap()), "200");
    let whole = get().await;
    assert!(whole.ends_with("\r\n\r\nhello"), "{whole}");
    next(HttpFault::status(503, "SlowDown"));
    let refused = get().await;
    assert!(status(&refused) == "503" && refused.contains("<Code>SlowDown</Code>"), "{refused}");
    next(HttpFault::Truncate(2));
    let cut = get().await;
    assert!(cut.to_lowercase().contains("content-length: 5") && cut.ends_with("\r\n\r\nhe"), "{cut}");
    next(HttpFault::ShortenTo(2));
    let short = get().await;
    assert!(short.to_lowercase().contains("content-length: 2\r\n") && short.ends_with("hello"), "{short}");
    next(HttpFault::Cut);
    assert_eq!(get().await, "");
    next(HttpFault::LoseReply);
    assert_eq!(get().await, "");
    next(HttpFault::Flood(100_000));
    assert!(get().await.ends_with(&"x".repeat(100_000)));
    next(HttpFault::Slow(100));
    assert!(get().await.ends_with("hello"));
    next(HttpFault::Delay(Duration::from_millis(1)));
    assert!(get().await.ends_with("hello"));
    assert_eq!(status(&ask(proxy.addr(), "PUT", "/bucket/x", "new").await.unwrap()), "200");
    next(HttpFault::Replay);
    let before = proxy.hit();
    assert!(get().await.ends_with("hello"), "as it was when it was first read");
    assert_eq!(proxy.hit(), before + 1, "the old answer counts, and others do not");
    assert!(get().await.ends_with("new"));
    // what hangs is let go by a cut
    next(HttpFault::Hang);
    let before = proxy.count("GET");
    let hangs = tokio::spawn(ask(proxy.addr(), "GET", "/bucket/x", ""));
    while proxy.count("GET") == before {
        tokio::task::yield_now().await;
    }
    proxy.cut();
    assert_eq!(hangs.await.unwrap().unwrap(), "");
    assert!(get().await.ends_with("new"));
    let create = HttpFault::WithoutHeader("x-mine");
    proxy.fail(Requests::of("PUT"), create, Times::Next(1));
    assert_eq!(status(&ask(proxy.addr(), "PUT", "/bucket/y", "y").await.unwrap()), "200");
}
