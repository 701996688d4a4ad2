use super::*;

fn requests(bytes: &[u8]) -> (Vec<Vec<Bytes>>, bool, usize) {
    let mut buffer = BytesMut::from(bytes);
    let (mut parser, mut found) = (Requests::default(), Vec::new());
    loop {
        match parser.next(&mut buffer) {
            Ok(Some(Request::Command(_, args))) => found.push(args),
            Ok(Some(Request::Bytes(_))) => found.push(Vec::new()),
            Ok(None) => return (found, false, buffer.len()),
            Err(Garbage) => return (found, true, buffer.len()),
        }
    }
}

/// Feeds bytes one by one and returns each reply as text.
fn replies(bytes: &[u8]) -> Result<Vec<String>, Garbage> {
    let (mut parser, mut buffer, mut found) = (Replies::default(), BytesMut::new(), Vec::new());
    for byte in bytes {
        buffer.extend_from_slice(&[*byte]);
        while let Some(reply) = parser.next(&mut buffer)? {
            found.push(String::from_utf8_lossy(&reply).into_owned());
        }
    }
    assert!(buffer.is_empty(), "left: {buffer:?}");
    Ok(found)
}

#[test]
fn commands_of_a_pipeline_are_told_apart_whatever_bytes_they_carry() {
    let pipeline = b"*2\r\n$3\r\nGET\r\n$6\r\na\r\nb\0\xff\r\n*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\nv\r\n*1\r\n$4\r\nPI";
    let (found, garbage, left) = requests(pipeline);
    let expected: [&[&[u8]]; 3] = [&[b"GET", b"a\r\nb\0\xff"], &[b"PING"], &[b"SET", b"", b"v"]];
    assert_eq!(found, expected);
    assert_eq!((garbage, left), (false, 10));
}

#[test]
fn inline_commands_empty_lines_and_empty_arrays_are_known() {
    let (found, garbage, left) = requests(b"PING\r\n\r\n  get  k \n*0\r\n*-1\r\nQUIT");
    let expected: [&[&[u8]]; 5] = [&[b"PING"], &[], &[b"get", b"k"], &[], &[]];
    assert_eq!(found, expected);
    assert_eq!((garbage, left), (false, 4));
}

#[test]
fn what_is_no_command_is_garbage_and_stays_in_the_buffer() {
    let long_line = [b'a'; LONGEST_LINE + 1];
    let cases: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01",
        b"*1\r\n:1\r\n",
        b"*1\r\n*1\r\n$1\r\na\r\n",
        b"*1\r\n$-1\r\n",
        b"*x\r\n",
        b"*1\r\n$3\r\nabcde\r\n",
        b"*1\r\n$99999999999999999999\r\n",
        b"*1\n$1\r\na\r\n",
        &long_line,
    ];
    for bytes in cases {
        assert_eq!(requests(bytes), (Vec::new(), true, bytes.len()), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn every_kind_of_reply_ends_where_it_ends_also_when_it_comes_byte_by_byte() {
    let all = [
        "+OK\r\n",
        "-ERR no\r\n",
        ":-7\r\n",
        "$5\r\na\r\nbc\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*2\r\n*1\r\n:1\r\n$0\r\n\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "(123456789012345678901234567890\r\n",
        "!3\r\nbad\r\n",
        "=7\r\ntxt:abc\r\n",
        "~2\r\n:1\r\n:2\r\n",
        "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
        "|1\r\n+ttl\r\n:1\r\n$1\r\nv\r\n",
        ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
    ];
    assert_eq!(replies(all.concat().as_bytes()).unwrap(), all);
}

#[test]
fn what_is_no_reply_is_garbage() {
    for bytes in [
        "HTTP/1.1 200 OK\r\n",
        "$x\r\n",
        "*1\r\nx",
        "$3\r\nabcde",
        "$?\r\n",
        "+\n",
        "%9223372036854775807\r\n:1\r\n|x\r\n",
    ] {
        let mut parser = Replies::default();
        assert_eq!(parser.next(&mut BytesMut::from(bytes)), Err(Garbage), "{bytes:?}");
    }
}

#[test]
fn no_bytes_make_it_panic_or_read_for_ever() {
    let random = crate::random::Random::new(7);
    let alphabet = b"*$+-:%|>~=!_#,(\r\n0123456789-aP\x00\xff";
    for _ in 0..20_000 {
        let length = random.below(40);
        let bytes: Vec<u8> = (0..length).map(|_| alphabet[random.below(alphabet.len() as u64) as usize]).collect();
        requests(&bytes);
        let (mut parser, mut buffer) = (Replies::default(), BytesMut::from(bytes.as_slice()));
        while let Ok(Some(reply)) = parser.next(&mut buffer) {
            push(&reply, true);
        }
    }
}

#[test]
fn pushes_are_known_by_their_kind_and_with_a_subscription_by_their_name() {
    let message = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n";
    let confirmation = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    assert_eq!((push(message, true), push(confirmation, true)), (Some(Push::Message), Some(Push::Other)));
    for reply in [message.as_slice(), confirmation] {
        assert_eq!(push(reply, false), None);
    }
    let resp3 = |reply: &[u8]| push(&[b">", &reply[1..]].concat(), false);
    assert_eq!((resp3(message), resp3(confirmation)), (Some(Push::Message), Some(Push::Other)));
    assert_eq!(push(b">1\r\n+x\r\n", false), Some(Push::Other));
    for reply in [b"*2\r\n$4\r\npong\r\n$0\r\n\r\n".as_slice(), b"*0\r\n", b"*1\r\n$-1\r\n"] {
        assert_eq!(push(reply, true), None);
    }
}
