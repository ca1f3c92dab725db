//! `infra/gateway/grafana.json`, held against what the server exports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::bench::Bench;
use crate::server::Server;

/// The values of all fields with this name, at any depth.
fn fields<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    let below = match value {
        Value::Array(items) => items.iter().flat_map(|item| fields(item, name)).collect(),
        Value::Object(items) => items.values().flat_map(|item| fields(item, name)).collect(),
        _ => vec![],
    };
    value.get(name).into_iter().chain(below).collect()
}

/// The names of Fogline's series in a query.
fn series(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("fogline_"))
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let text = fs::read_to_string("../../infra/gateway/grafana.json").unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let served = String::from_utf8(Server::start(Bench::new(), &[]).get("/metrics").body).unwrap();
    // The name of a metric for the name of each of its series: histograms have three.
    let mut metrics = BTreeMap::new();
    for line in served.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (metric, kind) = line.split_once(' ').unwrap();
        let endings = if kind == "histogram" { &["_bucket", "_sum", "_count"][..] } else { &[""] };
        metrics.extend(endings.iter().map(|ending| (format!("{metric}{ending}"), metric)));
    }
    let queries = fields(&dashboard, "expr");
    let queries: Vec<_> = queries.iter().map(|query| query.as_str().unwrap()).collect();
    assert!(queries.iter().all(|query| series(query).next().is_some()), "{queries:#?}");
    let shown: BTreeSet<_> = queries
        .iter()
        .flat_map(|query| series(query))
        .map(|name| *metrics.get(name).unwrap_or_else(|| panic!("no series is called '{name}'")))
        .collect();
    assert_eq!(shown, metrics.values().copied().collect());
}

#[test]
fn the_dashboard_can_be_imported_beside_others() {
    let text = fs::read_to_string("../../infra/gateway/grafana.json").unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    // The data source is whichever the importer chooses.
    let sources = fields(&dashboard, "datasource");
    assert!(sources.len() > panels.len(), "{sources:?}");
    for source in sources {
        assert_eq!(source["uid"], "${datasource}");
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names, ["datasource", "instance"]);
    // Panels that overlap would be moved on import.
    for (at, panel) in panels.iter().enumerate() {
        for other in &panels[at + 1..] {
            assert!(!overlap(&panel["gridPos"], &other["gridPos"]), "{panel} {other}");
        }
    }
}

/// Whether two panels share a cell of the grid, which is 24 wide.
fn overlap(one: &Value, other: &Value) -> bool {
    let edge = |of: &Value, name: &str| of[name].as_u64().unwrap();
    let shares = |from: &str, length: &str| {
        let (first, second) = (edge(one, from), edge(other, from));
        first < second + edge(other, length) && second < first + edge(one, length)
    };
    assert!(edge(one, "x") + edge(one, "w") <= 24, "{one}");
    shares("x", "w") && shares("y", "h")
}
