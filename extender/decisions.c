/* Remembering decisions. */
#include "extender/decisions.h"

#include <pthread.h>

enum { TEXT_MAX = 32 * 1024 };

/* All texts are in one allocation each, of the size that str_len says. */
struct decision {
    uint64_t used; /* when it was last written; 0: free */
    struct str namespace, name, uid;
    struct str filtered; /* members of the JSON object */
    struct str scored;
    struct str bound;
    struct str advice;
    bool is_waiting;
};

struct decisions {
    const struct mem *mem;
    const struct clock *clock;
    pthread_mutex_t lock;
    uint64_t uses;
    struct decision slots[DECISIONS_MAX];
};

struct decisions *decisions_new(const struct mem *mem, const struct clock *clock, struct err *err)
{
    struct decisions *d = mem_alloc(mem, sizeof(*d));
    if (!d) {
        err_no_memory(err, "setting up the memory of decisions");
        return NULL;
    }
    *d = (struct decisions){.mem = mem, .clock = clock};
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

/* ---- Texts ---- */

static void drop(struct decisions *d, struct str *text)
{
    mem_free(d->mem, (void *)(uintptr_t)text->ptr, text->len);
    *text = (struct str){NULL, 0};
}

static void keep(struct decisions *d, struct str *to, struct str text)
{
    drop(d, to);
    char *copy = text.len > 0 ? mem_alloc(d->mem, text.len) : NULL;
    if (!copy)
        return;
    memcpy(copy, text.ptr, text.len);
    *to = (struct str){copy, text.len};
}

static void clear(struct decisions *d, struct decision *slot)
{
    struct str *const texts[] = {&slot->namespace, &slot->name,  &slot->uid,   &slot->filtered,
                                 &slot->scored,    &slot->bound, &slot->advice};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        drop(d, texts[i]);
    *slot = (struct decision){0};
}

void decisions_free(struct decisions *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < DECISIONS_MAX; i++)
        clear(d, &d->slots[i]);
    pthread_mutex_destroy(&d->lock);
    mem_free(d->mem, d, sizeof(*d));
}

/* ---- Slots ---- */

static struct decision *find(struct decisions *d, struct str namespace, struct str name)
{
    for (size_t i = 0; i < DECISIONS_MAX; i++) {
        struct decision *slot = &d->slots[i];
        if (slot->used && str_eq(slot->name, name) && str_eq(slot->namespace, namespace))
            return slot;
    }
    return NULL;
}

/* What was decided about another pod of that name is forgotten. */
static struct decision *take(struct decisions *d, struct str namespace, struct str name,
                             struct str uid)
{
    struct decision *slot = find(d, namespace, name);
    if (!slot) {
        slot = &d->slots[0];
        for (size_t i = 1; i < DECISIONS_MAX; i++) {
            if (d->slots[i].used < slot->used)
                slot = &d->slots[i];
        }
    }
    if (slot->used == 0 || !str_eq(slot->name, name) || !str_eq(slot->namespace, namespace) ||
        !str_eq(slot->uid, uid)) {
        clear(d, slot);
        keep(d, &slot->namespace, namespace);
        keep(d, &slot->name, name);
        keep(d, &slot->uid, uid);
    }
    slot->used = ++d->uses;
    return slot;
}

/* ---- Writing ---- */

static void put_examples(struct buf *buf, const struct wire_node *nodes, const uint8_t *verdicts,
                         size_t count, enum verdict verdict)
{
    size_t examples = 0;
    for (size_t i = 0; i < count && examples < DECISION_EXAMPLES_MAX; i++) {
        if (verdicts[i] != verdict)
            continue;
        if (examples++ > 0)
            buf_put_char(buf, ',');
        json_write_str(buf, nodes[i].name);
    }
}

static void put_reasons(struct buf *buf, const struct wire_node *nodes, const uint8_t *verdicts,
                        size_t count, const size_t *counts)
{
    bool is_first = true;
    for (int v = VERDICT_FITS + 1; v < VERDICT_COUNT; v++) {
        enum verdict verdict = (enum verdict)v;
        if (counts[v] == 0)
            continue;
        buf_put(buf, is_first ? STR("{\"reason\":") : STR(",{\"reason\":"));
        is_first = false;
        json_write_str(buf, verdict_reason(verdict));
        buf_put(buf, STR(",\"help\":"));
        json_write_str(buf, verdict_help(verdict));
        buf_printf(buf, ",\"unresolvable\":%s,\"nodes\":%zu,\"examples\":[",
                   verdict_is_unresolvable(verdict) ? "true" : "false", counts[v]);
        put_examples(buf, nodes, verdicts, count, verdict);
        buf_put(buf, STR("]}"));
    }
}

void decisions_filtered(struct decisions *d, const struct pod *pod, const struct wire_node *nodes,
                        const uint8_t *verdicts, size_t count)
{
    size_t counts[VERDICT_COUNT] = {0};
    char time[CLOCK_TEXT_SIZE];
    struct buf buf;
    for (size_t i = 0; i < count; i++)
        counts[verdicts[i]]++;
    buf_init(&buf, d->mem, TEXT_MAX);
    struct str now = clock_print(clock_wall_ns(d->clock), CLOCK_MILLIS, time);
    buf_printf(&buf, ",\"time\":\"%" PRIstr "\",\"nodes\":%zu,\"fit\":%zu,\"reasons\":[",
               STR_ARG(now), count, counts[VERDICT_FITS]);
    put_reasons(&buf, nodes, verdicts, count, counts);
    buf_put_char(&buf, ']');
    pthread_mutex_lock(&d->lock);
    struct decision *slot = take(d, pod->meta.namespace, pod->meta.name, pod->meta.uid);
    slot->is_waiting = counts[VERDICT_FITS] == 0;
    drop(d, &slot->scored);
    drop(d, &slot->bound);
    keep(d, &slot->filtered, buf_failed(&buf) ? STR("") : buf_str(&buf));
    pthread_mutex_unlock(&d->lock);
    buf_done(&buf);
}

void decisions_scored(struct decisions *d, const struct pod *pod, struct str best, int score)
{
    struct buf buf;
    buf_init(&buf, d->mem, TEXT_MAX);
    buf_put(&buf, STR(",\"best\":{\"node\":"));
    json_write_str(&buf, best);
    buf_printf(&buf, ",\"score\":%d}", score);
    pthread_mutex_lock(&d->lock);
    struct decision *slot = find(d, pod->meta.namespace, pod->meta.name);
    if (slot && !buf_failed(&buf))
        keep(d, &slot->scored, buf_str(&buf));
    pthread_mutex_unlock(&d->lock);
    buf_done(&buf);
}

void decisions_bound(struct decisions *d, const struct wire_binding *binding, struct str error)
{
    struct buf buf;
    buf_init(&buf, d->mem, TEXT_MAX);
    buf_put(&buf, STR(",\"binding\":{\"node\":"));
    json_write_str(&buf, binding->node);
    buf_put(&buf, STR(",\"error\":"));
    json_write_str(&buf, error);
    buf_put_char(&buf, '}');
    pthread_mutex_lock(&d->lock);
    struct decision *slot = take(d, binding->namespace, binding->name, binding->uid);
    if (!buf_failed(&buf))
        keep(d, &slot->bound, buf_str(&buf));
    if (error.len == 0)
        drop(d, &slot->advice);
    slot->is_waiting = slot->is_waiting && error.len > 0;
    pthread_mutex_unlock(&d->lock);
    buf_done(&buf);
}

void decisions_advised(struct decisions *d, const struct kube_meta *pod, struct str text)
{
    char time[CLOCK_TEXT_SIZE];
    struct buf buf;
    buf_init(&buf, d->mem, TEXT_MAX);
    struct str now = clock_print(clock_wall_ns(d->clock), CLOCK_MILLIS, time);
    buf_printf(&buf, ",\"advice\":{\"time\":\"%" PRIstr "\",\"text\":", STR_ARG(now));
    json_write_str(&buf, text);
    buf_put_char(&buf, '}');
    pthread_mutex_lock(&d->lock);
    struct decision *slot = take(d, pod->namespace, pod->name, pod->uid);
    if (!buf_failed(&buf))
        keep(d, &slot->advice, buf_str(&buf));
    pthread_mutex_unlock(&d->lock);
    buf_done(&buf);
}

bool decisions_write(struct decisions *d, struct str namespace, struct str name, struct buf *buf)
{
    pthread_mutex_lock(&d->lock);
    const struct decision *slot = find(d, namespace, name);
    if (slot) {
        buf_put(buf, STR("{\"namespace\":"));
        json_write_str(buf, namespace);
        buf_put(buf, STR(",\"name\":"));
        json_write_str(buf, name);
        buf_put(buf, STR(",\"uid\":"));
        json_write_str(buf, slot->uid.ptr ? slot->uid : STR(""));
        buf_put(buf, slot->filtered);
        buf_put(buf, slot->scored);
        buf_put(buf, slot->bound);
        buf_put(buf, slot->advice);
        buf_put(buf, STR("}\n"));
    }
    pthread_mutex_unlock(&d->lock);
    return slot != NULL;
}

size_t decisions_waiting(struct decisions *d)
{
    size_t waiting = 0;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < DECISIONS_MAX; i++)
        waiting += d->slots[i].is_waiting;
    pthread_mutex_unlock(&d->lock);
    return waiting;
}
