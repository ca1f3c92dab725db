//! A host other than Lambda: a plain HTTP server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fogline::frame::{MAX_FRAME, Response as Scores};
use fogline_cloud::function::{Auth, Call, Function};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpListener;

use crate::bucket::Bucket;
use crate::request::{expected, get, golden, infer, post, refused};

/// The whole host.
async fn serve(listener: TcpListener, function: Arc<Function>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let function = Arc::clone(&function);
        let service = service_fn(move |request| answer(Arc::clone(&function), request));
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer(
    function: Arc<Function>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let (head, mut body) = request.into_parts();
    let mut read = BytesMut::new();
    // The function refuses longer bodies, so it need not see the rest.
    while read.len() <= MAX_FRAME
        && let Some(frame) = body.frame().await
    {
        read.extend(frame?.into_data());
    }
    let call = Call { deadline: Some(deadline), ..Call::default() };
    let answer = function.handle(Request::from_parts(head, read.into()), call).await;
    Ok(answer.map(Full::new))
}

#[tokio::test]
async fn a_plain_http_server_is_a_host() {
    let bucket = Bucket::with_pair().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let function = Function::new(Auth::Anybody, bucket.plans());
    tokio::spawn(serve(listener, Arc::new(function)));

    let client = Client::builder(TokioExecutor::new()).build_http();
    let ask = async |mut request: Request<Bytes>| {
        *request.uri_mut() = format!("http://{address}{}", request.uri()).parse().unwrap();
        let (head, body) = client.request(request.map(Full::new)).await.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    };
    let scores = ask(infer()).await;
    assert!(scores.headers().contains_key("server-timing"));
    assert_eq!(json!(Scores::decode(scores.body()).unwrap().scores), expected()["logits"]);
    let readable = ask(post(golden(), &[("accept", "application/json")])).await;
    assert_eq!(readable.headers()["content-type"], "application/json");
    assert_eq!(ask(get("/v2/models/tiny?verbose")).await.status(), 200);
    for (request, status, word) in [
        (get("/infer"), 405, "method_not_allowed"),
        (get("/"), 404, "not_found"),
        (post(vec![b'F'; MAX_FRAME + 1], &[]), 413, "too_large"),
    ] {
        assert_eq!(refused(&ask(request).await), (status, word.to_owned()));
    }
}
