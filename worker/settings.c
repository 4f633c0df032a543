#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

const struct setting worker_settings[] = {
    {"kafka.brokers", SETTING_TEXT, "127.0.0.1:9092", "Kafka's bootstrap servers, host:port separated by commas", 0, 0,
     0},
    {"kafka.group", SETTING_TEXT, "parapet-workers", "consumer group of the fleet", 0, 0, 0},
    {"kafka.session_timeout", SETTING_DURATION, "45s",
     "after this long without a sign a worker's partitions go to others", 1000, 300000, 0},
    {"kafka.consumers", SETTING_NUMBER, "1",
     "threads that read parapet.events, each a member of the group; useful up to the topic's partitions", 1, 16, 0},
    {"kafka.properties", SETTING_LIST, NULL, "further librdkafka properties, name=value (TLS, SASL)", 0, 0, 1},
    {"redis.url", SETTING_TEXT, "redis://127.0.0.1:6379",
     "Redis: redis://[:password@]host:port[/db], redis+sentinel://host:port,…/master[/db] or unix:///path; rediss:// "
     "with TLS",
     0, 0, 1},
    {"redis.timeout", SETTING_DURATION, "1s", "longest wait for one answer of Redis", 50, 60000, 0},
    {"aws.models", SETTING_TEXT, NULL, "directory of the compiled AWS service models (make models)", 0, 0, 0},
    {"aws.endpoint_url", SETTING_TEXT, NULL, "one endpoint for every service (an emulator); else AWS's endpoint rules",
     0, 0, 0},
    {"aws.region", SETTING_TEXT, NULL, "Region of the fleet's own calls; else AWS_REGION, AWS_DEFAULT_REGION", 0, 0, 0},
    {"aws.call_timeout", SETTING_DURATION, "10s", "longest wait for one attempt of an AWS call", 100, 120000, 0},
    {"aws.assume_rate", SETTING_NUMBER, "50",
     "AssumeRole calls a second by this process; STS allows all of the hub account 600 in a Region", 1, 600, 0},
    {"aws.budget", SETTING_NUMBER, "100",
     "percent of AWS's published request rates that the fleet may use in an account and Region; 0: no limit", 0, 1000,
     0},
    {"playbooks", SETTING_TEXT, NULL, "directory of the playbooks", 0, 0, 0},
    {"playbooks.reload", SETTING_DURATION, "10s", "how often the directory is looked at for changes", 1000, 3600000, 0},
    {"accounts", SETTING_TEXT, NULL, "YAML file of the accounts and their environments (deploy/config/accounts.yaml)",
     0, 0, 0},
    {"threads", SETTING_NUMBER, "64", "units worked on at once", 1, 1024, 0},
    {"http.address", SETTING_TEXT, "127.0.0.1:9464", "address of /metrics, /healthz and /readyz", 0, 0, 0},
    {"lease", SETTING_DURATION, "60s", "how long a worker owns a resource without a sign of life", 5000, 600000, 0},
    {"patience", SETTING_LIST, "5s,30s", "looks again, because AWS reads lag behind its writes", 0, 0, 0},
    {"park.after", SETTING_DURATION, "60s", "a unit older than this is parked, so that it holds up nobody", 1000,
     600000, 0},
    {"park.retry", SETTING_DURATION, "30s", "a parked unit that waits for no person comes back after this long", 100,
     3600000, 0},
    {"park.tries", SETTING_NUMBER, "20", "a unit that came back this often goes to the dead letters", 1, 10000, 0},
    {"baseline.after", SETTING_DURATION, "15m",
     "a difference that no event told is accepted into a guardrail's baseline when sweeps have seen it for so long",
     1000, 86400000, 0},
    {"breaker.account_actions", SETTING_NUMBER, "100",
     "actions in one account, of all guardrails, within breaker.window", 0, 1000000, 0},
    {"breaker.organization_actions", SETTING_NUMBER, "1000", "actions in all accounts within breaker.window", 0,
     1000000, 0},
    {"breaker.undo_actions", SETTING_NUMBER, "1000", "actions that operators may take back within breaker.window", 0,
     1000000, 0},
    {"breaker.window", SETTING_DURATION, "10m", "the window of the breakers' limits of the settings", 1000, 86400000,
     0},
    {"breaker.guardrail_actions", SETTING_NUMBER, "500",
     "actions of one guardrail in all accounts within breaker.window; 0: no limit", 0, 1000000, 0},
    {"breaker.guardrail_share", SETTING_NUMBER, "0",
     "percent of the resources of its type in all accounts that one guardrail may change in it; 0: no limit", 0, 100,
     0},
    {"breaker.account_share", SETTING_NUMBER, "0",
     "percent of an account's resources that may be changed in it; 0: no limit", 0, 100, 0},
    {"breaker.organization_share", SETTING_NUMBER, "0",
     "percent of all resources that may be changed in it; 0: no limit", 0, 100, 0},
    {"breaker.share_least", SETTING_NUMBER, "5",
     "a share never allows fewer actions than this, nor more while no sweep has counted the resources", 1, 1000000, 0},
    {"breaker.failures", SETTING_TEXT, "10/20",
     "so many failures of the last actions of a guardrail, or in an account, open its breaker; none: never", 0, 0, 0},
    {"breaker.cooldown", SETTING_DURATION, "0s",
     "a breaker that a limit or failures opened is probed after this long; 0s: only an operator closes it", 0, 86400000,
     0},
    {"breaker.probes", SETTING_NUMBER, "3", "actions that must end well before a probed breaker closes", 1, 100, 0},
    {"fight.rounds", SETTING_NUMBER, "3",
     "a resource that the same opponent set wrong again after this many fixes is left alone; 0: never", 0, 32, 0},
    {"fight.window", SETTING_DURATION, "1h", "the window of these rounds", 1000, 604800000, 0},
    {"exception.warn", SETTING_DURATION, "7d",
     "an exception's owner hears of its end this long before, at the soonest in the last quarter of its time", 0,
     31536000000, 0},
    {"exception.grace", SETTING_DURATION, "24h",
     "what an exception covered is told, not changed, for this long after its end", 0, 31536000000, 0},
    {"event.max_age", SETTING_DURATION, "15m",
     "an older event only leads to a look at the resource, collapsed and in pace; steps do not see it", 1000,
     31536000000, 0},
    {"breaker.override", SETTING_LIST, NULL,
     "GUARDRAIL=ACTIONS/WINDOW in place of the playbook's own limit, as ssh-open-to-internet=50/10m", 0, 0, 0},
    {"operators", SETTING_TEXT, NULL,
     "YAML file of who may approve, except, reset, rollout, stop, run and undo (deploy/config/operators.yaml); none: "
     "whoever "
     "reaches Redis and Kafka",
     0, 0, 0},
    {"approval.expires", SETTING_DURATION, "24h",
     "how long an action waits for somebody's agreement before it is judged and asked for anew", 10000, 2592000000, 0},
    {"notice.routes", SETTING_TEXT, NULL,
     "YAML file of the channels for notices and what goes to which (deploy/config/notices.yaml)", 0, 0, 0},
    {"notice.sns_topic", SETTING_TEXT, NULL,
     "without such a file: ARN of the SNS topic that gets all notices; none: they are only logged", 0, 0, 0},
    {"notice.window", SETTING_DURATION, "60s",
     "notices of one guardrail and account within this time become one digest", 100, 86400000, 0},
    {"log.level", SETTING_TEXT, "info", "debug, info, warn, error or off", 0, 0, 0},
    {0}};

struct aws_options settings_aws(const struct config *config) {
  const char *endpoint = config_text(config, "aws.endpoint_url"), *region = config_text(config, "aws.region");
  return (struct aws_options){.models = config_path(config, "aws.models", "models"),
                              .endpoint_url = *endpoint ? endpoint : NULL,
                              .hub_region = *region ? region : NULL,
                              .call_timeout_ms = config_ms(config, "aws.call_timeout"),
                              .budget_percent = (int)config_number(config, "aws.budget"),
                              .assume_per_second = (int)config_number(config, "aws.assume_rate")};
}

struct bus_options settings_bus(const struct config *config, const char *client_id) {
  return (struct bus_options){.brokers = config_text(config, "kafka.brokers"),
                              .client_id = client_id,
                              .extra = config_list(config, "kafka.properties")};
}

void settings_owner(char *owner, size_t size) {
  char host[128] = "host";
  unsigned long long random = 0;
  gethostname(host, sizeof host - 1);
  if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = (unsigned long long)getpid();
  snprintf(owner, size, "%s:%d:%08llx", host, (int)getpid(), random & 0xFFFFFFFFULL);
}
