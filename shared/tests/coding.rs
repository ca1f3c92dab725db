//! Coded maps: they come back unchanged, in few bytes, and no bytes are more than refused.

use fogline::coding::{Coder, ModelError, NotAMap};
use proptest::prelude::*;

/// A coder's file: its numbers before they are bytes.
#[derive(Debug, Clone)]
struct File {
    bits: u8,
    signed: u8,
    unit: u8,
    shape: [u16; 3],
    planes: Vec<Plane>,
}

/// A channel: its index, bias, step, the weights of four neighbours, and distances with weights.
type Plane = (u16, i16, u16, [i8; 4], Vec<(u16, i8)>);

impl File {
    /// Maps of 1x`h`x`w`, whose values are predicted from their neighbours.
    fn of_one_channel(bits: u8, [h, w]: [u16; 2], step: u16, own: [i8; 4]) -> Self {
        let planes = vec![(0, 0, step, own, vec![])];
        Self { bits, signed: 1, unit: 5, shape: [1, h, w], planes }
    }

    fn bytes(&self) -> Vec<u8> {
        let from = || self.planes.iter().flat_map(|plane| &plane.4);
        let mut bytes = [&b"FOGC\x01"[..], &[self.bits, self.signed, self.unit]].concat();
        bytes.extend(self.shape.iter().flat_map(|side| side.to_le_bytes()));
        bytes.extend((from().count() as u32).to_le_bytes());
        bytes.extend(self.planes.iter().flat_map(|plane| plane.0.to_le_bytes()));
        bytes.extend(self.planes.iter().flat_map(|plane| plane.1.to_le_bytes()));
        bytes.extend(self.planes.iter().flat_map(|plane| plane.2.to_le_bytes()));
        bytes.extend(self.planes.iter().flat_map(|plane| plane.3).map(i8::cast_unsigned));
        bytes.extend(self.planes.iter().flat_map(|plane| (plane.4.len() as u16).to_le_bytes()));
        bytes.extend(from().map(|&(place, _)| place as u8));
        bytes.extend(from().map(|&(place, _)| (place >> 8) as u8));
        bytes.extend(from().map(|&(_, weight)| weight.cast_unsigned()));
        bytes
    }

    fn coder(&self) -> Coder {
        Coder::read(&self.bytes()).unwrap()
    }
}

prop_compose! {
    /// Any coder of small maps.
    fn any_file()(
        width in 0_usize..4,
        signed in 0_u8..2,
        unit in 5_u8..9,
        (c, h, w) in (1_u16..5, 1_u16..5, 1_u16..20),
        seed in any::<u64>(),
    ) -> File {
        let mut random = seed | 1;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 16) % below
        };
        let first = next(u64::from(c)) as u16;
        let planes = (0..c).map(|rank| {
            let from = if rank == 0 { 0 } else { next(9) };
            let mut place = |at| u16::from(at > 0) + (next(2) as u16) * (rank - 1);
            let places: Vec<u16> = (0..from).map(&mut place).collect();
            let from = places.into_iter().map(|place| (place, next(256) as u8 as i8)).collect();
            let own = [0; 4].map(|_| next(256) as u8 as i8);
            let channel = (first + rank) % c;
            (channel, next(2000) as i16 - 1000, next(3000) as u16, own, from)
        });
        File { bits: [1, 2, 4, 8][width], signed, unit, shape: [c, h, w], planes: planes.collect() }
    }
}

proptest! {
    #[test]
    fn maps_come_back_unchanged(file in any_file(), bytes in any::<[u8; 400]>()) {
        let coder = file.coder();
        let mut packed = bytes[..coder.packed_len()].to_vec();
        // What pads the last byte is no element.
        let elements = file.shape.iter().map(|&side| usize::from(side)).product::<usize>();
        let used = elements * usize::from(file.bits) % 8;
        if used > 0 {
            *packed.last_mut().unwrap() &= (1 << used) - 1;
        }
        let coded = coder.encode(&packed);
        // No value takes more than 16 bits.
        prop_assert!(coded.len() <= 2 * elements + 4);
        prop_assert_eq!(coder.decode(&coded), Ok(packed));
    }

    #[test]
    fn any_bytes_are_a_map_or_refused(file in any_file(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let coder = file.coder();
        if let Ok(packed) = coder.decode(&bytes) {
            prop_assert_eq!(packed.len(), coder.packed_len());
            // A map has one code.
            prop_assert_eq!(coder.encode(&packed), bytes);
        }
    }

    #[test]
    fn an_altered_file_is_a_coder_or_refused(file in any_file(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = file.bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(coder) = Coder::read(&bytes) {
            let _ = coder.decode(&coder.encode(&vec![0x5a; coder.packed_len()]));
        }
        prop_assert!(Coder::read(&bytes[..at]).is_err());
    }
}

#[test]
fn what_is_predicted_takes_few_bytes() {
    // Every row is the same, and the value above predicts each with a logit of 4.
    let coder = File::of_one_channel(1, [64, 64], 0, [0, 127, 0, 0]).coder();
    let coded = coder.encode(&[0b0110_1001; 512]);
    assert!((8..30).contains(&coded.len()), "{}", coded.len());
    // Without a prediction, a sign is a bit.
    let coder = File::of_one_channel(1, [64, 64], 0, [0; 4]).coder();
    assert_eq!(coder.encode(&[0b0110_1001; 512]).len(), 512);
    // Levels near the predicted one take fewer bits than those far from it.
    let coder = File::of_one_channel(4, [32, 32], 16, [0; 4]).coder();
    let [near, far] = [0x0f, 0x87].map(|levels| coder.encode(&[levels; 512]).len());
    assert!(near < 300 && far > 1000, "{near} {far}");
}

#[test]
fn bytes_behind_a_map_are_refused_or_part_of_another() {
    let coder = File::of_one_channel(1, [8, 8], 0, [9, 9, 9, 9]).coder();
    let coded = coder.encode(&[0x3c; 8]);
    let longer = [&coded[..], &[1; 9]].concat();
    assert_eq!(coder.decode(&longer), Err(NotAMap));
    // A zero at the end would not have been written.
    assert_eq!(coder.decode(&[&coded[..], &[0]].concat()), Err(NotAMap));
    for (byte, count) in [0, 1, 0xff].into_iter().flat_map(|byte| (1..20).map(move |n| (byte, n))) {
        let longer = [&coded[..], &vec![byte; count]].concat();
        match coder.decode(&longer) {
            Ok(other) => assert!(byte > 0 && other != [0x3c; 8] && coder.encode(&other) == longer),
            Err(error) => assert_eq!(error, NotAMap),
        }
    }
}

#[test]
fn a_file_that_is_no_coder_is_refused_with_a_reason() {
    let good = File {
        bits: 1,
        signed: 1,
        unit: 5,
        shape: [2, 3, 3],
        planes: vec![(1, 0, 0, [1; 4], vec![]), (0, 0, 0, [1; 4], vec![(4, 3), (2, 3)])],
    };
    assert!(Coder::read(&good.bytes()).is_ok());
    let altered = |alter: fn(&mut File)| {
        let mut file = good.clone();
        alter(&mut file);
        Coder::read(&file.bytes()).unwrap_err().to_string()
    };
    assert!(altered(|file| file.bits = 3).contains("bits"));
    assert!(altered(|file| file.unit = 9).contains("unit"));
    assert!(altered(|file| file.shape = [2, 0, 3]).contains("empty"));
    assert!(altered(|file| file.shape = [2, 4096, 4096]).contains("too large"));
    assert!(altered(|file| file.planes[0].0 = 0).contains("each coded once"));
    assert!(altered(|file| file.planes[0].0 = 7).contains("each coded once"));
    assert!(altered(|file| file.planes[0].1 = i16::MAX).contains("overflow"));
    assert!(altered(|file| file.planes[0].2 = u16::MAX).contains("step"));
    assert!(altered(|file| file.planes[1].4 = vec![(9, 1)]).contains("not in an earlier channel"));
    assert!(altered(|file| file.planes[1].4 = vec![(1, 1), (0, 1)]).contains("twice"));
    assert!(altered(|file| file.planes.truncate(1)).contains("shorter or longer"));
    let bytes = good.bytes();
    assert_eq!(Coder::read(&[&bytes[..], &[0]].concat()), Err(ModelError::Length));
    assert_eq!(Coder::read(b"FOGC"), Err(ModelError::Length));
    assert_eq!(Coder::read(b"FOGQ"), Err(ModelError::Magic));
    assert_eq!(Coder::read(&[b"FOGQ", &bytes[4..]].concat()), Err(ModelError::Magic));
    assert_eq!(Coder::read(&[b"FOGC\x02", &bytes[5..]].concat()), Err(ModelError::Version(2)));
}

/// Files of version 1, and maps that they coded when the version was fixed. Edges and functions in the field must agree, so these
/// files never change; a new version gets new ones. The recipe wrote the coders and its tests compare them, too.
#[test]
fn version_1_codes_as_it_always_did() {
    let golden: [[&[u8]; 3]; 2] = [
        [
            include_bytes!("golden/coder-1.coder"),
            include_bytes!("golden/map-1.packed"),
            include_bytes!("golden/map-1.coded"),
        ],
        [
            include_bytes!("golden/coder-4.coder"),
            include_bytes!("golden/map-4.packed"),
            include_bytes!("golden/map-4.coded"),
        ],
    ];
    for [file, packed, coded] in golden {
        let coder = Coder::read(file).unwrap();
        assert_eq!(coder.encode(packed), coded);
        assert_eq!(coder.decode(coded).unwrap(), packed);
    }
}
