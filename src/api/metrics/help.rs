//! What the metrics mean that are counted beside the engine: one sentence each. docs/metrics.md says more.

/// The sentence for a metric; its name where there is none, which a test does not let pass.
pub(super) fn help(name: &str) -> &str {
    COUNTED.iter().chain(MEASURED).find(|(known, _)| *known == name).map_or(name, |(_, help)| help)
}

/// Counters and gauges by name. Each is told of, though there may be no series of it yet: whoever writes a rule
/// should see what there is.
pub(super) const COUNTED: &[(&str, &str)] = &[
    ("detour_alerts_delivered_total", "Alerts a receiver took."),
    ("detour_alerts_failed_total", "Tries to tell a receiver that failed."),
    ("detour_alerts_failing", "Whether the last try to tell a receiver failed."),
    ("detour_alerts_given_up_total", "Alerts that are not tried any more."),
    ("detour_alerts_last_success_timestamp_seconds", "When a receiver last took an alert, since 1970."),
    ("detour_alerts_queued", "Alerts that wait for a receiver."),
    ("detour_alerts_skipped_total", "Alerts that were left out because too many waited."),
    ("detour_answer_panics_total", "Queries whose answering panicked."),
    ("detour_answers_total", "Answers by response code."),
    ("detour_cookies_total", "Queries by what they say by their DNS cookie."),
    ("detour_decisions_total", "Decisions: an answer changed, or the reason for it."),
    ("detour_desk_dropped_total", "Messages for the desk that found it full."),
    (
        "detour_desk_requests_total",
        "Messages that are no plain queries: transfers, NOTIFY, UPDATE, signed ones.",
    ),
    ("detour_health_changes_total", "Changes of a check's health, by the health after it."),
    ("detour_malformed_total", "Datagrams and messages that are no query."),
    ("detour_moves_total", "Changes of the sites a service is answered from: off a dead one, or other."),
    ("detour_probe_runs", "Probe runs under way."),
    ("detour_queries_total", "Messages that came in."),
    ("detour_rate_limited_total", "Answers over their rate limit, and what became of them."),
    ("detour_receive_errors_total", "Tries to receive queries that ended in an error."),
    ("detour_secondary_acknowledged_serial", "The serial a secondary acknowledged a NOTIFY of."),
    ("detour_secondary_lag_seconds", "For how long a secondary has lacked what is published here."),
    ("detour_secondary_messages_total", "Messages sent to secondaries."),
    ("detour_secondary_serial", "The serial a secondary had when it was last asked."),
    ("detour_send_errors_total", "Answers the kernel did not take."),
    ("detour_state_late_writes_total", "Publishes that did not wait for the state file."),
    ("detour_state_writable", "Whether the state file can be written: 1, or 0."),
    ("detour_state_write_errors_total", "Writes to the state file that failed."),
    ("detour_tap_lost_total", "Sampled queries that the query log or the dnstap reader lost."),
    ("detour_tap_written_total", "Sampled queries that went to the query log or to the dnstap reader."),
    ("detour_tcp_connections_total", "TCP connections accepted."),
    ("detour_tcp_evicted_total", "TCP connections closed to make room for new ones."),
    ("detour_tcp_open", "TCP connections open."),
    ("detour_traces_lost_total", "Failovers that a collector of traces was not told of."),
    ("detour_traces_sent_total", "Failovers that a collector of traces was told of."),
    ("detour_transfer_bytes_total", "Bytes of transfers sent."),
    ("detour_transfers_refused_total", "Transfers refused."),
    ("detour_transfers_total", "Transfers by what was sent."),
    ("detour_truncated_total", "Answers sent with the truncation bit."),
    ("detour_tsig_errors_total", "Messages whose signature is not good."),
    ("detour_updates_total", "Updates by what became of them."),
    ("detour_zones_broken", "Zones whose files were broken at the start, and still are."),
];

/// Histograms by name.
const MEASURED: &[(&str, &str)] = &[
    ("detour_answer_size_bytes", "How large answers are; transfers and others of the desk aside."),
    ("detour_failover_phase_seconds", "What failovers take, by phase; one for each service, or secondary."),
    ("detour_failover_seconds", "From the first failed run of a check to the answers without its site."),
    ("detour_probe_duration_seconds", "How long runs of a probe took, by what came of them."),
    ("detour_probe_lateness_seconds", "How much later than due probe runs started, first runs aside."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_once_in_order() {
        for names in [COUNTED, MEASURED] {
            assert!(names.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
        assert_eq!(help("detour_tcp_open"), "TCP connections open.");
        assert_eq!(help("detour_unknown"), "detour_unknown");
    }
}
