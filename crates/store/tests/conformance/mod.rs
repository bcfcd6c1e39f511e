//! What every backend must keep. A backend runs it with [`conformance!`], naming how it is opened.

pub(crate) mod api_keys;
pub(crate) mod approvals;
pub(crate) mod blocks;
pub(crate) mod chains;
pub(crate) mod concurrency;
pub(crate) mod delivery;
pub(crate) mod desk;
pub(crate) mod duties;
pub(crate) mod fixture;
pub(crate) mod idempotency;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod operators;
pub(crate) mod order_limits;
pub(crate) mod ordering;
pub(crate) mod orders;
pub(crate) mod queries;
pub(crate) mod receipts;
pub(crate) mod record;
pub(crate) mod recovery;
pub(crate) mod retention;
pub(crate) mod secrets;
pub(crate) mod undecided;
pub(crate) mod windows;

/// Makes a test of each case for one backend, which must stand in scope as `backend()`.
macro_rules! conformance {
    ($($module:ident { $($case:ident,)* })*) => {$(
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let place = crate::conformance::fixture::Place::new(crate::backend());
                crate::conformance::$module::$case(place).await;
            })*
        }
    )*};
}

/// Every case there is.
macro_rules! every_case {
    () => {
        conformance! {
            record {
                a_new_arrival_is_kept_whole,
                a_duplicate_writes_nothing,
                a_conflict_is_quarantined_and_overwrites_nothing,
                a_conflict_that_comes_again_only_grows_its_count,
                what_cannot_be_read_is_known_by_its_bytes,
                two_copies_in_one_arrival_are_one_event,
                conflicts_within_one_arrival_are_kept_apart,
                an_arrival_is_recorded_together_or_not_at_all,
                a_failing_command_fails_alone,
                an_unaccepted_event_has_no_deliveries,
                dedup_keys_last_thirty_five_days,
                dedup_keys_are_found_when_the_clock_steps_back,
                dedup_keys_outlast_a_clock_that_jumps,
                many_keys_are_forgotten_in_slices,
                keys_are_found_wherever_they_were_put,
                a_key_is_renewed_when_its_run_is_past,
                a_batch_of_a_thousand_events_is_one_arrival,
                an_arrival_without_events_leaves_nothing,
                sequences_have_no_gaps_after_a_failure,
            }
            keys {
                the_first_key_of_an_owner_stands,
                several_keys_of_one_owner_come_with_records,
                sealed_under_an_unknown_key_is_refused,
                a_key_that_was_rolled_back_is_unknown,
            }
            delivery {
                a_lease_is_exclusive_until_it_ends,
                an_older_fence_is_stale,
                attempts_are_kept_and_tried_again_at_their_time,
                a_delivered_one_is_over,
                redelivery_starts_a_new_round_and_keeps_history,
                redelivery_of_many_counts_what_it_changed,
                endpoints_that_are_not_active_get_nothing,
                slots_and_maximum_are_kept,
                one_endpoint_does_not_take_all,
                fresh_work_is_not_starved_by_retries,
                retries_are_not_starved_by_fresh_work,
                an_unknown_delivery_is_stale,
            }
            ordering {
                one_is_in_flight_per_key_and_endpoint,
                a_failing_head_holds_its_key_until_it_is_parked,
                a_dead_head_lets_its_key_go,
                without_a_key_nothing_waits,
                a_long_backlog_of_one_key_does_not_hide_another,
                blocked_ones_go_in_order,
                a_redelivered_one_goes_before_younger_ones,
                random_histories_keep_the_order,
            }
            desk {
                a_released_event_is_delivered,
                only_held_events_are_released_or_denied,
                a_denied_event_stays_denied,
                what_people_do_is_audited,
                too_many_deliveries_are_refused_and_nothing_changes,
            }
            queries {
                events_are_found_by_what_they_are,
                events_are_found_by_time,
                limits_give_the_newest_last,
                deliveries_are_found_by_what_they_are,
                tallies_add_up,
                tallies_are_found_by_time_and_source,
                counts_add_up,
                entries_are_read_in_order,
                events_are_read_page_by_page,
                deliveries_are_read_page_by_page,
                nothing_out_of_reach_is_found,
            }
            idempotency {
                a_request_is_claimed_once_and_its_answer_kept,
                a_key_with_another_request_is_told_apart,
                a_claim_that_was_given_up_or_outlived_is_free,
                one_of_many_claims_a_request,
                answers_are_forgotten_in_time,
            }
            concurrency {
                one_of_many_tasks_is_first,
                an_abandoned_read_costs_nobody_a_connection,
                two_writers_agree_who_is_first,
                everything_recorded_at_once_is_there,
                a_full_queue_refuses_and_loses_nothing,
                commands_beside_a_gateway_take_effect,
                whoever_stops_asking_takes_nothing_along,
            }
            recovery {
                what_was_answered_is_there_after_a_crash,
                a_crash_leaves_no_lease,
                opening_beside_leaves_leases_alone,
                closing_finishes_what_waits,
                a_closed_store_refuses,
                a_store_that_can_commit_says_so,
                transactions_are_counted,
            }
            retention {
                what_is_old_goes_and_what_is_owed_stays,
                what_is_not_configured_or_too_young_stays,
                an_arrival_goes_as_a_whole,
                without_its_body_nothing_is_delivered,
                numbers_go_on_when_everything_is_gone,
            }
            duties {
                a_duty_has_one_holder,
                a_duty_that_is_over_changes_hands,
                a_duty_that_is_given_up_is_free,
                one_of_many_gets_a_duty,
            }
            log {
                entries_wait_until_they_have_their_place,
                a_seal_from_another_size_does_nothing,
                tiles_grow_and_of_a_minute_the_last_checkpoint_stays,
                a_deed_is_an_entry_with_what_it_says_of_persons,
                what_cannot_stand_in_the_log_is_not_done,
                refused_arrivals_are_an_entry_a_reason,
                of_two_that_seal_at_once_one_does,
                what_a_sink_has_got_is_remembered,
            }
            secrets {
                secrets_are_added_rolled_proven_and_retired,
                one_in_other_hands_is_retired_by_force,
                configured_ones_are_known_by_their_hash_and_since_when,
            }
            api_keys {
                a_created_key_is_kept_as_it_was_given,
                an_id_that_is_taken_is_refused_and_nothing_is_left,
                a_rolled_key_works_beside_its_successor_for_a_while,
                there_is_one_generation_of_grace,
                a_revoked_key_is_over_and_so_is_its_predecessor,
                revoking_the_older_one_leaves_its_successor,
                all_are_revoked_at_once,
                what_is_unknown_changes_nothing,
                every_change_is_a_new_version_and_no_use_is,
                uses_add_up_and_the_latest_is_the_last,
                keys_are_read_page_by_page,
                of_several_that_roll_at_once_one_does,
            }
            chains {
                what_was_read_and_what_it_makes_known_are_kept_together,
                of_gateways_that_read_a_chain_at_once_one_is_first,
                an_address_is_of_one_order_until_it_is_left,
            }
            orders {
                an_order_is_kept_as_it_was_given,
                a_reference_is_of_one_order,
                an_arrival_and_what_it_pays_are_recorded_together,
                what_was_decided_on_an_older_state_is_stale,
                a_payment_serves_one_order,
                of_two_orders_that_one_payment_is_for_one_gets_it,
                of_several_changes_at_once_none_is_lost,
                no_more_is_paid_back_than_was_paid,
                orders_are_found_by_what_they_are,
                orders_are_due_once_their_time_is_over,
                an_order_sealed_under_an_unknown_key_is_refused,
            }
            order_limits {
                a_customer_orders_so_many_and_so_much_in_a_while,
                each_limit_counts_what_it_is_about,
                orders_that_came_to_nothing_do_not_count,
                of_several_at_once_no_more_than_the_limit_are_created,
            }
            blocks {
                a_block_is_kept_as_it_was_given_and_lifted_once,
                a_party_is_blocked_while_any_block_stands,
                blocks_are_listed_page_by_page,
                every_change_of_a_block_is_a_new_version,
                of_several_that_block_at_once_one_does,
                no_order_is_created_for_who_is_blocked,
                a_block_sealed_under_an_unknown_key_is_refused,
            }
            undecided {
                what_waits_for_an_order_is_woken_by_it,
                who_was_overtaken_puts_nothing_off,
                what_waits_for_an_answer_is_asked_by_one,
                an_event_and_its_order_change_together,
                what_comes_with_a_conflict_is_looked_at_alone,
                an_event_whose_order_has_changed_is_not_decided_on,
                what_was_decided_without_an_order_is_stale_once_there_is_one,
                of_several_that_decide_at_once_one_does,
                what_stays_held_waits_for_something_else,
                what_a_person_decides_waits_for_nothing,
                a_repeat_of_an_event_waits_for_nothing_of_its_own,
                what_has_waited_for_too_long_is_forgotten,
            }
            operators {
                an_added_operator_is_kept_as_they_were_given,
                operators_are_read_page_by_page,
                nobody_else_signs_in_as_that,
                every_change_is_kept_and_told,
                what_ends_sessions_ends_all_of_them_and_no_other,
                a_code_opens_one_session,
                of_several_with_one_code_one_is_let_in,
                nobody_is_let_in_who_is_disabled_or_was_changed_meanwhile,
                a_session_goes_on_under_a_new_token,
                a_session_that_is_over_does_not_go_on,
                a_session_is_ended_once,
                sessions_go_a_day_after_they_were_over,
                many_sessions_go_in_slices,
                uses_are_noted_and_never_go_back,
                every_end_is_a_new_version_and_no_use_is,
                what_nobody_could_open_is_refused,
                the_last_administrator_is_spared_where_it_is_asked_for,
                of_several_that_disable_each_other_one_stays,
                what_is_unknown_changes_nothing,
            }
            receipts {
                a_transaction_answers_one_request,
                each_receipt_that_is_judged_has_its_entry,
                of_several_requests_at_once_one_has_the_transaction,
            }
            approvals {
                what_is_asked_is_kept_approved_and_used_once,
                nobody_approves_their_own_or_uses_anothers,
                what_is_decided_stays_so,
                it_counts_for_a_quarter_of_an_hour,
                both_must_still_be_trusted_with_it,
                of_several_that_use_it_at_once_one_does,
                not_too_many_wait_and_old_ones_are_forgotten,
                what_nobody_could_open_is_refused,
            }
            windows {
                counts_are_those_of_a_sliding_window,
                what_is_counted_twice_at_once_adds_up,
                counts_of_many_add_up,
                periods_that_are_over_are_forgotten,
            }
        }
    };
}
