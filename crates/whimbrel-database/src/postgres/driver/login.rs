//! From a socket to a session: TLS if it is wanted, then the login.

use std::io;

use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::scram::{Binding, PLAIN, PLUS, Scram, ScramError};
use super::transport::Transport;
use super::{Driver, answer, protocol, tls};
use crate::error::{BoxError, ConnectErrorKind, DatabaseError, ServerError};
use crate::target::{ChannelBindingMode, Endpoint, Target, TlsMode};

type Failed = (ConnectErrorKind, BoxError);

/// Why a login came to its end on our side.
#[derive(Debug, thiserror::Error)]
enum LoginError {
    #[error("the server does not speak TLS, which sslmode={0} wants")]
    NoTls(&'static str),
    #[error(
        "the server wants the password in clear text, and nothing encrypts the connection: it was not sent \
         (let the server use scram-sha-256, or connect with sslmode=verify-full)"
    )]
    ClearText,
    #[error("the server wants a password, and there is none")]
    NoPassword,
    #[error("the server wants to authenticate by {0}, which is not supported (scram-sha-256 and md5 are)")]
    Method(&'static str),
    #[error("channel_binding=require, and the server did not bind the login to the TLS connection")]
    NotBound,
    #[error("the server did not prove that it knows the password")]
    NoProof(#[source] ScramError),
    #[error("the server said something unexpected during the login")]
    Unexpected,
}

/// Tries the ways that the TLS mode allows, in libpq's order.
pub(super) async fn open(target: &Target, endpoint: &Endpoint, name: &str) -> Result<Driver, Failed> {
    let first = |with_tls| attempt(target, endpoint, name, with_tls);
    if endpoint.host.starts_with('/') {
        return first(false).await;
    }
    match target.tls {
        TlsMode::Disable => first(false).await,
        TlsMode::Allow => match first(false).await {
            Err(failed) if is_refused_this_way(&failed) => first(true).await,
            other => other,
        },
        TlsMode::Prefer => match first(true).await {
            // As libpq: what failed by TLS, or is not let in by TLS, is tried without.
            Err(failed) if failed.0 == ConnectErrorKind::Tls || is_refused_this_way(&failed) => {
                first(false).await
            }
            other => other,
        },
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => first(true).await,
    }
}

/// No line of pg_hba.conf lets this way in, encrypted or not; the other one may be open.
fn is_refused_this_way((_, cause): &Failed) -> bool {
    cause.downcast_ref::<ServerError>().is_some_and(|error| error.sqlstate == "28000")
}

async fn attempt(target: &Target, endpoint: &Endpoint, name: &str, with_tls: bool) -> Result<Driver, Failed> {
    let mut transport =
        Transport::connect(endpoint).await.map_err(|error| (ConnectErrorKind::Unreachable, error.into()))?;
    let mut bound = None;
    if with_tls {
        (transport, bound) = secured(transport, target, endpoint).await?;
    }
    let mut connection = Driver::new(transport, target.socket_timeout);
    log_in(&mut connection, target, name, bound).await?;
    Ok(connection)
}

/// Asks for TLS and shakes hands; plain where the server has none and the mode does not mind.
async fn secured(
    transport: Transport,
    target: &Target,
    endpoint: &Endpoint,
) -> Result<(Transport, Option<Vec<u8>>), Failed> {
    let Transport::Tcp(mut stream) = transport else { return Ok((transport, None)) };
    let mut request = bytes::BytesMut::new();
    frontend::ssl_request(&mut request);
    let unreachable = |error: io::Error| (ConnectErrorKind::Unreachable, error.into());
    stream.write_all(&request).await.map_err(unreachable)?;
    // Nothing that a man in the middle sends along in the clear may pass for something encrypted: one byte is read,
    // and what comes behind it goes to TLS.
    let answer = stream.read_u8().await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            (ConnectErrorKind::Unreachable, "the other side closed the connection".into())
        }
        _ => unreachable(error),
    })?;
    match answer {
        b'S' => tls::handshake(stream, target, endpoint).await,
        // A server that is about to end answers with an error instead.
        b'E' => Err((ConnectErrorKind::NotReady, "the server refused to talk about TLS".into())),
        b'N' if matches!(target.tls, TlsMode::Prefer | TlsMode::Allow) => Ok((Transport::Tcp(stream), None)),
        b'N' => Err((ConnectErrorKind::Tls, LoginError::NoTls(target.tls.as_str()).into())),
        _ => Err((ConnectErrorKind::Other, LoginError::Unexpected.into())),
    }
}

async fn log_in(
    connection: &mut Driver,
    target: &Target,
    name: &str,
    bound: Option<Vec<u8>>,
) -> Result<(), Failed> {
    frontend::startup_message(startup(target, name), &mut connection.outgoing).map_err(other)?;
    let mut must_bind = target.channel_binding == ChannelBindingMode::Require;
    loop {
        connection.flush().await.map_err(failed)?;
        match connection.next_message().await.map_err(failed)? {
            Message::AuthenticationOk if must_bind => return Err(refused(LoginError::NotBound)),
            Message::AuthenticationOk => {}
            Message::AuthenticationCleartextPassword => {
                if !connection.transport.is_private() {
                    return Err(refused(LoginError::ClearText));
                }
                frontend::password_message(password(target)?.as_bytes(), &mut connection.outgoing)
                    .map_err(other)?;
            }
            Message::AuthenticationMd5Password(body) => {
                tracing::warn!(target: "whimbrel", "the server asks for an md5 password, which is weak: scram-sha-256 is better");
                let user = target.user.as_deref().unwrap_or_default();
                let hash = md5_hash(user.as_bytes(), password(target)?.as_bytes(), body.salt());
                frontend::password_message(hash.as_bytes(), &mut connection.outgoing).map_err(other)?;
            }
            Message::AuthenticationSasl(body) => {
                must_bind &= !scram(connection, target, &body, bound.as_deref()).await?;
            }
            Message::AuthenticationKerberosV5 | Message::AuthenticationGss => {
                return Err(refused(LoginError::Method("GSSAPI")));
            }
            Message::AuthenticationSspi => return Err(refused(LoginError::Method("SSPI"))),
            Message::AuthenticationScmCredential => {
                return Err(refused(LoginError::Method("SCM credentials")));
            }
            Message::BackendKeyData(_) => {}
            Message::ReadyForQuery(_) => return Ok(()),
            Message::ErrorResponse(body) => {
                let error = answer::server_error(&body).map_err(other)?;
                return Err(failed(DatabaseError::Server(error)));
            }
            Message::NoticeResponse(_) => {}
            _ => return Err((ConnectErrorKind::Other, LoginError::Unexpected.into())),
        }
    }
}

/// What the session begins with. Dates, encoding and time zone are fixed, so that nothing depends on the server's.
fn startup<'a>(target: &'a Target, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let user = target.user.as_deref();
    [
        ("user", user),
        ("database", target.database.as_deref().or(user)),
        ("application_name", Some(name)),
        ("client_encoding", Some("UTF8")),
        ("DateStyle", Some("ISO, MDY")),
        ("TimeZone", Some("UTC")),
        ("search_path", target.search_path.as_deref()),
        ("options", target.options.as_deref()),
        ("default_transaction_read_only", target.read_only.then_some("on")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// SCRAM-SHA-256, bound to the TLS connection where server and certificate allow it. Whether it was bound.
async fn scram(
    connection: &mut Driver,
    target: &Target,
    offered: &AuthenticationSaslBody,
    end_point: Option<&[u8]>,
) -> Result<bool, Failed> {
    let (mut plain, mut plus) = (false, false);
    let mut mechanisms = offered.mechanisms();
    while let Some(mechanism) = mechanisms.next().map_err(other)? {
        plain |= mechanism == PLAIN;
        plus |= mechanism == PLUS;
    }
    let wanted = target.channel_binding != ChannelBindingMode::Disable;
    let (mechanism, binding) = match end_point.filter(|_| wanted) {
        Some(hash) if plus => (PLUS, Binding::EndPoint(hash)),
        Some(_) if plain => (PLAIN, Binding::NotOffered),
        None if plain => (PLAIN, Binding::Unsupported),
        _ => return Err(refused(LoginError::Method("a SASL mechanism of its own"))),
    };
    let bound = mechanism == PLUS;
    if target.channel_binding == ChannelBindingMode::Require && !bound {
        return Err(refused(LoginError::NotBound));
    }
    let unproven = |error| refused(LoginError::NoProof(error));
    let password = password(target)?;
    let begun = Scram::new(binding).map_err(unproven)?;
    let first = begun.first();
    frontend::sasl_initial_response(mechanism, first.as_bytes(), &mut connection.outgoing).map_err(other)?;
    connection.flush().await.map_err(failed)?;
    let (last, expected) = match connection.next_message().await.map_err(failed)? {
        Message::AuthenticationSaslContinue(body) => begun.answer(password, body.data()).map_err(unproven)?,
        message => return Err(instead(&message)),
    };
    frontend::sasl_response(last.as_bytes(), &mut connection.outgoing).map_err(other)?;
    connection.flush().await.map_err(failed)?;
    match connection.next_message().await.map_err(failed)? {
        Message::AuthenticationSaslFinal(body) => expected.verify(body.data()).map_err(unproven)?,
        message => return Err(instead(&message)),
    }
    Ok(bound)
}

fn password(target: &Target) -> Result<&str, Failed> {
    match &target.password {
        Some(password) => Ok(password.expose_secret()),
        None => Err(refused(LoginError::NoPassword)),
    }
}

/// An error in the place of the next step.
fn instead(message: &Message) -> Failed {
    match message {
        Message::ErrorResponse(body) => match answer::server_error(body) {
            Ok(error) => failed(DatabaseError::Server(error)),
            Err(error) => other(error),
        },
        _ => (ConnectErrorKind::Other, LoginError::Unexpected.into()),
    }
}

fn refused(error: LoginError) -> Failed {
    (ConnectErrorKind::LoginRefused, error.into())
}

fn other(error: io::Error) -> Failed {
    failed(protocol(error))
}

fn failed(error: DatabaseError) -> Failed {
    match error {
        DatabaseError::Server(error) => {
            let kind = match error.sqlstate.as_str() {
                // Starting up, shutting down, killed by a neighbour's crash, no slot free.
                "57P03" | "57P01" | "57P02" | "53300" | "53200" => ConnectErrorKind::NotReady,
                "3D000" => ConnectErrorKind::NoDatabase,
                code if code.starts_with("28") => ConnectErrorKind::LoginRefused,
                "42501" | "42704" => ConnectErrorKind::LoginRefused,
                _ => ConnectErrorKind::Other,
            };
            (kind, error.into())
        }
        DatabaseError::ConnectionLost(error) => (ConnectErrorKind::Unreachable, error),
        DatabaseError::Protocol(error) => (ConnectErrorKind::Other, error),
        error @ DatabaseError::NotAHistory(_) => (ConnectErrorKind::Other, error.into()),
    }
}
