/* What the changes of Performers in the cache tell, as metrics. */
#include "controller/performer_parts.h"

/* From a quick start to the pull of a large image and the wait for a GPU. */
static const double ready_bounds[] = {1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600};

void performer_metrics_add(struct performer_metrics *ret, struct metrics *metrics)
{
    *ret = (struct performer_metrics){
        .stages = metrics_counters(metrics, "callboard_performer_stage_transitions_total",
                                   "Stages that Performers have entered; those passed in one "
                                   "step count as well.",
                                   METRICS_LABELS("stage"), STAGE_COUNT),
        .retries = metrics_counter(metrics, "callboard_performer_retries_total",
                                   "Failed pods that were replaced."),
        .upgrades = metrics_counter(metrics, "callboard_performer_upgrades_total",
                                    "Upgrades that ended well."),
        .ready_seconds = metrics_histogram(
            metrics, "callboard_performer_ready_seconds",
            "Time from the creation of a Performer to its first readiness.",
            (struct metrics_buckets){ready_bounds, sizeof(ready_bounds) / sizeof(ready_bounds[0])}),
    };
}

static void count(const struct performer_metrics *metrics, enum performer_stage stage)
{
    counter_add(
        counter_of(metrics->stages, METRICS_VALUES(str_from_cstr(performer_stage_name(stage)))), 1);
}

/* The stages from Creating to Running follow each other; who is further on has passed those between. */
static void count_stages(const struct performer_metrics *metrics, enum performer_stage from,
                         enum performer_stage to)
{
    bool is_on_the_way = to <= STAGE_RUNNING;
    enum performer_stage passed = from;
    if (from == STAGE_POD_RECREATION)
        passed = STAGE_POD_CREATION;
    else if (from >= STAGE_RUNNING)
        passed = STAGE_NONE;
    if (is_on_the_way && passed < to && (from == STAGE_NONE || passed != STAGE_NONE)) {
        for (enum performer_stage stage = passed + 1; stage < to; stage++)
            count(metrics, stage);
    }
    count(metrics, to);
}

void performer_metrics_observe(const struct performer_metrics *metrics, const struct stored *before,
                               const struct stored *after)
{
    const struct performer_object *a = (const struct performer_object *)before;
    const struct performer_object *b = (const struct performer_object *)after;
    if (!a || !b)
        return;
    if (a->stage != b->stage && b->stage != STAGE_NONE)
        count_stages(metrics, a->stage, b->stage);
    if (b->retries > a->retries)
        counter_add(metrics->retries, 1);
    if (b->last_upgrade_ns != a->last_upgrade_ns && b->last_upgrade_ns)
        counter_add(metrics->upgrades, 1);
    if (a->ready_ns == 0 && b->ready_ns > 0)
        histogram_observe(metrics->ready_seconds,
                          (double)(b->ready_ns - b->created_ns) / (double)CLOCK_NS_PER_SEC);
}
