/* A strict reader of Prometheus' text format. */
#include "unit/prometheus.h"

#include "base/utf8.h"

#include <stdlib.h>

enum { SERIES_SEEN_MAX = 20000, LABELS_SEEN_MAX = 16 };

struct reader {
    struct str line; /* what is left of it */
    struct str name; /* of the family */
    struct str type; /* absent before TYPE */
    bool has_help;
    bool has_samples;
    struct str seen_names[2000]; /* of families */
    size_t seen_name_count;
    struct str seen_series[SERIES_SEEN_MAX];
    size_t seen_series_count;
    /* The histogram that is being read: one combination of labels. */
    char labels[4096];      /* without le */
    char line_labels[4096]; /* of the sample that is being read */
    bool in_buckets;
    double last_bound;
    double last_count;
    bool has_sum;
};

static bool is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!first && c >= '0' && c <= '9');
}

static struct str take_name(struct str *s)
{
    size_t len = 0;
    while (len < s->len && is_name_char(s->ptr[len], len == 0))
        len++;
    struct str name = str_sub(*s, 0, len);
    *s = str_sub(*s, len, s->len);
    return name;
}

static bool take(struct str *s, const char *text)
{
    struct str prefix = str_from_cstr(text);
    if (!str_starts_with(*s, prefix))
        return false;
    *s = str_sub(*s, prefix.len, s->len);
    return true;
}

/* "text" with its escapes. */
static bool take_quoted(struct str *s)
{
    if (!take(s, "\""))
        return false;
    while (s->len > 0 && s->ptr[0] != '"') {
        if (s->ptr[0] == '\\' && !(s->len > 1 && strchr("\\\"n", s->ptr[1])))
            return false;
        *s = str_sub(*s, s->ptr[0] == '\\' ? 2 : 1, s->len);
    }
    return take(s, "\"");
}

static bool take_number(struct str *s, double *ret)
{
    char text[64];
    if (s->len == 0 || s->len >= sizeof(text) || s->ptr[0] == ' ')
        return false;
    memcpy(text, s->ptr, s->len);
    text[s->len] = '\0';
    char *end;
    *ret = strtod(text, &end);
    *s = str_sub(*s, s->len, 0);
    return *end == '\0';
}

static bool add_once(struct str *list, size_t *count, size_t max, struct str item)
{
    for (size_t i = 0; i < *count; i++) {
        if (str_eq(list[i], item))
            return false;
    }
    if (*count < max)
        list[(*count)++] = item;
    return true;
}

/* The labels of a sample; the value of `le` apart. */
static const char *take_labels(struct reader *r, struct str *ret_le)
{
    *ret_le = (struct str){NULL, 0};
    r->line_labels[0] = '\0';
    size_t len = 0;
    struct str names[LABELS_SEEN_MAX];
    size_t count = 0;
    if (!take(&r->line, "{"))
        return NULL;
    do {
        struct str start = r->line;
        struct str name = take_name(&r->line);
        if (name.len == 0 || str_find(name, ':') >= 0)
            return "a label has no proper name";
        if (!add_once(names, &count, LABELS_SEEN_MAX, name))
            return "a label appears twice";
        if (!take(&r->line, "="))
            return "a label has no value";
        struct str value = r->line;
        if (!take_quoted(&r->line))
            return "a label has a bad value";
        if (str_eq_cstr(name, "le")) {
            *ret_le = str_sub(value, 1, value.len - r->line.len - 2);
            continue;
        }
        size_t pair = start.len - r->line.len;
        if (len + pair < sizeof(r->line_labels)) {
            memcpy(r->line_labels + len, start.ptr, pair);
            len += pair;
            r->line_labels[len] = '\0';
        }
    } while (take(&r->line, ","));
    return take(&r->line, "}") ? NULL : "the labels have no end";
}

static const char *read_comment(struct reader *r)
{
    bool help = take(&r->line, "# HELP ");
    if (!help && !take(&r->line, "# TYPE "))
        return "a comment that is neither HELP nor TYPE";
    struct str name = take_name(&r->line);
    if (name.len == 0 || !take(&r->line, " "))
        return "HELP or TYPE without a name";
    if (!help) {
        if (!r->has_help || str_is_set(r->type) || !str_eq(name, r->name))
            return "TYPE does not follow its HELP";
        if (!str_eq_cstr(r->line, "counter") && !str_eq_cstr(r->line, "gauge") &&
            !str_eq_cstr(r->line, "histogram"))
            return "TYPE has an unknown type";
        r->type = r->line;
        return NULL;
    }
    if (r->has_help && !r->has_samples)
        return "a metric without samples";
    if (r->in_buckets)
        return "a histogram has no end";
    if (!add_once(r->seen_names, &r->seen_name_count, 2000, name))
        return "a metric appears twice";
    r->name = name;
    r->type = (struct str){NULL, 0};
    r->has_help = true;
    r->has_samples = false;
    for (struct str s = r->line; s.len > 0; s = str_sub(s, s.ptr[0] == '\\' ? 2 : 1, s.len)) {
        if (s.ptr[0] == '\\' && !(s.len > 1 && (s.ptr[1] == '\\' || s.ptr[1] == 'n')))
            return "HELP has a bad escape";
    }
    return NULL;
}

/* Buckets rise up to +Inf, then come the sum and the count, which equals the last bucket. */
static const char *check_histogram(struct reader *r, struct str suffix, struct str le, double value)
{
    if (str_eq_cstr(suffix, "_bucket")) {
        double bound;
        if (!str_is_set(le) || !take_number(&le, &bound))
            return "a bucket has no bound";
        if (r->in_buckets && (r->has_sum || bound <= r->last_bound || value < r->last_count))
            return "buckets do not rise";
        if (r->in_buckets && strcmp(r->labels, r->line_labels) != 0)
            return "buckets of another series";
        memcpy(r->labels, r->line_labels, sizeof(r->labels));
        r->in_buckets = true;
        r->has_sum = false;
        r->last_bound = bound;
        r->last_count = value;
        return NULL;
    }
    if (!r->in_buckets || strcmp(r->labels, r->line_labels) != 0 ||
        r->last_bound != (double)__builtin_inf())
        return "a sum or count without its buckets";
    if (str_eq_cstr(suffix, "_sum")) {
        r->has_sum = true;
        return NULL;
    }
    if (!str_eq_cstr(suffix, "_count") || !r->has_sum || value != r->last_count)
        return "the count is not that of the last bucket";
    r->in_buckets = false;
    return NULL;
}

static const char *read_sample(struct reader *r)
{
    struct str whole = r->line;
    struct str name = take_name(&r->line);
    if (name.len == 0)
        return "no name";
    if (!str_is_set(r->type) || !str_starts_with(name, r->name))
        return "a sample without HELP and TYPE";
    struct str le;
    const char *error = take_labels(r, &le);
    if (error)
        return error;
    struct str series = str_sub(whole, 0, whole.len - r->line.len);
    double value;
    if (!take(&r->line, " ") || !take_number(&r->line, &value))
        return "no value";
    if (!add_once(r->seen_series, &r->seen_series_count, SERIES_SEEN_MAX, series))
        return "a series appears twice";
    r->has_samples = true;
    struct str suffix = str_sub(name, r->name.len, name.len);
    if (str_eq_cstr(r->type, "histogram"))
        return check_histogram(r, suffix, le, value);
    if (suffix.len > 0 || str_is_set(le))
        return "a sample of another metric";
    if (str_eq_cstr(r->type, "counter") && !(value >= 0))
        return "a counter is negative";
    return NULL;
}

const char *prometheus_find_error(struct str text, size_t *ret_line)
{
    struct reader *r = calloc(1, sizeof(*r));
    const char *error = r ? NULL : "no memory";
    *ret_line = 1;
    if (!error && !str_ends_with(text, STR("\n")))
        error = "the text does not end with a line end";
    if (!error && (!utf8_is_valid(text) || str_find(text, '\0') >= 0))
        error = "the text is no UTF-8";
    for (; !error && text.len > 0; ++*ret_line) {
        str_cut(text, '\n', &r->line, &text);
        error = r->line.len > 0 && r->line.ptr[0] == '#' ? read_comment(r) : read_sample(r);
        if (error)
            break;
    }
    if (!error && (!r->has_samples || r->in_buckets))
        error = "the last metric has no end";
    free(r);
    return error;
}

void prometheus_check(struct str text)
{
    size_t line;
    const char *error = prometheus_find_error(text, &line);
    if (error)
        fail_msg("line %zu: %s in:\n%" PRIstr, line, error, STR_ARG(text));
}

bool prometheus_find_sample(struct str text, const char *series, double *ret_value)
{
    struct str wanted = str_from_cstr(series), line;
    while (text.len > 0) {
        str_cut(text, '\n', &line, &text);
        if (!str_starts_with(line, wanted))
            continue;
        line = str_sub(line, wanted.len, line.len);
        double value;
        if (take(&line, " ") && take_number(&line, &value)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}
