//! Any bytes as a frame: refused, or decoded to something that encodes and decodes again to the same.
#![no_main]

use fogline::frame::{Coded, MAX_FRAME, Request, Response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::decode(bytes) {
        let again = request.encode().expect("what was read can be written");
        // Never longer: bincode also accepts numbers in more bytes than necessary.
        assert!(again.len() <= bytes.len() && bytes.len() <= MAX_FRAME);
        assert_eq!(Request::decode(&again), Ok(request));
    }
    if let Ok(coded) = Coded::decode(bytes) {
        let again = coded.encode().expect("what was read can be written");
        assert_eq!(Coded::decode(&again), Ok(coded));
    }
    if let Ok(response) = Response::decode(bytes) {
        let again = response.encode().expect("what was read can be written");
        assert_eq!(Response::decode(&again), Ok(response));
    }
});
