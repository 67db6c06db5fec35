//! A registry in memory that misbehaves on request. It speaks just enough of the protocol, one request a connection.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use whimbrel_image::{Digest, RegistryName};

/// What happens to the next request whose line begins so.
#[derive(Debug, Clone)]
pub struct Fault {
    pub request: &'static str,
    pub effect: Effect,
}

#[derive(Debug, Clone)]
pub enum Effect {
    /// This status with these headers and this body.
    Answer(u16, &'static str, &'static str),
    /// The connection ends after the head of the request.
    CutBeforeBody,
    /// The connection ends in the middle of the answer.
    CutAnswer,
    /// The answer claims another digest.
    OtherDigest,
    /// No answer at all.
    Silence,
}

#[derive(Debug, Default)]
pub struct State {
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub manifests: BTreeMap<String, Vec<u8>>,
    pub faults: VecDeque<Fault>,
    /// Every request line with the time of its arrival, and whether it was authorized.
    pub log: Vec<(String, Instant, Option<String>)>,
    /// What `Authorization` must be; without it, 401 with this challenge.
    pub wanted: Option<(String, String)>,
}

#[derive(Clone)]
pub struct Fake {
    pub state: Arc<Mutex<State>>,
    pub name: RegistryName,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = listener.local_addr().unwrap().to_string().parse().unwrap();
        let fake = Self { state: Arc::default(), name };
        let state = Arc::clone(&fake.state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    // A client that goes away is part of the tests.
                    let _ = serve(stream, &state).await;
                });
            }
        });
        fake
    }

    pub fn fault(&self, request: &'static str, effect: Effect) {
        self.state.lock().unwrap().faults.push_back(Fault { request, effect });
    }

    pub fn requests(&self, beginning: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.log.iter().filter(|(line, _, _)| line.starts_with(beginning)).count()
    }

    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.iter().map(|(line, _, _)| line.clone()).collect()
    }
}

struct Request {
    line: String,
    path: String,
    authorization: Option<String>,
    body: Vec<u8>,
}

async fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let fault = {
        let mut state = state.lock().unwrap();
        state.log.push((line.clone(), Instant::now(), header("authorization")));
        let position = state.faults.iter().position(|fault| line.starts_with(fault.request));
        position.and_then(|position| state.faults.remove(position)).map(|fault| fault.effect)
    };
    if matches!(fault, Some(Effect::CutBeforeBody)) {
        return Ok(());
    }
    let length = header("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let path = line.split_once(' ').unwrap().1.to_owned();
    let request = Request { path, line, authorization: header("authorization"), body };
    let answer = match fault {
        Some(Effect::Answer(status, headers, text)) => response(status, headers, text.as_bytes(), true),
        Some(Effect::Silence) => {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            return Ok(());
        }
        Some(Effect::CutAnswer) => {
            let mut answer = answer(&request, &mut state.lock().unwrap());
            answer.truncate(answer.len().saturating_sub(10));
            answer
        }
        Some(Effect::OtherDigest) => {
            let other = format!("Docker-Content-Digest: {}\r\nLocation: /x\r\n", Digest::of(b"other"));
            response(201, &other, b"", true)
        }
        _ => answer(&request, &mut state.lock().unwrap()),
    };
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

fn response(status: u16, headers: &str, body: &[u8], with_body: bool) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status} x\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if with_body {
        bytes.extend_from_slice(body);
    }
    bytes
}

fn answer(request: &Request, state: &mut State) -> Vec<u8> {
    if let Some((wanted, challenge)) = &state.wanted
        && request.authorization.as_ref() != Some(wanted)
        && request.path.starts_with("/v2/")
    {
        let header = format!("WWW-Authenticate: {challenge}\r\n");
        let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#;
        return response(401, &header, body, true);
    }
    let (method, _) = request.line.split_once(' ').unwrap();
    let last = request.path.rsplit('/').next().unwrap();
    let with_body = method != "HEAD";
    match method {
        "POST" => response(202, "Location: /v2/upload/1?state=a\r\n", b"", true),
        "PUT" if request.path.contains("/manifests/") => {
            let digest = Digest::of(&request.body);
            state.manifests.insert(last.to_owned(), request.body.clone());
            state.manifests.insert(digest.to_string(), request.body.clone());
            response(201, &format!("Docker-Content-Digest: {digest}\r\nLocation: /x\r\n"), b"", true)
        }
        "PUT" => {
            let digest = Digest::of(&request.body).to_string();
            let wanted = request.path.split("digest=").nth(1).unwrap().replace("%3A", ":");
            if digest != wanted {
                return response(400, "", br#"{"errors":[{"code":"DIGEST_INVALID"}]}"#, true);
            }
            state.blobs.insert(digest, request.body.clone());
            response(201, "Location: /x\r\n", b"", true)
        }
        _ => {
            let (store, media) = if request.path.contains("/manifests/") {
                (&state.manifests, "application/vnd.oci.image.index.v1+json")
            } else {
                (&state.blobs, "application/octet-stream")
            };
            if request.path == "/v2/" {
                return response(200, "", b"{}", with_body);
            }
            match store.get(last) {
                Some(bytes) => {
                    let digest = Digest::of(bytes);
                    let headers = format!("Docker-Content-Digest: {digest}\r\nContent-Type: {media}\r\n");
                    response(200, &headers, bytes, with_body)
                }
                None => response(404, "", br#"{"errors":[{"code":"UNKNOWN"}]}"#, with_body),
            }
        }
    }
}
