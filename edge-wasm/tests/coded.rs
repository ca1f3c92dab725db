//! Pairs with a coder: what they send decodes to exactly the map, and nothing else about them changes.

use fogline::coding::Coder;
use fogline::frame::{Arrived, Request};
use fogline::manifest::{EDGE_FOG, File, Manifest, sha256_hex};
use fogline_edge::kernel::Backend;
use fogline_edge::model::{FogError, Model};
use fogline_edge::session::{LoadError, Session};
use fogline_edge::tensor::Blob;

const MANIFEST: &[u8] = include_bytes!("tiny/manifest.json");
const FOG: &[u8] = include_bytes!("tiny/edge.fog");

/// A coder of maps of this shape and bits: each value is predicted from the one above.
fn coder([c, h, w]: [u16; 3], bits: u8, signed: bool) -> Vec<u8> {
    let mut bytes = [&b"FOGC\x01"[..], &[bits, u8::from(signed), 5]].concat();
    bytes.extend([c, h, w].iter().flat_map(|side| side.to_le_bytes()));
    bytes.extend([0; 4]);
    bytes.extend((0..c).flat_map(u16::to_le_bytes));
    bytes.extend([0; 2].repeat(c.into()));
    bytes.extend([30, 0].repeat(c.into()));
    bytes.extend([0, 20, 0, 0].repeat(c.into()));
    bytes.extend([0; 2].repeat(c.into()));
    bytes
}

/// The tiny pair with a coder in its packed edge.
fn pair(coder: &[u8]) -> Result<(Vec<u8>, Vec<u8>), FogError> {
    let model = Model::parse(FOG)?;
    let len = u32::from_le_bytes(FOG[44..48].try_into().unwrap()) as usize;
    let mut data = FOG[FOG.len() - len..].to_vec();
    data.resize(data.len().next_multiple_of(64), 0);
    let blob = Blob { at: data.len() as u32, len: coder.len() as u32 };
    data.extend(coder);
    let mut program = model.program;
    program.coder = Some(blob);
    let fog = Model::write(&program, &data, model.source)?;
    let mut manifest = Manifest::parse(MANIFEST).unwrap();
    let file = File { sha256: sha256_hex(&fog), bytes: fog.len() as u64 };
    manifest.files.insert(EDGE_FOG.into(), file);
    Ok((serde_json::to_vec(&manifest).unwrap(), fog))
}

fn maps(session: &mut Session) -> Vec<Vec<u8>> {
    let side = session.manifest().input.size as usize;
    let picture = |seed: usize| -> Vec<u8> {
        (0..side * side * 3).map(|at| ((at * (seed + 3) / 7) % 251) as u8).collect()
    };
    (0..20).map(|seed| session.run_through(&picture(seed)).1).collect()
}

#[test]
fn a_session_sends_coded_maps_that_are_its_maps() {
    let file = coder([16, 4, 4], 1, true);
    let (manifest, fog) = pair(&file).unwrap();
    let mut session = Session::load(&manifest, &fog, Backend::fastest()).unwrap();
    let mut plain = Session::load(MANIFEST, FOG, Backend::fastest()).unwrap();
    assert!(plain.coder().is_none());
    let all = maps(&mut session);
    assert_eq!(all, maps(&mut plain));
    for map in all {
        let request = session.request(vec![map], [9; 16]);
        let coder = session.coder().unwrap();
        let frame = request.encode_with(Some(coder)).unwrap();
        assert!(frame.len() < request.encode().unwrap().len());
        let Ok(Arrived::Coded(coded)) = Arrived::decode(&frame) else { panic!("it is coded") };
        // The cloud has the same file.
        let cloud = Coder::read(&file).unwrap();
        assert_eq!(coded.request(request.pair, &cloud).unwrap(), request);
    }
}

#[test]
fn an_edge_that_knows_no_coders_sends_plain_maps() {
    let (manifest, fog) = pair(&coder([16, 4, 4], 1, true)).unwrap();
    let mut session = Session::load(&manifest, &fog, Backend::fastest()).unwrap();
    let map = maps(&mut session).remove(0);
    // Its frame names the same pair.
    let request = session.request(vec![map], [9; 16]);
    let frame = request.encode_with(None).unwrap();
    assert_eq!(Request::decode(&frame).unwrap().pair, session.manifest().pair_digest());
}

#[test]
fn a_coder_of_other_maps_or_none_at_all_is_refused() {
    let refused = |file: &[u8]| pair(file).unwrap_err().to_string();
    let other = refused(&coder([8, 4, 4], 1, true));
    assert!(other.contains("for maps of 8x4x4 at 1 bits, not 16x4x4 at 1"), "{other}");
    let other = refused(&coder([16, 4, 4], 4, true));
    assert!(other.contains("for maps of 16x4x4 at 4 bits, not 16x4x4 at 1"), "{other}");
    assert!(refused(b"FOGC").contains("its coder: it is shorter or longer than it says"));
    assert!(refused(&[0; 64]).contains("its coder: it is not a coder"));
    let (manifest, fog) = pair(&coder([16, 4, 4], 1, false)).unwrap();
    let error = Session::load(&manifest, &fog, Backend::fastest()).err().unwrap();
    assert!(matches!(&error, LoadError::Mismatch(why) if why.contains("sign")), "{error}");
}
