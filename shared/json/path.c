/* Paths to one value inside a JSON value. */
#include "json/path.h"

enum segment_kind {
    SEGMENT_NAME,  /* .name, dots and brackets in it with a backslash */
    SEGMENT_TEXT,  /* ['text'] */
    SEGMENT_INDEX, /* [0] */
    SEGMENT_WHERE, /* [?(@.name=='text')] */
};

struct segment {
    enum segment_kind kind;
    struct str name; /* of the member; of SEGMENT_NAME and SEGMENT_WHERE with its backslashes */
    struct str text; /* SEGMENT_WHERE: what the member is */
    int64_t index;
};

struct reader {
    struct str path;
    size_t at;
};

/* ---- Reading ---- */

static struct str rest_of(const struct reader *reader)
{
    return str_sub(reader->path, reader->at, reader->path.len);
}

static int fail(const struct reader *reader, const char *what, struct err *err)
{
    return err_set(err, 422, "column %zu: %s", reader->at + 1, what);
}

static bool skip(struct reader *reader, struct str text)
{
    if (!str_starts_with(rest_of(reader), text))
        return false;
    reader->at += text.len;
    return true;
}

/* Up to one of `ends` that has no backslash before it. */
static struct str read_name(struct reader *reader, const char *ends)
{
    size_t begin = reader->at;
    struct str path = reader->path;
    for (; reader->at < path.len && !strchr(ends, path.ptr[reader->at]); reader->at++) {
        if (path.ptr[reader->at] == '\\' && reader->at + 1 < path.len)
            reader->at++;
    }
    return str_sub(path, begin, reader->at - begin);
}

/* A text in quotes; false when there is none here. */
static bool read_quoted(struct reader *reader, struct str *ret)
{
    struct str rest = rest_of(reader), inner;
    if (rest.len == 0 || (rest.ptr[0] != '\'' && rest.ptr[0] != '"'))
        return false;
    inner = str_sub(rest, 1, rest.len);
    ptrdiff_t end = str_find(inner, rest.ptr[0]);
    if (end < 0)
        return false;
    *ret = str_sub(inner, 0, (size_t)end);
    reader->at += (size_t)end + 2;
    return true;
}

static int read_where(struct reader *reader, struct segment *ret, struct err *err)
{
    const char *form = "a filter must be like [?(@.type=='Complete')]";
    ret->kind = SEGMENT_WHERE;
    if (!skip(reader, STR("(@.")))
        return fail(reader, form, err);
    ret->name = read_name(reader, ".[]()=!<>~ ");
    while (skip(reader, STR(" ")))
        ;
    if (ret->name.len == 0 || !skip(reader, STR("==")))
        return fail(reader, form, err);
    while (skip(reader, STR(" ")))
        ;
    if (!read_quoted(reader, &ret->text) || !skip(reader, STR(")]")))
        return fail(reader, form, err);
    return 1;
}

static int read_bracket(struct reader *reader, struct segment *ret, struct err *err)
{
    if (skip(reader, STR("?")))
        return read_where(reader, ret, err);
    if (read_quoted(reader, &ret->name)) {
        ret->kind = SEGMENT_TEXT;
        return skip(reader, STR("]")) ? 1 : fail(reader, "\"]\" expected", err);
    }
    ptrdiff_t end = str_find(rest_of(reader), ']');
    ret->kind = SEGMENT_INDEX;
    if (end < 0 || !str_to_int64(str_sub(rest_of(reader), 0, (size_t)end), &ret->index))
        return fail(reader,
                    "a whole number, a name in quotes or a filter such as "
                    "[?(@.type=='Complete')] expected; what names several values, such as [*], "
                    "cannot be used",
                    err);
    reader->at += (size_t)end + 1;
    return 1;
}

/* The next segment: 1, 0 at the end, -1. */
static int next_segment(struct reader *reader, struct segment *ret, struct err *err)
{
    *ret = (struct segment){.kind = SEGMENT_NAME};
    if (reader->at == reader->path.len)
        return 0;
    if (skip(reader, STR("[")))
        return read_bracket(reader, ret, err);
    if (!skip(reader, STR(".")))
        return fail(reader, "\".\" or \"[\" expected", err);
    ret->name = read_name(reader, ".[]");
    if (ret->name.len == 0 || str_eq(ret->name, STR("*")))
        return fail(reader, "a name expected; .. and .* name several values and cannot be used",
                    err);
    return 1;
}

static int begin(struct reader *reader, struct str path, struct err *err)
{
    *reader = (struct reader){.path = path};
    if (path.len > JSON_PATH_TEXT_MAX)
        return err_set(err, 422, "a path has at most %d bytes", JSON_PATH_TEXT_MAX);
    return skip(reader, STR("$")) ? 0 : fail(reader, "a path begins with $", err);
}

int json_path_check(struct str path, struct err *err)
{
    struct reader reader;
    struct segment segment;
    int more, count = 0;
    if (begin(&reader, path, err) < 0)
        return -1;
    while ((more = next_segment(&reader, &segment, err)) > 0) {
        if (++count > JSON_PATH_SEGMENTS_MAX)
            return err_set(err, 422, "a path has at most %d parts", JSON_PATH_SEGMENTS_MAX);
    }
    return more;
}

/* ---- Following ---- */

/* Whether `escaped`, without its backslashes, is `name`. */
static bool names(struct str escaped, struct str name)
{
    size_t at = 0;
    for (size_t i = 0; i < escaped.len; i++) {
        if (escaped.ptr[i] == '\\' && i + 1 < escaped.len)
            i++;
        if (at == name.len || name.ptr[at++] != escaped.ptr[i])
            return false;
    }
    return at == name.len;
}

static const struct json *find_member(const struct json *object, struct str escaped)
{
    if (!json_is(object, JSON_OBJECT))
        return NULL;
    if (str_find(escaped, '\\') < 0)
        return json_get(object, escaped);
    JSON_EACH (member, object) {
        if (names(escaped, json_key(member)))
            return member;
    }
    return NULL;
}

static const struct json *find_element(const struct json *array, int64_t index)
{
    if (!json_is(array, JSON_ARRAY))
        return NULL;
    index += index < 0 ? array->len : 0;
    return index < 0 || index >= array->len ? NULL : json_at(array, (size_t)index);
}

static const struct json *find_where(const struct json *array, const struct segment *segment)
{
    if (!json_is(array, JSON_ARRAY))
        return NULL;
    JSON_EACH (element, array) {
        const struct json *member = find_member(element, segment->name);
        if (json_is(member, JSON_STRING) && str_eq(json_str(member), segment->text))
            return element;
    }
    return NULL;
}

static const struct json *step_down(const struct json *value, const struct segment *segment)
{
    switch (segment->kind) {
    case SEGMENT_NAME:
        return find_member(value, segment->name);
    case SEGMENT_TEXT:
        return json_is(value, JSON_OBJECT) ? json_get(value, segment->name) : NULL;
    case SEGMENT_INDEX:
        return find_element(value, segment->index);
    case SEGMENT_WHERE:
        return find_where(value, segment);
    }
    return NULL;
}

const struct json *json_path_find(const struct json *root, struct str path)
{
    struct reader reader;
    struct segment segment;
    struct err err;
    const struct json *value = root;
    if (json_path_check(path, &err) < 0 || begin(&reader, path, &err) < 0)
        return NULL;
    while (value && next_segment(&reader, &segment, &err) > 0)
        value = step_down(value, &segment);
    return value;
}

bool json_path_begins(struct str path, struct str name)
{
    struct reader reader;
    struct segment segment;
    struct err err;
    if (begin(&reader, path, &err) < 0 || next_segment(&reader, &segment, &err) <= 0)
        return false;
    return segment.kind == SEGMENT_NAME
               ? names(segment.name, name)
               : segment.kind == SEGMENT_TEXT && str_eq(segment.name, name);
}
