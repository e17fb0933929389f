//! The control socket: operators' commands beside a running server that has its store to itself.
//!
//! `POST /v1/{operation}` with its input as JSON is answered with its output (200) or with why not (422), and
//! an operation that this release does not know with 404. Only the user this process runs as, and root, may
//! connect: the socket is 0600, and the kernel says who is there.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::maintenance;
use crate::http::app::App;
use crate::operations::{Actor, DispatchError, OperationError, dispatch};

/// The bound socket. Dropping it removes the file.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Binds the socket. Replaces a file that no process listens on any more.
    pub async fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is no socket"));
            }
            Ok(_) if UnixStream::connect(path).await.is_ok() => {
                let why = "another process listens there";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
            }
            Ok(_) | Err(_) => {}
        }
        // Under a temporary name: it gets its permissions before it can be found, and replaces an old socket in one
        // step.
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let passing = PathBuf::from(temporary);
        let _gone = std::fs::remove_file(&passing);
        let listener = UnixListener::bind(&passing)?;
        let renamed = std::fs::set_permissions(&passing, std::fs::Permissions::from_mode(0o600))
            .and_then(|()| std::fs::rename(&passing, path))
            .and_then(|()| std::fs::symlink_metadata(path));
        match renamed {
            Ok(made) => Ok(Self { listener, path: path.to_owned(), inode: made.ino() }),
            Err(error) => {
                let _gone = std::fs::remove_file(&passing);
                Err(error)
            }
        }
    }

    /// Serves requests until `stop` is true, then finishes those under way.
    pub async fn serve(self, app: App, mut stop: watch::Receiver<bool>) {
        let router = routes(app);
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stopping| *stopping) => break,
                accepted = self.listener.accept(), if open.len() < MAX_CONNECTIONS => accepted,
                Some(_) = open.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) => {
                    open.spawn(handle_connection(stream, router.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the control socket could not be accepted");
                    tokio::time::sleep(Duration::from_millis(75)).await;
                }
            }
        }
        let ended = async { while open.join_next().await.is_some() {} };
        let _cut = tokio::time::timeout(Duration::from_secs(5), ended).await;
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Unless another server has put its own socket there.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|it| it.ino() == self.inode) {
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}

/// Connections at the same time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 16;

/// The largest request body: a client's metadata, or a user's claims.
const MAX_REQUEST_BYTES: usize = 1024 * 1024;

fn routes(app: App) -> Router {
    Router::new()
        .route("/v1/{operation}", post(handle_operation))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(app)
}

async fn handle_connection(stream: UnixStream, router: Router) {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own || peer.uid() == 0 => {}
        Ok(peer) => {
            return tracing::warn!(uid = peer.uid(), "somebody else tried the control socket");
        }
        Err(error) => {
            return tracing::warn!(%error, "the control socket does not tell who is there");
        }
    }
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(5))
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection to the control socket broke");
    }
}

async fn handle_operation(
    State(app): State<App>,
    axum::extract::Path(name): axum::extract::Path<String>,
    body: Bytes,
) -> Response {
    let input: Value = match serde_json::from_slice(&body) {
        Ok(input) => input,
        Err(error) => {
            return error_response(&OperationError::Invalid(format!(
                "the input must be JSON: {error}"
            )));
        }
    };
    // In a task of its own, so that an operation is completed even when its caller disconnects.
    let done =
        tokio::spawn(run_operation(app.clone(), name, input)).await.unwrap_or_else(|_panicked| {
            error_response(&OperationError::Unavailable(
                "the operation failed; the log says why".to_owned(),
            ))
        });
    // The operation may have queued logouts, or changed scopes and APIs.
    app.logout_queued.notify_one();
    if let Err(why) = maintenance::refresh_catalogues(&app).await {
        tracing::warn!(%why, "added scopes and APIs could not be read");
    }
    done
}

async fn run_operation(app: App, name: String, input: Value) -> Response {
    match dispatch(&name, input, &app.operation_context(Actor::CommandLine)).await {
        Ok(output) => json(StatusCode::OK, &output),
        Err(DispatchError::Failed(why)) => error_response(&why),
        Err(DispatchError::Unknown) => StatusCode::NOT_FOUND.into_response(),
    }
}

fn error_response(why: &OperationError) -> Response {
    json(StatusCode::UNPROCESSABLE_ENTITY, &serde_json::to_value(why).unwrap_or_default())
}

fn json(status: StatusCode, value: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, Body::from(value.to_string())).into_response()
}
