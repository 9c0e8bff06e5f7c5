//! Cases of the judge: promotions, splits, failures, returns, strangers.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// One shard of `count` nodes, down after three failures; the clock moves one second with every report.
struct Scene {
    judge: Judge,
    now: Instant,
}

fn scene(count: usize) -> Scene {
    Scene { judge: Judge::new(vec![ShardId(0); count], 3), now: Instant::now() }
}

fn answer(duty: Duty, timeline: u32, position: u64) -> Report {
    Report::Answered(Answer {
        duty,
        position: Some(Lsn(position)),
        timeline: Some(timeline),
        system_identifier: Some(7),
        round_trip: Duration::from_millis(8),
    })
}

fn primary(timeline: u32, position: u64) -> Report {
    answer(Duty::Primary, timeline, position)
}

fn replica(timeline: u32, position: u64) -> Report {
    answer(Duty::Replica, timeline, position)
}

fn failed() -> Report {
    Report::Failed("connection refused".to_owned())
}

fn of_cluster(report: Report, identifier: u64) -> Report {
    match report {
        Report::Answered(answer) => {
            Report::Answered(Answer { system_identifier: Some(identifier), ..answer })
        }
        other => other,
    }
}

impl Scene {
    fn report(&mut self, node: u16, report: Report) -> Verdict {
        self.now += SECOND;
        self.judge.on_report(NodeId(node), report, self.now, self.now)
    }

    fn roles(&self) -> Vec<NodeRole> {
        self.judge.nodes.iter().map(|node| node.condition.role()).collect()
    }
}

use NodeRole::{Down, Primary, Replica, Unknown};

#[test]
fn no_primary_is_named_before_all_were_asked() {
    let mut scene = scene(3);
    scene.report(0, primary(1, 100));
    assert_eq!(scene.roles(), [Unknown, Unknown, Unknown]);
    scene.report(1, replica(2, 100));
    assert!(!scene.judge.settled());
    scene.report(2, primary(2, 110));
    assert!(scene.judge.settled());
    assert_eq!(scene.roles(), [Down, Replica, Primary]);
}

#[test]
fn a_node_is_down_after_failures_in_a_row_and_comes_back_at_once() {
    let mut scene = scene(2);
    scene.report(0, primary(1, 100));
    scene.report(1, replica(1, 100));
    assert!(scene.report(1, failed()).changes.is_empty());
    assert!(scene.report(1, failed()).changes.is_empty());
    scene.report(1, replica(1, 100));
    scene.report(1, failed());
    scene.report(1, failed());
    assert_eq!(scene.roles(), [Primary, Replica]);
    assert!(scene.report(1, failed()).changes[0].of_role());
    assert_eq!(scene.roles(), [Primary, Down]);
    assert!(scene.report(1, failed()).changes.is_empty(), "told once");
    scene.report(1, replica(1, 100));
    assert_eq!(scene.roles(), [Primary, Replica]);
}

#[test]
fn a_shard_that_loses_its_primary_is_told_once_and_so_is_its_return() {
    let mut scene = scene(2);
    assert_eq!(scene.report(0, primary(1, 100)).headship, None);
    assert_eq!(scene.report(1, replica(1, 100)).headship, None, "what is as it should be is no news");
    scene.report(0, failed());
    assert_eq!(scene.report(0, failed()).headship, None);
    assert_eq!(scene.report(0, failed()).headship, Some(Headship::Lost(ShardId(0))));
    assert_eq!(scene.report(0, failed()).headship, None);
    assert_eq!(scene.report(1, primary(2, 120)).headship, Some(Headship::Regained(ShardId(0))));
    let mut never = self::scene(1);
    assert_eq!(never.report(0, failed()).headship, Some(Headship::Lost(ShardId(0))));
}

#[test]
fn a_node_that_never_answered_is_down_at_once_and_each_new_reason_is_told() {
    let mut scene = scene(1);
    assert_eq!(scene.report(0, failed()).changes.len(), 1);
    assert_eq!(scene.report(0, failed()).changes.len(), 0);
    let other = Report::Failed("password authentication failed".to_owned());
    let verdict = scene.report(0, other);
    assert_eq!(verdict.changes.len(), 1);
    assert!(!verdict.changes[0].of_role());
}

#[test]
fn a_promotion_is_followed_at_the_first_answer_while_the_old_primary_only_begins_to_fail() {
    let mut scene = scene(2);
    scene.report(0, primary(1, 100));
    scene.report(1, replica(1, 100));
    scene.report(0, failed());
    let verdict = scene.report(1, primary(2, 120));
    assert_eq!(scene.roles(), [Down, Primary]);
    assert_eq!(verdict.standings.iter().map(|s| s.node.0).collect::<Vec<_>>(), [0, 1], "primary last");
}

#[test]
fn of_two_primaries_the_newer_timeline_wins_whoever_speaks_last() {
    let mut scene = scene(2);
    scene.report(0, primary(1, 100));
    scene.report(1, replica(1, 100));
    scene.report(1, primary(2, 120));
    for _ in 0..3 {
        scene.report(0, primary(1, 900));
        assert_eq!(scene.roles(), [Down, Primary]);
    }
}

#[test]
fn an_old_primary_is_not_taken_back_when_the_new_one_dies() {
    let mut scene = scene(2);
    scene.report(0, primary(1, 100));
    scene.report(1, primary(2, 120));
    for _ in 0..3 {
        scene.report(1, failed());
    }
    scene.report(0, primary(1, 100));
    assert_eq!(scene.roles(), [Down, Down]);
    scene.report(1, primary(2, 130));
    scene.report(0, replica(2, 130));
    assert_eq!(scene.roles(), [Replica, Primary]);
}

#[test]
fn a_judge_that_is_reminded_refuses_the_old_timeline() {
    let mut scene = scene(1);
    scene.judge.remember(ShardId(0), 2);
    scene.report(0, primary(1, 100));
    assert_eq!(scene.roles(), [Down]);
    scene.report(0, primary(3, 100));
    assert_eq!(scene.roles(), [Primary]);
}

#[test]
fn a_recorded_timeline_is_that_of_one_cluster_behind_one_name() {
    let mut scene = scene(1);
    scene.judge.recall(ShardId(0), 7, 2);
    scene.judge.recall(ShardId(0), 7, 1);
    scene.judge.recall(ShardId(0), 8, 5);
    scene.judge.recall(ShardId(3), 7, 9);
    scene.report(0, primary(1, 100));
    assert_eq!(scene.roles(), [Down]);
    scene.report(0, primary(2, 100));
    assert_eq!(scene.roles(), [Primary]);
    scene.judge.recall(ShardId(0), 7, 3);
    scene.report(0, primary(2, 100));
    assert_eq!(scene.roles(), [Down], "another node has brought the record later");
}

#[test]
fn records_of_other_shards_are_awaited_where_no_timeline_is_known() {
    let judge = |remembered: bool| {
        let mut judge = Judge::new([ShardId(0), ShardId(1)], 3);
        if remembered {
            judge.remember(ShardId(0), 1);
        }
        let now = Instant::now();
        let verdict = judge.on_report(NodeId(0), primary(1, 100), now, now);
        verdict.standings[0].role
    };
    assert_eq!((judge(false), judge(true)), (Unknown, Primary));
}

#[test]
fn a_node_whose_record_was_not_read_is_still_to_be_asked() {
    let mut scene = scene(2);
    scene.report(0, primary(1, 100));
    scene.now += SECOND;
    scene.judge.on_half_report(NodeId(1), failed(), scene.now, scene.now);
    assert!(!scene.judge.settled());
    assert_eq!(scene.roles()[0], Unknown);
    scene.report(1, failed());
    assert_eq!(scene.roles(), [Primary, Down]);
}

#[test]
fn all_shards_are_judged_when_the_last_node_was_asked() {
    let mut judge = Judge::new([ShardId(0), ShardId(1)], 3);
    let now = Instant::now();
    judge.on_report(NodeId(0), primary(1, 100), now, now);
    judge.on_report(NodeId(1), primary(1, 100), now, now);
    assert!(judge.settled());
    let verdicts = judge.review(now);
    let roles: Vec<_> = verdicts.iter().map(|verdict| verdict.standings[0].role).collect();
    assert_eq!(roles, [Primary, Primary]);
}

#[test]
fn of_equal_primaries_the_known_one_stays() {
    let mut scene = scene(2);
    scene.report(0, replica(1, 100));
    scene.report(1, primary(1, 100));
    scene.report(0, primary(1, 100));
    assert_eq!(scene.roles(), [Down, Primary]);
    for _ in 0..3 {
        scene.report(1, failed());
    }
    assert_eq!(scene.roles(), [Primary, Down]);
}

#[test]
fn a_primary_that_was_demoted_is_a_replica_at_once() {
    let mut scene = scene(1);
    scene.report(0, primary(1, 100));
    scene.report(0, replica(1, 100));
    assert_eq!(scene.roles(), [Replica]);
}

#[test]
fn a_node_of_another_cluster_is_left_out() {
    let mut scene = scene(3);
    scene.report(0, primary(1, 100));
    scene.report(1, of_cluster(replica(1, 100), 8));
    scene.report(2, of_cluster(primary(9, 100), 8));
    // Nothing was known before: the newest timeline names the cluster.
    assert_eq!(scene.roles(), [Down, Replica, Primary]);

    let mut scene = self::scene(2);
    scene.report(0, primary(1, 100));
    scene.report(1, replica(1, 100));
    scene.report(1, of_cluster(primary(9, 100), 8));
    assert_eq!(scene.roles(), [Primary, Down]);
}

#[test]
fn a_server_that_refuses_us_keeps_its_role() {
    let mut scene = scene(1);
    scene.report(0, primary(1, 100));
    for _ in 0..9 {
        scene.report(0, Report::Refused("too many clients".to_owned()));
    }
    assert_eq!(scene.roles(), [Primary]);
}

#[test]
fn who_follows_an_old_primary_is_not_known_to_have_anything() {
    let mut scene = scene(3);
    scene.report(0, primary(1, 100));
    scene.report(1, replica(1, 100));
    scene.report(2, primary(2, 120));
    // It has more of the old log than there is of the new one.
    let verdict = scene.report(1, replica(1, 500));
    let standing = |node: u16| verdict.standings.iter().find(|standing| standing.node == NodeId(node));
    assert_eq!(standing(1).map(|standing| standing.lag), Some(LAG_UNKNOWN));
    assert_eq!(standing(0).map(|standing| standing.superseded), Some(true));
    assert_eq!(standing(2).map(|standing| standing.superseded), Some(false));
    let verdict = scene.report(1, replica(2, 120));
    let standing = verdict.standings.iter().find(|standing| standing.node == NodeId(1));
    assert_eq!(standing.map(|standing| standing.lag), Some(Duration::ZERO));
    scene.report(0, replica(2, 120));
    assert_eq!(scene.roles(), [Replica, Replica, Primary]);
}

#[test]
fn lag_is_published_in_bytes_and_time() {
    let mut scene = scene(2);
    scene.report(0, primary(1, 100));
    let standings = scene.report(1, replica(1, 90)).standings;
    assert_eq!((standings[0].lag, standings[0].lag_bytes), (LAG_UNKNOWN, 10), "behind all that is known");
    scene.report(0, primary(1, 100));
    scene.report(0, primary(1, 160));
    let standings = scene.report(1, replica(1, 110)).standings;
    assert_eq!((standings[0].node, standings[0].lag, standings[0].lag_bytes), (NodeId(1), 2 * SECOND, 50));
    let standings = scene.report(1, replica(1, 160)).standings;
    assert_eq!((standings[0].lag, standings[0].lag_bytes), (Duration::ZERO, 0));
    assert_eq!((standings[1].role, standings[1].position), (Primary, Lsn(160)));
}

#[test]
fn a_hidden_timeline_does_not_hide_the_primary() {
    let mut scene = scene(1);
    scene.report(0, primary(4, 100));
    let Report::Answered(hidden) = primary(1, 120) else { panic!() };
    scene.report(0, Report::Answered(Answer { timeline: None, ..hidden }));
    assert_eq!(scene.roles(), [Primary]);
}

#[test]
fn round_trips_are_smoothed() {
    let mut scene = scene(1);
    scene.report(0, primary(1, 100));
    let Report::Answered(slow) = primary(1, 100) else { panic!() };
    let slow = Report::Answered(Answer { round_trip: Duration::from_millis(16), ..slow });
    assert_eq!(scene.report(0, slow).standings[0].round_trip, Duration::from_millis(9));
}

#[test]
fn a_judge_goes_on_from_what_was_published_before() {
    let said = |report: Report| match report {
        Report::Answered(answer) => Some(answer),
        Report::Refused(_) | Report::Failed(_) => None,
    };
    let mut scene = scene(4);
    scene.judge.resume(NodeId(1), NodeRole::Primary, said(primary(2, 300)));
    scene.judge.resume(NodeId(0), NodeRole::Down, said(primary(1, 100)));
    scene.judge.resume(NodeId(2), NodeRole::Down, None);
    // The fourth is new.
    assert!(!scene.judge.settled());
    assert_eq!(scene.report(0, primary(1, 100)).changes, []);
    assert_eq!(scene.roles(), [Down, Primary, Down, Unknown]);
    // One failure of a node that had answered does not count, nor does a refusal.
    assert_eq!(scene.report(1, failed()).changes, []);
    assert_eq!(scene.report(1, Report::Refused("too many clients".to_owned())).changes, []);
    scene.report(2, replica(2, 300));
    assert_eq!(scene.roles(), [Down, Primary, Replica, Unknown]);
    scene.report(3, replica(2, 300));
    assert_eq!(scene.roles(), [Down, Primary, Replica, Replica]);
    assert!(scene.judge.settled());
    scene.report(1, failed());
    scene.report(1, failed());
    assert_eq!(scene.roles(), [Down, Down, Replica, Replica]);
}
