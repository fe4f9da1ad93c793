/* Requests of kube-scheduler are skimmed, answers written from pieces of them. */
#include "extender/wire.h"

/* ---- Skimming: JSON values are stepped over, not checked; nothing is read beyond the end ---- */

struct skim {
    const char *at;
    const char *end;
};

static void skip_blanks(struct skim *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

static bool take(struct skim *s, char c)
{
    skip_blanks(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* Behind the quote that ends the string that begins at `at`, or NULL. */
static const char *string_end(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        at = memchr(at, '"', (size_t)(end - at));
        if (!at)
            return NULL;
        const char *before = at;
        while (before[-1] == '\\')
            before--;
        if ((at - before) % 2 == 0)
            return at + 1;
    }
    return NULL;
}

static bool is_nesting(char c)
{
    return c == '{' || c == '[' || c == '}' || c == ']';
}

static const char *container_end(const char *at, const char *end)
{
    size_t depth = 0;
    while (at && at < end) {
        if (*at == '"') {
            at = string_end(at, end);
            continue;
        }
        if (is_nesting(*at)) {
            depth = *at == '{' || *at == '[' ? depth + 1 : depth - 1;
            if (depth == 0)
                return at + 1;
        }
        at++;
    }
    return NULL;
}

static const char *scalar_end(const char *at, const char *end)
{
    while (at < end && !is_nesting(*at) && *at != ',' && *at != '"' && *at != ' ' && *at != '\n' &&
           *at != '\t' && *at != '\r')
        at++;
    return at;
}

static bool take_value(struct skim *s, struct str *ret)
{
    skip_blanks(s);
    if (s->at == s->end)
        return false;
    const char *start = s->at, *behind;
    if (*start == '"')
        behind = string_end(start, s->end);
    else if (*start == '{' || *start == '[')
        behind = container_end(start, s->end);
    else
        behind = scalar_end(start, s->end);
    if (!behind || behind == start)
        return false;
    s->at = behind;
    *ret = (struct str){start, (size_t)(behind - start)};
    return true;
}

/* 1: another one, 0: the end of the container, -1: no JSON. `is_first` is the caller's note, true at first. */
static int take_separator(struct skim *s, bool *is_first, char closing)
{
    if (take(s, closing))
        return 0;
    if (!*is_first && !take(s, ','))
        return -1;
    *is_first = false;
    return 1;
}

/* The key is as it was written, without its quotes. */
static int take_member(struct skim *s, bool *is_first, struct str *key, struct str *value)
{
    int more = take_separator(s, is_first, '}');
    if (more <= 0)
        return more;
    struct str text;
    skip_blanks(s);
    if (s->at == s->end || *s->at != '"' || !take_value(s, &text) || !take(s, ':') ||
        !take_value(s, value))
        return -1;
    *key = str_sub(text, 1, text.len - 2);
    return 1;
}

static struct skim skim_of(struct str text)
{
    const char *start = text.len > 0 ? text.ptr : "";
    return (struct skim){start, start + text.len};
}

static bool is_string(struct str value)
{
    return value.len >= 2 && value.ptr[0] == '"';
}

static bool is_null(struct str value)
{
    return str_eq(value, STR("null"));
}

/* The last member of that name, as Go takes it; absent when there is none. False when it is no object. */
static bool find_member(struct str object, struct str name, struct str *ret)
{
    struct skim s = skim_of(object);
    struct str key, value;
    bool is_first = true;
    int more;
    *ret = (struct str){NULL, 0};
    if (!take(&s, '{'))
        return false;
    while ((more = take_member(&s, &is_first, &key, &value)) > 0) {
        if (str_eq(key, name))
            *ret = value;
    }
    return more == 0;
}

/* ---- Requests ---- */

static int bad_request(struct err *err)
{
    return err_set(err, 400, "the request is not one of a kube-scheduler to its extender");
}

static int read_members(struct str body, struct str *pod, struct str *nodes, struct str *names)
{
    struct skim s = skim_of(body);
    struct str key, value;
    bool is_first = true;
    int more;
    if (!take(&s, '{'))
        return -1;
    while ((more = take_member(&s, &is_first, &key, &value)) > 0) {
        if (str_eq(key, STR("Pod")))
            *pod = value;
        else if (str_eq(key, STR("Nodes")))
            *nodes = value;
        else if (str_eq(key, STR("NodeNames")))
            *names = value;
    }
    skip_blanks(&s);
    return more == 0 && s.at == s.end ? 0 : -1;
}

int wire_read_args(struct str body, struct wire_args *ret, struct err *err)
{
    struct str pod = {NULL, 0}, nodes = {NULL, 0}, names = {NULL, 0}, items = {NULL, 0};
    if (body.len == 0 || read_members(body, &pod, &nodes, &names) < 0 || pod.len == 0 ||
        pod.ptr[0] != '{')
        return bad_request(err);
    bool has_names = names.len > 0 && names.ptr[0] == '[';
    if (!has_names && str_is_set(nodes) && !is_null(nodes) &&
        (!find_member(nodes, STR("items"), &items) || (items.len > 0 && is_null(items))))
        return bad_request(err);
    if (!has_names && items.len > 0 && items.ptr[0] != '[')
        return bad_request(err);
    *ret =
        (struct wire_args){.pod = pod, .nodes = has_names ? names : items, .has_names = has_names};
    return 0;
}

static bool name_of(const struct wire_args *args, struct str text, struct str *ret)
{
    struct str metadata, name = text;
    if (!args->has_names && (!find_member(text, STR("metadata"), &metadata) ||
                             !str_is_set(metadata) || !find_member(metadata, STR("name"), &name)))
        return false;
    if (!is_string(name))
        return false;
    /* A name has nothing to escape; one that has is a node's of nobody, and found in no cache. */
    *ret = str_sub(name, 1, name.len - 2);
    return ret->len > 0;
}

/* As many as there are when all are as long as the first one, or somewhat more. */
static size_t room_for(struct str nodes)
{
    enum { LEAST = 64, MOST = 8192 };
    struct skim s = skim_of(nodes);
    struct str first;
    if (!take(&s, '[') || !take_value(&s, &first))
        return LEAST;
    size_t room = nodes.len / (first.len + 1) * 9 / 8 + LEAST;
    return room < MOST ? room : MOST;
}

int wire_read_nodes(const struct wire_args *args, struct arena *arena, struct wire_node **ret,
                    size_t *ret_count, struct err *err)
{
    struct wire_node *nodes = NULL;
    size_t count = 0, room = 0;
    struct skim s = skim_of(args->nodes);
    bool is_first = true;
    int more = 0;
    if (args->nodes.len > 0 && !take(&s, '['))
        return bad_request(err);
    while (args->nodes.len > 0 && (more = take_separator(&s, &is_first, ']')) > 0) {
        if (count == room) {
            room = room ? 2 * room : room_for(args->nodes);
            struct wire_node *larger = ARENA_NEW_ARRAY(arena, struct wire_node, room);
            if (!larger)
                return err_no_memory(err, "reading nodes");
            if (count > 0)
                memcpy(larger, nodes, count * sizeof(*nodes));
            nodes = larger;
        }
        struct wire_node *node = &nodes[count++];
        if (!take_value(&s, &node->text) || !name_of(args, node->text, &node->name))
            return bad_request(err);
    }
    if (more < 0)
        return bad_request(err);
    *ret = nodes;
    *ret_count = count;
    return 0;
}

int wire_read_binding(struct str body, struct arena *arena, struct wire_binding *ret,
                      struct err *err)
{
    static const struct json_limits limits = {.max_depth = 8, .max_values = 64};
    const struct json *tree = json_read(arena, body, &limits, err);
    if (!tree)
        return -1;
    *ret = (struct wire_binding){
        .namespace = json_str(json_get(tree, STR("PodNamespace"))),
        .name = json_str(json_get(tree, STR("PodName"))),
        .uid = json_str(json_get(tree, STR("PodUID"))),
        .node = json_str(json_get(tree, STR("Node"))),
    };
    if (ret->namespace.len == 0 || ret->name.len == 0 || ret->uid.len == 0 || ret->node.len == 0)
        return bad_request(err);
    return 0;
}

/* ---- Preemption ---- */

int wire_read_preemption(struct str body, struct wire_preemption *ret, struct err *err)
{
    struct str pod, whole, meta;
    struct skim rest = skim_of(body);
    struct str object;
    bool is_one = take_value(&rest, &object);
    skip_blanks(&rest);
    if (!is_one || rest.at != rest.end || !find_member(object, STR("Pod"), &pod) ||
        !find_member(object, STR("NodeNameToVictims"), &whole) ||
        !find_member(object, STR("NodeNameToMetaVictims"), &meta) || pod.len == 0 ||
        pod.ptr[0] != '{')
        return bad_request(err);
    bool has_uids = meta.len > 0 && !is_null(meta);
    struct str candidates = has_uids ? meta : whole;
    if (candidates.len > 0 && is_null(candidates))
        candidates = (struct str){NULL, 0};
    if (candidates.len > 0 && candidates.ptr[0] != '{')
        return bad_request(err);
    *ret = (struct wire_preemption){.pod = pod, .candidates = candidates, .has_uids = has_uids};
    return 0;
}

static bool uid_of(struct str victim, bool has_uids, struct str *ret)
{
    struct str uid, metadata = victim;
    if (!has_uids && (!find_member(victim, STR("metadata"), &metadata) || !str_is_set(metadata)))
        return false;
    if (!find_member(metadata, has_uids ? STR("UID") : STR("uid"), &uid) || !is_string(uid))
        return false;
    *ret = str_sub(uid, 1, uid.len - 2);
    return ret->len > 0;
}

static size_t count_elements(struct str array)
{
    struct skim s = skim_of(array);
    struct str value;
    bool is_first = true;
    size_t count = 0;
    if (!take(&s, '['))
        return 0;
    while (take_separator(&s, &is_first, ']') > 0 && take_value(&s, &value))
        count++;
    return count;
}

static int read_victims(struct str pods, bool has_uids, struct arena *arena,
                        struct wire_candidate *to, struct err *err)
{
    struct skim s = skim_of(pods);
    struct str victim;
    bool is_first = true;
    int more;
    to->uids = ARENA_NEW_ARRAY(arena, struct str, count_elements(pods) + 1);
    if (!to->uids)
        return err_no_memory(err, "reading victims");
    if (pods.len == 0 || is_null(pods))
        return 0;
    if (!take(&s, '['))
        return bad_request(err);
    while ((more = take_separator(&s, &is_first, ']')) > 0) {
        if (!take_value(&s, &victim) || !uid_of(victim, has_uids, &to->uids[to->count]))
            return bad_request(err);
        to->count++;
    }
    return more < 0 ? bad_request(err) : 0;
}

static int read_candidate(struct str value, bool has_uids, struct arena *arena,
                          struct wire_candidate *to, struct err *err)
{
    struct str pods, violations;
    if (!find_member(value, STR("Pods"), &pods) ||
        !find_member(value, STR("NumPDBViolations"), &violations))
        return bad_request(err);
    if (violations.len > 0 && !str_to_int64(violations, &to->violations))
        return bad_request(err);
    return read_victims(pods, has_uids, arena, to, err);
}

static size_t count_members(struct str object)
{
    struct skim s = skim_of(object);
    struct str key, value;
    bool is_first = true;
    size_t count = 0;
    if (!take(&s, '{'))
        return 0;
    while (take_member(&s, &is_first, &key, &value) > 0)
        count++;
    return count;
}

int wire_read_candidates(const struct wire_preemption *preemption, struct arena *arena,
                         struct wire_candidate **ret, size_t *ret_count, struct err *err)
{
    struct skim s = skim_of(preemption->candidates);
    size_t room = count_members(preemption->candidates), count = 0;
    struct wire_candidate *candidates = ARENA_NEW_ARRAY(arena, struct wire_candidate, room + 1);
    struct str name, value;
    bool is_first = true;
    int more = 0;
    if (!candidates)
        return err_no_memory(err, "reading candidates");
    if (preemption->candidates.len > 0 && !take(&s, '{'))
        return bad_request(err);
    while (preemption->candidates.len > 0 &&
           (more = take_member(&s, &is_first, &name, &value)) > 0) {
        candidates[count].node = name;
        if (read_candidate(value, preemption->has_uids, arena, &candidates[count], err) < 0)
            return -1;
        count++;
    }
    if (more < 0)
        return bad_request(err);
    *ret = candidates;
    *ret_count = count;
    return 0;
}

/* ---- Answers ---- */

/* Nodes that fit one after the other are copied at once, with what stands between them in the request. */
static void write_fitting(struct buf *buf, const struct wire_node *nodes, const uint8_t *verdicts,
                          size_t count)
{
    bool is_first = true;
    buf_put_char(buf, '[');
    for (size_t i = 0; i < count; i++) {
        if (verdicts[i] != VERDICT_FITS)
            continue;
        if (!is_first)
            buf_put_char(buf, ',');
        is_first = false;
        const char *start = nodes[i].text.ptr;
        while (i + 1 < count && verdicts[i + 1] == VERDICT_FITS)
            i++;
        buf_put(buf, (struct str){start, (size_t)(nodes[i].text.ptr + nodes[i].text.len - start)});
    }
    buf_put_char(buf, ']');
}

/* The name as it came, in quotes. */
static void write_name(struct buf *buf, const struct wire_node *node)
{
    buf_put_char(buf, '"');
    buf_put(buf, node->name);
    buf_put_char(buf, '"');
}

static char *append(char *to, struct str text)
{
    memcpy(to, text.ptr, text.len);
    return to + text.len;
}

/* `"name":"reason"`. There may be thousands; a reason has nothing to escape. */
static void write_refusal(struct buf *buf, struct str name, struct str reason)
{
    static const struct str between = STR_INIT("\":\"");
    size_t size = 1 + name.len + between.len + reason.len + 1;
    char *to = buf_reserve(buf, size);
    if (!to)
        return;
    *to = '"';
    to = append(append(append(to + 1, name), between), reason);
    *to = '"';
    buf->len += size;
}

static void write_failed(struct buf *buf, const struct wire_node *nodes, const uint8_t *verdicts,
                         size_t count, bool is_unresolvable)
{
    struct str reasons[VERDICT_COUNT] = {0};
    for (int v = VERDICT_FITS + 1; v < VERDICT_COUNT; v++) {
        if (verdict_is_unresolvable((enum verdict)v) == is_unresolvable)
            reasons[v] = verdict_reason((enum verdict)v);
    }
    bool is_first = true;
    for (size_t i = 0; i < count; i++) {
        struct str reason = reasons[verdicts[i]];
        if (!str_is_set(reason))
            continue;
        buf_put_char(buf, is_first ? '{' : ',');
        is_first = false;
        write_refusal(buf, nodes[i].name, reason);
    }
    buf_put(buf, is_first ? STR("null") : STR("}"));
}

static void put_before_nodes(struct buf *buf, const struct wire_args *args)
{
    buf_put(buf, args->has_names ? STR("{\"Nodes\":null,\"NodeNames\":")
                                 : STR("{\"Nodes\":{\"metadata\":{},\"items\":"));
}

static void put_behind_nodes(struct buf *buf, const struct wire_args *args)
{
    if (!args->has_names)
        buf_put(buf, STR("},\"NodeNames\":null"));
    buf_put(buf, STR(",\"FailedNodes\":"));
}

void wire_write_filter(struct buf *buf, const struct wire_args *args, const struct wire_node *nodes,
                       const uint8_t *verdicts, size_t count)
{
    enum { AROUND = 256 };
    buf_reserve(buf, args->nodes.len + AROUND);
    put_before_nodes(buf, args);
    write_fitting(buf, nodes, verdicts, count);
    put_behind_nodes(buf, args);
    write_failed(buf, nodes, verdicts, count, false);
    buf_put(buf, STR(",\"FailedAndUnresolvableNodes\":"));
    write_failed(buf, nodes, verdicts, count, true);
    buf_put(buf, STR(",\"Error\":\"\"}\n"));
}

void wire_write_picked(struct buf *buf, const struct wire_args *args, const struct wire_node *nodes,
                       const size_t *picked, size_t count)
{
    put_before_nodes(buf, args);
    for (size_t i = 0; i < count; i++) {
        buf_put_char(buf, i == 0 ? '[' : ',');
        buf_put(buf, nodes[picked[i]].text);
    }
    buf_put_char(buf, ']');
    put_behind_nodes(buf, args);
    buf_put(buf, STR("null,\"FailedAndUnresolvableNodes\":null,\"Error\":\"\"}\n"));
}

void wire_write_filter_error(struct buf *buf, struct str message)
{
    buf_put(buf, STR("{\"Nodes\":null,\"NodeNames\":null,\"FailedNodes\":null,"
                     "\"FailedAndUnresolvableNodes\":null,\"Error\":"));
    json_write_str(buf, message);
    buf_put(buf, STR("}\n"));
}

static void write_score(struct buf *buf, int score)
{
    if (score < SCORE_BEST)
        buf_put_char(buf, (char)('0' + score));
    else
        buf_put(buf, STR("10"));
    buf_put_char(buf, '}');
}

/* kube-scheduler adds nothing to the score of a node that is left out (schedule_one.go, prioritizeNodes). Of few
 * nodes all are told, for who asks by hand. */
void wire_write_scores(struct buf *buf, const struct wire_node *nodes,
                       const struct score_candidate *candidates, size_t count)
{
    enum { FEW = 64 };
    bool is_first = true;
    buf_put_char(buf, '[');
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].score == 0 && count > FEW)
            continue;
        buf_put(buf, is_first ? STR("{\"Host\":") : STR(",{\"Host\":"));
        is_first = false;
        write_name(buf, &nodes[i]);
        buf_put(buf, STR(",\"Score\":"));
        write_score(buf, candidates[i].score);
    }
    buf_put(buf, STR("]\n"));
}

/* Names and UIDs as they came: what has to be escaped is so already. */
static void write_quoted(struct buf *buf, struct str text)
{
    buf_put_char(buf, '"');
    buf_put(buf, text);
    buf_put_char(buf, '"');
}

void wire_write_preemption(struct buf *buf, const struct wire_candidate *candidates, size_t count)
{
    bool is_first = true;
    buf_put(buf, STR("{\"NodeNameToMetaVictims\":{"));
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].count == 0)
            continue;
        buf_put(buf, is_first ? STR("") : STR(","));
        is_first = false;
        write_quoted(buf, candidates[i].node);
        buf_put(buf, STR(":{\"Pods\":["));
        for (size_t v = 0; v < candidates[i].count; v++) {
            buf_put(buf, v == 0 ? STR("{\"UID\":") : STR(",{\"UID\":"));
            write_quoted(buf, candidates[i].uids[v]);
            buf_put_char(buf, '}');
        }
        buf_put(buf, STR("],\"NumPDBViolations\":"));
        buf_put_int(buf, candidates[i].violations);
        buf_put_char(buf, '}');
    }
    buf_put(buf, STR("}}\n"));
}

void wire_write_binding(struct buf *buf, struct str message)
{
    buf_put(buf, STR("{\"Error\":"));
    json_write_str(buf, str_is_set(message) ? message : STR(""));
    buf_put(buf, STR("}\n"));
}
