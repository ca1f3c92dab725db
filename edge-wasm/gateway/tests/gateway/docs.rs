//! The documentation's command lines, held against what the component and wasmtime say of themselves.

#[path = "../../../../xtask/src/docs/pages.rs"]
mod pages;

use std::fs;
use std::process::Command;

use crate::bench::{Bench, variable};
use crate::server::Server;

/// The help of a command of the component.
fn help(command: &str) -> String {
    let output = Bench::new().run(&[command, "--help"]);
    assert!(output.status.success(), "there is no command '{command}'");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a help text lists the option that a word of a command line begins with.
fn lists(help: &str, word: &str) -> bool {
    let name = word.split(['=', '…']).next().unwrap_or_default();
    help.split(|c: char| c.is_whitespace() || "[,".contains(c)).any(|listed| listed == name)
}

#[test]
fn command_lines_in_the_docs_are_the_components_own() {
    let mut seen = 0;
    for (page, text) in pages::pages() {
        let page = page.display();
        for call in text.replace("\\\n", " ").split("fogline.wasm ").skip(1) {
            let call = call.split(['\n', '`', '#']).next().unwrap();
            let mut words = call.split_whitespace();
            let help = help(words.next().unwrap());
            for option in words.filter(|word| word.starts_with("--")) {
                assert!(lists(&help, option), "{page}: fogline.wasm {call}: no option {option}");
            }
            seen += 1;
        }
    }
    assert!(seen > 2, "{seen} command lines were found");
}

#[test]
fn options_that_the_gateways_page_names_exist() {
    let text = fs::read_to_string("../../docs/gateway.md").unwrap();
    let table = text.split("| command | what it does |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let commands = rows.flat_map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        cell.split('`').skip(1).step_by(2).map(|code| code.split(' ').next().unwrap())
    });
    let commands: Vec<&str> = commands.collect();
    assert!(commands.len() > 5, "{commands:?}");
    let mut all: Vec<String> = commands.into_iter().map(help).collect();
    for command in ["run", "serve"] {
        let output = Command::new(variable("FOGLINE_WASMTIME")).args([command, "--help"]).output();
        all.push(String::from_utf8(output.unwrap().stdout).unwrap());
    }
    let text = text + &fs::read_to_string("../../docs/watch.md").unwrap();
    for code in text.split('`').skip(1).step_by(2).filter(|code| !code.contains("cargo xtask")) {
        for option in code.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(all.iter().any(|help| lists(help, option)), "`{code}`: no option {option}");
        }
    }
}

#[test]
fn error_codes_of_watch_are_in_its_docs() {
    let page = fs::read_to_string("../../docs/watch.md").unwrap();
    let table = page.split("## Error codes").nth(1).unwrap();
    let mut sources = vec![];
    for file in ["watch/broker.rs", "watch/folder.rs", "watch/http.rs", "watch/sources.rs"] {
        sources.push(fs::read_to_string(format!("src/component/{file}")).unwrap());
    }
    sources.push(fs::read_to_string("src/mqtt.rs").unwrap());
    sources.push(fs::read_to_string("../src/device/watch/mjpeg.rs").unwrap());
    let words = sources.iter().flat_map(|text| text.split('"').skip(1).step_by(2));
    let is_code = |word: &&str| {
        let kinds = ["camera_", "mqtt_", "source_", "sources_"];
        kinds.iter().any(|kind| word.starts_with(kind)) && !word.contains([' ', '{'])
    };
    let codes: Vec<_> = words.filter(is_code).collect();
    assert!(codes.len() > 12, "{codes:?}");
    for code in codes {
        assert!(table.contains(&format!("`{code}`")), "docs/watch.md lacks {code}");
    }
}

#[test]
fn metrics_that_the_gateways_page_lists_are_the_servers() {
    let page = fs::read_to_string("../../docs/gateway.md").unwrap();
    let listed = page.lines().filter_map(|row| row.strip_prefix("| `fogline_"));
    let mut listed: Vec<_> = listed.filter_map(|row| row.split(['`', '{']).next()).collect();
    let text = String::from_utf8(Server::start(Bench::new(), &[]).get("/metrics").body).unwrap();
    let served = text.lines().filter_map(|line| line.strip_prefix("# TYPE fogline_"));
    let mut served: Vec<_> = served.filter_map(|metric| metric.split(' ').next()).collect();
    listed.sort_unstable();
    served.sort_unstable();
    assert_eq!(listed, served);
}

#[test]
fn the_versions_on_the_gateways_page_are_the_components() {
    let said = |flag: &str| String::from_utf8(Bench::new().run(&[flag]).stdout).unwrap();
    assert_eq!(said("-V"), format!("fogline {}\n", env!("CARGO_PKG_VERSION")));
    let versions = said("--version");
    assert!(versions.starts_with(&said("-V")) && versions.lines().count() == 5, "{versions}");
    let block = format!("    {}\n", versions.trim_end().replace('\n', "\n    "));
    let page = fs::read_to_string("../../docs/gateway.md").unwrap();
    assert!(page.contains(&block), "{block}");
}
