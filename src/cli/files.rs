//! SQL files: which there are, their statements, and where in them something is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use dataflow::{Planner, StatementError};

use super::Failure;

/// A file of statements.
#[derive(Debug, Clone)]
pub(super) struct SqlFile {
    /// What it is called in messages.
    pub name: String,
    pub text: String,
}

/// A statement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub text: String,
    /// The line of the file on which its text starts, from 1; comments before it are part of it.
    pub line: u64,
}

/// Reads files in the order given; of folders the files *.sql by name.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<SqlFile>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let folder = sql_files(path)?;
            if folder.is_empty() {
                return Err(Failure::usage(format!("folder {} has no file *.sql; name another one", path.display())));
            }
            files.extend(folder);
        } else {
            files.push(path.clone());
        }
    }
    files.iter().map(|path| read_file(path)).collect()
}

fn sql_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| Failure::usage(format!("cannot read folder {}: {error}", folder.display()));
    let entries = fs::read_dir(folder).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql") && path.is_file());
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<SqlFile, Failure> {
    let name = path.display().to_string();
    let text =
        fs::read_to_string(path).map_err(|error| Failure::usage(format!("cannot read SQL file {name}: {error}")))?;
    Ok(SqlFile { name, text })
}

impl SqlFile {
    /// Its statements.
    pub fn statements(&self, planner: &dyn Planner) -> Result<Vec<Statement>, Failure> {
        let texts = planner.split(&self.text).map_err(|error| Failure::usage(self.message(1, "", &error)))?;
        let (mut at, mut line) = (0, 1);
        let locate = |text: String| {
            // The statements are pieces of the file, in order.
            if let Some(found) = self.text[at..].find(&text) {
                line += newlines(&self.text[at..at + found]);
                at += found;
            }
            let start = line;
            if self.text[at..].starts_with(&text) {
                line += newlines(&text);
                at += text.len();
            }
            Statement { text, line: start }
        };
        Ok(texts.into_iter().map(locate).collect())
    }

    /// An error in a statement, in one line: file, line, what, and what to do.
    pub fn statement_error(&self, statement: &Statement, error: &StatementError) -> String {
        self.message(statement.line, &statement.text, error)
    }

    fn message(&self, line: u64, statement: &str, error: &StatementError) -> String {
        let line = match error.position {
            Some((inside, _)) => line + inside.saturating_sub(1),
            None => line + newlines(&statement[..statement.len() - without_comments(statement).len()]),
        };
        let mut text = format!("{}:{line}: {} (SQLSTATE {})", self.name, error.message, error.sqlstate);
        if let Some(hint) = &error.hint {
            text.push_str("; ");
            text.push_str(hint);
        }
        let head = head(statement);
        if !head.is_empty() {
            text.push_str(&format!(" [in {head}]"));
        }
        text
    }
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

/// The statement behind the comments and white space that it starts with.
fn without_comments(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    loop {
        let behind = if rest.starts_with("--") {
            rest.split_once('\n').map(|(_, behind)| behind)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map(|(_, behind)| behind)
        } else {
            return rest;
        };
        match behind {
            Some(behind) => rest = behind.trim_start(),
            None => return "",
        }
    }
}

/// The first words of a statement, up to the name of what it makes: `CREATE STREAM TABLE v`.
pub(super) fn head(statement: &str) -> String {
    let name_ends = without_comments(statement).split('(').next().unwrap_or_default();
    let words = name_ends.split_whitespace();
    let end = |word: &&str| !["AS", "FROM", "WITH", "="].contains(&word.to_uppercase().as_str());
    words.take(7).take_while(end).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dataflow::{Planned, StatementError};
    use plan::Catalog;

    struct AtSemicolons;

    impl Planner for AtSemicolons {
        fn split(&self, text: &str) -> Result<Vec<String>, StatementError> {
            Ok(text.split(';').map(|part| part.trim().to_string()).filter(|part| !part.is_empty()).collect())
        }

        fn plan(&self, _: &str, _: &Catalog) -> Result<Planned, StatementError> {
            unreachable!("nothing is planned here")
        }
    }

    fn error(position: Option<(u64, u64)>) -> StatementError {
        StatementError {
            sqlstate: "42601",
            message: "wrong".into(),
            hint: Some("do it right".into()),
            detail: None,
            position,
            about: None,
        }
    }

    #[test]
    fn errors_name_the_line_of_the_file() {
        let text =
            "-- first\nCREATE TABLE a\n(b int);\n\n/* two\nlines */\nCREATE TABLE c (d int);\nCREATE TABLE c (d int);";
        let file = SqlFile { name: "f.sql".into(), text: text.into() };
        let statements = file.statements(&AtSemicolons).unwrap();
        assert_eq!(statements.iter().map(|s| s.line).collect::<Vec<_>>(), [1, 5, 8]);
        let message = |n: usize, position| file.statement_error(&statements[n], &error(position));
        assert_eq!(message(0, Some((3, 4))), "f.sql:3: wrong (SQLSTATE 42601); do it right [in CREATE TABLE a]");
        assert!(message(0, None).starts_with("f.sql:2: "), "comments are not the statement");
        assert!(message(1, None).starts_with("f.sql:7: "), "{}", message(1, None));
        assert!(message(2, Some((1, 1))).starts_with("f.sql:8: "));
    }

    #[test]
    fn heads_end_at_the_name() {
        assert_eq!(
            head("-- c\n CREATE STREAM TABLE IF NOT EXISTS v AS SELECT 1"),
            "CREATE STREAM TABLE IF NOT EXISTS v"
        );
        assert_eq!(head("CREATE SINK s FROM v WITH (a = 1)"), "CREATE SINK s");
        assert_eq!(head("CREATE TABLE t(id integer, b text)"), "CREATE TABLE t");
        assert_eq!(head("SET a = 1"), "SET a");
    }

    #[test]
    fn folders_are_taken_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("b.sql", "2"), ("a.sql", "1"), ("c.txt", "3")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let files = read(&[dir.path().to_path_buf(), dir.path().join("c.txt")]).unwrap();
        assert_eq!(files.iter().map(|file| file.text.as_str()).collect::<String>(), "123");
        assert_eq!(read(&[dir.path().join("missing.sql")]).unwrap_err().code, 2);
    }
}
