//! Any bytes from an MQTT broker: events, or an error.
#![no_main]

use fogline_gateway::mqtt::{Event, Kind, LEAST, Outbox, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut reader, mut outbox) = (Reader::default(), Outbox::new(0));
    for piece in bytes.chunks(5) {
        outbox.put("fogline/gate/door/state", piece.to_vec(), Kind::Retained);
        reader.push(piece);
        while let Ok(Some(event)) = reader.event() {
            match event {
                Event::Opened { has_session } => outbox.opened(has_session),
                Event::Acknowledged(id) => outbox.acknowledged(id),
                _ => {}
            }
            while outbox.packet().is_some() {}
        }
        assert!(outbox.counts().waiting <= LEAST as u64 + 1);
    }
});
