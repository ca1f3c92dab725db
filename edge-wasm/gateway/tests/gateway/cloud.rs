//! A function with scripted responses, on a port of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fogline::frame::{Arrived, Response};
use fogline::trace::Traceparent;

/// How the function treats a request.
#[derive(Clone, Copy)]
pub enum Say {
    /// Assigns sample `i` to class `i`, of ten.
    Scores,
    /// Responds with this status and these headers, each with its line ending.
    Status(u16, &'static str),
    /// Does not respond, but keeps the connection open.
    Nothing,
    /// Sends one byte of the response per second.
    Dribble,
    /// Closes the connection.
    Break,
}

/// A request that arrived.
struct Seen {
    /// The request line and the headers.
    head: Vec<String>,
    samples: usize,
    id: [u8; 16],
}

impl Seen {
    fn header(&self, name: &str) -> Option<String> {
        self.head.iter().find_map(|line| {
            let (is, value) = line.split_once(':')?;
            is.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

pub struct Scripted {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    /// The number of samples in each request.
    pub fn samples(&self) -> Vec<usize> {
        self.seen.lock().unwrap().iter().map(|seen| seen.samples).collect()
    }

    /// A header of the latest request, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<String> {
        self.seen.lock().unwrap().last()?.header(name)
    }

    /// The `traceparent` of each request, and the id of its frame.
    pub fn traces(&self) -> Vec<(Traceparent, [u8; 16])> {
        let seen = self.seen.lock().unwrap();
        let traces = seen.iter().map(|seen| {
            let trace = seen.header("traceparent").expect("every request has one");
            (Traceparent::parse(trace.as_bytes()).expect(&trace), seen.id)
        });
        traces.collect()
    }
}

/// A function that treats request `n`, from 0, as `script(n)` says.
pub fn scripted(script: impl Fn(usize) -> Say + Send + 'static) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(vec![]));
    let list = Arc::clone(&seen);
    // The thread ends with the test process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some((head, request)) = read(&mut stream) else { continue };
            let number = list.lock().unwrap().len();
            let (samples, id) = (request.samples(), request.request_id());
            list.lock().unwrap().push(Seen { head, samples, id });
            let say = script(number);
            thread::spawn(move || answer(stream, &request, say));
        }
    });
    Scripted { url, seen }
}

/// Reads the head and body of a request, with either of HTTP's ways to state the length.
fn read(stream: &mut TcpStream) -> Option<(Vec<String>, Arrived)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length, mut chunked) = (vec![], 0, false);
    loop {
        head.push(line(&mut reader)?);
        let line = head[head.len() - 1].to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        chunked |= line == "transfer-encoding: chunked";
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![];
    if chunked {
        loop {
            let length = usize::from_str_radix(&line(&mut reader)?, 16).ok()?;
            body.extend(exactly(&mut reader, length)?);
            line(&mut reader)?;
            if length == 0 {
                break;
            }
        }
    } else {
        body = exactly(&mut reader, length)?;
    }
    Some((head, Arrived::decode(&body).ok()?))
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}

fn exactly(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn answer(mut stream: TcpStream, request: &Arrived, say: Say) {
    let scores =
        |sample| (0..10).map(move |class: usize| f32::from(u8::from(class == sample % 10)) * 9.0);
    let scores = (0..request.samples()).map(|sample| scores(sample).collect()).collect();
    let body = Response { request_id: request.request_id(), scores }.encode().unwrap();
    let head = |status, headers: &str, length| {
        format!(
            "HTTP/1.1 {status} Said\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
        )
    };
    // The client may have given up.
    let _ = match say {
        Say::Scores => stream.write_all(&[head(200, "", body.len()).as_bytes(), &body].concat()),
        Say::Status(status, headers) => stream.write_all(head(status, headers, 0).as_bytes()),
        Say::Nothing => {
            thread::sleep(Duration::from_mins(1));
            Ok(())
        }
        Say::Dribble => stream.write_all(head(200, "", body.len()).as_bytes()).and_then(|()| {
            body.iter().try_for_each(|&byte| {
                thread::sleep(Duration::from_secs(1));
                stream.write_all(&[byte])
            })
        }),
        Say::Break => Ok(()),
    };
}
