//! What goes through stays what it is, and replies belong to their commands.

use std::time::Duration;

use stratacache_testkit::proxy::{Command, FaultProxy, Times};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    Outcome, SEED,
    client::{Client, Value, encode},
    pair,
};

#[tokio::test(start_paused = true)]
async fn replies_to_a_long_pipeline_keep_matching_while_some_are_late() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    proxy.delay_replies(Command::named("ECHO").with_arg("500"), Duration::from_secs(1)..=Duration::from_secs(2));
    let commands: Vec<_> = (0..1000).map(|i| format!("ECHO {i}")).collect();
    client.send(&commands.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    for i in 0..1000 {
        assert_eq!(client.reply().await?, Value::bulk(i.to_string()));
    }
    proxy.drop_reply(Command::named("ECHO").with_arg("7"), Times::Always);
    client.send(&commands.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    for i in 0..7 {
        assert_eq!(client.reply().await?, Value::bulk(i.to_string()));
    }
    assert!(client.reply().await.is_err());
    Ok(())
}

#[tokio::test]
async fn values_of_any_bytes_and_of_a_mebibyte_go_through_whole() -> Outcome {
    let (server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    let value: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    client.stream.write_all(&encode(&[b"SET".as_slice(), b"\r\n*\0", &value])).await?;
    assert_eq!(client.reply().await?, Value::text("OK"));
    client.stream.write_all(&encode(&[b"GET".as_slice(), b"\r\n*\0"])).await?;
    assert_eq!(client.reply().await?, Value::bulk(&value));
    assert_eq!(server.command(&[b"GET".as_slice(), b"\r\n*\0"]).await?.bytes(), Some(value.as_slice()));
    assert_eq!(proxy.unparsed(), 0);
    Ok(())
}

#[tokio::test]
async fn pushes_of_resp3_are_no_replies() -> Outcome {
    let (server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    assert!(matches!(client.call("HELLO 3").await?, Value::Many('%', _)));
    client.call("CLIENT TRACKING ON").await?;
    assert_eq!(client.call("GET k").await?, Value::Nil);
    server.command(&["SET", "k", "v"]).await?;
    assert!(matches!(client.reply().await?, Value::Many('>', _)));
    assert_eq!(client.call("GET k").await?, Value::bulk("v"));
    proxy.drop_reply(Command::named("INCR"), Times::Next(1));
    client.send(&["ECHO a", "INCR n"]).await?;
    assert_eq!(client.reply().await?, Value::bulk("a"));
    assert!(client.reply().await.is_err());
    assert_eq!(server.command(&["GET", "n"]).await?.text().as_deref(), Some("1"));
    Ok(())
}

#[tokio::test]
async fn confirmations_and_messages_of_a_subscription_are_no_replies() -> Outcome {
    let (server, proxy) = pair().await?;
    for hello in ["HELLO 2", "HELLO 3"] {
        let mut client = Client::connect(proxy.addr()).await?;
        client.call(hello).await?;
        client.send(&["SUBSCRIBE a b"]).await?;
        client.reply().await?;
        client.reply().await?;
        server.command(&["PUBLISH", "a", "m"]).await?;
        let Value::Many(_, message) = client.reply().await? else { panic!("no message") };
        assert_eq!(message[2], Value::bulk("m"));
        client.send(&["UNSUBSCRIBE"]).await?;
        client.reply().await?;
        client.reply().await?;
        proxy.drop_reply(Command::named("ECHO").with_arg("lost"), Times::Next(1));
        assert_eq!(client.call("ECHO a").await?, Value::bulk("a"));
        assert!(client.call("ECHO lost").await.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn commands_without_a_reply_do_not_shift_the_others() -> Outcome {
    let (server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    proxy.drop_reply(Command::named("INCR"), Times::Next(1));
    client.send(&["CLIENT REPLY SKIP", "ECHO a", "ECHO b", "CLIENT REPLY OFF", "ECHO c", "CLIENT REPLY ON"]).await?;
    assert_eq!([client.reply().await?, client.reply().await?], [Value::bulk("b"), Value::text("OK")]);
    client.send(&["ECHO d", "INCR n"]).await?;
    assert_eq!(client.reply().await?, Value::bulk("d"));
    assert!(client.reply().await.is_err());
    assert_eq!(server.command(&["GET", "n"]).await?.text().as_deref(), Some("1"));
    Ok(())
}

#[tokio::test]
async fn monitor_is_passed_on_as_it_comes() -> Outcome {
    let (server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    assert_eq!(client.call("MONITOR").await?, Value::text("OK"));
    server.command(&["ECHO", "seen"]).await?;
    loop {
        if matches!(client.reply().await?, Value::Text(line) if line.contains("seen")) {
            break;
        }
    }
    assert_eq!(proxy.unparsed(), 0);
    Ok(())
}

#[tokio::test]
async fn inline_commands_and_a_client_that_stops_sending_get_their_replies() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    client.stream.write_all(b"ECHO a\r\n\r\nPING\r\n").await?;
    assert_eq!([client.reply().await?, client.reply().await?], [Value::bulk("a"), Value::text("PONG")]);
    assert_eq!((proxy.count("ECHO"), proxy.count("PING")), (1, 1));
    client.stream.write_all(b"QUIT\r\n").await?;
    client.stream.shutdown().await?;
    assert_eq!(client.reply().await?, Value::text("OK"));
    assert!(client.reply().await.is_err());
    Ok(())
}

/// Sends back what it gets; serves one connection after the other.
async fn echo(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut bytes = Vec::new();
        while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
            stream.write_all(&bytes).await?;
            bytes.clear();
        }
    }
}

#[tokio::test]
async fn what_is_not_the_protocol_goes_through_as_bytes_and_is_counted() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = FaultProxy::start(listener.local_addr()?, SEED).await?;
    let client = async {
        // no command; a command whose reply is no reply; both, after something valid
        for (i, bytes) in
            [b"\x16\x03\x01 hello".as_slice(), b"PING\r\n", b"*1\r\n$4\r\nPING\r\n*1\r\n\xff"].iter().enumerate()
        {
            let mut client = Client::connect(proxy.addr()).await?;
            client.stream.write_all(bytes).await?;
            let mut back = vec![0; bytes.len()];
            client.stream.read_exact(&mut back).await?;
            assert_eq!(&back, bytes);
            client.stream.write_all(b"more").await?;
            client.stream.read_exact(&mut back[..4]).await?;
            assert_eq!(&back[..4], b"more");
            assert_eq!(proxy.unparsed(), i as u64 + 1);
        }
        proxy.cut().await;
        Ok::<_, std::io::Error>(())
    };
    tokio::select! {
        ended = echo(listener) => ended?,
        done = client => done?,
    }
    Ok(())
}

#[tokio::test]
async fn the_complaint_of_a_server_reaches_the_client() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    client.stream.write_all(b"*1\r\n:1\r\n").await?;
    assert!(matches!(client.reply().await?, Value::Text(said) if said.contains("Protocol error")));
    assert!(client.reply().await.is_err());
    assert_eq!(proxy.unparsed(), 1);
    Ok(())
}
