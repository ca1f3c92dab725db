//! The frame against golden files, truncation at every byte, every bit flip, and false lengths.

use fogline::coding::Coder;
use fogline::frame::{
    Arrived, Coded, FrameError, MAX_BATCH, MAX_FRAME, Request, Response, Tensor, request_id,
};
use proptest::prelude::*;

fn request() -> Request {
    Request {
        pair: core::array::from_fn(|i| i as u8),
        request_id: [0xab; 16],
        tensors: vec![
            Tensor { shape: [8, 2, 2], bits: 1, bytes: vec![1, 2, 3, 4] },
            Tensor { shape: [3, 1, 1], bits: 4, bytes: vec![0x7f, 0x08] },
        ],
    }
}

fn response() -> Response {
    Response { request_id: [0xcd; 16], scores: vec![vec![0.5, -1.25], vec![3.0, f32::MIN]] }
}

/// Frames of version 1 as they were written when the version was fixed. Edges in the field may send them for months, so these
/// files never change; a new version gets new ones.
#[test]
fn version_1_is_read_and_written_as_it_always_was() {
    assert_eq!(request().encode().unwrap(), include_bytes!("golden/request-v1.bin"));
    assert_eq!(response().encode().unwrap(), include_bytes!("golden/response-v1.bin"));
    assert_eq!(Request::decode(include_bytes!("golden/request-v1.bin")), Ok(request()));
    assert_eq!(Response::decode(include_bytes!("golden/response-v1.bin")), Ok(response()));
}

#[test]
fn the_id_is_where_either_version_has_it() {
    for frame in
        [&include_bytes!("golden/request-v1.bin")[..], include_bytes!("golden/request-v2.bin")]
    {
        assert_eq!(request_id(frame), Some([0xab; 16]));
    }
    let short = include_bytes!("golden/request-v2.bin");
    assert_eq!((request_id(&short[..28]), request_id(&short[..4])), (None, None));
}

fn coded() -> Coded {
    Coded {
        pair: core::array::from_fn(|i| i as u8),
        request_id: [0xab; 16],
        maps: vec![vec![1, 2, 3], vec![7]],
    }
}

/// A coder of 8x2x2 signs, none of which it predicts.
fn coder() -> Coder {
    let head = b"FOGC\x01\x01\x01\x05\x08\0\x02\0\x02\0\0\0\0\0";
    let order: Vec<u8> = (0..8).flat_map(|channel: u16| channel.to_le_bytes()).collect();
    Coder::read(&[&head[..], &order, &[0; 80]].concat()).unwrap()
}

/// As for version 1.
#[test]
fn version_2_is_read_and_written_as_it_always_was() {
    let golden = include_bytes!("golden/request-v2.bin");
    assert_eq!(coded().encode().unwrap(), golden);
    assert_eq!(Coded::decode(golden), Ok(coded()));
    assert_eq!(Arrived::decode(golden), Ok(Arrived::Coded(coded())));
    let packed = include_bytes!("golden/request-v1.bin");
    assert_eq!(Arrived::decode(packed), Ok(Arrived::Packed(request())));
    assert_eq!(Request::decode(golden), Err(FrameError::Version(2)));
    assert_eq!(Coded::decode(packed), Err(FrameError::Version(1)));
    for end in 0..golden.len() {
        assert_eq!(Arrived::decode(&golden[..end]), Err(FrameError::Truncated), "cut at {end}");
    }
}

#[test]
fn a_coded_request_is_the_packed_one_again() {
    let tensor = |bytes| Tensor { shape: [8, 2, 2], bits: 1, bytes };
    let tensors = vec![tensor(vec![1, 2, 3, 4]), tensor(vec![0, 255, 0, 9])];
    let packed = Request { tensors, ..request() };
    let bytes = packed.encode_with(Some(&coder())).unwrap();
    assert!(bytes.len() < packed.encode().unwrap().len());
    let Ok(Arrived::Coded(coded)) = Arrived::decode(&bytes) else { panic!("version 2 is smaller") };
    assert_eq!(coded.pair[..], packed.pair[..8]);
    assert_eq!(coded.request(packed.pair, &coder()), Ok(packed.clone()));
    assert_eq!(packed.encode_with(None), packed.encode());
    // The second map goes on after its end.
    let mut other = coded;
    other.maps[1].extend([1; 9]);
    assert_eq!(other.request(packed.pair, &coder()), Err(FrameError::Map(1)));
    for maps in [0, MAX_BATCH + 1] {
        let many = Coded { maps: vec![vec![]; maps], ..other.clone() };
        assert_eq!(many.encode(), Err(FrameError::Batch(maps)));
    }
}

#[test]
fn every_cut_is_truncated() {
    let (request, response) = (request().encode().unwrap(), response().encode().unwrap());
    for end in 0..request.len() {
        assert_eq!(Request::decode(&request[..end]), Err(FrameError::Truncated), "cut at {end}");
    }
    for end in 0..response.len() {
        assert_eq!(Response::decode(&response[..end]), Err(FrameError::Truncated), "cut at {end}");
    }
}

#[test]
fn every_bit_flip_is_refused_or_another_valid_frame() {
    let good = request().encode().unwrap();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Request::decode(&bytes) {
            assert_eq!(other.encode().unwrap(), bytes, "bit {bit} is not canonical");
        }
    }
}

#[test]
fn a_lying_length_is_refused_before_anything_is_allocated() {
    // 253 announces a 64-bit length in bincode's variable-length integers.
    let mut head = b"FOGQ\x01".to_vec();
    head.extend([0; 48]);
    for length in [u64::MAX, 1 << 40, 2 * MAX_FRAME as u64] {
        let lying = [&head[..], &[253], &length.to_le_bytes()].concat();
        assert_eq!(Request::decode(&lying), Err(FrameError::TooLarge), "{length} tensors");
        // One tensor of shape (1, 1, 1) and one bit that claims `length` bytes.
        let lying = [&head[..], &[1, 1, 1, 1, 1, 253], &length.to_le_bytes()].concat();
        assert_eq!(Request::decode(&lying), Err(FrameError::TooLarge), "{length} bytes");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let good = request().encode().unwrap();
    assert_eq!(Request::decode(b"PNG"), Err(FrameError::Magic));
    assert_eq!(Request::decode(&response().encode().unwrap()), Err(FrameError::Magic));
    let mut other = good.clone();
    other[4] = 9;
    assert_eq!(Request::decode(&other), Err(FrameError::Version(9)));
    let longer = [&good[..], b"more"].concat();
    assert_eq!(Request::decode(&longer), Err(FrameError::Trailing(4)));
    assert_eq!(Request::decode(&vec![0; MAX_FRAME + 1]), Err(FrameError::TooLarge));

    let mut request = request();
    request.tensors[1].bytes.push(0);
    assert_eq!(request.encode().unwrap_err().word(), "frame_tensor");
    request.tensors.clear();
    assert_eq!(request.encode(), Err(FrameError::Batch(0)));
    request.tensors = vec![Tensor { shape: [8, 1, 1], bits: 1, bytes: vec![0] }; MAX_BATCH + 1];
    assert_eq!(request.encode(), Err(FrameError::Batch(MAX_BATCH + 1)));
    let scores = vec![vec![f32::NAN]];
    assert_eq!(Response { request_id: [0; 16], scores }.encode(), Err(FrameError::Score));
}

#[test]
fn a_frame_as_large_as_the_limit_is_read() {
    let of = |bytes: usize, samples: usize| {
        let one = Tensor { shape: [bytes as u32, 8, 1], bits: 1, bytes: vec![1; bytes] };
        Request { tensors: vec![one; samples], ..request() }
    };
    for samples in [1, 2, MAX_BATCH] {
        let most =
            (0..=MAX_FRAME / samples).rev().find(|&bytes| of(bytes, samples).encode().is_ok());
        let largest = of(most.unwrap(), samples);
        let bytes = largest.encode().unwrap();
        assert!(bytes.len() + samples > MAX_FRAME);
        assert_eq!(Request::decode(&bytes), Ok(largest));
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Request::decode(&bytes);
        let framed = [&b"FOGQ\x01"[..], &bytes].concat();
        let _ = Request::decode(&framed);
        let framed = [&b"FOGA\x01"[..], &bytes].concat();
        let _ = Response::decode(&framed);
    }

    #[test]
    fn a_request_survives_the_way(
        pair in any::<[u8; 32]>(), request_id in any::<[u8; 16]>(),
        maps in proptest::collection::vec((1u32..40, 1u32..5, 0usize..4), 1..6),
    ) {
        let tensors = maps.iter().map(|&(c, h, w)| {
            let bits = fogline::packed::WIDTHS[w];
            let shape = [c, h, h];
            let bytes = vec![c as u8; fogline::packed::packed_len(shape, bits).unwrap()];
            Tensor { shape, bits, bytes }
        }).collect();
        let request = Request { pair, request_id, tensors };
        prop_assert_eq!(Request::decode(&request.encode().unwrap()), Ok(request));
    }
}
