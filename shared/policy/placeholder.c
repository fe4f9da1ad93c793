/* Placeholders. */
#include "policy/placeholder.h"

#include "base/utf8.h"

enum { SHOWN_MAX = 63 };

size_t placeholder_column(struct placeholder_reader *reader, size_t at)
{
    struct str between = str_sub(reader->text, reader->counted, at - reader->counted);
    reader->characters += utf8_count(between);
    reader->counted = at;
    return reader->characters + 1;
}

/* ---- Finding ---- */

/* How a placeholder begins and ends. */
struct form {
    struct str open, close;
};

static const struct form braces = {STR_INIT("{{"), STR_INIT("}}")};
static const struct form dollar = {STR_INIT("${"), STR_INIT("}")};

/* A text that begins as a placeholder does. */
struct candidate {
    const struct form *form;
    size_t at;
    struct str name; /* the name characters behind the blanks and the dot */
    size_t end;      /* behind the closing braces; 0 when they do not follow the name */
};

static size_t skip_blanks(struct str text, size_t at)
{
    while (at < text.len && memchr(" \t\r\n", text.ptr[at], 4))
        at++;
    return at;
}

static struct candidate read_candidate(struct str text, size_t at, const struct form *form)
{
    struct candidate candidate = {.form = form, .at = at};
    size_t begin = skip_blanks(text, at + form->open.len);
    if (begin < text.len && text.ptr[begin] == '.')
        begin++;
    size_t end = begin;
    while (end < text.len && scope_is_name_char(text.ptr[end]))
        end++;
    candidate.name = str_sub(text, begin, end - begin);
    size_t close = skip_blanks(text, end);
    if (str_starts_with(str_sub(text, close, text.len), form->close))
        candidate.end = close + form->close.len;
    return candidate;
}

/* The next "{{" or "${" from `at` on, where `at` may be in the middle of one. */
static bool find_candidate(struct str text, size_t at, struct candidate *ret)
{
    for (; at < text.len; at++) {
        const char *brace = memchr(text.ptr + at, '{', text.len - at);
        if (!brace)
            return false;
        size_t found = (size_t)(brace - text.ptr);
        if (found + 1 < text.len && text.ptr[found + 1] == '{') {
            *ret = read_candidate(text, found, &braces);
            return true;
        }
        if (found > at && text.ptr[found - 1] == '$') {
            *ret = read_candidate(text, found - 1, &dollar);
            return true;
        }
        at = found;
    }
    return false;
}

static bool is_ours(const struct candidate *candidate)
{
    return str_starts_with(candidate->name, STR("parameters.")) ||
           str_starts_with(candidate->name, STR("steps."));
}

/* ---- Slips ---- */

static bool has_outputs(struct str rest)
{
    const struct str outputs = STR("outputs");
    struct str part;
    while (str_is_set(rest)) {
        str_cut(rest, '.', &part, &rest);
        if (str_is_set(str_nearest(part, &outputs, 1)))
            return true;
    }
    return false;
}

/* What was surely meant by a dotted name in braces that is none of ours: "parameters" or "steps"
 * with *ret_rest behind it, "" when it is known but has no counterpart, or absent. */
static struct str find_slip(struct str name, struct str *ret_rest)
{
    const struct str parameters = STR("parameters"), steps = STR("steps");
    /* Of this engine's predecessor and of Argo Workflows. */
    const struct str argo = STR("inputs.parameters.");
    if (str_starts_with(name, argo)) {
        *ret_rest = str_sub(name, argo.len, name.len);
        return parameters;
    }
    struct str first;
    bool has_dot = str_cut(name, '.', &first, ret_rest);
    if (str_eq(name, STR("StepName")) || (has_dot && str_eq(first, STR("JobFlow"))))
        return STR("");
    if (!has_dot || ret_rest->len == 0)
        return (struct str){NULL, 0};
    if (str_is_set(str_nearest(first, &parameters, 1)))
        return parameters;
    /* "step" alone is a common word: it is ours together with outputs. */
    if (str_is_set(str_nearest(first, &steps, 1)) && has_outputs(*ret_rest))
        return steps;
    return (struct str){NULL, 0};
}

/* ---- Reading ---- */

#define WRITE_THIS "write {{parameters.NAME}} or {{steps.STEP.outputs.NAME}}"

static int fail_slip(struct placeholder_reader *reader, const struct candidate *candidate,
                     struct str meant, struct str rest, struct err *err)
{
    size_t column = placeholder_column(reader, candidate->at);
    struct str text = str_sub(reader->text, candidate->at, candidate->end - candidate->at);
    if (meant.len == 0)
        return err_set(err, 422, "column %zu: \"%" PRIstr "\" has no value here; " WRITE_THIS,
                       column, STR_ARG(utf8_cut(text, SHOWN_MAX)));
    return err_set(err, 422,
                   "column %zu: \"%" PRIstr "\" is no placeholder; did you mean \"{{%" PRIstr
                   ".%" PRIstr "}}\"?",
                   column, STR_ARG(utf8_cut(text, SHOWN_MAX)), STR_ARG(meant),
                   STR_ARG(utf8_cut(rest, SHOWN_MAX)));
}

static int fail_wrong(struct placeholder_reader *reader, const struct candidate *candidate,
                      struct err *err)
{
    size_t column = placeholder_column(reader, candidate->at);
    struct str open = candidate->form->open, close = candidate->form->close,
               name = utf8_cut(candidate->name, SHOWN_MAX);
    if (candidate->end > 0)
        return err_set(err, 422,
                       "column %zu: \"%" PRIstr "%" PRIstr "%" PRIstr
                       "\" is no placeholder; " WRITE_THIS,
                       column, STR_ARG(open), STR_ARG(name), STR_ARG(close));
    return err_set(err, 422,
                   "column %zu: \"%" PRIstr "%" PRIstr "\" must be followed by \"%" PRIstr
                   "\"; a placeholder holds one name and nothing else",
                   column, STR_ARG(open), STR_ARG(name), STR_ARG(close));
}

/* A candidate that is ours: 1 or -1. */
static int read_ours(struct placeholder_reader *reader, const struct candidate *candidate,
                     struct placeholder *ret, struct err *err)
{
    struct scope_ref ref;
    struct str wrong;
    struct err reason; /* this module's own message says more */
    bool is_right = candidate->end > 0 &&
                    scope_read(candidate->name, NULL, &ref, &wrong, &reason) == 0 &&
                    ref.kind != SCOPE_PHASE;
    if (!is_right) {
        reader->at = candidate->at + candidate->form->open.len;
        return fail_wrong(reader, candidate, err);
    }
    reader->at = candidate->end;
    *ret = (struct placeholder){
        .at = candidate->at,
        .len = candidate->end - candidate->at,
        .ref = ref,
    };
    return 1;
}

int placeholder_next(struct placeholder_reader *reader, struct placeholder *ret, struct err *err)
{
    struct candidate candidate;
    while (find_candidate(reader->text, reader->at, &candidate)) {
        if (is_ours(&candidate))
            return read_ours(reader, &candidate, ret, err);
        /* The next one may begin with the second brace of this one. */
        reader->at = candidate.at + 1;
        if (candidate.form == &dollar || candidate.end == 0)
            continue;
        struct str rest, meant = find_slip(candidate.name, &rest);
        if (str_is_set(meant)) {
            reader->at = candidate.end;
            return fail_slip(reader, &candidate, meant, rest, err);
        }
    }
    reader->at = reader->text.len;
    return 0;
}

/* ---- Checking ---- */

static int check_ref(struct placeholder_reader *reader, const struct scope *scope,
                     struct scope_ref *ref, struct err *err)
{
    struct str wrong;
    if (scope_check(scope, ref, &wrong, err) == 0)
        return 0;
    return err_wrap(err, "column %zu",
                    placeholder_column(reader, (size_t)(wrong.ptr - reader->text.ptr)));
}

int placeholder_check(struct str text, const struct scope *scope, struct err *err)
{
    struct placeholder_reader reader = {.text = text};
    struct placeholder placeholder;
    int found;
    while ((found = placeholder_next(&reader, &placeholder, err)) > 0) {
        if (check_ref(&reader, scope, &placeholder.ref, err) < 0)
            return -1;
    }
    return found;
}

/* ---- Substitution ---- */

static int put(struct buf *out, struct str s, struct err *err)
{
    if (s.len > out->max - out->len)
        return err_set(err, 422, "the text would be longer than %zu bytes with its values",
                       out->max);
    buf_put(out, s);
    return buf_failed(out) ? err_no_memory(err, "putting values into a text") : 0;
}

static int put_value(struct buf *out, struct str value, enum placeholder_field field,
                     struct err *err)
{
    while (field == PLACEHOLDER_EXPANDED && value.len > 0) {
        ptrdiff_t at = str_find(value, '$');
        if (at < 0)
            break;
        if (put(out, str_sub(value, 0, (size_t)at + 1), err) < 0 || put(out, STR("$"), err) < 0)
            return -1;
        value = str_sub(value, (size_t)at + 1, value.len);
    }
    return put(out, value, err);
}

/* What is between two placeholders. A dollar right before a value would, for the kubelet, begin the name of a
 * variable or be one of two: it is doubled like those of the value itself. */
static int put_literal(struct buf *out, struct str literal, enum placeholder_field field,
                       struct err *err)
{
    size_t dollars = 0;
    while (dollars < literal.len && literal.ptr[literal.len - 1 - dollars] == '$')
        dollars++;
    bool is_open = field == PLACEHOLDER_EXPANDED && dollars % 2 == 1;
    return put(out, literal, err) < 0 || (is_open && put(out, STR("$"), err) < 0) ? -1 : 0;
}

int placeholder_substitute(struct str text, enum placeholder_field field, const struct scope *scope,
                           const struct scope_values *values, struct buf *out, struct err *err)
{
    struct placeholder_reader reader = {.text = text};
    struct placeholder placeholder;
    size_t copied = 0;
    int found;
    while ((found = placeholder_next(&reader, &placeholder, err)) > 0) {
        if (check_ref(&reader, scope, &placeholder.ref, err) < 0)
            return -1;
        struct str value = scope_value(values, &placeholder.ref);
        if (!str_is_set(value))
            return err_set(err, 422,
                           "column %zu: \"%" PRIstr "\" has no value: it was not produced",
                           placeholder_column(&reader, placeholder.at),
                           STR_ARG(str_sub(text, placeholder.at, placeholder.len)));
        if (put_literal(out, str_sub(text, copied, placeholder.at - copied), field, err) < 0 ||
            put_value(out, value, field, err) < 0)
            return -1;
        copied = placeholder.at + placeholder.len;
    }
    return found < 0 ? -1 : put(out, str_sub(text, copied, text.len), err);
}

/* ---- Walking ---- */

/* Asked for every key and value of every template. The brace is the second character of both forms. */
static bool may_hold_placeholder(struct str text)
{
    const char *at = text.ptr, *end = at + text.len;
    while (end - at > 1) {
        const char *brace = memchr(at + 1, '{', (size_t)(end - at) - 1);
        if (!brace)
            return false;
        if (brace[-1] == '{' || brace[-1] == '$')
            return true;
        at = brace;
    }
    return false;
}

bool placeholder_walk(struct json *value, const struct path *path,
                      const struct placeholder_visitor *visitor)
{
    if (json_is(value, JSON_STRING)) {
        struct str text = json_str(value);
        return !may_hold_placeholder(text) ||
               visitor->visit(visitor->ctx, path, value, text, false);
    }
    bool is_object = json_is(value, JSON_OBJECT);
    size_t index = 0;
    JSON_EACH (child, value) {
        struct str key = json_key(child);
        struct path at = is_object ? path_field(path, key) : path_index(path, index++);
        if (is_object && may_hold_placeholder(key) &&
            !visitor->visit(visitor->ctx, &at, child, key, true))
            return false;
        if (!placeholder_walk(child, &at, visitor))
            return false;
    }
    return true;
}
