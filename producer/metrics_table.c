#include "metrics_table.h"

struct metric collector_metrics[COLLECTOR_METRICS + 1] = {
    [COLLECTOR_RECEIVED] = {"parapet_collector_received_total", METRIC_COUNTER, "Messages taken from a source", {"source"}},
    [COLLECTOR_PUBLISHED] = {"parapet_collector_published_total", METRIC_COUNTER, "Messages that Kafka acknowledged", {"source"}},
    [COLLECTOR_DEAD_LETTERS] = {"parapet_collector_dead_letters_total", METRIC_COUNTER, "Messages that are no events", {"source", "reason"}},
    [COLLECTOR_FAILED] = {"parapet_collector_delivery_failures_total", METRIC_COUNTER, "Deliveries that Kafka did not acknowledge", {"source"}},
    [COLLECTOR_DELIVERY] = {"parapet_collector_delivery_seconds", METRIC_HISTOGRAM, "From handing over to acknowledgement", {"source"}},
    [COLLECTOR_IN_FLIGHT] = {"parapet_collector_sqs_in_flight", METRIC_GAUGE, "SQS messages held and not deleted yet", {"queue"}},
    [COLLECTOR_DELETED] = {"parapet_collector_sqs_deleted_total", METRIC_COUNTER, "SQS messages deleted after acknowledgement", {"queue"}},
    [COLLECTOR_EXTENDED] = {"parapet_collector_sqs_extended_total", METRIC_COUNTER, "SQS messages whose visibility was extended", {"queue"}},
    [COLLECTOR_SQS_ERRORS] = {"parapet_collector_sqs_errors_total", METRIC_COUNTER, "SQS calls, or entries of one, that failed", {"queue", "operation"}},
    [COLLECTOR_SQS_AGE] = {"parapet_collector_sqs_age_seconds", METRIC_HISTOGRAM, "From sent to received", {"queue"}},
    [COLLECTOR_TICKS] = {"parapet_collector_ticks_total", METRIC_COUNTER, "Schedule ticks", {"resource", "outcome"}},
    [COLLECTOR_SWEEPS] = {"parapet_collector_sweeps_total", METRIC_COUNTER, "Sweeps of an account, Region and resource type", {"resource", "outcome"}},
    [COLLECTOR_REPLAY] = {"parapet_collector_replay_bytes", METRIC_GAUGE, "How much of a file was read", {"file"}},
};
