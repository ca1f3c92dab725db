//! The gateway for people: what it runs and what it has answered, on a page that loads nothing else.

use core::fmt;

use fogline_edge::device::metrics::{Metrics, Words};

use super::gateway::Gateway;

/// The page of a gateway, and of what it has counted where that is kept.
pub struct Page<'a> {
    pub gateway: &'a Gateway,
    pub counts: Option<Metrics>,
    /// What the page's style must show to be taken.
    pub nonce: &'a str,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.gateway.session();
        let manifest = session.manifest();
        let thresholds: Vec<_> = session.thresholds().iter().map(f32::to_string).collect();
        let mut tables = table(
            "This instance",
            [
                ("pair".into(), format!("{} {}", manifest.name, manifest.version)),
                ("digest".into(), hex::encode(manifest.pair_digest())),
                (
                    "exits decide by".into(),
                    format!("{} at {}", session.policy(), thresholds.join(", ")),
                ),
                ("cloud".into(), self.gateway.cloud().replace('_', " ")),
                ("engine".into(), format!("{}, {}", env!("CARGO_PKG_VERSION"), session.backend())),
            ],
        );
        if let Some(counts) = &self.counts {
            let rows = |words: &Words| -> Vec<_> {
                words.iter().map(|(word, number)| (word.to_owned(), number.to_string())).collect()
            };
            tables += &table("Answered by", rows(&counts.samples));
            tables += &table("Of these degraded by", rows(&counts.degraded));
            tables += &table("Refused by", rows(&counts.refused));
            tables +=
                &table("Sent to the cloud", [("bytes".into(), counts.bytes_sent.to_string())]);
        }
        write!(f, include_str!("page.html"), nonce = self.nonce, tables = tables)
    }
}

/// A table of names and texts, which may be anybody's.
fn table(caption: &str, rows: impl IntoIterator<Item = (String, String)>) -> String {
    let rows = rows.into_iter().map(|(name, text)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", shown(&name), shown(&text))
    });
    format!("<table>\n<caption>{caption}</caption>\n{}</table>\n", rows.collect::<String>())
}

fn shown(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
