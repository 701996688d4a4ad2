//! What the proxy counts.

use stratacache_testkit::proxy::Command;
use tokio::io::AsyncWriteExt as _;

use crate::{
    Outcome,
    client::{Client, Value, encode},
    pair,
};

#[tokio::test]
async fn commands_are_counted_by_name_until_the_counts_are_reset() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    client.send(&["SET k v", "get k", "GET k"]).await?;
    for _ in 0..3 {
        client.reply().await?;
    }
    assert_eq!((proxy.count("set"), proxy.count("GET"), proxy.count("DEL"), proxy.commands()), (1, 2, 0, 3));
    proxy.reset_counts();
    assert_eq!((proxy.commands(), proxy.round_trips()), (0, 0));
    client.call("DEL k").await?;
    assert_eq!(proxy.counts().into_iter().collect::<Vec<_>>(), [("DEL".to_owned(), 1)]);
    Ok(())
}

#[tokio::test]
async fn a_pipeline_is_one_round_trip_and_commands_one_after_the_other_are_several() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    client.send(&["PING"; 50]).await?;
    for _ in 0..50 {
        client.reply().await?;
    }
    assert_eq!(proxy.round_trips(), 1);
    for _ in 0..3 {
        client.call("PING").await?;
    }
    assert_eq!(proxy.round_trips(), 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn round_trips_are_exact_also_on_several_threads() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    for round in 1..=300 {
        client.send(&["SET k v", "GET k", "DEL k"]).await?;
        for _ in 0..3 {
            client.reply().await?;
        }
        client.call("PING").await?;
        assert_eq!(proxy.round_trips(), 2 * round);
    }
    assert_eq!(proxy.commands(), 1200);
    Ok(())
}

#[tokio::test]
async fn a_long_pipeline_is_one_round_trip_although_its_first_reply_comes_early() -> Outcome {
    let (_server, proxy) = pair().await?;
    let mut client = Client::connect(proxy.addr()).await?;
    let value = vec![b'v'; 3 << 20];
    let ping = encode(&["PING"]);
    let pipeline = [ping.clone(), encode(&[b"SET".as_slice(), b"k", &value]), ping.clone(), ping].concat();
    client.stream.write_all(&pipeline).await?;
    for _ in 0..4 {
        client.reply().await?;
    }
    assert_eq!(proxy.round_trips(), 1);
    client.call("PING").await?;
    assert_eq!(proxy.round_trips(), 2);
    Ok(())
}

#[tokio::test]
async fn connections_add_up() -> Outcome {
    let (_server, proxy) = pair().await?;
    let (mut a, mut b) = (Client::connect(proxy.addr()).await?, Client::connect(proxy.addr()).await?);
    let (first, second) = tokio::join!(a.call("PING"), b.call("PING"));
    assert_eq!((first?, second?), (Value::text("PONG"), Value::text("PONG")));
    assert_eq!(proxy.round_trips(), 2);
    Ok(())
}

#[tokio::test]
async fn excluded_commands_neither_count_nor_end_a_round_trip() -> Outcome {
    let (_server, proxy) = pair().await?;
    proxy.exclude(Command::named("XREAD"));
    proxy.exclude(Command::named("ECHO").with_arg("background"));
    let mut client = Client::connect(proxy.addr()).await?;
    client.call("XREAD COUNT 1 STREAMS s 0").await?;
    client.call("ECHO background").await?;
    assert_eq!((proxy.commands(), proxy.round_trips()), (0, 0));
    client.call("ECHO foreground").await?;
    // the second is sent after the reply to an excluded one, and before any reply that counts
    client.send(&["ECHO background", "BLPOP list 0"]).await?;
    client.reply().await?;
    client.send(&["PING"]).await?;
    let mut other = Client::connect(proxy.addr()).await?;
    other.call("RPUSH list v").await?;
    client.reply().await?;
    client.reply().await?;
    assert_eq!(proxy.round_trips(), 3, "the echo, the list with the ping, the push");
    assert_eq!(proxy.commands(), 4);
    Ok(())
}
