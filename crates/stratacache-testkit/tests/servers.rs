//! Each option of a server does on a real one what it says.
#![cfg(unix)]

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use stratacache_testkit::servers::{Persistence, Program, RedisBuilder, RedisServer, Reply, ServerError};

type Outcome = Result<(), Box<dyn Error>>;

fn redis() -> RedisBuilder {
    RedisServer::builder(Program::Redis)
}

async fn get(server: &RedisServer, key: &str) -> Option<String> {
    server.command(&["GET", key]).await.expect("GET").text()
}

fn refusal(result: Result<Reply, ServerError>) -> String {
    match result {
        Err(ServerError::Refused { message, .. }) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn a_server_answers_commands_binary_safe_and_says_where_it_is() -> Outcome {
    let server = RedisServer::start().await?;
    let value: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    server.command(&[b"SET".as_slice(), b"k\r\n\0", &value]).await?;
    assert_eq!(server.command(&[b"GET".as_slice(), b"k\r\n\0"]).await?.bytes(), Some(value.as_slice()));
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}/", server.port()));
    assert_eq!(server.addr().port(), server.port());
    assert!(Path::new(&format!("/proc/{}", server.pid().ok_or("no pid")?)).exists());
    assert!(refusal(server.command(&["NONSENSE", "x"]).await).contains("unknown command"));
    Ok(())
}

#[tokio::test]
async fn servers_side_by_side_share_nothing() -> Outcome {
    let (a, b) = tokio::try_join!(RedisServer::start(), RedisServer::start())?;
    assert_ne!(a.port(), b.port());
    a.command(&["SET", "k", "a"]).await?;
    assert_eq!((get(&a, "k").await.as_deref(), get(&b, "k").await), (Some("a"), None));
    Ok(())
}

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_folder_even_when_it_was_paused() -> Outcome {
    let server = redis().unix_socket().start().await?;
    let (pid, port) = (server.pid().ok_or("no pid")?, server.port());
    let folder = server.socket_path().and_then(Path::parent).ok_or("no folder")?.to_owned();
    server.pause().await?;
    drop(server);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!folder.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    Ok(())
}

/// What is left of a key saved, and of one written after that, when the server ends and starts again.
async fn left(persistence: Persistence, end_by_kill: bool) -> Result<(bool, bool), ServerError> {
    let server = redis().persistence(persistence).start().await?;
    let (port, pid) = (server.port(), server.pid());
    server.command(&["SET", "saved", "1"]).await?;
    if persistence == Persistence::Rdb {
        server.command(&["SAVE"]).await?;
    }
    server.command(&["SET", "later", "1"]).await?;
    if end_by_kill {
        server.kill().await?
    } else {
        server.stop().await?
    }
    assert_eq!(server.pid(), None);
    assert!(server.command(&["PING"]).await.is_err());
    server.restart().await?;
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    Ok((get(&server, "saved").await.is_some(), get(&server, "later").await.is_some()))
}

#[tokio::test]
async fn without_persistence_nothing_survives() -> Outcome {
    assert_eq!(left(Persistence::None, true).await?, (false, false));
    assert_eq!(left(Persistence::None, false).await?, (false, false));
    Ok(())
}

#[tokio::test]
async fn with_snapshots_a_kill_loses_what_came_after_the_last_one_and_a_stop_nothing() -> Outcome {
    assert_eq!(left(Persistence::Rdb, true).await?, (true, false));
    assert_eq!(left(Persistence::Rdb, false).await?, (true, true));
    Ok(())
}

#[tokio::test]
async fn with_an_append_only_file_nothing_is_lost() -> Outcome {
    assert_eq!(left(Persistence::Aof, true).await?, (true, true));
    assert_eq!(left(Persistence::Aof, false).await?, (true, true));
    Ok(())
}

#[tokio::test]
async fn a_paused_server_answers_when_it_is_resumed() -> Outcome {
    let server = RedisServer::start().await?;
    let mut client = TcpStream::connect(server.addr())?;
    server.pause().await?;
    server.pause().await?; // twice is once
    client.write_all(b"PING\r\n")?;
    client.set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut pong = [0; 7];
    assert!(client.read_exact(&mut pong).is_err(), "it answered while it was paused");
    server.resume().await?;
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    client.read_exact(&mut pong)?;
    assert_eq!(&pong, b"+PONG\r\n");
    Ok(())
}

#[tokio::test]
async fn a_replica_follows_its_primary_also_with_a_password() -> Outcome {
    let primary = redis().password("hard \"to\" quote\\").start().await?;
    let replica = redis().replica_of(&primary).start().await?;
    primary.command(&["SET", "k", "v"]).await?;
    replica.until_synced(&primary).await?;
    assert_eq!(get(&replica, "k").await.as_deref(), Some("v"));
    assert!(refusal(replica.command(&["SET", "k", "w"]).await).starts_with("READONLY"));
    replica.command(&["REPLICAOF", "NO", "ONE"]).await?;
    replica.command(&["SET", "k", "w"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_password_is_asked_for_and_stands_in_the_url() -> Outcome {
    let server = redis().password("p w/%").start().await?;
    assert_eq!(server.url(), format!("redis://:p%20w%2F%25@127.0.0.1:{}/", server.port()));
    assert_eq!(raw(TcpStream::connect(server.addr())?, "PING\r\n", "\r\n")?, "-NOAUTH Authentication required.\r\n");
    assert_eq!(raw(TcpStream::connect(server.addr())?, "AUTH \"p w/%\"\r\n", "\r\n")?, "+OK\r\n");
    server.command(&["SET", "k", "v"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_user_may_what_the_rules_say() -> Outcome {
    let server = redis().acl_user("reader", "on >secret ~app:* +@read +ping").start().await?;
    let commands = "AUTH reader secret\r\nGET app:k\r\nSET app:k v\r\nGET other\r\nPING\r\n";
    let said = raw(TcpStream::connect(server.addr())?, commands, "+PONG\r\n")?;
    assert!(said.starts_with("+OK\r\n$-1\r\n-NOPERM"), "{said}");
    assert_eq!(said.matches("-NOPERM").count(), 2, "{said}");
    Ok(())
}

#[tokio::test]
async fn a_full_server_evicts_or_refuses_as_its_policy_says() -> Outcome {
    let value = "v".repeat(10_000);
    let evicting = redis().maxmemory(3 << 20, "allkeys-lru").start().await?;
    let refusing = redis().maxmemory(3 << 20, "noeviction").start().await?;
    let mut refused = 0;
    for i in 0..400 {
        let command = ["SET", &format!("k{i}"), &value];
        evicting.command(&command).await?;
        refused += usize::from(refusing.command(&command).await.is_err());
    }
    let info = evicting.command(&["INFO", "stats"]).await?.text().unwrap_or_default();
    assert!(info.contains("evicted_keys:") && !info.contains("evicted_keys:0"), "{info}");
    assert!(refused > 0);
    Ok(())
}

#[tokio::test]
async fn a_setting_is_taken_and_an_unknown_one_is_an_error_with_the_log() -> Outcome {
    let server =
        redis().config("maxclients", "77").config("client-output-buffer-limit", "pubsub 1mb 1mb 60").start().await?;
    assert_eq!(server.command(&["CONFIG", "GET", "maxclients"]).await?.elements()[1].text().as_deref(), Some("77"));
    let error = redis().config("no-such-setting", "1").start().await.unwrap_err();
    assert!(matches!(error, ServerError::NotStarted { .. }), "{error}");
    assert!(error.to_string().contains("no-such-setting"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_unix_socket_is_answered() -> Outcome {
    let server = redis().unix_socket().start().await?;
    let socket = UnixStream::connect(server.socket_path().ok_or("no socket")?)?;
    assert_eq!(raw(socket, "PING\r\n", "\r\n")?, "+PONG\r\n");
    Ok(())
}

#[tokio::test]
async fn with_tls_the_certificate_is_valid_for_the_address_and_plain_text_is_not_answered() -> Outcome {
    let server = redis().tls().start().await?;
    let ca = server.ca_path().ok_or("no authority")?;
    assert_eq!(server.url(), format!("rediss://127.0.0.1:{}/", server.port()));
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-verify_ip", "127.0.0.1"])
        .args(["-connect", &server.addr().to_string(), "-CAfile"])
        .arg(ca)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = client.stdin.take().ok_or("no stdin")?;
    stdin.write_all(b"PING\r\n")?;
    let mut pong = [0; 7];
    client.stdout.take().ok_or("no stdout")?.read_exact(&mut pong)?;
    client.kill()?;
    client.wait()?;
    assert_eq!(&pong, b"+PONG\r\n");
    assert!(raw(TcpStream::connect(server.addr())?, "PING\r\n", "+PONG\r\n").is_err());
    server.command(&["PING"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_restart_waits_for_its_port_while_somebody_else_has_it() -> Outcome {
    let server = RedisServer::start().await?;
    server.kill().await?;
    let squatter = TcpListener::bind(server.addr())?;
    let (restarted, ()) = tokio::join!(server.restart(), async {
        while !server.log_tail().contains("Address already in use") {
            tokio::task::yield_now().await;
        }
        drop(squatter);
    });
    restarted?;
    server.command(&["PING"]).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_test_with_paused_time_stands_still_while_a_server_starts_and_answers() -> Outcome {
    let before = tokio::time::Instant::now();
    let server = RedisServer::start().await?;
    server.command(&["PING"]).await?;
    assert_eq!(tokio::time::Instant::now(), before);
    Ok(())
}

#[tokio::test]
async fn valkey_is_started_as_redis_is() -> Outcome {
    let server = RedisServer::builder(Program::Valkey).persistence(Persistence::Aof).password("p").start().await?;
    server.command(&["SET", "k", "v"]).await?;
    server.kill().await?;
    server.restart().await?;
    assert_eq!(get(&server, "k").await.as_deref(), Some("v"));
    let info = server.command(&["INFO", "server"]).await?.text().unwrap_or_default();
    assert!(info.contains("server_name:valkey"), "{info}");
    Ok(())
}

#[test]
fn a_program_that_is_not_installed_is_a_failure_that_says_what_to_install() -> Outcome {
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", "valkey_is_started_as_redis_is"])
        .env("PATH", "/nonexistent")
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!output.status.success());
    assert!(said.contains("NotInstalled") && said.contains("install the package `valkey-server`"), "{said}");
    Ok(())
}

/// Sends text and returns what comes back until it ends as expected.
fn raw(mut stream: impl std::io::Read + std::io::Write, send: &str, end: &str) -> std::io::Result<String> {
    stream.write_all(send.as_bytes())?;
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte)?;
        said.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
