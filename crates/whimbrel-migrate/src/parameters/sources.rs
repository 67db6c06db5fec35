//! Where parameters come from: files in their places, the environment, the command line.
//!
//! | weakest first | |
//! |---|---|
//! | files | `conf` beside the program, the home folder, the working directory, `-workingDirectory`, `FLYWAY_CONFIG_FILES`, `-configFiles` |
//! | environment | `FLYWAY_…`; beside `flyway.toml` also `flyway_…` and `environments_…` |
//! | command line | `-key=value` |
//!
//! Files are either all `flyway.conf` or all `flyway.toml` (with `flyway.user.toml` beside it), never both: what
//! `-configFiles` names decides, else what `FLYWAY_CONFIG_FILES` names, else whether there is a `flyway.toml`.

use std::path::{Path, PathBuf};

use whimbrel_cli::env::Environment;
use whimbrel_cli::settings::Origin;
use whimbrel_migration::encoding::Encoding;

use super::{conf, parameter, toml};

/// What one source says: names as on the command line, values, and where each stood.
pub type Entries = Vec<(String, String, Origin)>;

/// The process around us, as far as parameters are found in it.
pub struct Surroundings<'a, E> {
    /// Its variables.
    pub environment: &'a E,
    /// The working directory.
    pub folder: PathBuf,
    /// The folder of the program.
    pub install: Option<PathBuf>,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// Reads standard input, which the configuration file `-` is.
    pub stdin: &'a dyn Fn() -> std::io::Result<Vec<u8>>,
}

impl<'a, E: Environment> Surroundings<'a, E> {
    /// Nothing but this folder and these variables.
    pub fn within(folder: PathBuf, environment: &'a E) -> Self {
        Self { environment, folder, install: None, home: None, stdin: &|| Ok(Vec::new()) }
    }
}

/// The two forms of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `flyway.conf`
    Conf,
    /// `flyway.toml`
    Toml,
}

/// Everything that the files and the environment say, weakest first.
#[derive(Debug, Default)]
pub struct Found {
    /// The files, in their order.
    pub files: Entries,
    /// The environment.
    pub environment: Entries,
    /// Files that were named and are not there: Flyway goes on without them.
    pub missing: Vec<PathBuf>,
}

/// Reads files and environment. `argument` is what the command line says about a parameter.
///
/// # Errors
/// When a named file cannot be read, a file is not what its name says, or it sets what nobody knows.
pub fn find<E: Environment>(
    surroundings: &Surroundings<'_, E>,
    argument: &dyn Fn(&str) -> Option<String>,
) -> Result<Found, String> {
    let given =
        |name: &str, variable: &str| argument(name).or_else(|| surroundings.environment.get(variable));
    let working = argument("workingDirectory").map(|folder| surroundings.folder.join(folder));
    let from = working.as_deref().unwrap_or(&surroundings.folder);
    let by_variable = named(from, surroundings.environment.get("FLYWAY_CONFIG_FILES"));
    let by_argument = named(from, argument("configFiles"));
    let form = match (form_of(&by_argument)?, form_of(&by_variable)?) {
        (Some(form), _) | (None, Some(form)) => form,
        (None, None) if !usual(surroundings, working.as_deref(), Form::Toml).is_empty() => Form::Toml,
        (None, None) if !usual(surroundings, working.as_deref(), Form::Conf).is_empty() => Form::Conf,
        (None, None) => Form::Toml,
    };
    let encoding = match given("configFileEncoding", "FLYWAY_CONFIG_FILE_ENCODING") {
        Some(name) => name.parse().map_err(|error| format!("{error}"))?,
        None => Encoding::default(),
    };
    let mut files = usual(surroundings, working.as_deref(), form);
    // Those of the weaker source may be of the other form: then they do not count.
    files.extend(by_variable.into_iter().filter(|path| form_of_file(path) == form));
    files.extend(by_argument);
    let mut found = Found::default();
    let is_there = |path: &PathBuf| path == Path::new("-") || path.exists();
    let (files, missing) = files.into_iter().partition::<Vec<_>, _>(is_there);
    found.missing = missing;
    for path in files {
        found.files.extend(read(&path, form, encoding, surroundings)?);
    }
    found.environment = variables(surroundings.environment, form);
    Ok(found)
}

fn named(folder: &Path, list: Option<String>) -> Vec<PathBuf> {
    let list = list.unwrap_or_default();
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| if name == "-" { PathBuf::from("-") } else { folder.join(name) }).collect()
}

fn form_of_file(path: &Path) -> Form {
    match path.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("toml") => Form::Toml,
        _ => Form::Conf,
    }
}

fn form_of(paths: &[PathBuf]) -> Result<Option<Form>, String> {
    let Some(first) = paths.first() else { return Ok(None) };
    let form = form_of_file(first);
    if paths.iter().any(|path| form_of_file(path) != form) {
        return Err(
            "flyway.conf and flyway.toml files cannot be used together: name files of one form".to_owned()
        );
    }
    Ok(Some(form))
}

/// The files of this form that are there, in the usual places.
fn usual<E>(surroundings: &Surroundings<'_, E>, working: Option<&Path>, form: Form) -> Vec<PathBuf> {
    let install = surroundings.install.as_ref().map(|folder| folder.join("conf"));
    let places =
        [install.as_deref(), surroundings.home.as_deref(), Some(surroundings.folder.as_path()), working];
    let names: &[&str] = match form {
        Form::Conf => &["flyway.conf"],
        Form::Toml => &["flyway.toml", "flyway.user.toml"],
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for path in places.into_iter().flatten().flat_map(|place| names.iter().map(|name| place.join(name))) {
        if path.is_file() && !files.contains(&path) {
            files.push(path);
        }
    }
    files
}

fn read<E: Environment>(
    path: &Path,
    form: Form,
    encoding: Encoding,
    surroundings: &Surroundings<'_, E>,
) -> Result<Entries, String> {
    let shown = path.display();
    let bytes = if path == Path::new("-") { (surroundings.stdin)() } else { fs_err::read(path) };
    let bytes = bytes.map_err(|error| format!("Unable to load config file: {error}"))?;
    let text =
        encoding.decode(&bytes).map_err(|error| format!("Unable to load config file {shown}: {error}"))?;
    let entries = match form {
        Form::Conf => conf::parse(&text, surroundings.environment)
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("flyway.")?.to_owned(), value)))
            .collect(),
        Form::Toml => toml::parse(&text)
            .map_err(|error| format!("Unable to parse TOML configuration file {shown}: {error}"))?,
    };
    for (name, _) in &entries {
        if !is_known(name) {
            return Err(unknown(name, Some(path)));
        }
    }
    let origin = Origin::FlywayFile(path.to_owned());
    Ok(entries.into_iter().map(|(name, value)| (name, value, origin.clone())).collect())
}

/// Whether a name means something: a parameter, or a key of an environment.
pub fn is_known(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("environments.") else { return parameter::find(name).is_some() };
    let Some((_, key)) = rest.split_once('.') else { return false };
    match key.strip_prefix("flyway.") {
        Some(name) => parameter::find(name).is_some(),
        None => is_environment_key(key),
    }
}

/// Keys of an environment that say where and how to connect.
const ENVIRONMENT_KEYS: [&str; 10] = [
    "url",
    "user",
    "password",
    "driver",
    "schemas",
    "initSql",
    "connectRetries",
    "connectRetriesInterval",
    "displayName",
    "provisioner",
];

fn is_environment_key(key: &str) -> bool {
    let below = ["jdbcProperties.", "resolvers.", "provisioners."];
    ENVIRONMENT_KEYS.contains(&key) || below.iter().any(|prefix| key.starts_with(prefix))
}

/// The refusal of a parameter that nobody knows, in Flyway's words.
pub fn unknown(name: &str, file: Option<&Path>) -> String {
    let place = file.map(|path| format!(" in {}", path.display())).unwrap_or_default();
    let name = if name.starts_with("environments.") { name.to_owned() } else { format!("flyway.{name}") };
    format!(
        "Failed to configure parameters:\n\tParameter: {name}{place}\nConfirm the parameters are spelled \
         correctly\nYou may also need to update Flyway to the latest version"
    )
}

fn variables(environment: &impl Environment, form: Form) -> Entries {
    let mut entries: Entries = Vec::new();
    for (name, variable) in parameter::variables() {
        if let Some(value) = environment.get(&variable) {
            entries.push((name.to_owned(), value, Origin::Environment(variable)));
        }
    }
    for (variable, value) in environment.all() {
        let below = |prefix: &str, name: &str| {
            let rest = variable.strip_prefix(prefix).filter(|rest| !rest.is_empty())?;
            Some(format!("{name}.{}", rest.to_lowercase()))
        };
        let name = below("FLYWAY_PLACEHOLDERS_", "placeholders")
            .or_else(|| below("FLYWAY_JDBC_PROPERTIES_", "jdbcProperties"))
            .or_else(|| lower_case(&variable).filter(|name| form == Form::Toml && is_known(name)));
        if let Some(name) = name {
            entries.push((name, value, Origin::Environment(variable)));
        }
    }
    entries
}

/// `flyway_outOfOrder` and `environments_prod_url`.
fn lower_case(variable: &str) -> Option<String> {
    match variable.strip_prefix("flyway_") {
        Some(rest) => Some(rest.replace('_', ".")),
        None if variable.starts_with("environments_") => Some(variable.replace('_', ".")),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        environment: BTreeMap<String, String>,
    }

    impl Place {
        fn new(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = folder.path().join(path);
                fs_err::create_dir_all(path.parent().unwrap()).unwrap();
                fs_err::write(path, text).unwrap();
            }
            let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Self { folder, environment: pairs.collect() }
        }

        fn find(&self, arguments: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
            let root = self.folder.path();
            let surroundings = Surroundings {
                environment: &self.environment,
                folder: root.join("work"),
                install: Some(root.join("install")),
                home: Some(root.join("home")),
                stdin: &|| Ok(b"flyway.target=stdin".to_vec()),
            };
            let argument = |name: &str| {
                arguments.iter().find(|(there, _)| *there == name).map(|(_, value)| (*value).to_owned())
            };
            let found = find(&surroundings, &argument)?;
            Ok(found
                .files
                .into_iter()
                .chain(found.environment)
                .map(|(name, value, _)| (name, value))
                .collect())
        }
    }

    fn targets(found: &[(String, String)]) -> Vec<&str> {
        found.iter().filter(|(name, _)| name == "target").map(|(_, value)| value.as_str()).collect()
    }

    #[test]
    fn files_are_read_in_the_order_of_their_places() {
        let place = Place::new(
            &[
                ("install/conf/flyway.conf", "flyway.target=1"),
                ("home/flyway.conf", "flyway.target=2"),
                ("work/flyway.conf", "flyway.target=3\nother=x"),
                ("there/flyway.conf", "flyway.target=4"),
                ("there/env.conf", "flyway.target=5"),
                ("there/named.conf", "flyway.target=6"),
            ],
            &[
                ("FLYWAY_CONFIG_FILES", "env.conf"),
                ("FLYWAY_TARGET", "7"),
                ("flyway_target", "not in this form"),
            ],
        );
        let found = place.find(&[("workingDirectory", "../there"), ("configFiles", "named.conf")]).unwrap();
        assert_eq!(targets(&found), ["1", "2", "3", "4", "5", "6", "7"]);
    }

    #[test]
    fn a_toml_file_turns_conf_files_off() {
        let place = Place::new(
            &[
                ("work/flyway.conf", "flyway.target=1"),
                ("home/flyway.toml", "[flyway]\ntarget = \"2\""),
                ("home/flyway.user.toml", "[flyway]\ntarget = \"3\""),
            ],
            &[("flyway_target", "4"), ("environments_prod_url", "u"), ("FLYWAY_PLACEHOLDERS_A_B", "x")],
        );
        let found = place.find(&[]).unwrap();
        assert_eq!(targets(&found), ["2", "3", "4"]);
        assert!(found.contains(&("environments.prod.url".to_owned(), "u".to_owned())));
        assert!(found.contains(&("placeholders.a_b".to_owned(), "x".to_owned())));
        let by_hand = place.find(&[("configFiles", "flyway.conf,-")]).unwrap();
        assert_eq!(targets(&by_hand), ["1", "1", "stdin"]);
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        let place = Place::new(
            &[
                ("work/bad.conf", "flyway.tarjet=1"),
                ("work/a.toml", "[environments.dev]\nurll = \"x\""),
                ("work/l.conf", "flyway.table=\u{e9}"),
            ],
            &[],
        );
        for (arguments, part) in [
            ([("configFiles", "bad.conf")], "flyway.tarjet"),
            ([("configFiles", "a.toml")], "environments.dev.urll"),
            ([("configFiles", "bad.conf,a.toml")], "together"),
            ([("configFileEncoding", "KLINGON")], "KLINGON"),
        ] {
            let error = place.find(&arguments).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let latin = place.find(&[("configFiles", "l.conf"), ("configFileEncoding", "ISO-8859-1")]).unwrap();
        assert_eq!(latin[0].1, "\u{c3}\u{a9}");
    }
}
