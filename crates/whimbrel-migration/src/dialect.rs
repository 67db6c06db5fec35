//! The database engines whose scripts and history tables are understood.

use serde::{Deserialize, Serialize};

/// An SQL dialect: how scripts are cut into statements and what a transaction can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Dialect {
    /// PostgreSQL 10 and later.
    PostgreSql,
    /// MySQL 8 and later.
    MySql,
    /// MariaDB 10.3 and later.
    MariaDb,
    /// SQLite 3.
    Sqlite,
}

impl Dialect {
    /// The engine's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
            Self::Sqlite => "SQLite",
        }
    }

    /// The dialect of this name in lower case (`postgresql`, `mysql`, `mariadb`, `sqlite`), as settings have it.
    pub fn named(name: &str) -> Option<Self> {
        [Self::PostgreSql, Self::MySql, Self::MariaDb, Self::Sqlite]
            .into_iter()
            .find(|dialect| dialect.name().to_ascii_lowercase() == name)
    }

    /// Whether DDL can be rolled back: only then can every script and its history row be one transaction.
    pub fn transactional_ddl(self) -> bool {
        match self {
            Self::PostgreSql | Self::Sqlite => true,
            Self::MySql | Self::MariaDb => false,
        }
    }

    /// MySQL or MariaDB: what is true of both.
    pub fn is_mysql_like(self) -> bool {
        matches!(self, Self::MySql | Self::MariaDb)
    }
}
