//! Listening on a free port of 127.0.0.1.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::page::Site;
use crate::proxy::Proxy;

/// Serves the page, and the function under its `/cloud/`; says where.
///
/// # Errors
/// When there is no free port.
pub async fn listen(site: Site, function: Uri) -> Result<String> {
    let (site, proxy) = (Arc::new(site), Arc::new(Proxy::new(function)));
    let answer = move |request: Request<Incoming>| {
        let (site, proxy) = (Arc::clone(&site), Arc::clone(&proxy));
        async move {
            let response = match request.uri().path().strip_prefix("/cloud/") {
                // A tunnel is nothing that this server makes; the page refuses the method.
                Some(rest) if request.method() != Method::CONNECT => {
                    let rest = rest.to_owned();
                    proxy.pass(&rest, request).await
                }
                _ => site.answer(request.method(), request.uri().path()).await,
            };
            Ok::<_, Infallible>(response)
        }
    };
    spawn(service_fn(answer)).await
}

/// Serves `service` for as long as the process lives; says where.
///
/// # Errors
/// When there is no free port.
pub async fn spawn<S, B>(service: S) -> Result<String>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            // An answer in small pieces would wait 40 ms for the other side's word on each.
            let _ = socket.set_nodelay(true);
            let service = service.clone();
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // A browser that closes its tab breaks connections off; that is no news.
                let _ = server.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    Ok(url)
}
