//! Any stream in any pieces as Motion JPEG: frames within the limit, or an error.
#![no_main]

use fogline_edge::device::watch::Mjpeg;
use libfuzzer_sys::fuzz_target;

const MOST: usize = 4096;

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (piece, bytes) = input;
    let mut stream = Mjpeg::of("multipart/x-mixed-replace; boundary=b", MOST).unwrap();
    for piece in bytes.chunks(usize::from(piece).max(1)) {
        stream.push(piece);
        loop {
            match stream.next_frame() {
                Ok(Some(frame)) => assert!(frame.len() <= MOST + 5),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
