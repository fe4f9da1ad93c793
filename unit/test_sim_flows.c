/*
 * The judge of flows in the simulator, by histories that are written by hand: what is right passes, and each
 * rule finds what it is for. Every line of a history is one request, of a controller or of anybody else.
 */
#include "unit/support.h"

#include "unit/sim/flows.h"

#include <stdio.h>
#include <stdlib.h>

#define FLOWS      "/apis/workflow.kube-zen.io/v1alpha1/namespaces/ns/jobflows"
#define JOBS       "/apis/batch/v1/namespaces/ns/jobs"
#define PERFORMERS "/apis/hourglass.eigenlayer.io/v1alpha1/namespaces/ns/performers"

enum who { CONTROLLER = 1, LEADERS /* one of two */, OTHERS };

/* What a line does; texts in capitals below stand for requests. */
struct line {
    enum who who;
    const char *what; /* "make", "status", "job", "end", "performer", "serve", "delete", … */
    const char *name; /* of the flow, or FLOW/STEP/ATTEMPT */
    const char *json; /* members of the body, a condition, or a text in a Job */
};

struct history {
    const char *rule; /* NULL: nothing is wrong */
    const char *message;
    struct line lines[12];
};

struct fixture {
    struct sim_world world;
    struct sim_flow_checker checker;
    enum who writer;
};

static void on_write(void *ctx, const struct sim_event *event)
{
    struct fixture *f = ctx;
    if (f->writer == CONTROLLER || f->writer == LEADERS)
        sim_flows_judge(&f->checker, event, f->writer == LEADERS);
    sim_flows_note(&f->checker, event);
}

/* ---- Requests ---- */

static void must(int status, const struct line *line)
{
    if (status < 200 || status >= 300)
        fail_msg("%s %s: %d", line->what, line->name, status);
}

static struct str uid_of(struct fixture *f, const char *flow)
{
    const struct sim_object *object =
        sim_store_get(&f->world.server.store, &kube_jobflows, STR("ns"), str_from_cstr(flow));
    return object ? object->meta.uid : STR("99999999-0000-4000-8000-000000000000");
}

static void make_flow(struct fixture *f, const struct line *line)
{
    must(sim_ask(&f->world, "POST", STR(FLOWS),
                 "{\"apiVersion\":\"workflow.kube-zen.io/v1alpha1\",\"kind\":\"JobFlow\","
                 "\"metadata\":{\"name\":\"%s\"},\"spec\":{%s}}",
                 line->name, line->json),
         line);
}

/* A Job or a Performer, with the text of the line in it. */
static void make_child(struct fixture *f, const struct line *line, const char *collection,
                       const char *api_version, const char *kind, const char *spec)
{
    struct str flow, step, attempt, rest;
    char owner[64];
    str_cut(str_from_cstr(line->name), '/', &flow, &rest);
    str_cut(rest, '/', &step, &attempt);
    snprintf(owner, sizeof(owner), "%" PRIstr, STR_ARG(flow));
    must(sim_ask(&f->world, "POST", str_from_cstr(collection),
                 "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{\"name\":\"%s-%" PRIstr
                 "-%" PRIstr "\",\"annotations\":{\"more\":\"%s\"},\"labels\":{"
                 "\"workflow.kube-zen.io/flow\":\"%s\",\"workflow.kube-zen.io/step\":\"%" PRIstr
                 "\",\"workflow.kube-zen.io/attempt\":\"%" PRIstr "\"},\"ownerReferences\":[{"
                 "\"apiVersion\":\"workflow.kube-zen.io/v1alpha1\",\"kind\":\"JobFlow\",\"name\":"
                 "\"%s\",\"uid\":\"%" PRIstr "\",\"controller\":true}]},\"spec\":{%s}}",
                 api_version, kind, owner, STR_ARG(step), STR_ARG(attempt),
                 line->json ? line->json : "", owner, STR_ARG(step), STR_ARG(attempt), owner,
                 STR_ARG(uid_of(f, owner)), spec),
         line);
}

static void make_job(struct fixture *f, const struct line *line)
{
    make_child(f, line, JOBS, "batch/v1", "Job", "\"template\":{\"spec\":{\"containers\":[]}}");
}

static void make_performer(struct fixture *f, const struct line *line)
{
    make_child(f, line, PERFORMERS, "hourglass.eigenlayer.io/v1alpha1", "Performer",
               "\"avsAddress\":\"0x1\",\"image\":\"i:1\"");
}

static struct str child_path(const char *collection, const char *name, const char *subresource,
                             char to[256])
{
    char flat[128];
    snprintf(flat, sizeof(flat), "%s", name);
    for (char *c = flat; *c; c++)
        *c = *c == '/' ? '-' : *c;
    snprintf(to, 256, "%s/%s%s", collection, flat, subresource);
    return str_from_cstr(to);
}

static struct str job_path(const char *name, const char *subresource, char to[256])
{
    return child_path(JOBS, name, subresource, to);
}

static struct str performer_path(const char *name, const char *subresource, char to[256])
{
    return child_path(PERFORMERS, name, subresource, to);
}

static void play(struct fixture *f, const struct line *line)
{
    char path[256];
    struct sim_world *world = &f->world;
    const char *what = line->what;
    snprintf(path, sizeof(path), FLOWS "/%s%s", line->name,
             strcmp(what, "status") == 0 ? "/status" : "");
    struct str target = str_from_cstr(path);
    f->writer = line->who;
    if (strcmp(what, "make") == 0)
        make_flow(f, line);
    else if (strcmp(what, "status") == 0)
        must(sim_ask(world, "PATCH", target, "{\"status\":{%s}}", line->json), line);
    else if (strcmp(what, "patch") == 0)
        must(sim_ask(world, "PATCH", target, "{%s}", line->json), line);
    else if (strcmp(what, "delete") == 0)
        must(sim_ask(world, "DELETE", target, "%s", ""), line);
    else if (strcmp(what, "job") == 0)
        make_job(f, line);
    else if (strcmp(what, "performer") == 0)
        make_performer(f, line);
    else if (strcmp(what, "serve") == 0)
        must(sim_ask(world, "PATCH", performer_path(line->name, "/status", path),
                     "{\"status\":{\"phase\":\"Running\",\"ready\":true}}"),
             line);
    else if (strcmp(what, "delete performer") == 0)
        must(sim_ask(world, "DELETE", performer_path(line->name, "", path), "%s", ""), line);
    else if (strcmp(what, "end") == 0)
        must(sim_ask(world, "PATCH", job_path(line->name, "/status", path),
                     "{\"status\":{\"conditions\":[{\"type\":\"%s\",\"status\":\"True\"}]}}",
                     line->json),
             line);
    else if (strcmp(what, "suspend job") == 0)
        must(sim_ask(world, "PATCH", job_path(line->name, "", path), "{\"spec\":{%s}}", line->json),
             line);
    else if (strcmp(what, "delete job") == 0)
        must(sim_ask(world, "DELETE", job_path(line->name, "", path), "%s", ""), line);
    else
        world->now_ns += 200 * SIM_SEC;
}

/* ---- Histories ---- */

/* A step as JSON: its name and more members. */
#define S(name, more) "{\"name\":\"" name "\"," more "\"template\":" T "}"
#define T                                                                                       \
    "{\"spec\":{\"template\":{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":" \
    "\"m\",\"image\":\"i:1\"}]}}}}"
#define ALLOW "\"executionPolicy\":{\"concurrencyPolicy\":\"Allow\"},"
#define ONE   ALLOW "\"steps\":[" S("a", "") "]"
#define TWO   ALLOW "\"steps\":[" S("a", "") "," S("b", "\"dependencies\":[\"a\"],") "]"
#define NEVER ALLOW "\"steps\":[" S("a", "\"when\":\"never\",") "]"
#define M                                                                                    \
    "{\"name\":\"m\",\"type\":\"Performer\",\"template\":{\"spec\":{\"avsAddress\":\"0x1\"," \
    "\"image\":\"i:1\"}}}"
#define SERVED    ALLOW "\"steps\":[" M "," S("a", "\"dependencies\":[\"m\"],") "]"
#define RETRIED   "\"steps\":[" S("a", "\"retryPolicy\":{\"limit\":1},") "]"
#define STARTED   "\"phase\":\"Running\",\"startTime\":\"2026-01-02T03:04:05Z\""
#define TOLD(s)   STARTED ",\"steps\":[" s "]"
#define IS(n, p)  "{\"name\":\"" n "\",\"phase\":\"" p "\"}"
#define FAILED(n) "{\"name\":\"" n "\",\"phase\":\"Failed\",\"reason\":\"JobFailed\"}"
#define LOST(n)   "{\"name\":\"" n "\",\"phase\":\"Failed\",\"reason\":\"ResultLost\"}"
#define LOST_AGAIN(n) \
    "{\"name\":\"" n "\",\"phase\":\"Failed\",\"reason\":\"ResultLost\",\"retryCount\":1}"
#define NO_VALUE(n) \
    "{\"name\":\"" n "\",\"phase\":\"Failed\",\"reason\":\"ValueInvalid\",\"retryCount\":1}"
#define SKIPPED(n, r) "{\"name\":\"" n "\",\"phase\":\"Skipped\",\"reason\":\"" r "\"}"
#define ENDED(p, s, good, bad, done)                                                      \
    "\"phase\":\"" p "\",\"startTime\":\"2026-01-02T03:04:05Z\",\"completionTime\":"      \
    "\"2026-01-02T03:05:05Z\",\"steps\":[" s "],\"progress\":{\"successfulSteps\":" #good \
    ",\"failedSteps\":" #bad ",\"completedSteps\":" #done ",\"totalSteps\":" #done "}"

static const struct history histories[] = {
    {NULL,
     "a flow of two steps that succeeds",
     {{OTHERS, "make", "f", TWO},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "job", "f/b/0", NULL},
      {OTHERS, "end", "f/b/0", "Complete"},
      {CONTROLLER, "status", "f",
       ENDED("Succeeded", IS("a", "Succeeded") "," IS("b", "Succeeded"), 2, 0, 2)},
      {CONTROLLER, "delete", "f", NULL}}},
    {NULL,
     "a retry, and a failure that skips what depends on it",
     {{OTHERS, "make", "f",
       ALLOW "\"steps\":[" S("a", "\"retryPolicy\":{\"limit\":1},") "," S(
           "b", "\"dependencies\":[\"a\"],") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "job", "f/a/1", NULL},
      {OTHERS, "end", "f/a/1", "Failed"},
      {CONTROLLER, "status", "f",
       ENDED("Failed", IS("a", "Failed") "," SKIPPED("b", "DependencyFailed"), 0, 1, 2)}}},
    {NULL,
     "a failure that may be, and a condition about it",
     {{OTHERS, "make", "f",
       ALLOW "\"steps\":[" S("a", "\"continueOnFailure\":true,") "," S(
           "b", "\"dependencies\":[\"a\"],\"when\":\"steps.a.phase == 'Failed'\",") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "job", "f/b/0", NULL},
      {OTHERS, "end", "f/b/0", "Complete"},
      {CONTROLLER, "status", "f",
       ENDED("Succeeded", IS("a", "Failed") "," IS("b", "Succeeded"), 1, 1, 2)}}},
    {NULL,
     "a Job that somebody deleted is made again",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "delete job", "f/a/0", NULL},
      {CONTROLLER, "job", "f/a/0", NULL}}},
    {NULL,
     "a step that was stopped does not run",
     {{OTHERS, "make", "f",
       "\"executionPolicy\":{\"parallelism\":1},\"steps\":[" S("a", "") "],\"finally\":[" S(
           "z", "") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "suspend job", "f/a/0", "\"suspend\":true"},
      {CONTROLLER, "status", "f", TOLD(IS("a", "Failed"))},
      {CONTROLLER, "job", "f/z/0", NULL}}},
    {NULL,
     "a new leader writes what the last one did not see",
     {{OTHERS, "make", "f", TWO},
      {CONTROLLER, "status", "f", STARTED},
      {LEADERS, "job", "f/b/0", NULL}}},
    {"order",
     "a Job before what it depends on",
     {{OTHERS, "make", "f", TWO},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "job", "f/b/0", NULL}}},
    {"order",
     "a Job although what it depends on has failed",
     {{OTHERS, "make", "f", TWO},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "job", "f/b/0", NULL}}},
    {"order",
     "a Job while what it depends on will be tried again",
     {{OTHERS, "make", "f",
       ALLOW
       "\"steps\":[" S("a", "\"continueOnFailure\":true,\"retryPolicy\":{\"limit\":1},") "," S(
           "b", "\"dependencies\":[\"a\"],") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "job", "f/b/0", NULL}}},
    {"order",
     "a step is run again although one that depends on it has begun",
     {{OTHERS, "make", "f", TWO},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "job", "f/b/0", NULL},
      {OTHERS, "delete job", "f/a/0", NULL},
      {CONTROLLER, "job", "f/a/0", NULL}}},
    {NULL,
     "a step of which nothing is left has ended when one that depends on it has begun",
     {{OTHERS, "make", "f",
       ALLOW
       "\"steps\":[" S("a", "\"continueOnFailure\":true,\"retryPolicy\":{\"limit\":1},") "," S(
           "b", "\"dependencies\":[\"a\"],") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "job", "f/b/0", NULL},
      {OTHERS, "delete job", "f/a/0", NULL},
      {CONTROLLER, "status", "f", TOLD(LOST("a"))}}},
    {NULL,
     "a step whose last try could not be made has ended when one that depends on it has begun",
     {{OTHERS, "make", "f",
       ALLOW "\"steps\":[" S("a", "\"continueOnFailure\":true,\"inputs\":{},\"retryPolicy\":{"
                                  "\"limit\":1},") "," S("b", "\"dependencies\":[\"a\"],") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "job", "f/b/0", NULL},
      {CONTROLLER, "status", "f", TOLD(LOST_AGAIN("a"))}}},
    {"failed",
     "a step of which nothing is left has ended for nothing",
     {{OTHERS, "make", "f", TWO},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "delete job", "f/a/0", NULL},
      {CONTROLLER, "status", "f", TOLD(LOST("a"))}}},
    {"failed",
     "a step whose Job is there has ended as another one has begun",
     {{OTHERS, "make", "f", TWO},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "job", "f/b/0", NULL},
      {CONTROLLER, "status", "f", TOLD(LOST("a"))}}},
    {"order",
     "a step of finally while another one runs",
     {{OTHERS, "make", "f", ALLOW "\"steps\":[" S("a", "") "],\"finally\":[" S("z", "") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "job", "f/z/0", NULL}}},
    {"condition",
     "a Job whose condition is false",
     {{OTHERS, "make", "f", ALLOW "\"steps\":[" S("a", "\"when\":\"never\",") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL}}},
    {"job once",
     "a second Job beside the first",
     {{OTHERS, "make", "f", RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "job", "f/a/1", NULL}}},
    {"job once",
     "a step that has succeeded is run again",
     {{OTHERS, "make", "f", RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "job", "f/a/1", NULL}}},
    {"job once",
     "a Job that is gone, of a step that has ended",
     {{OTHERS, "make", "f", RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "status", "f", TOLD(IS("a", "Succeeded"))},
      {OTHERS, "delete job", "f/a/0", NULL},
      {CONTROLLER, "job", "f/a/0", NULL}}},
    {"job once",
     "an attempt is passed over",
     {{OTHERS, "make", "f", RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "job", "f/a/2", NULL}}},
    {"retries",
     "a step is tried more often than it says",
     {{OTHERS, "make", "f", RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "job", "f/a/1", NULL},
      {OTHERS, "end", "f/a/1", "Failed"},
      {CONTROLLER, "job", "f/a/2", NULL}}},
    {"retries",
     "a flow is tried more often than it says",
     {{OTHERS, "make", "f", "\"executionPolicy\":{\"backoffLimit\":0}," RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "job", "f/a/1", NULL}}},
    {"parallelism",
     "two at once where one may be",
     {{OTHERS, "make", "f",
       "\"executionPolicy\":{\"parallelism\":1},\"steps\":[" S("a", "") "," S("b", "") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "job", "f/b/0", NULL}}},
    {"failure",
     "a step begins after another has failed",
     {{OTHERS, "make", "f", ALLOW "\"steps\":[" S("a", "") "," S("b", "") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "status", "f", TOLD(IS("a", "Failed"))},
      {CONTROLLER, "job", "f/b/0", NULL}}},
    {"suspend",
     "a step begins in a flow that is suspended",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {OTHERS, "patch", "f", "\"spec\":{\"executionPolicy\":{\"suspend\":true}}"},
      {OTHERS, "wait", "f", NULL},
      {CONTROLLER, "job", "f/a/0", NULL}}},
    {"start",
     "a Job before the start",
     {{OTHERS, "make", "f", ONE}, {CONTROLLER, "job", "f/a/0", NULL}}},
    {"start",
     "a Job after the end",
     {{OTHERS, "make", "f", RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "status", "f", ENDED("Failed", IS("a", "Failed"), 0, 1, 1)},
      {CONTROLLER, "job", "f/a/1", NULL}}},
    {"resources",
     "a Job before the resources",
     {{OTHERS, "make", "f",
       ALLOW "\"resourceTemplates\":{\"configMapTemplates\":[{\"metadata\":{\"name\":\"c\"}}]},"
             "\"steps\":[" S("a", "") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL}}},
    {"active",
     "three flows where two may be active",
     {{OTHERS, "make", "f", ONE},
      {OTHERS, "make", "g", ONE},
      {OTHERS, "make", "h", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "status", "g", STARTED},
      {CONTROLLER, "status", "h", STARTED}}},
    {"concurrency",
     "a flow that forbids others starts beside one",
     {{OTHERS, "make", "f",
       "\"executionPolicy\":{\"concurrencyGroup\":\"x\"},\"steps\":[" S("a", "") "]"},
      {OTHERS, "make", "g",
       "\"executionPolicy\":{\"concurrencyGroup\":\"x\"},\"steps\":[" S("a", "") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "status", "g", STARTED}}},
    {"status",
     "a flow that has ended goes on",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "status", "f", ENDED("Succeeded", IS("a", "Succeeded"), 1, 0, 1)},
      {CONTROLLER, "status", "f", STARTED}}},
    {"status",
     "a step is said to have succeeded that has not",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "status", "f", TOLD(IS("a", "Succeeded"))}}},
    {"status",
     "a step is said to be skipped that has run",
     {{OTHERS, "make", "f", NEVER},
      {CONTROLLER, "status", "f", STARTED},
      {LEADERS, "job", "f/a/0", NULL},
      {OTHERS, "wait", "f", NULL},
      {CONTROLLER, "status", "f", TOLD(SKIPPED("a", "ConditionFalse"))}}},
    {NULL,
     "a Job that was made late is not known yet",
     {{OTHERS, "make", "f", NEVER},
      {CONTROLLER, "status", "f", STARTED},
      {LEADERS, "job", "f/a/0", NULL},
      {CONTROLLER, "status", "f", TOLD(SKIPPED("a", "ConditionFalse"))}}},
    {"status",
     "a flow has succeeded with a step that has failed",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "status", "f", ENDED("Succeeded", IS("a", "Failed"), 0, 1, 1)}}},
    {"status",
     "a flow has ended while a step runs",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "wait", "f", NULL},
      {CONTROLLER, "status", "f", ENDED("Failed", IS("a", "Failed"), 0, 1, 1)}}},
    {"status",
     "counts that are wrong",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "status", "f", ENDED("Succeeded", IS("a", "Succeeded"), 0, 0, 1)}}},
    {"status",
     "a flow has failed for a step, and none has",
     {{OTHERS, "make", "f", NEVER},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "status", "f",
       ENDED("Failed", SKIPPED("a", "ConditionFalse"), 0, 0,
             1) ",\"conditions\":[{\"type\":"
                "\"Failed\",\"status\":\"True\",\"reason\":\"StepFailed\",\"message\":\"\","
                "\"lastTransitionTime\":\"2026-01-02T03:05:05Z\"}]"}}},
    {"skipped",
     "a condition that holds is said to be false",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "status", "f", TOLD(SKIPPED("a", "ConditionFalse"))}}},
    {"skipped",
     "a failure that nobody has seen is the reason",
     {{OTHERS, "make", "f", TWO},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "status", "f", TOLD(IS("a", "Running") "," SKIPPED("b", "DependencyFailed"))}}},
    {"skipped",
     "a step is skipped, and the flow has not failed",
     {{OTHERS, "make", "f", TWO},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "status", "f", TOLD(IS("a", "Running") "," SKIPPED("b", "FlowFailed"))}}},
    {"skipped",
     "nobody has taken its place",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "status", "f", TOLD(SKIPPED("a", "Replaced"))}}},
    {"failed",
     "a step is said to have failed whose Job runs",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "status", "f", TOLD(FAILED("a"))}}},
    {"failed",
     "a step is given up that could be tried again",
     {{OTHERS, "make", "f", RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "status", "f", TOLD(FAILED("a"))}}},
    {NULL,
     "a step is given up because another one has failed",
     {{OTHERS, "make", "f",
       ALLOW "\"steps\":[" S("a", "\"retryPolicy\":{\"limit\":1},") "," S("b", "") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "job", "f/b/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {OTHERS, "end", "f/b/0", "Failed"},
      {CONTROLLER, "status", "f", TOLD(FAILED("a") "," FAILED("b"))}}},
    {NULL,
     "a step is given up because a try whose value was not there has taken the last retry",
     {{OTHERS, "make", "f",
       "\"executionPolicy\":{\"concurrencyPolicy\":\"Allow\",\"backoffLimit\":1},\"steps\":[" S(
           "a",
           "\"continueOnFailure\":true,\"retryPolicy\":{\"limit\":1},") "," S("b",
                                                                              "\"retryPolicy\":{"
                                                                              "\"limit\":1},") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "status", "f", TOLD(NO_VALUE("a"))},
      {CONTROLLER, "job", "f/b/0", NULL},
      {OTHERS, "end", "f/b/0", "Failed"},
      {CONTROLLER, "status", "f", TOLD(NO_VALUE("a") "," FAILED("b"))}}},
    {NULL,
     "a step has failed whose next try was gone before anybody knew of it",
     {{OTHERS, "make", "f", "\"executionPolicy\":{\"activeDeadlineSeconds\":9}," RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "job", "f/a/1", NULL},
      {OTHERS, "delete job", "f/a/1", NULL},
      {CONTROLLER, "status", "f", TOLD(FAILED("a"))}}},
    {NULL,
     "tries that are gone before anybody knew of them are made again from the first",
     {{OTHERS, "make", "f", RETRIED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {OTHERS, "wait", "f", NULL},
      {CONTROLLER, "job", "f/a/1", NULL},
      {OTHERS, "delete job", "f/a/0", NULL},
      {OTHERS, "delete job", "f/a/1", NULL},
      {OTHERS, "wait", "f", NULL},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "status", "f", TOLD(IS("a", "Succeeded"))}}},
    {"value",
     "a placeholder is left",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", "{{parameters.p}}"}}},
    {NULL,
     "a Performer that serves, and the step behind it",
     {{OTHERS, "make", "f", SERVED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "performer", "f/m/0", NULL},
      {OTHERS, "serve", "f/m/0", NULL},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "delete performer", "f/m/0", NULL},
      {CONTROLLER, "status", "f",
       ENDED("Succeeded", IS("m", "Succeeded") "," IS("a", "Succeeded"), 2, 0, 2)}}},
    {"order",
     "a Job before the Performer that it needs serves",
     {{OTHERS, "make", "f", SERVED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "performer", "f/m/0", NULL},
      {CONTROLLER, "job", "f/a/0", NULL}}},
    {"performer",
     "a second Performer beside the first",
     {{OTHERS, "make", "f", SERVED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "performer", "f/m/0", NULL},
      {CONTROLLER, "performer", "f/m/1", NULL}}},
    {"performer",
     "a Performer of a step that makes Jobs",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "performer", "f/a/0", NULL}}},
    {"performer",
     "a Performer is left when the flow ends",
     {{OTHERS, "make", "f", SERVED},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "performer", "f/m/0", NULL},
      {OTHERS, "serve", "f/m/0", NULL},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Complete"},
      {CONTROLLER, "status", "f",
       ENDED("Succeeded", IS("m", "Succeeded") "," IS("a", "Succeeded"), 2, 0, 2)}}},
    {"performer",
     "a step is skipped that has one",
     {{OTHERS, "make", "f", ALLOW "\"steps\":[" M "," S("a", "") "]"},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "performer", "f/m/0", NULL},
      {CONTROLLER, "job", "f/a/0", NULL},
      {OTHERS, "end", "f/a/0", "Failed"},
      {CONTROLLER, "status", "f", TOLD(SKIPPED("m", "FlowFailed") "," IS("a", "Failed"))}}},
    {"ttl",
     "a flow that runs is deleted",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "delete", "f", NULL}}},
    {"foreign",
     "a Job of nobody's",
     {{OTHERS, "make", "f", ONE}, {CONTROLLER, "job", "g/a/0", NULL}}},
    {"job owner",
     "a Job of no step",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/z/0", NULL}}},
    {"foreign",
     "a Job is deleted, and its result with it",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "delete job", "f/a/0", NULL}}},
    {"foreign",
     "more of a Job is changed than that it is suspended",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "status", "f", STARTED},
      {CONTROLLER, "job", "f/a/0", NULL},
      {CONTROLLER, "suspend job", "f/a/0", "\"parallelism\":2"}}},
    {"foreign",
     "the spec of a flow is changed",
     {{OTHERS, "make", "f", ONE},
      {CONTROLLER, "patch", "f", "\"spec\":{\"executionPolicy\":{\"suspend\":true}}"}}},
};

/* Its lines, until one of them violates a rule. */
static void run_history(struct fixture *f, const struct history *history)
{
    enum { LINES_MAX = 12 };
    jmp_buf violated;
    sim_world_init(&f->world, TEST_SEED);
    sim_flows_init(&f->checker, &f->world, 2);
    f->world.server.on_write = on_write;
    f->world.server.ctx = f;
    f->world.violated = &violated;
    f->writer = OTHERS;
    sim_ask(&f->world, "POST", STR("/api/v1/namespaces"), "%s",
            "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"ns\"}}");
    if (setjmp(violated) == 0) {
        for (size_t i = 0; i < LINES_MAX && history->lines[i].what; i++)
            play(f, &history->lines[i]);
    }
}

static void every_history_is_judged_as_it_should_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(histories) / sizeof(histories[0]); i++) {
        struct fixture *f = calloc(1, sizeof(*f));
        assert_non_null(f);
        run_history(f, &histories[i]);
        const char *found = f->world.checker ? f->world.checker : "nothing";
        const char *expected = histories[i].rule ? histories[i].rule : "nothing";
        if (strcmp(found, expected) != 0)
            fail_msg("%s: %s is found, not %s: %s", histories[i].message, found, expected,
                     f->world.violation);
        sim_flows_done(&f->checker);
        sim_world_done(&f->world);
        free(f);
    }
}

/* Fourteen flows of high priority start one after the other while an older one of low priority waits. */
static void who_waits_for_ever_is_noticed(void **state)
{
    (void)state;
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    struct history history = {.lines = {{OTHERS, "make", "low", ONE}}};
    run_history(f, &history);
    jmp_buf violated;
    f->world.violated = &violated;
    if (setjmp(violated) == 0) {
        for (int i = 0; i < 14; i++) {
            char name[16], job[24];
            snprintf(name, sizeof(name), "f%d", i);
            snprintf(job, sizeof(job), "f%d/a/0", i);
            f->world.now_ns += SIM_SEC;
            play(f, &(struct line){OTHERS, "make", name, ONE});
            play(f, &(struct line){CONTROLLER, "status", name, STARTED});
            play(f, &(struct line){CONTROLLER, "job", job, NULL});
            play(f, &(struct line){OTHERS, "end", job, "Complete"});
            play(f, &(struct line){CONTROLLER, "status", name,
                                   ENDED("Succeeded", IS("a", "Succeeded"), 1, 0, 1)});
        }
    }
    assert_non_null(f->world.checker);
    assert_string_equal(f->world.checker, "starvation");
    sim_flows_done(&f->checker);
    sim_world_done(&f->world);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_history_is_judged_as_it_should_be),
        cmocka_unit_test(who_waits_for_ever_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
