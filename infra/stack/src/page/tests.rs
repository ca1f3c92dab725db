//! Tests the page over real HTTP, with a stand-in for the function.

use std::convert::Infallible;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use super::Site;
use crate::proxy::AT_ONCE;
use crate::server;

const PAGE: &str =
    r#"<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src 'self'">"#;

struct Fixture {
    folder: TempDir,
    url: String,
}

/// A page with a few files, and a function that echoes its request.
async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (file, text) in [
        ("page/index.html", PAGE),
        ("page/js/main.js", "export {}"),
        ("page/.hidden", "no"),
        ("pkg/fogline_edge_bg.wasm", "\0asm"),
        ("models/tiny/1.0.0/edge.fog", "fog"),
        ("pictures/index.json", "[]"),
        ("secret.txt", "secret"),
    ] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink(root.join("secret.txt"), root.join("page/link.txt")).unwrap();
    let echo = service_fn(|request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut answer = format!("{} {} ", parts.method, parts.uri).into_bytes();
        answer.extend_from_slice(&body);
        let mut response = Response::new(Full::new(Bytes::from(answer)));
        *response.status_mut() = hyper::StatusCode::IM_A_TEAPOT;
        for name in ["content-type", "accept"] {
            if let Some(value) = parts.headers.get(name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok::<_, Infallible>(response)
    });
    let function = server::serve(server::bind(0).await.unwrap(), echo).unwrap();
    let function: Uri = format!("{function}/lambda-url/fogline-cloud").parse().unwrap();
    let config = serde_json::json!({"cloud": "cloud"});
    let site = Site::new(&root.join("page"), &root.join("pkg"), &root.join("models"), &config)
        .with_gallery(Some(root.join("pictures")));
    let url = server::listen(server::bind(0).await.unwrap(), site, function).unwrap();
    Fixture { folder, url }
}

/// Sends a request. Returns status, content type and body.
async fn ask(request: Request<Full<Bytes>>) -> (u16, String, String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let content_type = header("content-type").unwrap_or_default();
    if status == 200 {
        assert_eq!(header("cache-control").as_deref(), Some("no-cache"));
        assert_eq!(header("content-security-policy").as_deref(), Some("default-src 'self'"));
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, content_type, String::from_utf8(body.to_vec()).unwrap())
}

fn request(method: &str, url: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(url).body(body.into()).unwrap()
}

#[tokio::test]
async fn files_have_the_types_that_browsers_insist_on() {
    let fixture = fixture().await;
    for (path, content_type, body) in [
        ("/", "text/html; charset=utf-8", PAGE),
        ("/index.html", "text/html; charset=utf-8", PAGE),
        ("/js/main.js?v=1", "text/javascript; charset=utf-8", "export {}"),
        ("/pkg/fogline_edge_bg.wasm", "application/wasm", "\0asm"),
        // The only engine there is.
        ("/pkg/relaxed/fogline_edge_bg.wasm", "application/wasm", "\0asm"),
        ("/models/tiny/1.0.0/edge.fog", "application/octet-stream", "fog"),
        ("/gallery/index.json", "application/json", "[]"),
        ("/config.json", "application/json", "{\"cloud\":\"cloud\"}"),
    ] {
        let (status, got, text) = ask(request("GET", &format!("{}{path}", fixture.url), "")).await;
        assert_eq!((status, got.as_str(), text.as_str()), (200, content_type, body), "{path}");
    }
    let (status, _, body) = ask(request("HEAD", &format!("{}/", fixture.url), "")).await;
    assert_eq!((status, body.as_str()), (200, ""));
    let (status, ..) = ask(request("POST", &format!("{}/", fixture.url), "")).await;
    assert_eq!(status, 405);
}

/// HTTP clients normalise paths, so these requests are written by hand.
#[tokio::test]
async fn no_path_leads_out_of_the_folders() {
    let fixture = fixture().await;
    let address = fixture.url.trim_start_matches("http://");
    let whole = format!("/{}", fixture.folder.path().join("secret.txt").display());
    for path in [
        "/../secret.txt",
        "/js/../../secret.txt",
        "/models/../../secret.txt",
        "/gallery/../secret.txt",
        "/pkg/..%2f..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/..\\secret.txt",
        "/link.txt",
        "/.hidden",
        "/js",
        "/js/",
        "//secret.txt",
        &whole,
    ] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let ask = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        socket.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 40"), "{path}: {answer}");
        assert!(!answer.ends_with("secret"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn the_cloud_is_the_function() {
    let fixture = fixture().await;
    let mut infer = request("POST", &format!("{}/cloud/infer?x=1", fixture.url), "frame");
    infer.headers_mut().insert("content-type", "application/vnd.fogline.frame".parse().unwrap());
    let (status, content_type, body) = ask(infer).await;
    assert_eq!(status, 418);
    assert_eq!(content_type, "application/vnd.fogline.frame");
    assert_eq!(body, "POST /lambda-url/fogline-cloud/infer?x=1 frame");
}

#[tokio::test]
async fn a_function_that_is_gone_is_a_typed_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let site = Site::new(folder.path(), folder.path(), folder.path(), &serde_json::json!({}));
    let listener = server::bind(0).await.unwrap();
    let url = server::listen(listener, site, gone.parse().unwrap()).unwrap();
    let (status, ..) = ask(request("GET", &format!("{url}/gallery/index.json"), "")).await;
    assert_eq!(status, 404, "this page has no gallery");
    let (status, content_type, body) =
        ask(request("POST", &format!("{url}/cloud/infer"), "")).await;
    assert_eq!((status, content_type.as_str()), (502, "application/json"));
    assert!(body.contains("\"error\":\"cloud_unreachable\""), "{body}");
}

/// Sends these bytes. Returns the response's status line and body.
async fn raw(url: &str, request: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_client_s_fault_is_not_laid_at_the_function_s_door() {
    let page = fixture().await;
    let head = "POST /cloud/infer HTTP/1.1\r\nhost: h\r\nconnection: close\r\n";
    let over = (6 << 20) + 1;
    let large = format!("{head}transfer-encoding: chunked\r\n\r\n{over:x}\r\n");
    let large = [large.into_bytes(), vec![0; over]].concat();
    let (status, body) = raw(&page.url, &large).await;
    assert!(status.contains("413") && body.contains("too_large"), "{status} {body}");
    // Refused at once by its length: the body never arrives. Lengths around 2^32 must not wrap to small numbers.
    for length in [over as u64, 1 << 32, u64::MAX - 2] {
        let stated = format!("{head}content-length: {length}\r\n\r\nabc");
        let (status, body) = raw(&page.url, stated.as_bytes()).await;
        assert!(status.contains("413") && body.contains("too_large"), "{length}: {status} {body}");
    }
    let broken = b"POST /cloud/infer HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\
                   transfer-encoding: chunked\r\n\r\nxyz\r\n";
    let (status, body) = raw(&page.url, broken).await;
    assert!(status.contains("400") && body.contains("body_broken"), "{status} {body}");
    let tunnel = b"CONNECT h:80 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let (status, _) = raw(&page.url, tunnel).await;
    assert!(status.contains("405"), "{status}");
}

#[tokio::test]
async fn a_pipe_is_not_waited_for() {
    let page = fixture().await;
    let pipe = page.folder.path().join("page/pipe.txt");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let ask = b"GET /pipe.txt HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let (status, _) = raw(&page.url, ask).await;
    assert!(status.contains("404"), "{status}");
}

#[tokio::test]
async fn a_request_without_host_is_answered() {
    let page = fixture().await;
    for path in ["/", "/cloud/health"] {
        let (status, _) = raw(&page.url, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await;
        assert!(status.contains("200") || status.contains("418"), "{path}: {status}");
    }
}

/// This many concurrent requests would deadlock cargo-lambda's emulator.
#[tokio::test]
async fn twice_as_many_requests_as_the_emulator_bears_reach_it_in_turn() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, full) = (Arc::clone(&most), Arc::new(Barrier::new(AT_ONCE)));
    let function = service_fn(move |_: Request<Incoming>| {
        let (now, most, full) = (Arc::clone(&now), Arc::clone(&seen), Arc::clone(&full));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            full.wait().await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }
    });
    let function =
        server::serve(server::bind(0).await.unwrap(), function).unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), folder.path(), folder.path(), &serde_json::json!({}));
    let url = server::listen(server::bind(0).await.unwrap(), site, function).unwrap();
    let asked: Vec<_> = (0..2 * AT_ONCE)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { raw(&url, b"GET /cloud/health HTTP/1.0\r\n\r\n").await.0 })
        })
        .collect();
    for status in asked {
        assert!(status.await.unwrap().contains("200"));
    }
    assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
}
