/* What the changes of flows in the cache tell, as metrics. */
#include "controller/flow_parts.h"

/* From a quick step to a day's training. */
static const double flow_bounds[] = {1,   2,   5,    10,   30,   60,    120,
                                     300, 600, 1800, 3600, 7200, 21600, 86400};

#define BOUNDS ((struct metrics_buckets){flow_bounds, sizeof(flow_bounds) / sizeof(flow_bounds[0])})

void flow_metrics_add(struct flow_metrics *ret, struct metrics *metrics)
{
    *ret = (struct flow_metrics){
        .phases = metrics_counters(metrics, "callboard_jobflow_phase_transitions_total",
                                   "Phases that JobFlows have entered.", METRICS_LABELS("phase"),
                                   FLOW_PHASE_COUNT),
        .steps = metrics_counters(metrics, "callboard_jobflow_steps_total",
                                  "Steps of JobFlows that have ended, by their last phase.",
                                  METRICS_LABELS("phase"), STEP_PHASE_COUNT),
        .retries = metrics_counter(metrics, "callboard_jobflow_step_retries_total",
                                   "Failed steps that are tried again."),
        .seconds = metrics_histogram(metrics, "callboard_jobflow_duration_seconds",
                                     "Time from the start of a JobFlow to its end.", BOUNDS),
        .step_times =
            metrics_histograms(metrics, "callboard_jobflow_step_duration_seconds",
                               "Time from the start of a step to its end, its retries included.",
                               METRICS_LABELS("type"), 3, BOUNDS),
        .active = metrics_gauge(metrics, "callboard_jobflow_active",
                                "JobFlows that have started and not ended."),
        .waiting = metrics_gauges(metrics, "callboard_jobflow_waiting",
                                  "JobFlows that wait for others to end, by priority.",
                                  METRICS_LABELS("priority"), FLOW_PRIORITY_COUNT),
    };
}

void flow_metrics_show_gate(const struct flow_controller *controller)
{
    static const char *const names[FLOW_PRIORITY_COUNT] = {"high", "normal", "low"};
    const struct flow_metrics *m = controller->metrics;
    if (!m)
        return;
    gauge_set(m->active, (double)flow_gate_active(controller->gate));
    for (int i = 0; i < FLOW_PRIORITY_COUNT; i++)
        gauge_set(gauge_of(m->waiting, METRICS_VALUES(str_from_cstr(names[i]))),
                  (double)flow_gate_waiting(controller->gate, (enum flow_priority)i));
}

void flow_metrics_observe(const struct flow_controller *controller, const struct stored *before,
                          const struct stored *after)
{
    const struct flow_metrics *m = controller->metrics;
    const struct flow_object *a = (const struct flow_object *)before;
    const struct flow_object *b = (const struct flow_object *)after;
    if (!m)
        return;
    flow_metrics_show_gate(controller);
    if (!a || !b || a->phase == b->phase || b->phase == FLOW_NONE)
        return;
    counter_add(counter_of(m->phases, METRICS_VALUES(str_from_cstr(flow_phase_name(b->phase)))), 1);
    if (flow_has_ended(b) && b->start_ns > 0 && b->end_ns >= b->start_ns)
        histogram_observe(m->seconds, (double)(b->end_ns - b->start_ns) / (double)CLOCK_NS_PER_SEC);
}
