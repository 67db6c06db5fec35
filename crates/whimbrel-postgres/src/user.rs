//! Which user the server runs as: PostgreSQL refuses root.

use crate::PostgresError;

/// The user that owns the server's processes and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerUser {
    /// The user who runs us.
    Ourselves,
    /// Another user, since we are root.
    Named {
        /// The login name.
        name: String,
        /// The numeric user.
        uid: u32,
        /// The numeric primary group.
        gid: u32,
    },
}

/// In the order in which they are taken. `postgres` exists where a distribution's server is installed; the others
/// exist nearly everywhere.
const CANDIDATES: [&str; 4] = ["postgres", "_postgres", "nobody", "daemon"];

/// Decides who runs the server, from the user we are and the text of `/etc/passwd`.
pub(crate) fn decide_server_user(effective_uid: u32, passwd: &str) -> Result<ServerUser, PostgresError> {
    if effective_uid != 0 {
        return Ok(ServerUser::Ourselves);
    }
    CANDIDATES
        .iter()
        .find_map(|wanted| passwd.lines().filter_map(parse_passwd_line).find(|(name, ..)| name == wanted))
        .map(|(name, uid, gid)| ServerUser::Named { name: name.to_owned(), uid, gid })
        .ok_or(PostgresError::NoServerUser)
}

/// `name:password:uid:gid:…`; root under another name does not count.
fn parse_passwd_line(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let uid = uid.parse().ok().filter(|uid| *uid != 0)?;
    Some((name, uid, gid.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:n:/:/bin/false\n# comment\n";

    #[test]
    fn an_ordinary_user_runs_the_server_itself() {
        assert_eq!(decide_server_user(1000, "").unwrap(), ServerUser::Ourselves);
    }

    #[test]
    fn root_becomes_postgres_before_nobody() {
        let passwd = format!("{PASSWD}postgres:x:101:104::/:/bin/sh\n");
        let name = String::from("postgres");
        assert_eq!(decide_server_user(0, &passwd).unwrap(), ServerUser::Named { name, uid: 101, gid: 104 });
    }

    #[test]
    fn root_becomes_nobody_where_there_is_no_postgres() {
        let name = String::from("nobody");
        assert_eq!(
            decide_server_user(0, PASSWD).unwrap(),
            ServerUser::Named { name, uid: 65534, gid: 65533 }
        );
    }

    #[test]
    fn a_second_name_of_root_is_not_taken() {
        let error = decide_server_user(0, "postgres:x:0:0::/:/bin/sh\n").unwrap_err();
        assert!(matches!(error, PostgresError::NoServerUser));
    }
}
