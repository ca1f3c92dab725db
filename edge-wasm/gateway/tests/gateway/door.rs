//! A proxy to the function that can be shut: to the gateway, the function is then killed, and later restarted.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

pub struct Door {
    pub url: String,
    at: SocketAddr,
    beyond: String,
    open: Option<Open>,
}

struct Open {
    shut: Arc<AtomicBool>,
    passing: Arc<Mutex<Vec<TcpStream>>>,
    listening: JoinHandle<()>,
}

impl Door {
    /// An open door to the function with this base URL.
    pub fn to(url: &str) -> Self {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut door =
            Self { url: format!("http://{at}/{path}"), at, beyond: host.to_owned(), open: None };
        door.open();
        door
    }

    pub fn open(&mut self) {
        let listener = TcpListener::bind(self.at).unwrap();
        let (shut, passing) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(vec![])));
        let (told, through, beyond) =
            (Arc::clone(&shut), Arc::clone(&passing), self.beyond.clone());
        let listening = thread::spawn(move || {
            for near in listener.incoming() {
                if told.load(Ordering::SeqCst) {
                    break;
                }
                let (near, far) = (near.unwrap(), TcpStream::connect(&beyond).unwrap());
                let mut passing = through.lock().unwrap();
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                passing.extend([near, far]);
            }
        });
        self.open = Some(Open { shut, passing, listening });
    }

    /// Refuses new connections and closes those in progress.
    pub fn shut(&mut self) {
        let Some(Open { shut, passing, listening }) = self.open.take() else { return };
        shut.store(true, Ordering::SeqCst);
        // Wakes the listener, which may be waiting.
        let _ = TcpStream::connect(self.at);
        listening.join().unwrap();
        for stream in passing.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
