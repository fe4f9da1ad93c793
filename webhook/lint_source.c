/* The files that lint is given, and the templates in them. */
#include "webhook/lint_source.h"

#include "base/file.h"
#include "types/jobflow.h"
#include "json/yaml.h"

enum { ARENA_BLOCK = 256 * 1024, ARENA_MAX = 1024 * 1024 * 1024, NAMES_MAX = 512 };

void lint_source_init(struct lint_source *source, const struct lint_options *options,
                      const struct json_limits *limits)
{
    *source = (struct lint_source){.options = options, .limits = limits};
    buf_init(&source->standard_input, options->mem, YAML_TEXT_MAX);
    arena_init(&source->arena, options->mem, ARENA_BLOCK, ARENA_MAX);
}

void lint_source_done(struct lint_source *source)
{
    buf_done(&source->standard_input);
    arena_done(&source->arena);
}

int lint_source_read(struct lint_source *source, const char *name, struct buf *file,
                     struct str *ret, struct err *err)
{
    struct buf *text = file;
    bool is_standard_input = strcmp(name, "-") == 0;
    if (is_standard_input)
        text = &source->standard_input;
    else
        buf_init(file, source->options->mem, YAML_TEXT_MAX);
    if (!(is_standard_input && source->has_standard_input) && file_read(name, text, err) < 0)
        return -1;
    source->has_standard_input = source->has_standard_input || is_standard_input;
    *ret = buf_str(text);
    return 0;
}

bool lint_is_list(const struct json *object, unsigned depth)
{
    return str_ends_with(json_str(json_get(object, STR("kind"))), STR("List")) &&
           json_is(json_get(object, STR("items")), JSON_ARRAY) && depth < LINT_LIST_DEPTH_MAX;
}

struct str lint_namespace(const struct json *object)
{
    struct str namespace = json_str(json_path(object, "metadata", "namespace", NULL));
    return namespace.len > 0 ? namespace : STR("default");
}

/* ---- Templates ---- */

/* A copy that needs nothing of the file. */
static bool keep(struct lint_source *source, const struct json *object)
{
    struct buf text;
    struct err err;
    buf_init(&text, arena_mem(&source->arena), 2 * (size_t)YAML_TEXT_MAX);
    json_write(&text, object);
    return !buf_failed(&text) &&
           json_append(source->templates,
                       json_read(&source->arena, buf_str(&text), source->limits, &err));
}

static bool collect(struct lint_source *source, const struct json *object, unsigned depth)
{
    if (lint_is_list(object, depth)) {
        JSON_EACH (item, json_get(object, STR("items"))) {
            if (!collect(source, item, depth + 1))
                return false;
        }
        return true;
    }
    bool is_template =
        kind_find_by_api_version(json_str(json_get(object, STR("apiVersion"))),
                                 json_str(json_get(object, STR("kind")))) == &jobflow_template_kind;
    return !is_template || keep(source, object);
}

static bool collect_text(struct lint_source *source, struct str text)
{
    struct arena arena;
    struct yaml_reader reader;
    struct json *document;
    struct err err;
    bool good = true;
    arena_init(&arena, source->options->mem, ARENA_BLOCK, ARENA_MAX);
    yaml_reader_init(&reader, text, source->limits);
    while (good && yaml_reader_next(&reader, &arena, &document, &err) > 0) {
        good = collect(source, document, 0);
        arena_reset(&arena);
    }
    yaml_reader_done(&reader);
    arena_done(&arena);
    return good;
}

static bool collect_file(struct lint_source *source, const char *name)
{
    static const char word[] = "JobFlowTemplate";
    struct buf file = {0};
    struct str text;
    struct err err;
    bool good = true;
    /* Reading YAML takes long: most files have none. */
    if (lint_source_read(source, name, &file, &text, &err) == 0 &&
        memmem(text.ptr, text.len, word, sizeof(word) - 1))
        good = collect_text(source, text);
    buf_done(&file);
    return good;
}

static void collect_all(struct lint_source *source)
{
    source->has_templates = true;
    source->templates = json_new(&source->arena, JSON_ARRAY);
    for (size_t i = 0; i < source->options->file_count && source->templates; i++) {
        if (!collect_file(source, source->options->files[i]))
            source->templates = NULL;
    }
}

static struct str name_of(const struct json *object)
{
    return json_str(json_path(object, "metadata", "name", NULL));
}

static void find(void *ctx, struct str namespace, struct str name, struct template_answer *ret)
{
    struct lint_source *source = ctx;
    struct str names[NAMES_MAX];
    size_t count = 0;
    if (!source->has_templates)
        collect_all(source);
    *ret = (struct template_answer){
        .state = source->templates ? TEMPLATE_MISSING : TEMPLATE_UNREACHABLE,
        .text = source->templates ? STR("lint looks for it only in the given files")
                                  : STR("there is no memory for the templates of all files"),
    };
    /* Of several the last: it is what applying the files in their order leaves. */
    JSON_EACH (template, source->templates) {
        if (!str_eq(lint_namespace(template), namespace))
            continue;
        if (str_eq(name_of(template), name)) {
            ret->state = TEMPLATE_FOUND;
            ret->object = template;
        }
        if (count < NAMES_MAX)
            names[count++] = name_of(template);
    }
    ret->near = str_nearest(name, names, count);
}

struct template_source lint_source_templates(struct lint_source *source)
{
    return (struct template_source){.ctx = source, .find = find};
}
