//! HTTP servers on ports of 127.0.0.1.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::page::Site;
use crate::proxy::Proxy;

/// Listens on this port; 0 chooses a free one.
///
/// # Errors
/// If the port is in use.
pub async fn bind(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    listener.with_context(|| format!("listening on 127.0.0.1:{port}"))
}

/// Serves the page, and the function under `/cloud/`. Returns the URL.
///
/// # Errors
/// If the listener has no address.
pub fn listen(listener: TcpListener, site: Site, function: Uri) -> Result<String> {
    let (site, proxy) = (Arc::new(site), Arc::new(Proxy::new(function)));
    let answer = move |request: Request<Incoming>| {
        let (site, proxy) = (Arc::clone(&site), Arc::clone(&proxy));
        async move {
            let response = match request.uri().path().strip_prefix("/cloud/") {
                // This server opens no tunnels; the page refuses the method.
                Some(rest) if request.method() != Method::CONNECT => {
                    let rest = rest.to_owned();
                    proxy.pass(&rest, request).await
                }
                _ => site.answer(request.method(), request.uri().path()).await,
            };
            Ok::<_, Infallible>(response)
        }
    };
    serve(listener, service_fn(answer))
}

/// Serves `service` until the process exits. Returns the URL.
///
/// # Errors
/// If the listener has no address.
pub fn serve<S, B>(listener: TcpListener, service: S) -> Result<String>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            // With Nagle's algorithm, a response in small pieces would wait up to 40 ms for each acknowledgement.
            let _ = socket.set_nodelay(true);
            let service = service.clone();
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // Ignore errors: browsers drop connections when a tab closes.
                let _ = server.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    Ok(url)
}
