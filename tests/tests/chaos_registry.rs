//! A registry that stops in the middle of a push: the tag never names an image that is not whole.

use std::time::Duration;

use whimbrel_tests::program::{Ended, Running, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::random::Random;
use whimbrel_tests::registry::{self, Own};

const ROUNDS: u32 = 6;

/// A project whose SQL is large enough for a push to take a while, and different in every round.
fn write_scripts(project: &Project, round: u32) {
    for number in 1..=20 {
        let line = format!("-- {round} {number} {}\n", "x".repeat(100));
        project.write(
            &format!("sql/V{number}__large.sql"),
            &format!("CREATE TABLE made_{number} (id int);\n{}", line.repeat(2_000)),
        );
    }
}

fn push(project: &Project, registry: &Own) -> std::process::Command {
    let mut command = project.tool("whimbrel-watch");
    command.args(["--once", "--to", &format!("registry://{}/{}:dev", registry.address, project.repository)]);
    command
}

fn pushed_whole(project: &Project, registry: &Own) -> String {
    let digest =
        registry::digest_at(&registry.address, &project.repository, "dev").expect("the tag is there");
    registry::is_complete(&registry.address, &project.repository, &digest);
    digest
}

#[test]
fn a_registry_killed_in_a_push_never_shows_half_an_image() {
    let mut random = Random::seeded_by_environment();
    let folder = tempfile::tempdir().expect("there is room");
    let mut registry = Own::start(folder.path());
    let project = Project::small();
    write_scripts(&project, 0);
    let took = run(&mut push(&project, &registry), Duration::from_secs(60)).expect_code(0).took;
    let mut last = pushed_whole(&project, &registry);
    let mut interrupted = 0;
    for round in 1..=ROUNDS {
        write_scripts(&project, round);
        let running = Running::start(&mut push(&project, &registry));
        std::thread::sleep(Duration::from_micros(random.below(took.as_micros() as u64)));
        registry.kill();
        let ended = finish(running, &mut registry);
        let shown = pushed_whole(&project, &registry);
        if ended.code == Some(0) {
            assert_ne!(
                shown,
                last,
                "{random}, round {round}: success without the new image\n{}",
                ended.said()
            );
        } else {
            interrupted += 1;
            assert_eq!(ended.code, Some(69), "{random}, round {round}\n{}", ended.said());
        }
        run(&mut push(&project, &registry), Duration::from_secs(60)).expect_code(0);
        let now = pushed_whole(&project, &registry);
        assert_ne!(now, last, "{random}, round {round}");
        last = now;
    }
    assert!(interrupted > 0, "{random}: no push was interrupted in {ROUNDS} rounds");
}

/// The push may try for a while; then the registry comes back.
fn finish(running: Running, registry: &mut Own) -> Ended {
    let ended = running.wait(Duration::from_secs(120));
    registry.restart();
    ended
}
