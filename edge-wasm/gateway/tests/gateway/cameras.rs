//! Scripted cameras on a port of their own: snapshots and Motion JPEG.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a camera does at a request, or as the next part of its stream.
#[derive(Clone)]
pub enum Shot {
    Picture(Vec<u8>),
    /// Responds with this status.
    Status(u16),
    /// Announces more bytes than it sends.
    Half(Vec<u8>),
}

/// How a camera sends its pictures.
#[derive(Clone, Copy)]
pub enum Manner {
    /// One per request, this long after it.
    Snapshot(Duration),
    /// A stream with this time between parts.
    Stream(Duration),
}

struct Camera {
    manner: Manner,
    script: Box<dyn Fn(usize) -> Shot + Send>,
    shots: usize,
}

pub struct Cameras {
    pub url: String,
    scripted: Arc<Mutex<BTreeMap<String, Camera>>>,
    /// The `Authorization` of the latest request.
    login: Arc<Mutex<Option<String>>>,
}

impl Cameras {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (all, login) = (Arc::default(), Arc::default());
        let (scripted, seen) = (Arc::clone(&all), Arc::clone(&login));
        // The thread ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (scripted, seen) = (Arc::clone(&scripted), Arc::clone(&seen));
                // The gateway may leave.
                thread::spawn(move || serve(&stream.unwrap(), &scripted, &seen));
            }
        });
        Self { url, scripted: all, login }
    }

    /// Adds the camera `name`, whose shot `n`, from 0, is `script(n)`. Returns its URL.
    pub fn add(
        &self,
        name: &str,
        manner: Manner,
        script: impl Fn(usize) -> Shot + Send + 'static,
    ) -> String {
        let camera = Camera { manner, script: Box::new(script), shots: 0 };
        self.scripted.lock().unwrap().insert(format!("/{name}?x=1"), camera);
        format!("{}/{name}?x=1", self.url)
    }

    pub fn login(&self) -> Option<String> {
        self.login.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: &TcpStream,
    cameras: &Mutex<BTreeMap<String, Camera>>,
    login: &Mutex<Option<String>>,
) -> Option<()> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head.first()?.strip_prefix("GET ")?.split(' ').next()?;
    *login.lock().unwrap() = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("authorization").then(|| value.trim().to_owned())
    });
    let next = || {
        let mut cameras = cameras.lock().unwrap();
        let camera = cameras.get_mut(path)?;
        camera.shots += 1;
        Some((camera.manner, (camera.script)(camera.shots - 1)))
    };
    let (manner, mut shot) = next()?;
    let Manner::Stream(between) = manner else {
        let Manner::Snapshot(after) = manner else { unreachable!() };
        thread::sleep(after);
        let head = |length| {
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
        };
        let bytes = match shot {
            Shot::Picture(bytes) => [head(bytes.len()).as_bytes(), &bytes].concat(),
            Shot::Half(bytes) => [head(2 * bytes.len()).as_bytes(), &bytes].concat(),
            Shot::Status(status) => {
                format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .into_bytes()
            }
        };
        return stream.write_all(&bytes).ok();
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: multipart/x-mixed-replace; boundary=shot\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    while let Shot::Picture(bytes) = shot {
        let head =
            format!("--shot\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n", bytes.len());
        stream.write_all(&[head.as_bytes(), &bytes, b"\r\n"].concat()).ok()?;
        thread::sleep(between);
        shot = next()?.1;
    }
    Some(())
}
