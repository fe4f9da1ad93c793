/* Paths and queries of requests; label and field selectors. */
#include "unit/sim/server_parts.h"

struct sim_selector {
    struct sim_selector *next;
    struct str key;
    bool is_negated;    /* !=, notin, !key */
    struct str *values; /* any of them; none: the key is there */
    size_t value_count;
};

enum { VALUES_MAX = 64 };

/* ---- Text ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str decode(struct arena *arena, struct str text)
{
    char *to = arena_alloc(arena, text.len + 1);
    sim_require(to != NULL);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool escaped = text.ptr[i] == '%' && i + 2 < text.len && hex_digit(text.ptr[i + 1]) >= 0 &&
                       hex_digit(text.ptr[i + 2]) >= 0;
        if (escaped) {
            to[len++] = (char)(hex_digit(text.ptr[i + 1]) * 16 + hex_digit(text.ptr[i + 2]));
            i += 2;
        } else {
            to[len++] = text.ptr[i] == '+' ? ' ' : text.ptr[i];
        }
    }
    return (struct str){to, len};
}

/* The next part of a path, decoded; absent at its end. */
static struct str take(struct arena *arena, struct str *path)
{
    struct str head, tail;
    if (!str_is_set(*path))
        return *path;
    str_cut(*path, '/', &head, &tail);
    *path = tail;
    return decode(arena, head);
}

/* ---- Selectors: "a=b,c!=d,e in (f,g),h,!i" (apimachinery pkg/labels) ---- */

/* Up to the next comma that is not between parentheses. */
static struct str take_requirement(struct str *text)
{
    size_t end = 0;
    int depth = 0;
    for (; end < text->len && (depth > 0 || text->ptr[end] != ','); end++)
        depth += (text->ptr[end] == '(') - (text->ptr[end] == ')');
    struct str requirement = str_sub(*text, 0, end);
    *text = end < text->len ? str_sub(*text, end + 1, text->len) : (struct str){NULL, 0};
    return str_trim(requirement);
}

static void add_value(struct sim_selector *selector, struct str value)
{
    sim_require(selector->value_count < VALUES_MAX);
    selector->values[selector->value_count++] = str_trim(value);
}

static bool read_set(struct sim_selector *selector, struct str text)
{
    ptrdiff_t open = str_find(text, '('), close = str_find_last(text, ')');
    if (open < 0 || close < open)
        return false;
    struct str head = str_trim(str_sub(text, 0, (size_t)open));
    struct str list = str_sub(text, (size_t)open + 1, (size_t)(close - open - 1)), value;
    struct str operator;
    if (!str_cut(head, ' ', &selector->key, &operator))
        return false;
    operator= str_trim(operator);
    selector->is_negated = str_eq(operator, STR("notin"));
    if (!selector->is_negated && !str_eq(operator, STR("in")))
        return false;
    while (str_is_set(list)) {
        str_cut(list, ',', &value, &list);
        add_value(selector, value);
    }
    return true;
}

static bool read_requirement(struct sim_selector *selector, struct str text)
{
    if (str_find(text, '(') >= 0)
        return read_set(selector, text);
    ptrdiff_t equals = str_find(text, '=');
    if (equals < 0) {
        selector->is_negated = text.len > 0 && text.ptr[0] == '!';
        selector->key = str_trim(str_sub(text, selector->is_negated, text.len));
        return selector->key.len > 0 && str_find(selector->key, ' ') < 0;
    }
    size_t at = (size_t)equals;
    selector->is_negated = at > 0 && text.ptr[at - 1] == '!';
    selector->key = str_trim(str_sub(text, 0, at - selector->is_negated));
    bool is_double = at + 1 < text.len && text.ptr[at + 1] == '=';
    add_value(selector, str_sub(text, at + 1 + is_double, text.len));
    return selector->key.len > 0;
}

static bool read_selectors(struct str text, struct arena *arena, struct sim_selector **ret)
{
    while (str_is_set(text) && text.len > 0) {
        struct sim_selector *selector = ARENA_NEW(arena, struct sim_selector);
        sim_require(selector != NULL);
        selector->values = ARENA_NEW_ARRAY(arena, struct str, VALUES_MAX);
        sim_require(selector->values != NULL);
        if (!read_requirement(selector, take_requirement(&text)))
            return false;
        selector->next = *ret;
        *ret = selector;
    }
    return true;
}

static bool selector_matches(const struct sim_selector *selector, struct str value)
{
    bool found = selector->value_count == 0 && str_is_set(value);
    for (size_t i = 0; i < selector->value_count && str_is_set(value); i++)
        found = found || str_eq(selector->values[i], value);
    return found != selector->is_negated;
}

/* metadata.name, spec.nodeName: a field that is not there is the empty string. */
static struct str field_value(const struct sim_object *object, struct str path)
{
    const struct json *at = object->tree;
    while (str_is_set(path)) {
        struct str head;
        str_cut(path, '.', &head, &path);
        at = json_get(at, head);
    }
    struct str value = json_str(at);
    return str_is_set(value) ? value : STR("");
}

bool sim_target_matches(const struct sim_target *target, const struct sim_object *object)
{
    if (target->resource != object->resource ||
        (str_is_set(target->namespace) && !str_eq(target->namespace, object->meta.namespace)) ||
        (str_is_set(target->name) && !str_eq(target->name, object->meta.name)))
        return false;
    for (const struct sim_selector *s = target->labels; s; s = s->next) {
        if (!selector_matches(s, kube_map_get(object->meta.labels, s->key)))
            return false;
    }
    for (const struct sim_selector *s = target->fields; s; s = s->next) {
        if (!selector_matches(s, field_value(object, s->key)))
            return false;
    }
    return true;
}

/* ---- Query ---- */

static bool is_true(struct str value)
{
    return str_eq(value, STR("true")) || str_eq(value, STR("1"));
}

static void read_parameter(struct sim_target *target, struct str key, struct str value,
                           struct arena *arena)
{
    if (str_eq(key, STR("labelSelector"))) {
        if (!read_selectors(value, arena, &target->labels))
            target->bad_selector = value;
    } else if (str_eq(key, STR("fieldSelector"))) {
        if (!read_selectors(value, arena, &target->fields))
            target->bad_selector = value;
    } else if (str_eq(key, STR("resourceVersion"))) {
        target->resource_version = value;
    } else if (str_eq(key, STR("resourceVersionMatch"))) {
        target->resource_version_match = value;
    } else if (str_eq(key, STR("continue"))) {
        target->continue_token = value;
    } else if (str_eq(key, STR("limit"))) {
        str_to_int64(value, &target->limit);
    } else if (str_eq(key, STR("timeoutSeconds"))) {
        str_to_int64(value, &target->timeout_s);
    } else if (str_eq(key, STR("gracePeriodSeconds"))) {
        str_to_int64(value, &target->grace_s);
    } else if (str_eq(key, STR("propagationPolicy"))) {
        target->propagation = value;
    } else if (str_eq(key, STR("watch"))) {
        target->is_watch = is_true(value);
    } else if (str_eq(key, STR("allowWatchBookmarks"))) {
        target->wants_bookmarks = is_true(value);
    } else if (str_eq(key, STR("sendInitialEvents"))) {
        target->wants_initial_events = is_true(value);
    }
}

/* ---- Path ---- */

static const struct sim_resource *find_resource(struct str group, struct str version,
                                                struct str plural)
{
    for (size_t i = 0; i < SIM_RESOURCES; i++) {
        const struct kube_resource *kube = sim_resources[i].kube;
        if (str_eq_cstr(group, kube->group) && str_eq_cstr(version, kube->version) &&
            str_eq_cstr(plural, kube->plural))
            return &sim_resources[i];
    }
    return NULL;
}

static bool read_path(struct str path, struct arena *arena, struct sim_target *ret)
{
    take(arena, &path); /* before the first slash */
    struct str root = take(arena, &path), group = STR("");
    if (str_eq(root, STR("apis")))
        group = take(arena, &path);
    else if (!str_eq(root, STR("api")))
        return false;
    struct str version = take(arena, &path), plural = take(arena, &path);
    if (str_eq(plural, STR("namespaces"))) {
        struct str name = take(arena, &path), next = take(arena, &path);
        bool is_inside = str_is_set(next) && !str_eq(next, STR("status"));
        ret->namespace = is_inside ? name : (struct str){NULL, 0};
        ret->name = is_inside ? take(arena, &path) : name;
        ret->subresource = is_inside ? take(arena, &path) : next;
        plural = is_inside ? next : plural;
    } else {
        ret->name = take(arena, &path);
        ret->subresource = take(arena, &path);
    }
    ret->resource = find_resource(group, version, plural);
    return ret->resource && (!str_is_set(ret->name) || ret->name.len > 0) && !str_is_set(path) &&
           ret->resource->kube->is_namespaced >= str_is_set(ret->namespace) &&
           !(ret->resource->kube->is_namespaced && str_is_set(ret->name) &&
             !str_is_set(ret->namespace));
}

bool sim_target_read(struct str target, struct arena *arena, struct sim_target *ret)
{
    struct str path, query, parameter, key, value;
    *ret = (struct sim_target){.grace_s = -1};
    str_cut(target, '?', &path, &query);
    if (!read_path(path, arena, ret))
        return false;
    while (str_is_set(query)) {
        str_cut(query, '&', &parameter, &query);
        if (!str_cut(parameter, '=', &key, &value))
            value = STR("");
        read_parameter(ret, key, decode(arena, value), arena);
    }
    return true;
}

static struct sim_selector *copy_selectors(const struct sim_selector *from, struct arena *arena)
{
    struct sim_selector *first = NULL;
    for (; from; from = from->next) {
        struct sim_selector *copy = ARENA_NEW(arena, struct sim_selector);
        sim_require(copy != NULL);
        *copy = *from;
        copy->key = arena_copy(arena, from->key);
        copy->values = ARENA_NEW_ARRAY(arena, struct str, from->value_count + 1);
        for (size_t i = 0; i < from->value_count; i++)
            copy->values[i] = arena_copy(arena, from->values[i]);
        copy->next = first;
        first = copy;
    }
    return first;
}

void sim_target_copy(const struct sim_target *from, struct arena *arena, struct sim_target *ret)
{
    *ret = *from;
    struct str *texts[] = {&ret->namespace, &ret->name, &ret->resource_version};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (str_is_set(*texts[i]))
            *texts[i] = arena_copy(arena, *texts[i]);
    }
    ret->labels = copy_selectors(from->labels, arena);
    ret->fields = copy_selectors(from->fields, arena);
}
