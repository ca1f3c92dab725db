//! The component as an OCI image layout, for registries of containers.
//!
//! Its manifest and configuration are those that `wkg oci push` makes, after the CNCF's guidance for Wasm artefacts
//! (tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact). The same component and date always give the same bytes.
//!
//! It is written here because `oci-wasm` brings a registry's client with TLS, and `oci-spec` 16 crates for four JSON
//! objects.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use fogline::manifest::sha256_hex;
use serde_json::json;
use time::OffsetDateTime;
use wasmparser::{Encoding, Parser, Payload};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// The file name that `oras pull` gives the component.
const FILE: &str = "fogline-gateway.wasm";

/// Writes the image of a component into the folder `folder`, which is empty or does not exist. `created`, in Unix seconds, is the only
/// date in it.
///
/// # Errors
/// If these bytes are no component, or the folder cannot be written.
pub fn write(component: &[u8], created: i64, folder: &Path) -> Result<()> {
    let (imports, exports) = world(component).context("reading what the component imports")?;
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let blob = |media_type: &str, bytes: &[u8]| {
        let digest = sha256_hex(bytes);
        fs::write(blobs.join(&digest), bytes)?;
        let digest = format!("sha256:{digest}");
        anyhow::Ok(json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}))
    };
    let mut layer = blob(LAYER, component)?;
    let config = json!({
        "created": date(created)?,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer["digest"]],
        "component": {"imports": imports, "exports": exports},
    });
    layer["annotations"] = json!({"org.opencontainers.image.title": FILE});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(CONFIG, &serde_json::to_vec(&config)?)?,
        "layers": [layer],
        "annotations": {
            "org.opencontainers.image.title": "fogline-gateway",
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
        },
    });
    let mut manifest = blob(MANIFEST, &serde_json::to_vec(&manifest)?)?;
    manifest["annotations"] =
        json!({"org.opencontainers.image.ref.name": env!("CARGO_PKG_VERSION")});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
    fs::write(folder.join("index.json"), serde_json::to_vec(&index)?)?;
    fs::write(folder.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())?;
    Ok(())
}

/// The names of a component's imports and exports, in its own order.
fn world(component: &[u8]) -> Result<(Vec<String>, Vec<String>)> {
    let (mut imports, mut exports) = (vec![], vec![]);
    // A component contains modules and components, which have imports and exports of their own.
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { encoding, .. } => {
                ensure!(depth > 0 || encoding == Encoding::Component, "it is a module");
                depth += 1;
            }
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

/// The date in RFC 3339's format, of a time in Unix seconds.
fn date(seconds: i64) -> Result<String> {
    let time = OffsetDateTime::from_unix_timestamp(seconds)?;
    let (hour, minute, second) = time.to_hms();
    Ok(format!("{}T{hour:02}:{minute:02}:{second:02}Z", time.date()))
}

/// The time in `SOURCE_DATE_EPOCH`, in Unix seconds, or else 1970, so that two builds of the same source are the same.
///
/// # Errors
/// If the variable is not a number.
pub fn created() -> Result<i64> {
    std::env::var("SOURCE_DATE_EPOCH").map_or(Ok(0), |seconds| {
        seconds.parse().with_context(|| format!("SOURCE_DATE_EPOCH is '{seconds}', not a number"))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// A section of a component: its number, and its content after the length.
    fn section(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// A component that imports and exports an empty interface by these names, and contains others.
    fn component(import: &str, export: &str, contained: &[Vec<u8>]) -> Vec<u8> {
        let name = |name: &str| [&[0, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        // One type: an instance that declares nothing. The import is the instance 0 of this type; the export is that instance.
        bytes.extend(section(7, &[1, 0x42, 0]));
        bytes.extend(section(10, &[&[1][..], &name(import), &[5, 0]].concat()));
        for inner in contained {
            bytes.extend(section(4, inner));
        }
        bytes.extend(section(11, &[&[1][..], &name(export), &[5, 0, 0]].concat()));
        bytes
    }

    fn example() -> Vec<u8> {
        let inner = component("of:inner/a", "of:inner/b", &[]);
        component("wasi:cli/stdout@0.2.0", "wasi:cli/run@0.2.0", &[inner])
    }

    fn json(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    /// The bytes that a descriptor names, which must have its size and digest.
    fn named(folder: &Path, descriptor: &Value, seen: &mut BTreeSet<String>) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let bytes = fs::read(folder.join("blobs/sha256").join(digest)).unwrap();
        assert_eq!(sha256_hex(&bytes), digest);
        assert_eq!(descriptor["size"], bytes.len());
        seen.insert(digest.to_owned());
        bytes
    }

    #[test]
    fn every_digest_and_size_is_its_blobs() {
        let folder = tempfile::tempdir().unwrap();
        write(&example(), 1_440_938_160, folder.path()).unwrap();
        let read = |name: &str| json(&fs::read(folder.path().join(name)).unwrap());
        assert_eq!(read("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
        let index = read("index.json");
        assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&2.into(), &INDEX.into()));
        let mut seen = BTreeSet::new();
        let descriptor = &index["manifests"][0];
        let manifest = json(&named(folder.path(), descriptor, &mut seen));
        assert_eq!(
            (&descriptor["mediaType"], &manifest["mediaType"]),
            (&MANIFEST.into(), &MANIFEST.into())
        );
        let (config, layer) = (&manifest["config"], &manifest["layers"][0]);
        assert_eq!((&config["mediaType"], &layer["mediaType"]), (&CONFIG.into(), &LAYER.into()));
        assert_eq!(named(folder.path(), layer, &mut seen), example());
        assert_eq!(
            json(&named(folder.path(), config, &mut seen)),
            json!({
                "created": "2015-08-30T12:36:00Z", "architecture": "wasm", "os": "wasip2",
                "layerDigests": [layer["digest"]],
                "component": {"imports": ["wasi:cli/stdout@0.2.0"], "exports": ["wasi:cli/run@0.2.0"]},
            })
        );
        let blobs = fs::read_dir(folder.path().join("blobs/sha256")).unwrap();
        let blobs = blobs.map(|blob| blob.unwrap().file_name().into_string().unwrap());
        assert_eq!(blobs.collect::<BTreeSet<_>>(), seen);
    }

    #[test]
    fn the_same_component_gives_the_same_image_and_another_date_another() {
        let image = |created| {
            let folder = tempfile::tempdir().unwrap();
            write(&example(), created, folder.path()).unwrap();
            fs::read(folder.path().join("index.json")).unwrap()
        };
        assert_eq!(image(0), image(0));
        assert_ne!(image(0), image(1));
    }

    #[test]
    fn what_is_no_component_gives_no_image() {
        let cut = &example()[..20];
        for bytes in [b"", &b"\0asm\x01\0\0\0"[..], b"no component", cut] {
            let folder = tempfile::tempdir().unwrap();
            assert!(write(bytes, 0, &folder.path().join("image")).is_err(), "{bytes:?}");
            assert!(!folder.path().join("image").exists());
        }
    }
}
