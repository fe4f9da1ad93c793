/* One plan: its writes, and what their answers mean. */
#include "control/controller_parts.h"

enum {
    LOOK_AGAIN_MIN_MS = 500,
    LOOK_AGAIN_DOUBLINGS = 6, /* at most 32 s */
};

static const struct action *current(const struct work *work)
{
    return work->relabel.resource ? &work->relabel : &work->plan.actions[work->at];
}

/* ---- Calls ---- */

void work_call(struct work *work, const struct kube_call *call, kube_done *done)
{
    struct err err;
    work->pending = kube_client_call(work->controller->config.client, call, done, work, &err);
    if (work->pending)
        return;
    struct work_log log;
    log_error(work_log(work, &log), "cannot call the server; it is tried again", LOG_ERR(&err));
    work->end = WORK_FAILED;
    work_fence(work);
}

const struct json *controller_read(struct controller *c, const struct kube_result *result,
                                   struct kube_meta *ret)
{
    static const struct json_limits limits = {
        .max_depth = 64, .max_values = 400000, .leave_out_managed_fields = true};
    struct err err;
    arena_reset(&c->answer);
    const struct json *object = json_read(&c->answer, result->body, &limits, &err);
    if (object)
        kube_meta_read(object, ret);
    return object;
}

/* ---- Ends ---- */

static void end(struct work *work, enum work_end how)
{
    work->end = how;
    work_fence(work);
}

/* An end that is our trouble or the server's, not the object's. */
static void fail(struct work *work, const char *why, const struct kube_result *result)
{
    struct work_log log;
    const struct action *action = current(work);
    log_warn(work_log(work, &log), "a write did not succeed; it is tried again",
             LOG_CSTR("write", action->purpose), LOG_STR("object", action->name),
             LOG_CSTR("why", why), LOG_INT("status", result->status),
             LOG_STR("message", result->message));
    end(work, WORK_FAILED);
}

/* The kind says what is written about it. */
static void refuse(struct work *work, const struct kube_result *result, bool is_foreign)
{
    struct controller *c = work->controller;
    struct action action = *current(work);
    struct action_failure failure = {
        .outcome = is_foreign ? KUBE_ALREADY_EXISTS : result->outcome,
        .is_foreign = is_foreign,
        .message = is_foreign ? STR("the name is taken by an object of another owner")
                              : arena_copy(&work->arena, result->message),
    };
    struct work_log log;
    log_warn(work_log(work, &log), "a write was refused", LOG_CSTR("write", action.purpose),
             LOG_STR("object", action.name), LOG_STR("message", failure.message));
    work->relabel = (struct action){0};
    if (work->is_refusal || !c->config.kind.refused) {
        end(work, WORK_FAILED);
        return;
    }
    struct moment now = {.now_ns = clock_now_ns(c->config.clock),
                         .wall_ns = clock_wall_ns(c->config.clock)};
    work->plan = (struct plan){.arena = &work->arena, .correlation_id = work->plan.correlation_id};
    work->is_refusal = true;
    work->at = 0;
    bool gives_up =
        c->config.kind.refused(c->config.kind.ctx, work->key, now, &action, &failure, &work->plan);
    work->end = gives_up ? WORK_GIVEN_UP : WORK_REFUSED;
    work_write(work);
}

static void tell(const struct work *work, const struct json *object)
{
    const struct controller_kind *kind = &work->controller->config.kind;
    if (kind->answered && !work->relabel.resource)
        kind->answered(kind->ctx, work->key, current(work), object);
}

static void go_on(struct work *work)
{
    work->relabel = (struct action){0};
    work->at++;
    work_write(work);
}

/* ---- Adopting ---- */

/* The labels that the object should have been created with and has not, or NULL. Without them the
 * cache, which selects by labels, may never see it. */
static const struct json *missing_labels(struct work *work, const struct kube_meta *meta)
{
    struct err err;
    const struct json *made =
        json_read(&work->arena, current(work)->body, &json_limits_default, &err);
    const struct json *labels = kube_at(made, "metadata", "labels", NULL);
    JSON_EACH (label, labels) {
        struct str is = kube_map_get(meta->labels, json_key(label));
        if (!str_is_set(is) || !str_eq(is, json_str(label)))
            return labels;
    }
    return NULL;
}

static struct str relabel_body(struct work *work, const struct kube_meta *meta,
                               const struct json *labels)
{
    struct buf body;
    buf_init(&body, arena_mem(&work->arena), 64 * 1024);
    buf_put(&body, STR("{\"metadata\":{\"uid\":"));
    json_write_str(&body, meta->uid);
    buf_put(&body, STR(",\"resourceVersion\":"));
    json_write_str(&body, meta->resource_version);
    buf_put(&body, STR(",\"labels\":"));
    json_write(&body, labels);
    buf_put(&body, STR("}}"));
    return buf_failed(&body) ? (struct str){NULL, 0} : buf_str(&body);
}

static void send(struct work *work);

/* An earlier create of ours: after a crash, or one whose answer was lost. The plan goes on, and since it was
 * made without knowing the object, the key comes once more. */
static void adopt(struct work *work, const struct json *object, const struct kube_meta *meta)
{
    const struct json *labels = missing_labels(work, meta);
    struct work_log log;
    log_info(work_log(work, &log), "adopted an object that exists already",
             LOG_CSTR("kind", current(work)->resource->kind),
             LOG_STR("object", current(work)->name), LOG_BOOL("relabelled", labels != NULL));
    work->end = WORK_AGAIN;
    tell(work, object);
    if (!labels) {
        fence_version(work, current(work), meta);
        go_on(work);
        return;
    }
    struct action relabel = *current(work);
    relabel.verb = ACTION_PATCH_MERGE;
    relabel.body = relabel_body(work, meta, labels);
    relabel.purpose = "restore labels";
    work->relabel = relabel;
    if (str_is_set(relabel.body))
        send(work);
    else
        end(work, WORK_FAILED);
}

/* ---- Looking: what is there now? ---- */

static void found(struct work *work, const struct kube_result *result, const struct json *object,
                  const struct kube_meta *meta)
{
    const struct action *action = current(work);
    bool is_target = !str_is_set(action->uid) || str_eq(action->uid, meta->uid);
    switch (action->verb) {
    case ACTION_CREATE:
        if (str_is_set(action->owner_uid) && str_eq(meta->owner_uid, action->owner_uid))
            adopt(work, object, meta);
        else
            refuse(work, result, true);
        break;
    case ACTION_DELETE:
        if (is_target && !str_is_set(meta->deletion_timestamp)) {
            fail(work, "it has not been deleted", result);
        } else {
            fence_gone(work, action, action->uid);
            go_on(work);
        }
        break;
    case ACTION_PATCH_MERGE:
    case ACTION_PATCH_JSON:
        fence_version(work, action, meta);
        end(work, WORK_AGAIN);
        break;
    case ACTION_READ:
        break; /* is never looked for: nothing is unknown about it */
    }
}

static void missing(struct work *work, const struct kube_result *result)
{
    const struct action *action = current(work);
    switch (action->verb) {
    case ACTION_CREATE:
        fail(work, "it has not been created", result);
        break;
    case ACTION_DELETE:
        fence_gone(work, action, action->uid);
        go_on(work);
        break;
    case ACTION_PATCH_MERGE:
    case ACTION_PATCH_JSON:
        fence_gone(work, action, (struct str){NULL, 0});
        end(work, WORK_AGAIN);
        break;
    case ACTION_READ:
        tell(work, NULL);
        go_on(work);
        break;
    }
}

static void look_again_later(struct work *work)
{
    struct controller *c = work->controller;
    unsigned doublings = work->looks < LOOK_AGAIN_DOUBLINGS ? work->looks : LOOK_AGAIN_DOUBLINGS;
    work->looks++;
    int64_t delay_ns = (LOOK_AGAIN_MIN_MS * CLOCK_NS_PER_MS) << doublings;
    work_set_state(work, WORK_PAUSED);
    timers_set(c->config.timers, &work->timer, clock_now_ns(c->config.clock) + delay_ns);
}

static void looked(void *ctx, const struct kube_result *result)
{
    struct work *work = ctx;
    struct kube_meta meta;
    const struct json *object = NULL;
    work->pending = NULL;
    if (result->outcome == KUBE_OK)
        object = controller_read(work->controller, result, &meta);
    if (result->outcome == KUBE_NOT_FOUND)
        missing(work, result);
    else if (result->outcome == KUBE_INVALID || result->outcome == KUBE_FORBIDDEN_BY)
        fail(work, "the server does not let us look at the object", result);
    else if (object)
        found(work, result, object, &meta);
    else
        look_again_later(work);
}

void work_look(struct work *work)
{
    const struct action *action = current(work);
    struct kube_call call = {
        .verb = KUBE_GET,
        .resource = action->resource,
        .namespace = action->namespace,
        .name = action->name,
        .wants_metadata = true,
    };
    work_set_state(work, WORK_LOOKING);
    work_call(work, &call, looked);
}

/* ---- Writing ---- */

static void written(struct work *work, const struct kube_result *result)
{
    const struct action *action = current(work);
    struct kube_meta meta = {0};
    const struct json *object = controller_read(work->controller, result, &meta);
    if (action->verb == ACTION_DELETE) {
        fence_gone(work, action, str_is_set(action->uid) ? action->uid : meta.uid);
        object = NULL;
    } else if (object && action->verb != ACTION_READ) {
        fence_version(work, action, &meta);
    } else if (!object && action->verb == ACTION_READ) {
        fail(work, "what was read cannot be understood", result);
        return;
    } else if (!object) {
        work_look(work); /* which version it has now */
        return;
    }
    tell(work, object);
    go_on(work);
}

static void answered(void *ctx, const struct kube_result *result)
{
    struct work *work = ctx;
    const struct action *action = current(work);
    const struct controller_config *config = &work->controller->config;
    work->pending = NULL;
    work->looks = 0;
    if (config->metrics)
        counter_add(counter_of(config->metrics->writes,
                               METRICS_VALUES(str_from_cstr(config->kind.name),
                                              str_from_cstr(action->purpose),
                                              str_from_cstr(kube_outcome_name(result->outcome)))),
                    1);
    struct work_log log;
    log_debug(work_log(work, &log), "write", LOG_CSTR("write", action->purpose),
              LOG_STR("object", action->name),
              LOG_CSTR("outcome", kube_outcome_name(result->outcome)));
    switch (result->outcome) {
    case KUBE_OK:
        written(work, result);
        break;
    case KUBE_INVALID:
    case KUBE_FORBIDDEN_BY:
        refuse(work, result, false);
        break;
    case KUBE_NOT_FOUND:
        if (action->verb == ACTION_CREATE)
            refuse(work, result, false);
        else
            missing(work, result);
        break;
    case KUBE_ALREADY_EXISTS:
    case KUBE_CONFLICT:
    case KUBE_UNKNOWN:
        work_look(work);
        break;
    case KUBE_GONE:
    case KUBE_BUSY:
    case KUBE_UNREACHED:
    case KUBE_FENCED:
        fail(work, kube_outcome_name(result->outcome), result);
        break;
    }
}

static void send(struct work *work)
{
    static const enum kube_verb verbs[] = {
        [ACTION_CREATE] = KUBE_CREATE,
        [ACTION_PATCH_MERGE] = KUBE_PATCH_MERGE,
        [ACTION_PATCH_JSON] = KUBE_PATCH_JSON,
        [ACTION_DELETE] = KUBE_DELETE,
        [ACTION_READ] = KUBE_GET,
    };
    const struct action *action = current(work);
    struct kube_call call = {
        .verb = verbs[action->verb],
        .resource = action->resource,
        .namespace = action->namespace,
        .name = action->name,
        .subresource = action->subresource,
        .body = action->body,
        .uid = action->uid,
        .grace_seconds = action->grace_seconds,
        /* What is deleted at once is answered with a Status. */
        .wants_metadata = action->verb != ACTION_DELETE && action->verb != ACTION_READ,
    };
    work_set_state(work, WORK_SENDING);
    work_call(work, &call, answered);
}

void work_write(struct work *work)
{
    bool is_cut = work->controller->is_draining && work->at < work->plan.action_count;
    if (is_cut)
        work->end = WORK_AGAIN;
    if (is_cut || work->at == work->plan.action_count)
        work_fence(work);
    else
        send(work);
}
