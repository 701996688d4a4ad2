//! Every control does what it says.

use std::{net::SocketAddr, time::Duration};

use stratacache_testkit::{
    proxy::{Command, FaultProxy, Times},
    servers::RedisServer,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::Instant,
};

use crate::{
    Outcome, SEED,
    client::{Client, Value},
    pair,
};

async fn text(server: &RedisServer, key: &str) -> Option<String> {
    server.command(&["GET", key]).await.expect("GET").text()
}

#[tokio::test]
async fn a_cut_closes_what_is_open_and_lets_later_connections_in() -> Outcome {
    let (_server, proxy) = pair().await?;
    let (mut a, mut b) = (Client::connect(proxy.addr()).await?, Client::connect(proxy.addr()).await?);
    assert_eq!([a.call("PING").await?, b.call("PING").await?], [Value::text("PONG"), Value::text("PONG")]);
    assert_eq!(proxy.connections(), 2);
    proxy.cut().await;
    assert_eq!(proxy.connections(), 0);
    assert!(a.reply().await.is_err() && b.call("PING").await.is_err());
    assert_eq!(Client::connect(proxy.addr()).await?.call("PING").await?, Value::text("PONG"));
    proxy.cut().await;
    proxy.cut().await; // with nothing open
    Ok(())
}

#[tokio::test]
async fn refused_connections_are_closed_at_once_and_open_ones_stay() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut open = Client::connect(proxy.addr()).await?;
    open.call("PING").await?;
    proxy.refuse(true);
    assert!(Client::connect(proxy.addr()).await?.call("PING").await.is_err());
    open.call("PING").await?;
    proxy.refuse(false);
    Client::connect(proxy.addr()).await?.call("PING").await?;
    Ok(())
}

#[tokio::test]
async fn what_hangs_reaches_the_server_only_when_it_is_released_also_for_a_client_that_is_gone() -> Outcome {
    let (server, proxy) = pair().await?;
    let (mut a, mut b) = (Client::connect(proxy.addr()).await?, Client::connect(proxy.addr()).await?);
    a.call("PING").await?;
    b.call("PING").await?;
    proxy.reset_counts();
    proxy.hang(true);
    a.send(&["SET k a"]).await?;
    b.send(&["SET gone b"]).await?;
    drop(b);
    proxy.until_round_trips(2).await;
    let mut late = Client::connect(proxy.addr()).await?; // is accepted
    late.send(&["PING"]).await?;
    proxy.until_round_trips(3).await;
    assert_eq!((text(&server, "k").await, text(&server, "gone").await), (None, None));
    assert_eq!(proxy.commands(), 0);
    proxy.hang(false);
    assert_eq!((a.reply().await?, late.reply().await?), (Value::text("OK"), Value::text("PONG")));
    while text(&server, "gone").await.is_none() {}
    Ok(())
}

#[tokio::test]
async fn replies_hang_too() -> Outcome {
    let (server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    client.send(&["BLPOP list 0"]).await?;
    while !server.command(&["INFO", "clients"]).await?.text().unwrap_or_default().contains("blocked_clients:1") {}
    proxy.hang(true);
    server.command(&["RPUSH", "list", "v"]).await?;
    tokio::select! {
        biased;
        reply = client.reply() => panic!("{reply:?} came through"),
        pong = server.command(&["PING"]) => drop(pong?),
    }
    proxy.hang(false);
    assert_eq!(client.reply().await?, Value::Many('*', vec![Value::bulk("list"), Value::bulk("v")]));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn replies_to_a_pipeline_are_late_together() -> Outcome {
    // a server that answers all at once: between replies that come one by one, paused time would run on
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = FaultProxy::start(listener.local_addr()?, SEED).await?;
    let server = async {
        let (mut stream, _) = listener.accept().await?;
        let mut seen = Vec::new();
        while !seen.ends_with(b"last\r\n") {
            stream.read_buf(&mut seen).await?;
        }
        stream.write_all(b"+a\r\n+b\r\n+c\r\n").await?;
        Ok::<_, std::io::Error>(stream)
    };
    let delay = Duration::from_secs(10);
    proxy.delay(Some(delay..=delay));
    let began = Instant::now();
    let client = async {
        let mut client = Client::connect(proxy.addr()).await?;
        client.send(&["ECHO a", "ECHO b", "ECHO last"]).await?;
        for expected in ["a", "b", "c"] {
            assert_eq!(client.reply().await?, Value::text(expected));
        }
        Ok(())
    };
    tokio::try_join!(server, client)?;
    let took = began.elapsed();
    assert!(took >= delay && took < delay * 2, "{took:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn replies_to_one_command_can_be_late_alone() -> Outcome {
    let (server, proxy) = pair().await?;
    server.command(&["XADD", "s", "1-1", "f", "v"]).await?;
    let mut client = Client::connect(proxy.addr()).await?;
    proxy.delay_replies(Command::named("XREAD"), Duration::from_secs(5)..=Duration::from_secs(6));
    let began = Instant::now();
    client.call("PING").await?;
    assert_eq!(began.elapsed(), Duration::ZERO);
    client.call("XREAD COUNT 1 STREAMS s 0").await?;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5) && took <= Duration::from_secs(7), "{took:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_throttled_stream_takes_its_time_in_both_directions() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    proxy.throttle(Some(1000));
    let began = Instant::now();
    let value = "v".repeat(10_000);
    client.call(&format!("SET k {value}")).await?;
    let written = began.elapsed();
    assert_eq!(client.call("GET k").await?, Value::bulk(&value));
    let read = began.elapsed() - written;
    for took in [written, read] {
        assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(20), "{took:?}");
    }
    Ok(())
}

#[tokio::test]
async fn split_replies_come_in_pieces_and_are_still_understood() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    let value = "v\r\n".repeat(3000);
    client.call(&format!("SET k {value}")).await?;
    proxy.split_bytes(true);
    client.reads = 0;
    client.send(&["GET k", "GET k"]).await?;
    assert_eq!([client.reply().await?, client.reply().await?], [Value::bulk(&value), Value::bulk(&value)]);
    assert!(client.reads > 100, "{}", client.reads);
    Ok(())
}

#[tokio::test]
async fn a_lost_reply_belongs_to_a_command_that_was_carried_out() -> Outcome {
    let (server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    proxy.drop_reply(Command::named("incr").with_arg("n"), Times::Next(1));
    client.send(&["INCR m", "ECHO before", "INCR n", "ECHO after"]).await?;
    assert_eq!([client.reply().await?, client.reply().await?], [Value::text("1"), Value::bulk("before")]);
    assert!(client.reply().await.is_err());
    assert_eq!(text(&server, "n").await.as_deref(), Some("1"));
    assert_eq!((proxy.dropped_replies(), proxy.dropped_requests(), proxy.count("incr")), (1, 0, 2));
    let mut again = Client::connect(proxy.addr()).await?;
    assert_eq!(again.call("INCR n").await?, Value::text("2"), "only once");
    Ok(())
}

#[tokio::test]
async fn a_lost_command_is_not_carried_out() -> Outcome {
    let (server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    proxy.drop_request(Command::matching(|args| args.len() == 3), Times::Always);
    client.call("PING").await?;
    for _ in 0..2 {
        assert!(client.call("SET k v").await.is_err());
        client = Client::connect(proxy.addr()).await?;
    }
    assert_eq!(text(&server, "k").await, None);
    assert_eq!((proxy.dropped_requests(), proxy.count("SET")), (2, 0));
    proxy.heal();
    client.call("SET k v").await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn messages_are_lost_or_late_and_confirmations_and_replies_are_not() -> Outcome {
    let (server, proxy) = pair().await?;
    for hello in ["HELLO 2", "HELLO 3"] {
        let mut client = Client::connect(proxy.addr()).await?;
        client.call(hello).await?;
        proxy.reset_counts();
        proxy.drop_messages(Times::Next(2));
        client.send(&["SUBSCRIBE a", "PING"]).await?;
        let Value::Many(_, confirmation) = client.reply().await? else { panic!("no confirmation") };
        assert_eq!(confirmation[0], Value::bulk("subscribe"));
        client.reply().await?;
        for word in ["first", "second", "third"] {
            server.command(&["PUBLISH", "a", word]).await?;
        }
        let Value::Many(_, message) = client.reply().await? else { panic!("no message") };
        assert_eq!((&message[2], proxy.dropped_messages()), (&Value::bulk("third"), 2));
        let late = Duration::from_secs(5);
        proxy.delay_messages(late..=late);
        let before = Instant::now();
        server.command(&["PUBLISH", "a", "fourth"]).await?;
        let Value::Many(_, message) = client.reply().await? else { panic!("no message") };
        assert_eq!(message[2], Value::bulk("fourth"));
        assert!(before.elapsed() >= late);
        proxy.heal();
    }
    Ok(())
}

/// Which of forty commands lose their reply.
async fn losses(server: SocketAddr, seed: u64) -> std::io::Result<Vec<bool>> {
    let proxy = FaultProxy::start(server, seed).await?;
    proxy.drop_reply(Command::any(), Times::Chance(0.5));
    let mut lost = Vec::new();
    for _ in 0..40 {
        lost.push(Client::connect(proxy.addr()).await?.call("PING").await.is_err());
    }
    Ok(lost)
}

#[tokio::test]
async fn chances_repeat_with_the_seed() -> Outcome {
    let server = RedisServer::start().await?;
    let first = losses(server.addr(), SEED).await?;
    assert_eq!(first, losses(server.addr(), SEED).await?);
    assert_ne!(first, losses(server.addr(), SEED + 1).await?);
    assert!(first.contains(&true) && first.contains(&false));
    Ok(())
}

#[tokio::test]
async fn new_connections_go_to_the_new_target_and_old_ones_stay_until_they_are_cut() -> Outcome {
    let (old, proxy) = pair().await?;
    let new = RedisServer::start().await?;
    old.command(&["SET", "name", "old"]).await?;
    new.command(&["SET", "name", "new"]).await?;
    let mut before = Client::connect(proxy.addr()).await?;
    before.call("PING").await?;
    proxy.retarget(new.addr());
    assert_eq!(Client::connect(proxy.addr()).await?.call("GET name").await?, Value::bulk("new"));
    assert_eq!(before.call("GET name").await?, Value::bulk("old"));
    proxy.cut().await;
    assert!(before.call("GET name").await.is_err());
    Ok(())
}

#[tokio::test]
async fn without_a_server_connections_are_closed_and_counted() -> Outcome {
    let (server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    client.call("PING").await?;
    server.kill().await?;
    assert!(client.reply().await.is_err(), "the end of the server is passed on");
    assert!(Client::connect(proxy.addr()).await?.call("PING").await.is_err());
    assert_eq!(proxy.failed_connects(), 1);
    server.restart().await?;
    Client::connect(proxy.addr()).await?.call("PING").await?;
    Ok(())
}

#[tokio::test]
async fn a_dropped_proxy_takes_its_connections_along() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    client.call("PING").await?;
    let (addr, controls) = (proxy.addr(), proxy.controls());
    drop(proxy);
    assert!(client.reply().await.is_err());
    assert!(Client::connect(addr).await.is_err());
    controls.cut().await; // returns
    Ok(())
}
