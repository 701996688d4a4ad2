//! The same play with one rule taken away: the explorer notices each.

use shuttle::thread;

use crate::{
    coherence::steps::{Apply, Judging},
    holds::play,
    runs::{holds, is_found},
    world::{ALL, Kept, What},
};

#[test]
fn a_stamp_taken_after_the_load_is_found() {
    for what in [What::Key, What::Tag, What::GlobalTag] {
        is_found("stale", move || play(what, Kept { stamp_before_load: false, ..ALL }));
    }
}

#[test]
fn an_entry_that_is_not_judged_after_it_was_put_is_found() {
    is_found("stale", || play(What::Key, Kept { judge_after_put: false, judge_before_put: false, ..ALL }));
}

#[test]
fn an_entry_that_is_judged_only_before_it_is_put_is_found() {
    is_found("stale", || play(What::Key, Kept { judge_after_put: false, ..ALL }));
}

#[test]
fn a_key_that_is_removed_before_it_is_marked_is_found() {
    is_found("stale", || play(What::Key, Kept { mark_before_removal: false, ..ALL }));
}

#[test]
fn the_copies_of_the_steps_hold_in_the_right_order() {
    holds(|| play(What::Tag, Kept { copies: Some((Apply::Right, Judging::Right)), ..ALL }));
}

#[test]
fn a_last_mark_that_is_written_before_the_filter_is_found() {
    is_found("stale", || play(What::Tag, Kept { copies: Some((Apply::LastBeforeFilter, Judging::Right)), ..ALL }));
}

#[test]
fn exact_marks_that_are_written_last_are_found() {
    is_found("stale", || play(What::Tag, Kept { copies: Some((Apply::ExactMarksLast, Judging::Right)), ..ALL }));
}

#[test]
fn a_last_mark_that_is_read_after_the_marks_is_found() {
    is_found("stale", || play(What::Tag, Kept { copies: Some((Apply::Right, Judging::LastAfterMarks)), ..ALL }));
}
