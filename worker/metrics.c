/* The worker's metrics, one row each, in the order of enum worker_metric. */
#include "worker.h"

struct metric worker_metrics[] = {
    [M_EVENTS] = {.name = "parapet_events_total", .type = METRIC_COUNTER, .help = "Events consumed, by what became of them: matched, unmatched, duplicate, deadletter", .labels = {"outcome"}},
    [M_UNITS] = {.name = "parapet_units_total", .type = METRIC_COUNTER, .help = "Units made, by what they came from", .labels = {"origin"}},
    [M_ACTIONS] = {.name = "parapet_actions_total", .type = METRIC_COUNTER, .help = "Actions that ended, by status", .labels = {"guardrail", "status"}},
    [M_FINDINGS] = {.name = "parapet_findings_total", .type = METRIC_COUNTER, .help = "Findings written, by new status", .labels = {"guardrail", "status"}},
    [M_GATES] = {.name = "parapet_refusals_total", .type = METRIC_COUNTER, .help = "What gates held back, by gate", .labels = {"guardrail", "gate"}},
    [M_OWN] = {.name = "parapet_own_events_total", .type = METRIC_COUNTER, .help = "Events of Parapet's own changes, recognised and left alone", .labels = {"guardrail"}},
    [M_SWEEPS] = {.name = "parapet_sweeps_total", .type = METRIC_COUNTER, .help = "Sweeps of one account, Region and resource type", .labels = {"resource", "outcome"}},
    [M_SECONDS] = {.name = "parapet_seconds", .type = METRIC_HISTOGRAM, .help = "Time from the event (or the match) to the verified fix", .labels = {"guardrail", "span"}},
    [M_PARKED] = {.name = "parapet_parked_total", .type = METRIC_COUNTER, .help = "Units parked, by why", .labels = {"guardrail", "reason"}},
    [M_READY] = {.name = "parapet_ready", .type = METRIC_GAUGE, .help = "1 while the gates are open"},
    [M_LAG] = {.name = "parapet_lag", .type = METRIC_GAUGE, .help = "Events in Kafka that this worker has not finished"},
    [M_NOTICES] = {.name = "parapet_notices_total", .type = METRIC_COUNTER, .help = "Digests sent", .labels = {"outcome"}},
    [M_ERRORS] = {.name = "parapet_errors_total", .type = METRIC_COUNTER, .help = "Troubles, by where and class", .labels = {"where", "class"}},
    [M_END] = {0},
};
