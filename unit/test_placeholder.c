/* Placeholders: what is one, what is left alone, what is refused, and that values stay data. */
#include "unit/support.h"

#include "policy/placeholder.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- A flow ---- */

struct entry {
    struct str name, value;
};

static const struct entry parameters[] = {
    {STR_INIT("x"), STR_INIT("1")},
    {STR_INIT("env"), STR_INIT("prod")},
    {STR_INIT("dry-run.now_1"), STR_INIT("yes")},
    {STR_INIT("empty"), STR_INIT("")},
    {STR_INIT("self"), STR_INIT("{{parameters.self}}${parameters.x}")},
    {STR_INIT("quote"), STR_INIT("\", \"image\": \"evil")},
    {STR_INIT("dollar"), STR_INIT("$(TOKEN) $$ $x ${HOME} $")},
    {STR_INIT("name"), STR_INIT("(TOKEN)")},
    {STR_INIT("city"), STR_INIT("Zürich")},
};
enum { PARAMETER_COUNT = sizeof(parameters) / sizeof(parameters[0]) };

/* Step 0 is "build" with outputs tag and log.txt, 1 is "skipped" with tag that it did not produce,
 * 2 is "later". */
static enum scope_use find_step(const void *ctx, struct str name, size_t *ret_step)
{
    (void)ctx;
    static const char *const names[] = {"build", "skipped", "later"};
    for (size_t i = 0; i < 3; i++) {
        if (!str_eq_cstr(name, names[i]))
            continue;
        *ret_step = i;
        return i == 2 ? SCOPE_NOT_BEFORE : SCOPE_USABLE;
    }
    return SCOPE_UNKNOWN;
}

static bool has_output(const void *ctx, size_t step, struct str name)
{
    (void)ctx;
    return str_eq_cstr(name, "tag") || (step == 0 && str_eq_cstr(name, "log.txt"));
}

static struct str output_of(const void *ctx, size_t step, struct str name)
{
    (void)ctx;
    if (step == 1)
        return (struct str){NULL, 0};
    return str_eq_cstr(name, "tag") ? STR("v1.2") : STR("all good");
}

static const struct entry *find_parameter(struct str name)
{
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        if (str_eq(parameters[i].name, name))
            return &parameters[i];
    }
    return NULL;
}

static bool has_parameter(const void *ctx, struct str name)
{
    (void)ctx;
    return find_parameter(name) != NULL;
}

static struct str parameter_of(const void *ctx, struct str name)
{
    (void)ctx;
    return find_parameter(name)->value;
}

static struct str phase_of(const void *ctx, size_t step)
{
    (void)ctx;
    (void)step;
    fail_msg("no phase is ever put into a text");
    return (struct str){NULL, 0};
}

static struct str nearest(const void *ctx, enum scope_kind kind, size_t step, struct str name)
{
    (void)ctx;
    (void)step;
    struct str names[PARAMETER_COUNT] = {STR("build"), STR("skipped"), STR("later")};
    size_t count = 3;
    for (size_t i = 0; kind == SCOPE_PARAMETER && i < PARAMETER_COUNT; i++)
        names[i] = parameters[i].name;
    if (kind == SCOPE_PARAMETER)
        count = PARAMETER_COUNT;
    return str_nearest(name, names, count);
}

static const struct scope scope = {NULL, find_step, has_output, has_parameter, nearest};
static const struct scope_values values = {NULL, phase_of, output_of, parameter_of};

/* ---- Helpers ---- */

static void arena_start(struct arena *arena)
{
    arena_init(arena, mem_system(), 1 << 14, 1 << 26);
}

static void assert_result(struct str text, enum placeholder_field field, struct str expected)
{
    struct arena arena;
    struct err err;
    struct buf out;
    arena_start(&arena);
    buf_init(&out, arena_mem(&arena), 1 << 24);
    if (placeholder_check(text, &scope, &err) != 0 ||
        placeholder_substitute(text, field, &scope, &values, &out, &err) != 0)
        fail_msg("%" PRIstr ": refused: %s", STR_ARG(text), err.message);
    assert_str_equal(buf_str(&out), expected);
    arena_done(&arena);
}

static void assert_refused(struct str text, const char *message)
{
    struct arena arena;
    struct err err = {0};
    struct buf out;
    arena_start(&arena);
    if (placeholder_check(text, &scope, &err) != -1)
        fail_msg("%" PRIstr ": must be refused", STR_ARG(text));
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, 422);
    /* A flow that was stored before a rule existed must not run with it either. */
    buf_init(&out, arena_mem(&arena), 1 << 20);
    memset(&err, 0, sizeof(err));
    assert_int_equal(placeholder_substitute(text, PLACEHOLDER_PLAIN, &scope, &values, &out, &err),
                     -1);
    assert_string_equal(err.message, message);
    arena_done(&arena);
}

struct row {
    const char *text, *result;
};

/* ---- Tests ---- */

static void every_spelling_of_a_placeholder_is_replaced(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{parameters.x}}", "1"},
        {"{{.parameters.x}}", "1"},
        {"${parameters.x}", "1"},
        {"{{ parameters.x }}", "1"},
        {"{{\t.parameters.x\n}}", "1"},
        {"${ parameters.x }", "1"},
        {"${.parameters.x}", "1"},
        {"{{steps.build.outputs.tag}}", "v1.2"},
        {"{{ .steps.build.outputs.tag }}", "v1.2"},
        {"${steps.build.outputs.tag}", "v1.2"},
        {"{{steps.build.outputs.log.txt}}", "all good"},
        {"{{parameters.dry-run.now_1}}", "yes"},
        {"image:{{parameters.env}}-{{steps.build.outputs.tag}}!", "image:prod-v1.2!"},
        {"{{parameters.x}}{{parameters.x}}", "11"},
        {"Zürich {{parameters.city}} é", "Zürich Zürich é"},
        {"[{{parameters.empty}}]", "[]"},
        {"", ""},
        {"plain", "plain"},
        /* Braces and dollars beside one are text. */
        {"{\"a\":{{parameters.x}}}", "{\"a\":1}"},
        {"{{{parameters.x}}}", "{1}"},
        {"{{{{parameters.x}}}}", "{{1}}"},
        {"${{parameters.x}}", "$1"},
        {"$${parameters.x}", "$1"},
        {"{${parameters.x}}", "{1}"},
        {"{{ ${parameters.x}", "{{ 1"},
        {"${{{parameters.x}}", "${1"},
        {"{{ range }}{{parameters.x}}{{ end }}", "{{ range }}1{{ end }}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_result(str_from_cstr(rows[i].text), PLACEHOLDER_PLAIN,
                      str_from_cstr(rows[i].result));
}

static void what_belongs_to_others_is_left_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "${HOME}/bin:$PATH",
        "$(NAME) $$(NAME)",
        "${parameters}",
        "${parameters:-x}",
        "${steps[0]}",
        "${paramters.x}",
        "${parameters",
        "{{parameters}}",
        "{{ steps }}",
        "{{parameters",
        "parameters.x",
        "{parameters.x}",
        "$parameters.x",
        "$ {parameters.x}",
        "{ {parameters.x}}",
        "{{..parameters.x}}",
        "{{ . parameters.x }}",
        "docker ps --format '{{.Names}}: {{json .Status}}'",
        "{{ .Values.parameters.x }}",
        "{{ range .items }}{{ .metadata.name }}{{ end }}",
        "{{ if eq .Kind \"steps.x\" }}{{ end }}",
        "{{params.x}}",
        "{{ inputs.artifacts.x }}",
        "{{.Step.Name}}",
        "{{.step.id}}",
        "{{.JobFlows}}",
        "{{ .StepNames }}",
        "{{paramters.x | upper}}",
        "{{item}}",
        "{{paramters.}}",
        "{{",
        "}}",
        "{{}}",
        "${}",
        "${",
        "$",
        "{",
        "awk '{print $1}' {a,b}",
        "\xFF{{\xFF}}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_result(str_from_cstr(texts[i]), PLACEHOLDER_EXPANDED, str_from_cstr(texts[i]));
    assert_result(STR("a\0{{parameters.x}}\0"), PLACEHOLDER_PLAIN,
                  STR("a\0"
                      "1\0"));
}

static void unknown_names_are_refused_with_their_column(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{parameters.evn}}", "column 14: unknown parameter \"evn\"; did you mean \"env\"?"},
        {"é {{ .parameters.nothing }}", "column 18: unknown parameter \"nothing\""},
        {"${parameters.zz}", "column 14: unknown parameter \"zz\""},
        {"a {{steps.biuld.outputs.tag}}",
         "column 11: unknown step \"biuld\"; did you mean \"build\"?"},
        {"{{steps.build.outputs.digest}}", "column 23: step \"build\" has no output \"digest\""},
        {"{{steps.later.outputs.tag}}",
         "column 9: step \"later\" need not have ended when this one starts; add it to the "
         "dependencies"},
        {"{{steps.a.b.outputs.tag}}", "column 9: unknown step \"a.b\""},
        {"{{parameters.x}} {{parameters.y1}}", "column 31: unknown parameter \"y1\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_refused(str_from_cstr(rows[i].text), rows[i].result);
}

#define WRITE_THIS "; write {{parameters.NAME}} or {{steps.STEP.outputs.NAME}}"
#define ONE_NAME   "; a placeholder holds one name and nothing else"

static void what_begins_as_ours_must_be_right(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{parameters.}}", "column 1: \"{{parameters.}}\" is no placeholder" WRITE_THIS},
        {"${parameters.}", "column 1: \"${parameters.}\" is no placeholder" WRITE_THIS},
        {"{{steps.}}", "column 1: \"{{steps.}}\" is no placeholder" WRITE_THIS},
        {"{{steps.build}}", "column 1: \"{{steps.build}}\" is no placeholder" WRITE_THIS},
        {"x {{ steps.build.phase }}",
         "column 3: \"{{steps.build.phase}}\" is no placeholder" WRITE_THIS},
        {"{{steps.build.output.tag}}",
         "column 1: \"{{steps.build.output.tag}}\" is no placeholder" WRITE_THIS},
        {"{{steps..outputs.tag}}",
         "column 1: \"{{steps..outputs.tag}}\" is no placeholder" WRITE_THIS},
        {"{{steps.build.outputs.}}",
         "column 1: \"{{steps.build.outputs.}}\" is no placeholder" WRITE_THIS},
        {"é{{parameters.x", "column 2: \"{{parameters.x\" must be followed by \"}}\"" ONE_NAME},
        {"{{parameters.x}", "column 1: \"{{parameters.x\" must be followed by \"}}\"" ONE_NAME},
        {"${parameters.x", "column 1: \"${parameters.x\" must be followed by \"}\"" ONE_NAME},
        {"${parameters.x:-y}", "column 1: \"${parameters.x\" must be followed by \"}\"" ONE_NAME},
        {"{{parameters.x | upper}}",
         "column 1: \"{{parameters.x\" must be followed by \"}}\"" ONE_NAME},
        {"{{ parameters.x y }}",
         "column 1: \"{{parameters.x\" must be followed by \"}}\"" ONE_NAME},
        {"{{parameters.é}}", "column 1: \"{{parameters.\" must be followed by \"}}\"" ONE_NAME},
        {"{{parameters.{{parameters.x}}}}",
         "column 1: \"{{parameters.\" must be followed by \"}}\"" ONE_NAME},
        {"${parameters.${parameters.x}}",
         "column 1: \"${parameters.\" must be followed by \"}\"" ONE_NAME},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_refused(str_from_cstr(rows[i].text), rows[i].result);
}

static void near_misses_are_refused_with_the_right_spelling(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{paramters.x}}",
         "column 1: \"{{paramters.x}}\" is no placeholder; did you mean \"{{parameters.x}}\"?"},
        {"a{{ .Parameters.env }}", "column 2: \"{{ .Parameters.env }}\" is no placeholder; did "
                                   "you mean \"{{parameters.env}}\"?"},
        {"{{parameter.dry-run.now_1}}", "column 1: \"{{parameter.dry-run.now_1}}\" is no "
                                        "placeholder; did you mean \"{{parameters.dry-run.now_1}}"
                                        "\"?"},
        {"{{inputs.parameters.x}}", "column 1: \"{{inputs.parameters.x}}\" is no placeholder; did "
                                    "you mean \"{{parameters.x}}\"?"},
        {"{{step.build.outputs.tag}}", "column 1: \"{{step.build.outputs.tag}}\" is no "
                                       "placeholder; did you mean "
                                       "\"{{steps.build.outputs.tag}}\"?"},
        {"{{Steps.build.Outputs.tag}}", "column 1: \"{{Steps.build.Outputs.tag}}\" is no "
                                        "placeholder; did you mean "
                                        "\"{{steps.build.Outputs.tag}}\"?"},
        {"{{.JobFlow.Name}}", "column 1: \"{{.JobFlow.Name}}\" has no value here" WRITE_THIS},
        {"{{ .StepName }}", "column 1: \"{{ .StepName }}\" has no value here" WRITE_THIS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_refused(str_from_cstr(rows[i].text), rows[i].result);
}

static void the_reader_gives_each_reference_and_goes_on_behind_errors(void **state)
{
    (void)state;
    const struct str text = STR("é{{parameters.x}}{{parameters.}}日{{ steps.s.outputs.o.p }}${HOME}"
                                "{{parameters.y");
    struct placeholder_reader reader = {.text = text};
    struct placeholder found;
    struct err err;
    assert_int_equal(placeholder_next(&reader, &found, &err), 1);
    assert_int_equal(found.at, 2);
    assert_int_equal(found.len, 16);
    assert_int_equal(placeholder_column(&reader, found.at), 2);
    assert_int_equal(found.ref.kind, SCOPE_PARAMETER);
    assert_str_is(found.ref.name, "x");
    assert_false(str_is_set(found.ref.step_name));
    assert_int_equal(placeholder_next(&reader, &found, &err), -1);
    assert_int_equal(strncmp(err.message, "column 18: ", 11), 0);
    assert_int_equal(placeholder_next(&reader, &found, &err), 1);
    assert_int_equal(placeholder_column(&reader, found.at), 34);
    assert_str_is(str_sub(text, found.at, found.len), "{{ steps.s.outputs.o.p }}");
    assert_int_equal(found.ref.kind, SCOPE_OUTPUT);
    assert_str_is(found.ref.step_name, "s");
    assert_str_is(found.ref.name, "o.p");
    assert_int_equal(placeholder_next(&reader, &found, &err), -1);
    assert_int_equal(strncmp(err.message, "column 66: ", 11), 0);
    assert_int_equal(placeholder_next(&reader, &found, &err), 0);
    assert_int_equal(placeholder_next(&reader, &found, &err), 0);
}

static void a_value_is_put_in_once_and_never_looked_at_again(void **state)
{
    (void)state;
    assert_result(STR("{{parameters.self}}"), PLACEHOLDER_PLAIN,
                  STR("{{parameters.self}}${parameters.x}"));
    /* Nor does it make a placeholder together with the text around it. */
    assert_result(STR("{{parameters.quote}}"), PLACEHOLDER_PLAIN, STR("\", \"image\": \"evil"));
    assert_result(STR("{{{parameters.empty}}{parameters.x}}"), PLACEHOLDER_PLAIN,
                  STR("{{parameters.x}}"));
}

/* As the kubelet does it: $$ is a dollar, $(NAME) the value of a variable, all else itself. */
static struct str expand_as_the_kubelet(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = str_sub(text, i, text.len);
        ptrdiff_t end = str_find(rest, ')');
        if (str_starts_with(rest, STR("$$"))) {
            buf_put_char(out, '$');
            i++;
        } else if (str_starts_with(rest, STR("$(")) && end > 0) {
            buf_put(out, STR("SECRET"));
            i += (size_t)end;
        } else {
            buf_put_char(out, text.ptr[i]);
        }
    }
    return buf_str(out);
}

static void a_value_survives_the_expansion_of_the_kubelet(void **state)
{
    (void)state;
    assert_result(STR("$(A) {{parameters.dollar}} $$"), PLACEHOLDER_EXPANDED,
                  STR("$(A) $$(TOKEN) $$$$ $$x $${HOME} $$ $$"));
    assert_result(STR("{{parameters.dollar}}"), PLACEHOLDER_PLAIN, STR("$(TOKEN) $$ $x ${HOME} $"));
    struct arena arena;
    struct err err;
    struct buf put, expanded;
    arena_start(&arena);
    buf_init(&put, arena_mem(&arena), 1 << 10);
    buf_init(&expanded, arena_mem(&arena), 1 << 10);
    assert_int_equal(placeholder_substitute(STR("$(A)|{{parameters.dollar}}|"),
                                            PLACEHOLDER_EXPANDED, &scope, &values, &put, &err),
                     0);
    assert_str_is(expand_as_the_kubelet(buf_str(&put), &expanded),
                  "SECRET|$(TOKEN) $$ $x ${HOME} $|");
    arena_done(&arena);
}

/* A dollar before it must not make the value, or what is behind an empty one, the name of a variable. */
static void a_dollar_before_a_value_stays_a_dollar(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expanded;
    } rows[] = {
        {"${{parameters.dollar}}", "$$(TOKEN) $$ $x ${HOME} $"},
        {"$${parameters.dollar}", "$$(TOKEN) $$ $x ${HOME} $"},
        {"$${{parameters.dollar}}", "$$(TOKEN) $$ $x ${HOME} $"},
        {"$$${{parameters.dollar}}", "$$$(TOKEN) $$ $x ${HOME} $"},
        {"${{parameters.name}}", "$(TOKEN)"},
        {"$$${{parameters.name}}|$(A)", "$$(TOKEN)|SECRET"},
        {"${{parameters.empty}}(TOKEN)", "$(TOKEN)"},
        {"{{parameters.dollar}}{{parameters.name}}", "$(TOKEN) $$ $x ${HOME} $(TOKEN)"},
        {"5 $ {{parameters.x}} $(A)", "5 $ 1 SECRET"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena;
        struct err err = {0};
        struct buf put, expanded;
        arena_start(&arena);
        buf_init(&put, arena_mem(&arena), 1 << 10);
        buf_init(&expanded, arena_mem(&arena), 1 << 10);
        if (placeholder_substitute(str_from_cstr(rows[i].text), PLACEHOLDER_EXPANDED, &scope,
                                   &values, &put, &err) < 0)
            fail_msg("%s: %s", rows[i].text, err.message);
        assert_str_is(expand_as_the_kubelet(buf_str(&put), &expanded), rows[i].expanded);
        arena_done(&arena);
    }
    assert_result(STR("${{parameters.name}}"), PLACEHOLDER_PLAIN, STR("$(TOKEN)"));
}

static void an_output_that_was_not_produced_is_an_error_at_run_time(void **state)
{
    (void)state;
    struct arena arena;
    struct err err;
    struct buf out;
    const struct str text = STR("tag: {{steps.skipped.outputs.tag}}");
    arena_start(&arena);
    buf_init(&out, arena_mem(&arena), 1 << 10);
    assert_int_equal(placeholder_check(text, &scope, &err), 0);
    assert_int_equal(placeholder_substitute(text, PLACEHOLDER_PLAIN, &scope, &values, &out, &err),
                     -1);
    assert_string_equal(err.message, "column 6: \"{{steps.skipped.outputs.tag}}\" has no value: it "
                                     "was not produced");
    arena_done(&arena);
}

static void a_result_beyond_the_cap_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    struct err err;
    arena_start(&arena);
    const struct str text = STR("ab{{parameters.env}}c{{parameters.dollar}}");
    /* "ab", "prod", "c", and 24 characters of which six are dollars. */
    for (size_t max = 0; max <= 40; max++) {
        struct buf out;
        buf_init(&out, arena_mem(&arena), max);
        int result =
            placeholder_substitute(text, PLACEHOLDER_EXPANDED, &scope, &values, &out, &err);
        assert_int_equal(result, max < 37 ? -1 : 0);
        assert_true(out.len <= max);
        if (result == 0)
            continue;
        char message[100];
        snprintf(message, sizeof(message),
                 "the text would be longer than %zu bytes with its values", max);
        assert_string_equal(err.message, message);
        assert_int_equal(err.code, 422);
    }
    arena_done(&arena);
}

/* Nothing is looked at more than a few times: with 50,000 placeholders the square would be felt. */
static void a_long_text_with_many_placeholders_is_read_in_one_pass(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    static const char part[] = "é {{parameters.env}}", open[] = "{{ {{${ ";
    struct arena arena;
    struct err err;
    struct buf text, out;
    arena_start(&arena);
    buf_init(&text, arena_mem(&arena), 1 << 22);
    buf_init(&out, arena_mem(&arena), 1 << 22);
    for (size_t i = 0; i < COUNT; i++)
        buf_put(&text, str_from_cstr(part));
    for (size_t i = 0; i < COUNT; i++)
        buf_put(&text, str_from_cstr(open));
    buf_put(&text, STR("{{parameters.y1}}"));
    assert_int_equal(placeholder_check(buf_str(&text), &scope, &err), -1);
    char message[100];
    snprintf(message, sizeof(message), "column %d: unknown parameter \"y1\"",
             COUNT * 20 + COUNT * 8 + 14);
    assert_string_equal(err.message, message);
    text.len -= strlen("{{parameters.y1}}");
    assert_int_equal(
        placeholder_substitute(buf_str(&text), PLACEHOLDER_PLAIN, &scope, &values, &out, &err), 0);
    assert_int_equal(out.len, COUNT * (3 + 4) + COUNT * 8);
    arena_done(&arena);
}

/* ---- Random texts ---- */

/* Texts put together of parts whose results are known; no part completes another. */
static void random_texts_have_the_results_of_their_parts(void **state)
{
    (void)state;
    static const struct row parts[] = {
        {"{{parameters.env}}", "prod"},
        {"${parameters.x}", "1"},
        {"{{ .steps.build.outputs.tag }}", "v1.2"},
        {"{{parameters.self}}", "{{parameters.self}}${parameters.x}"},
        {"{{parameters.empty}}", ""},
        {" {{ .Values }} ", " {{ .Values }} "},
        {"${HOME}", "${HOME}"},
        {"$(A)", "$(A)"},
        {"é", "é"},
        {"{;", "{;"},
        {" }", " }"},
        {"$", "$"},
        {"parameters.x", "parameters.x"},
    };
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    struct arena arena;
    arena_start(&arena);
    for (int round = 0; round < 5000; round++) {
        struct buf text, expected;
        buf_init(&text, arena_mem(&arena), 1000);
        buf_init(&expected, arena_mem(&arena), 1000);
        size_t count = random_below(&seeded.random, 20);
        for (size_t i = 0; i < count; i++) {
            const struct row *part =
                &parts[random_below(&seeded.random, sizeof(parts) / sizeof(parts[0]))];
            buf_put(&text, str_from_cstr(part->text));
            buf_put(&expected, str_from_cstr(part->result));
        }
        assert_result(buf_str(&text), PLACEHOLDER_PLAIN, buf_str(&expected));
        arena_reset(&arena);
    }
    arena_done(&arena);
}

/* ---- Walking ---- */

struct visits {
    struct arena *arena;
    struct buf seen;
    size_t left; /* the visit that ends the walk */
};

static bool visit(void *ctx, const struct path *path, struct json *value, struct str text,
                  bool is_key)
{
    struct visits *visits = ctx;
    assert_str_equal(text, is_key ? json_key(value) : json_str(value));
    buf_printf(&visits->seen, "%s%" PRIstr "=%" PRIstr "\n", is_key ? "key " : "",
               STR_ARG(path_print(path, visits->arena)), STR_ARG(text));
    return --visits->left > 0;
}

static const char document[] =
    "{\"metadata\":{\"labels\":{\"{{a}}\":\"{{b}}\",\"c\":\"d\"}},"
    "\"spec\":[1,true,null,\"{\",\"$\",\"{{e}}\",{\"args\":[\"x\",\"${f}\",[\"a{{\"]]}],"
    "\"${g}\":{\"h\":\"i\"},\"j\":\"$ {k} { {\"}";

static void a_walk_visits_every_string_that_may_hold_a_placeholder(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "key template.metadata.labels[\"{{a}}\"]={{a}}\n",
        "template.metadata.labels[\"{{a}}\"]={{b}}\n",
        "template.spec[5]={{e}}\n",
        "template.spec[6].args[1]=${f}\n",
        "template.spec[6].args[2][0]=a{{\n",
        "key template[\"${g}\"]=${g}\n",
    };
    enum { LINES = sizeof(lines) / sizeof(lines[0]) };
    struct arena arena;
    struct err err;
    arena_start(&arena);
    struct json *value = json_read(&arena, STR(document), &json_limits_default, &err);
    assert_non_null(value);
    const struct path path = path_field(NULL, STR("template"));
    for (size_t stop = 1; stop <= LINES + 1; stop++) {
        struct visits visits = {.arena = &arena, .left = stop};
        buf_init(&visits.seen, arena_mem(&arena), 1 << 16);
        const struct placeholder_visitor visitor = {&visits, visit};
        assert_int_equal(placeholder_walk(value, &path, &visitor), stop > LINES);
        struct buf expected;
        buf_init(&expected, arena_mem(&arena), 1 << 16);
        for (size_t i = 0; i < stop && i < LINES; i++)
            buf_put(&expected, str_from_cstr(lines[i]));
        assert_str_equal(buf_str(&visits.seen), buf_str(&expected));
    }
    arena_done(&arena);
}

static bool replace(void *ctx, const struct path *path, struct json *value, struct str text,
                    bool is_key)
{
    struct arena *arena = ctx;
    struct err err;
    struct buf out;
    (void)path;
    buf_init(&out, arena_mem(arena), 1 << 10);
    if (is_key || placeholder_substitute(text, PLACEHOLDER_PLAIN, &scope, &values, &out, &err) < 0)
        return false;
    value->text = buf_str(&out).ptr;
    value->len = (uint32_t)out.len;
    return true;
}

static void values_change_strings_and_never_the_structure(void **state)
{
    (void)state;
    struct arena arena;
    struct err err;
    struct buf out;
    arena_start(&arena);
    struct json *value = json_read(&arena,
                                   STR("{\"n\":\"{{parameters.x}}\",\"env\":[{\"value\":\"a"
                                       "{{parameters.quote}}\"}]}"),
                                   &json_limits_default, &err);
    const struct placeholder_visitor visitor = {&arena, replace};
    assert_true(placeholder_walk(value, NULL, &visitor));
    buf_init(&out, arena_mem(&arena), 1 << 10);
    json_write(&out, value);
    assert_str_is(buf_str(&out),
                  "{\"n\":\"1\",\"env\":[{\"value\":\"a\\\", \\\"image\\\": \\\"evil\"}]}");
    arena_done(&arena);
}

/* ---- Want of memory ---- */

static bool substitute_in(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct buf out;
    struct err err = {0};
    buf_init(&out, mem, 1 << 16);
    int result =
        placeholder_substitute(STR("a {{parameters.dollar}}, a text that is longer than the first "
                                   "memory a buffer takes, {{steps.build.outputs.log.txt}}"),
                               PLACEHOLDER_EXPANDED, &scope, &values, &out, &err);
    assert_int_equal(err.code, result == 0 ? 0 : 507);
    buf_done(&out);
    return result == 0;
}

static void without_memory_nothing_is_substituted(void **state)
{
    (void)state;
    test_every_allocation_failing(substitute_in, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_a_placeholder_is_replaced),
        cmocka_unit_test(what_belongs_to_others_is_left_alone),
        cmocka_unit_test(unknown_names_are_refused_with_their_column),
        cmocka_unit_test(what_begins_as_ours_must_be_right),
        cmocka_unit_test(near_misses_are_refused_with_the_right_spelling),
        cmocka_unit_test(the_reader_gives_each_reference_and_goes_on_behind_errors),
        cmocka_unit_test(a_value_is_put_in_once_and_never_looked_at_again),
        cmocka_unit_test(a_value_survives_the_expansion_of_the_kubelet),
        cmocka_unit_test(a_dollar_before_a_value_stays_a_dollar),
        cmocka_unit_test(an_output_that_was_not_produced_is_an_error_at_run_time),
        cmocka_unit_test(a_result_beyond_the_cap_is_refused),
        cmocka_unit_test(a_long_text_with_many_placeholders_is_read_in_one_pass),
        cmocka_unit_test(random_texts_have_the_results_of_their_parts),
        cmocka_unit_test(a_walk_visits_every_string_that_may_hold_a_placeholder),
        cmocka_unit_test(values_change_strings_and_never_the_structure),
        cmocka_unit_test(without_memory_nothing_is_substituted),
    };
    return cmocka_run_group_tests_name("placeholder", tests, NULL, NULL);
}
