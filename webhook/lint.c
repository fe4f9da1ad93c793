/* Checking files with the webhook's rules. */
#include "webhook/lint.h"

#include "policy/policy.h"
#include "webhook/lint_source.h"
#include "json/yaml.h"

enum {
    FILE_MAX = YAML_TEXT_MAX,
    ARENA_BLOCK = 256 * 1024,
    ARENA_MAX = 1024 * 1024 * 1024, /* a document of FILE_MAX, read */
    SERVER_SIDE_SIZE = 256 * 1024,  /* bytes of annotations (api/validation/objectmeta.go) */
};

static const struct json_limits limits = {.max_depth = 64, .max_values = 8 * 1000 * 1000};

struct lint {
    const struct lint_options *options;
    FILE *report;       /* where findings go */
    bool is_json;       /* findings are; beside objects they are text */
    const char *file;   /* as named by the user; "stdin" for "-" */
    struct arena arena; /* of one document */
    struct lint_source source;
    struct template_source templates;
    size_t valid, invalid, passed_over, unreadable;
    bool has_findings; /* something was printed: the next one in JSON needs a comma */
};

/* ---- Printing ---- */

struct subject {
    struct str kind;
    struct str namespace;
    struct str name;
};

static void print_json_member(const struct lint *lint, const char *name, struct str text)
{
    struct buf buf;
    buf_init(&buf, lint->options->mem, 64 * 1024);
    json_write_str(&buf, text);
    struct str quoted = buf_failed(&buf) ? STR("\"\"") : buf_str(&buf);
    fprintf(lint->report, "\"%s\":%" PRIstr, name, STR_ARG(quoted));
    buf_done(&buf);
}

/* The name of an object may hold anything as long as nobody has refused it. */
static void print_name(const struct lint *lint, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        bool is_control = (unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7F;
        fputc(is_control ? '?' : name.ptr[i], lint->report);
    }
}

static void print_subject(const struct lint *lint, const struct subject *subject)
{
    print_name(lint, subject->kind);
    fputc(' ', lint->report);
    print_name(lint, subject->namespace);
    fputc('/', lint->report);
    print_name(lint, subject->name);
    fputs(": ", lint->report);
}

static void print_finding(struct lint *lint, const struct subject *subject, uint32_t line,
                          bool is_error, struct str field, const char *reason, struct str message)
{
    if (!lint->is_json) {
        fprintf(lint->report, "%s:%u: ", lint->file, line);
        if (subject)
            print_subject(lint, subject);
        fprintf(lint->report, "%s%" PRIstr "%s%" PRIstr "\n",
                is_error ? "" : "warning: ", STR_ARG(field), field.len ? ": " : "",
                STR_ARG(message));
        return;
    }
    fputs(lint->has_findings ? ",\n  {" : "\n  {", lint->report);
    lint->has_findings = true;
    print_json_member(lint, "file", str_from_cstr(lint->file));
    fprintf(lint->report, ",\"line\":%u,\"severity\":\"%s\",", line,
            is_error ? "error" : "warning");
    if (subject) {
        print_json_member(lint, "kind", subject->kind);
        fputc(',', lint->report);
        print_json_member(lint, "namespace", subject->namespace);
        fputc(',', lint->report);
        print_json_member(lint, "name", subject->name);
        fputc(',', lint->report);
    }
    print_json_member(lint, "field", field);
    fprintf(lint->report, ",\"reason\":\"%s\",", reason);
    print_json_member(lint, "message", message);
    fputc('}', lint->report);
}

static void print_list(struct lint *lint, const struct subject *subject,
                       const struct err_list *list, bool is_error)
{
    for (const struct err_item *item = list->first; item; item = item->next)
        print_finding(lint, subject, item->line, is_error, item->field,
                      err_reason_name(item->reason), item->message);
    if (list->dropped > 0)
        print_finding(lint, subject, 0, is_error, STR(""), err_reason_name(ERR_TOO_MANY),
                      arena_printf(&lint->arena, "%zu more are not listed", list->dropped));
}

static void print_mutated(struct lint *lint, const struct json *object)
{
    struct buf buf;
    buf_init(&buf, lint->options->mem, 2 * (size_t)FILE_MAX);
    if (lint->options->output == LINT_JSON) {
        json_write(&buf, object);
        buf_put_char(&buf, '\n');
    } else {
        buf_put(&buf, STR("---\n"));
        yaml_write(&buf, object);
    }
    if (!buf_failed(&buf))
        fwrite(buf.ptr, 1, buf.len, lint->options->out);
    buf_done(&buf);
}

static void cannot_read(struct lint *lint, const struct err *err)
{
    lint->unreadable++;
    print_finding(lint, NULL, err->line, true, STR(""), err_reason_name(err->reason),
                  str_from_cstr(err->message));
}

/* ---- Checking ---- */

static void warn_of_size(struct policy_findings *findings, const struct json *object,
                         const struct lint *lint)
{
    struct buf buf;
    buf_init(&buf, lint->options->mem, SERVER_SIDE_SIZE);
    json_write(&buf, object);
    if (buf_failed(&buf))
        err_list_add(&findings->warnings, NULL, object->line, ERR_TOO_LONG,
                     "the object has more than 256 KiB: apply it with `kubectl apply "
                     "--server-side`, because without it kubectl stores a copy in an annotation, "
                     "which may not be larger");
    buf_done(&buf);
}

static void check_ours(struct lint *lint, const struct kind *kind, struct json *object)
{
    const struct json *metadata = json_get(object, STR("metadata"));
    struct subject subject = {
        .kind = str_from_cstr(kind->kind),
        .namespace = lint_namespace(object),
        .name = json_str(json_get(metadata, STR("name"))),
    };
    if (subject.name.len == 0)
        subject.name = json_str(json_get(metadata, STR("generateName")));
    struct policy_object policy = {
        .kind = kind,
        .operation = POLICY_CREATE,
        .object = object,
        .is_offline = true,
        .max_steps = lint->options->max_steps,
        .namespace = subject.namespace,
        .templates = &lint->templates,
        .catalog = lint->options->catalog,
        .arena = &lint->arena,
    };
    struct policy_findings findings;
    policy_findings_init(&findings, &lint->arena);
    warn_of_size(&findings, object, lint);
    struct template_answer answer = {0};
    enum policy_expansion expansion = policy_expand(&policy, &findings, &answer);
    if (expansion == POLICY_EXPANDED && policy_default(&policy))
        policy_validate(&policy, &findings);
    else
        findings.errors.out_of_memory = true;
    if (findings.errors.out_of_memory || findings.warnings.out_of_memory) {
        struct err err;
        err_no_memory(&err, "checking the object");
        cannot_read(lint, &err);
        return;
    }
    print_list(lint, &subject, &findings.errors, true);
    print_list(lint, &subject, &findings.warnings, false);
    bool good = err_list_is_empty(&findings.errors);
    if (good)
        lint->valid++;
    else
        lint->invalid++;
    if (good && lint->options->print_mutated)
        print_mutated(lint, object);
}

/* One of our groups with a version or kind that does not exist is a mistake, not another's object. */
static bool is_our_group(struct str api_version)
{
    size_t count;
    const struct kind *const *kinds = kinds_all(&count);
    struct str group, version;
    str_cut(api_version, '/', &group, &version);
    for (size_t i = 0; i < count; i++) {
        if (str_eq_cstr(group, kinds[i]->group))
            return true;
    }
    return false;
}

static void check_document(struct lint *lint, struct json *object, unsigned depth)
{
    struct str api_version = json_str(json_get(object, STR("apiVersion")));
    struct str kind_name = json_str(json_get(object, STR("kind")));
    if (lint_is_list(object, depth)) {
        JSON_EACH (item, json_get(object, STR("items"))) {
            check_document(lint, item, depth + 1);
        }
        return;
    }
    const struct kind *kind = kind_find_by_api_version(api_version, kind_name);
    if (kind) {
        check_ours(lint, kind, object);
        return;
    }
    if (!is_our_group(api_version)) {
        lint->passed_over++;
        return;
    }
    lint->invalid++;
    struct subject subject = {
        .kind = kind_name,
        .namespace = STR("default"),
        .name = json_str(json_path(object, "metadata", "name", NULL)),
    };
    print_finding(
        lint, &subject, object->line, true, STR("kind"), err_reason_name(ERR_NOT_SUPPORTED),
        arena_printf(&lint->arena, "Unsupported value: %" PRIstr " has no kind \"%" PRIstr "\"",
                     STR_ARG(api_version), STR_ARG(kind_name)));
}

static void check_text(struct lint *lint, struct str text)
{
    struct yaml_reader reader;
    yaml_reader_init(&reader, text, &limits);
    for (;;) {
        struct json *document;
        struct err err;
        int found = yaml_reader_next(&reader, &lint->arena, &document, &err);
        if (found < 0)
            cannot_read(lint, &err);
        if (found <= 0)
            break;
        check_document(lint, document, 0);
        arena_reset(&lint->arena);
    }
    yaml_reader_done(&reader);
}

static void check_file(struct lint *lint, const char *file)
{
    lint->file = strcmp(file, "-") == 0 ? "stdin" : file;
    struct buf read = {0};
    struct str text;
    struct err err;
    if (lint_source_read(&lint->source, file, &read, &text, &err) < 0)
        cannot_read(lint, &err);
    else
        check_text(lint, text);
    buf_done(&read);
}

/* ---- Entry ---- */

static void print_summary(const struct lint *lint)
{
    if (lint->is_json) {
        fprintf(lint->report,
                "%s],\"valid\":%zu,\"invalid\":%zu,\"passedOver\":%zu,\"unreadable\":%zu}\n",
                lint->has_findings ? "\n" : "", lint->valid, lint->invalid, lint->passed_over,
                lint->unreadable);
        return;
    }
    fflush(lint->options->out); /* the summary comes last, also where both go to one file */
    fprintf(lint->options->log, "%zu valid, %zu invalid, %zu of other kinds passed over",
            lint->valid, lint->invalid, lint->passed_over);
    if (lint->unreadable > 0)
        fprintf(lint->options->log, ", %zu unreadable", lint->unreadable);
    fputc('\n', lint->options->log);
}

enum lint_result lint_run(const struct lint_options *options)
{
    struct lint lint = {
        .options = options,
        .report = options->print_mutated ? options->log : options->out,
        .is_json = options->output == LINT_JSON && !options->print_mutated,
    };
    arena_init(&lint.arena, options->mem, ARENA_BLOCK, ARENA_MAX);
    lint_source_init(&lint.source, options, &limits);
    lint.templates = lint_source_templates(&lint.source);
    if (lint.is_json)
        fputs("{\"findings\":[", lint.report);
    for (size_t i = 0; i < options->file_count; i++)
        check_file(&lint, options->files[i]);
    print_summary(&lint);
    lint_source_done(&lint.source);
    arena_done(&lint.arena);
    if (lint.unreadable > 0)
        return LINT_UNREADABLE;
    return lint.invalid > 0 ? LINT_INVALID : LINT_VALID;
}
