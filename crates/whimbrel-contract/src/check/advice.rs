//! What to do next, in the words of the place where the secrets are.

use crate::{Cause, CauseNote, Place, Slug, UnknownReason, text};

pub(super) fn correct_value(place: &Place, secret: &str, key: &str) -> String {
    match place {
        Place::Kubernetes { namespace, .. } => format!(
            "correct `{key}` where the secret is made, or by hand: kubectl -n {namespace} edit secret {secret}"
        ),
        Place::Folder { path } => format!("correct the file {path}/{secret}/{key}"),
        Place::Dotenv { path } => format!("correct the line {key}=… in {path}"),
        Place::Environment => format!("correct the variable {key}"),
    }
}

pub(super) fn add_key(place: &Place, secret: &str, key: &str, similar: Option<&str>) -> String {
    let similar = similar.map(|s| format!(" (there is a key `{s}`)")).unwrap_or_default();
    match place {
        Place::Kubernetes { namespace, .. } => format!(
            "add `{key}` where the secret is made{similar}; see its keys: kubectl -n {namespace} describe secret {secret}"
        ),
        Place::Folder { path } => format!("write the file {path}/{secret}/{key}{similar}"),
        Place::Dotenv { path } => format!("add a line {key}=… to {path}{similar}"),
        Place::Environment => {
            format!("set the variable {key}, or {key}_FILE to the path of a file that holds it")
        }
    }
}

pub(super) fn add_secret(place: &Place, secret: &str) -> String {
    match place {
        Place::Kubernetes { namespace, .. } => format!(
            "create the secret where the databases are run; with local values, in a local cluster: \
             whimbrel-secrets generate --apply --namespace {namespace}"
        ),
        Place::Folder { path } => {
            format!("make local values: whimbrel-secrets generate --to folder:{path}")
        }
        Place::Dotenv { path } => format!("write the keys of the secret `{secret}` into {path}"),
        Place::Environment => "set the variables of the database".to_owned(),
    }
}

pub(super) fn namespace_missing(namespace: &str) -> String {
    format!("create it, or name another with --namespace: kubectl create namespace {namespace}")
}

pub(super) fn unknown(place: &Place, reason: UnknownReason, secrets: &[&str]) -> String {
    match (place, reason) {
        (Place::Kubernetes { namespace, .. }, UnknownReason::NoRight) => {
            let names: Vec<String> = secrets.iter().map(|name| format!("--resource-name={name}")).collect();
            format!(
                "grant the right to read these secrets and no others: kubectl -n {namespace} create role \
                 whimbrel-secrets --verb=get --resource=secrets {}; then bind it: kubectl -n {namespace} \
                 create rolebinding whimbrel-secrets --role=whimbrel-secrets --user=… (or --serviceaccount=…)",
                names.join(" ")
            )
        }
        (Place::Kubernetes { .. }, UnknownReason::NotLoggedIn) => {
            "log in to the cluster again, or name another context with --context".to_owned()
        }
        (Place::Kubernetes { .. }, _) => "see whether the cluster answers: kubectl cluster-info".to_owned(),
        (Place::Folder { path } | Place::Dotenv { path }, _) => {
            format!("see whether {path} can be read by the current user")
        }
        (Place::Environment, _) => "see the message".to_owned(),
    }
}

/// A cause in words. The words of other systems may repeat a value: `values` are taken out.
pub(super) fn cause<'a>(
    place: &Place,
    cause: &Cause,
    values: impl Iterator<Item = &'a str> + Clone,
) -> CauseNote {
    let Place::Kubernetes { namespace, .. } = place else {
        return CauseNote { slug: Slug::SecretDeleting, message: String::new(), next: String::new() };
    };
    let said = |reason: &Option<String>, message: &Option<String>| {
        let words: Vec<&str> = [reason, message].into_iter().flatten().map(String::as_str).collect();
        if words.is_empty() {
            "no condition yet".to_owned()
        } else {
            text::foreign(&words.join(": "), values.clone())
        }
    };
    match cause {
        Cause::ExternalSecret { name, reason, message, store } => {
            let store_said = store.as_ref().map(|store| match &store.reason {
                None => format!("; its {} `{}` does not exist", store.kind, store.name),
                Some(_) => {
                    let said = said(&store.reason, &store.message);
                    format!("; its {} `{}` is not ready ({said})", store.kind, store.name)
                }
            });
            CauseNote {
                slug: Slug::ExternalSecretNotReady,
                message: format!(
                    "ExternalSecret `{name}` is not ready ({}){}",
                    said(reason, message),
                    store_said.unwrap_or_default()
                ),
                next: match store {
                    Some(store) if store.kind == "ClusterSecretStore" => {
                        format!("kubectl describe clustersecretstore {}", store.name)
                    }
                    Some(store) => format!("kubectl -n {namespace} describe secretstore {}", store.name),
                    None => format!("kubectl -n {namespace} describe externalsecret {name}"),
                },
            }
        }
        Cause::CnpgCluster { name, phase, ready, wanted } => CauseNote {
            slug: Slug::CnpgNotReady,
            message: format!(
                "CloudNativePG cluster `{name}` is not ready ({ready} of {wanted} instances; {})",
                said(phase, &None)
            ),
            next: format!("kubectl -n {namespace} describe clusters.postgresql.cnpg.io {name}"),
        },
        Cause::Deleting => CauseNote {
            slug: Slug::SecretDeleting,
            message: "the secret is being deleted".to_owned(),
            next: "wait until it is gone and made anew, or see which finalizer holds it".to_owned(),
        },
    }
}
