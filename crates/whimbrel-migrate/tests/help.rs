//! The help text is a contract with those who read it and those who parse it.

use clap::CommandFactory as _;

#[test]
fn help_is_what_it_was() {
    let help = whimbrel_migrate::cli::Cli::command().term_width(100).render_long_help().to_string();
    insta::assert_snapshot!(help);
}
