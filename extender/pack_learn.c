/* Which pods are typical: classes of what arrived, counted. */
#include "extender/pack_parts.h"

#include <stdlib.h>

enum { INDEX_SIZE = 2 * PACK_CLASSES_MAX };

bool pack_classes_init(struct pack_classes *classes, struct arena *arena)
{
    classes->items = ARENA_NEW_ARRAY(arena, struct pack_class, PACK_CLASSES_MAX);
    classes->index = ARENA_NEW_ARRAY(arena, uint16_t, INDEX_SIZE);
    return classes->items && classes->index;
}

/* ---- The table ---- */

static size_t place_of(int64_t cpu_milli, uint64_t models, uint32_t gpus)
{
    uint64_t hash = ((uint64_t)cpu_milli << 24) ^ gpus;
    hash = (hash ^ models * UINT64_C(0xff51afd7ed558ccd)) * UINT64_C(0x9e3779b97f4a7c15);
    return (hash >> 40) % INDEX_SIZE;
}

static uint32_t gpus_of(uint16_t gpu_milli, uint8_t gpu_count)
{
    return (uint32_t)gpu_milli << 8 | gpu_count;
}

/* Where the class is in the index, or where it belongs. */
static size_t find_place(const struct pack_classes *classes, int64_t cpu_milli, uint64_t models,
                         uint32_t gpus)
{
    size_t at = place_of(cpu_milli, models, gpus);
    for (; classes->index[at] != 0; at = (at + 1) % INDEX_SIZE) {
        const struct pack_class *item = &classes->items[classes->index[at] - 1];
        if (item->cpu_milli == cpu_milli && item->models == models &&
            gpus_of(item->gpu_milli, item->gpu_count) == gpus)
            break;
    }
    return at;
}

uint32_t pack_class_find(const struct pack_classes *classes, const struct pack_demand *demand)
{
    size_t at = find_place(classes, demand->cpu_milli, demand->models,
                           gpus_of(demand->gpu_milli, demand->gpu_count));
    return classes->index[at] != 0 ? classes->index[at] - 1u : PACK_NO_CLASS;
}

static void index_all(struct pack_classes *classes)
{
    memset(classes->index, 0, INDEX_SIZE * sizeof(*classes->index));
    for (uint32_t i = 0; i < classes->count; i++) {
        const struct pack_class *item = &classes->items[i];
        size_t at = find_place(classes, item->cpu_milli, item->models,
                               gpus_of(item->gpu_milli, item->gpu_count));
        classes->index[at] = (uint16_t)(i + 1);
    }
}

/* What was seen long ago or seldom counts less, and then not at all. */
static void halve(struct pack_classes *classes)
{
    uint32_t kept = 0;
    classes->seen = 0;
    for (uint32_t i = 0; i < classes->count; i++) {
        struct pack_class item = classes->items[i];
        item.seen /= 2;
        if (item.seen == 0)
            continue;
        classes->seen += item.seen;
        classes->items[kept++] = item;
    }
    classes->count = kept;
    index_all(classes);
}

/* True when numbers of classes have changed. */
static bool count_class(struct pack_classes *classes, const struct pack_demand *demand,
                        uint64_t count)
{
    uint32_t number = pack_class_find(classes, demand);
    bool forgot = false;
    if (number == PACK_NO_CLASS) {
        for (; classes->count == PACK_CLASSES_MAX; forgot = true)
            halve(classes);
        number = classes->count++;
        classes->items[number] = (struct pack_class){.cpu_milli = demand->cpu_milli,
                                                     .models = demand->models,
                                                     .gpu_milli = demand->gpu_milli,
                                                     .gpu_count = demand->gpu_count};
        index_all(classes);
    }
    classes->items[number].seen += count;
    classes->seen += count;
    return forgot;
}

/* ---- Typical pods ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* The most frequent first; equals in an order that does not hang on which came first. */
static int compare_classes(const void *a, const void *b)
{
    const struct pack_class *x = a, *y = b;
    int order = compare_numbers(y->seen, x->seen);
    if (order == 0)
        order = compare_numbers((uint64_t)x->cpu_milli, (uint64_t)y->cpu_milli);
    if (order == 0)
        order = compare_numbers(gpus_of(x->gpu_milli, x->gpu_count),
                                gpus_of(y->gpu_milli, y->gpu_count));
    return order != 0 ? order : compare_numbers(x->models, y->models);
}

static struct pack_typical typical_of(const struct pack_class *class, uint64_t all)
{
    return (struct pack_typical){
        .cpu_milli = class->cpu_milli,
        .models = class->models,
        .gpu_milli = class->gpu_milli,
        .gpu_count = class->gpu_count,
        .share = (double)class->seen / (double)all,
        .gpus = (double)class->gpu_milli * class->gpu_count / PACK_WHOLE_MILLI,
    };
}

void pack_learn_typical(const struct pack_classes *classes, uint32_t percent,
                        struct pack_typicals *to)
{
    struct pack_class sorted[PACK_CLASSES_MAX];
    uint64_t taken = 0;
    memcpy(sorted, classes->items, classes->count * sizeof(sorted[0]));
    qsort(sorted, classes->count, sizeof(sorted[0]), compare_classes);
    uint32_t count = 0;
    while (count < classes->count && count < PACK_TYPICAL_MAX &&
           taken * 100 < classes->seen * percent)
        taken += sorted[count++].seen;
    to->count = to->priced_count = count;
    for (uint32_t i = 0; i < count; i++)
        to->items[i] = typical_of(&sorted[i], taken);
    for (uint32_t i = count; i < classes->count && to->priced_count < PACK_PRICED_MAX; i++) {
        if (sorted[i].gpu_count > 1)
            to->items[to->priced_count++] = typical_of(&sorted[i], taken);
    }
}

void pack_learn(struct pack *pack)
{
    pack_learn_typical(&pack->classes, pack->config.typical_percent, &pack->typical);
    pack_rollouts_draw(pack);
    pack->value_epoch++;
    pack->price_epoch++;
    pack->must_refresh = true;
    uint64_t step = pack->classes.seen;
    if (step < pack->config.learn_first)
        step = pack->config.learn_first;
    if (step > pack->config.learn_every)
        step = pack->config.learn_every;
    pack->next_learn = pack->arrivals + step;
}

void pack_observe_many(struct pack *pack, const struct pack_demand *demand, uint64_t count)
{
    if (count == 0)
        return;
    if (count_class(&pack->classes, demand, count))
        pack->price_epoch++; /* the memos are about numbers of classes */
}

void pack_observe(struct pack *pack, const struct pack_demand *demand)
{
    double keep = 1 - 1.0 / pack->config.flow_window;
    pack->placed *= keep;
    pack->released *= keep;
    pack->arrivals++;
    if (pack->config.learn_first == 0)
        return;
    pack_observe_many(pack, demand, 1);
    if (pack->classes.seen >= pack->config.remember) {
        halve(&pack->classes);
        pack->price_epoch++;
    }
    if (pack->arrivals >= pack->next_learn)
        pack_learn(pack);
}

/* ---- Over a restart ---- */

/*
 * Lines, with a blank between words:
 *   callboard-pack 1
 *   flow PLACED RELEASED                          milli, fading
 *   class CPU GPU_MILLI GPU_COUNT SEEN MODELS     MODELS: names with '|' between them, or "*"
 */
static const char format_line[] = "callboard-pack 1";

enum { WORDS_MAX = 6 };

static void save_models(const struct pack *pack, uint64_t models, struct buf *to)
{
    const char *separator = "";
    if (models == 0)
        buf_put_char(to, '*');
    for (uint32_t i = 0; i < pack->model_count; i++) {
        if (models >> i & 1) {
            buf_printf(to, "%s%s", separator, pack->model_names[i]);
            separator = "|";
        }
    }
}

void pack_save(const struct pack *pack, struct buf *to)
{
    buf_printf(to, "%s\nflow %lld %lld\n", format_line, (long long)pack->placed,
               (long long)pack->released);
    for (uint32_t i = 0; i < pack->classes.count; i++) {
        const struct pack_class *class = &pack->classes.items[i];
        buf_printf(to, "class %lld %u %u %llu ", (long long)class->cpu_milli, class->gpu_milli,
                   class->gpu_count, (unsigned long long)class->seen);
        save_models(pack, class->models, to);
        buf_put_char(to, '\n');
    }
}

static bool load_number(struct str word, int64_t max, int64_t *ret)
{
    return str_to_int64(word, ret) && *ret >= 0 && *ret <= max;
}

static uint64_t load_models(struct pack *pack, struct str names)
{
    uint64_t models = 0;
    if (str_eq(names, STR("*")))
        return 0;
    while (str_is_set(names)) {
        struct str name;
        str_cut(names, '|', &name, &names);
        models |= UINT64_C(1) << pack_model(pack, name);
    }
    return models;
}

/* False for a line that is none. Without `pack` it is only looked at. */
static bool load_class(struct pack *pack, const struct str *words, size_t count)
{
    int64_t cpu, milli, gpus, seen;
    if (count != WORDS_MAX || !load_number(words[1], INT64_MAX / 2, &cpu) ||
        !load_number(words[2], PACK_WHOLE_MILLI, &milli) ||
        !load_number(words[3], PACK_DEVICES_MAX, &gpus) ||
        !load_number(words[4], INT32_MAX, &seen) || words[5].len == 0 ||
        (gpus > 0) != (milli > 0) || (gpus > 1 && milli < PACK_WHOLE_MILLI))
        return false;
    if (!pack)
        return true;
    struct pack_demand demand = {.cpu_milli = cpu,
                                 .models = load_models(pack, words[5]),
                                 .gpu_milli = (uint16_t)milli,
                                 .gpu_count = (uint8_t)gpus};
    pack_observe_many(pack, &demand, (uint64_t)seen);
    return true;
}

static bool load_flow(struct pack *pack, const struct str *words, size_t count)
{
    int64_t placed, released;
    if (count != 3 || !load_number(words[1], INT64_MAX / 2, &placed) ||
        !load_number(words[2], INT64_MAX / 2, &released))
        return false;
    if (pack) {
        pack->placed = (double)placed;
        pack->released = (double)released;
    }
    return true;
}

/* The number of the line that is wrong, or 0. */
static uint32_t load_lines(struct pack *pack, struct str text)
{
    uint32_t number = 0, classes = 0;
    while (str_is_set(text) && text.len > 0) {
        struct str line, words[WORDS_MAX] = {{NULL, 0}};
        size_t count = 0;
        str_cut(text, '\n', &line, &text);
        number++;
        if (number == 1) {
            if (!str_eq_cstr(line, format_line))
                return number;
            continue;
        }
        while (str_is_set(line) && count < WORDS_MAX)
            str_cut(line, ' ', &words[count++], &line);
        bool is_class = str_eq(words[0], STR("class"));
        classes += is_class;
        if (str_is_set(line) || classes > PACK_CLASSES_MAX ||
            !(is_class ? load_class(pack, words, count)
                       : str_eq(words[0], STR("flow")) && load_flow(pack, words, count)))
            return number;
    }
    return number == 0 ? 1 : 0;
}

int pack_load(struct pack *pack, struct str text, struct err *err)
{
    uint32_t wrong = load_lines(NULL, text);
    if (wrong > 0)
        return err_set(err, 400, "line %u of what the packing policy had learned makes no sense",
                       wrong);
    pack->classes.count = 0;
    pack->classes.seen = 0;
    index_all(&pack->classes);
    load_lines(pack, text);
    pack_learn(pack);
    return 0;
}
