//! A web server for a pair's files, with scripted behaviour.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a path serves.
#[derive(Clone)]
pub enum Served {
    File(Vec<u8>),
    /// Sends half of the announced bytes and closes the connection.
    Half(Vec<u8>),
    /// Sends half of the bytes, then nothing on an open connection.
    Stuck(Vec<u8>),
    /// Sends bytes without end, without a stated length.
    Endless,
    /// Redirects to another URL.
    Moved(&'static str),
}

pub struct Web {
    pub url: String,
    files: Arc<Mutex<BTreeMap<String, Served>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let files = Arc::new(Mutex::new(BTreeMap::new()));
        let asked = Arc::new(Mutex::new(vec![]));
        let (served, seen) = (Arc::clone(&files), Arc::clone(&asked));
        // The thread ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let Some(path) = path(&stream) else { continue };
                seen.lock().unwrap().push(path.clone());
                let file = served.lock().unwrap().get(&path).cloned();
                // The client may have left.
                thread::spawn(move || drop(answer(stream, file)));
            }
        });
        Self { url, files, asked }
    }

    pub fn serve(&self, path: &str, file: Served) {
        self.files.lock().unwrap().insert(path.to_owned(), file);
    }

    /// The paths that were requested, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn path(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let head: Vec<_> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    // Many servers do not read the body of a GET, and the connection then breaks.
    if head.iter().any(|line| line.to_ascii_lowercase().starts_with("transfer-encoding")) {
        return None;
    }
    Some(first.strip_prefix("GET ")?.split(' ').next()?.to_owned())
}

fn answer(mut stream: TcpStream, file: Option<Served>) -> std::io::Result<()> {
    let head = |length: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
    };
    match file {
        Some(Served::File(bytes)) => {
            stream.write_all(&[head(bytes.len()).as_bytes(), &bytes].concat())
        }
        Some(Served::Half(bytes)) => {
            let half = &bytes[..bytes.len() / 2];
            stream.write_all(&[head(bytes.len()).as_bytes(), half].concat())
        }
        Some(Served::Stuck(bytes)) => {
            let half = &bytes[..bytes.len() / 2];
            stream.write_all(&[head(bytes.len()).as_bytes(), half].concat())?;
            thread::park();
            Ok(())
        }
        Some(Served::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&vec![b' '; 1 << 16])?;
            }
        }
        Some(Served::Moved(to)) => {
            let head = "HTTP/1.1 301 Moved\r\ncontent-length: 0\r\nconnection: close\r\n";
            stream.write_all(format!("{head}location: {to}\r\n\r\n").as_bytes())
        }
        None => stream.write_all(
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\nnot found",
        ),
    }
}
