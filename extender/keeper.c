/* The ConfigMap with what was learned. */
#include "extender/keeper.h"

#include "kube/object.h"
#include "json/json.h"

enum {
    PERIOD_S = 600,
    RETRY_S = 5,
    TIMEOUT_S = 5,
    BODY_MAX = 768 * 1024, /* a ConfigMap holds 1 MiB at most */
};

struct keeper {
    struct keeper_config config;
    struct kube_pending *reading, *writing;
    int64_t next_ns; /* when to read, or to write */
    uint64_t kept;   /* packer_learned() of what is in the ConfigMap */
    uint64_t sent;   /* of what is being written */
    bool has_read;   /* it has been found, or is known to be none */
    bool exists;
};

static const struct str name = STR_INIT("callboard-extender-packing");

static void call_again_in(struct keeper *keeper, int64_t seconds)
{
    keeper->next_ns = clock_now_ns(keeper->config.clock) + seconds * CLOCK_NS_PER_SEC;
}

static struct kube_call call_of(const struct keeper *keeper, enum kube_verb verb)
{
    return (struct kube_call){.verb = verb,
                              .resource = &kube_config_maps,
                              .namespace = keeper->config.namespace,
                              .name = verb == KUBE_CREATE ? (struct str){NULL, 0} : name,
                              .timeout_ns = TIMEOUT_S * CLOCK_NS_PER_SEC};
}

/* ---- Reading ---- */

static void load(struct keeper *keeper, const struct json *object)
{
    const struct log *log = keeper->config.log;
    for (unsigned part = 0; part < PACKER_PARTS; part++) {
        struct str key = packer_part_name(part);
        struct str text = json_str(json_get(json_get(object, STR("data")), key));
        struct err err;
        if (!str_is_set(text))
            continue;
        if (packer_load(keeper->config.packer, part, text, &err) == 0)
            log_info(log, "what packing had learned is read", LOG_STR("key", key));
        else
            log_warn(log,
                     "what packing had learned cannot be used; it learns from the pods there are",
                     LOG_STR("configMap", name), LOG_STR("key", key), LOG_ERR(&err));
    }
}

static void on_read(void *ctx, const struct kube_result *result)
{
    struct keeper *keeper = ctx;
    keeper->reading = NULL;
    keeper->has_read = result->outcome == KUBE_OK || result->outcome == KUBE_NOT_FOUND;
    if (result->outcome == KUBE_OK) {
        struct arena arena;
        struct err err;
        arena_init(&arena, keeper->config.mem, 16384, 16 * 1024 * 1024);
        keeper->exists = true;
        const struct json *object = json_read(&arena, result->body, &json_limits_default, &err);
        if (object)
            load(keeper, object);
        arena_done(&arena);
    }
    if (keeper->has_read)
        call_again_in(keeper, keeper->config.period_ns / CLOCK_NS_PER_SEC);
    else
        log_debug(keeper->config.log, "what packing had learned cannot be read; it is tried again",
                  LOG_STR("configMap", name), LOG_STR("error", result->message));
}

static void begin_reading(struct keeper *keeper)
{
    const struct kube_call call = call_of(keeper, KUBE_GET);
    struct err err;
    call_again_in(keeper, RETRY_S);
    keeper->reading = kube_client_call(keeper->config.client, &call, on_read, keeper, &err);
}

/* ---- Writing ---- */

static void begin_writing(struct keeper *keeper);

static void on_written(void *ctx, const struct kube_result *result)
{
    struct keeper *keeper = ctx;
    keeper->writing = NULL;
    if (result->outcome == KUBE_OK) {
        keeper->exists = true;
        keeper->kept = keeper->sent;
        return;
    }
    /* Made by another replica meanwhile. At the end there is no next time. */
    if (result->outcome == KUBE_ALREADY_EXISTS) {
        keeper->exists = true;
        begin_writing(keeper);
        return;
    }
    /* It was deleted: the other verb is right the next time. */
    if (result->outcome == KUBE_NOT_FOUND)
        keeper->exists = false;
    log_warn(keeper->config.log, "what packing has learned could not be written; it is tried again",
             LOG_STR("configMap", name), LOG_STR("error", result->message));
}

static bool write_data(struct keeper *keeper, struct buf *to)
{
    const char *separator = "";
    struct buf text;
    buf_init(&text, keeper->config.mem, BODY_MAX / 2);
    for (unsigned part = 0; part < PACKER_PARTS; part++) {
        buf_clear(&text);
        packer_save(keeper->config.packer, part, &text);
        if (buf_failed(&text))
            break;
        if (text.len == 0)
            continue;
        buf_put(to, str_from_cstr(separator));
        json_write_str(to, packer_part_name(part));
        buf_put_char(to, ':');
        json_write_str(to, buf_str(&text));
        separator = ",";
    }
    bool is_good = !buf_failed(&text);
    buf_done(&text);
    return is_good;
}

static bool write_body(struct keeper *keeper, struct buf *body)
{
    buf_printf(body,
               "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%" PRIstr
               "\",\"labels\":{\"app.kubernetes.io/part-of\":\"callboard\"}},\"data\":{",
               STR_ARG(name));
    bool is_good = write_data(keeper, body);
    buf_put(body, STR("}}"));
    return is_good && !buf_failed(body);
}

static void begin_writing(struct keeper *keeper)
{
    struct buf body;
    buf_init(&body, keeper->config.mem, BODY_MAX);
    keeper->sent = packer_learned(keeper->config.packer);
    struct kube_call call = call_of(keeper, keeper->exists ? KUBE_PATCH_MERGE : KUBE_CREATE);
    struct err err;
    if (write_body(keeper, &body)) {
        call.body = buf_str(&body);
        keeper->writing = kube_client_call(keeper->config.client, &call, on_written, keeper, &err);
    } else {
        err_set(&err, 507, "it is too large, or there is no memory");
    }
    if (!keeper->writing)
        log_warn(keeper->config.log,
                 "what packing has learned could not be written; it is tried again",
                 LOG_STR("configMap", name), LOG_ERR(&err));
    buf_done(&body);
}

void keeper_flush(struct keeper *keeper)
{
    bool is_new = packer_learned(keeper->config.packer) != keeper->kept;
    if (keeper->has_read && !keeper->writing && is_new)
        begin_writing(keeper);
}

bool keeper_is_writing(const struct keeper *keeper)
{
    return keeper->writing != NULL;
}

void keeper_tick(struct keeper *keeper, bool may_write)
{
    if (clock_now_ns(keeper->config.clock) < keeper->next_ns)
        return;
    if (!keeper->has_read) {
        if (!keeper->reading)
            begin_reading(keeper);
    } else if (may_write) {
        call_again_in(keeper, keeper->config.period_ns / CLOCK_NS_PER_SEC);
        keeper_flush(keeper);
    }
}

/* ---- Making ---- */

struct keeper *keeper_new(const struct keeper_config *config, struct err *err)
{
    struct keeper *keeper = mem_alloc(config->mem, sizeof(*keeper));
    if (!keeper) {
        err_no_memory(err, "setting up what keeps the packing's knowledge");
        return NULL;
    }
    *keeper = (struct keeper){.config = *config};
    if (keeper->config.period_ns == 0)
        keeper->config.period_ns = PERIOD_S * CLOCK_NS_PER_SEC;
    begin_reading(keeper);
    return keeper;
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    if (keeper->reading)
        kube_client_cancel(keeper->config.client, keeper->reading);
    if (keeper->writing)
        kube_client_cancel(keeper->config.client, keeper->writing);
    mem_free(keeper->config.mem, keeper, sizeof(*keeper));
}
