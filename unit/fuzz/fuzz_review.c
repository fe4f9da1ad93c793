/*
 * Whatever is sent to the webhook is answered rightly: the answer is a review with the request's
 * uid, of bounded size; the patch of /mutate fits the object; and what it makes, /validate allows
 * and /mutate leaves alone.
 *
 * Input that begins with '{' is the body. Else the first byte says the operation ('U': an update)
 * and the rest is JSON of an object, or of two with a line end between them, the stored one first.
 */
#include "unit/apply_patch.h"
#include "unit/fixed_templates.h"
#include "webhook/admission.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 256 * 1024 * 1024, ANSWER_MAX = 16 * 1024 * 1024, DENIAL_MAX = 512 * 1024 };

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

static const struct catalog *builtin_catalog(void)
{
    static struct catalog *catalog;
    struct err err;
    if (!catalog)
        catalog = catalog_builtin(mem_system(), &err);
    check(catalog, "the built-in catalog is read");
    return catalog;
}

/* One template, which flows of the namespace "ns" can name. */
static struct template_source fixed_template(void)
{
    static struct arena arena;
    static struct json *template;
    if (!template) {
        arena_init(&arena, mem_system(), 64 * 1024, ARENA_MAX);
        template = fixed_read(&arena, STR(FIXED_TEMPLATE));
    }
    check(template, "the fixed template is read");
    return fixed_templates(template);
}

static struct json *read_json(struct arena *arena, struct str text, const char *what)
{
    struct err err;
    struct json *value = json_read(arena, text, &json_limits_default, &err);
    check(value, what);
    return value;
}

static struct str print(struct arena *arena, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(arena), ANSWER_MAX);
    json_write(&buf, value);
    check(!buf_failed(&buf), "there is room to write");
    return buf_str(&buf);
}

/* The answer's response, or NULL after an error. */
static struct json *answer(struct arena *arena, enum admission_phase phase, struct str body,
                           const struct json *request)
{
    struct buf out;
    struct err err = {0};
    struct admission_outcome outcome;
    buf_init(&out, arena_mem(arena), ANSWER_MAX);
    const struct template_source templates = fixed_template();
    const struct admission_world world = {.catalog = builtin_catalog(), .templates = &templates};
    if (admission_answer(phase, body, &world, arena, &out, &outcome, &err) < 0) {
        check(err.message[0] && (err.code == 400 || err.code == 413),
              "an error says what is wrong");
        return NULL;
    }
    if (outcome.decision == ADMISSION_UNDECIDED) {
        check(out.len == 0 && outcome.template_name.len > 0, "no answer is none");
        return NULL;
    }
    const struct json *review = read_json(arena, buf_str(&out), "an answer is JSON");
    struct json *response = json_get(review, STR("response"));
    struct str uid = json_str(json_get(response, STR("uid")));
    check(uid.len > 0 && str_eq(uid, json_str(json_get(request, STR("uid")))),
          "an answer has the request's uid");
    const struct json *allowed = json_get(response, STR("allowed"));
    check(json_is(allowed, JSON_BOOL), "an answer is yes or no");
    if (allowed->boolean)
        return response;
    const struct json *status = json_get(response, STR("status"));
    check(json_str(json_get(status, STR("message"))).len > 0, "a denial says what is wrong");
    check(out.len < DENIAL_MAX, "a denial is of bounded size");
    check(!json_get(response, STR("patch")), "a denial changes nothing");
    return response;
}

static bool is_allowed(const struct json *response)
{
    return json_bool(json_get(response, STR("allowed")), false);
}

static struct json *patch_of(struct arena *arena, const struct json *response)
{
    struct str text = json_str(json_get(response, STR("patch")));
    if (!str_is_set(text))
        return NULL;
    struct str decoded = apply_patch_base64(arena, text);
    check(str_is_set(decoded), "a patch is in base64");
    return read_json(arena, decoded, "a patch is JSON");
}

static void check_mutated(struct arena *arena, struct json *review, const struct json *response)
{
    struct json *request = json_get(review, STR("request"));
    const struct json *patch = patch_of(arena, response);
    if (patch) {
        struct json *object = apply_patch(arena, json_get(request, STR("object")), patch);
        check(object, "a patch fits the object");
        check(json_set(request, STR("object"), object), "the request takes another object");
    }
    struct str body = print(arena, review);
    const struct json *validated = answer(arena, ADMISSION_VALIDATE, body, request);
    check(is_allowed(validated), "/validate allows what /mutate has made");
    const struct json *again = answer(arena, ADMISSION_MUTATE, body, request);
    check(is_allowed(again), "/mutate allows what it has made");
    check(!patch_of(arena, again), "/mutate leaves alone what it has made");
}

static void check_body(struct arena *arena, struct str body)
{
    struct err err;
    struct json *review = json_read(arena, body, &json_limits_default, &err);
    const struct json *request = json_get(review, STR("request"));
    const struct json *mutated = answer(arena, ADMISSION_MUTATE, body, request);
    const struct json *validated = answer(arena, ADMISSION_VALIDATE, body, request);
    bool refers = json_path(request, "object", "spec", "templateRef", NULL) != NULL;
    check(!mutated == !validated || refers, "both phases read the same reviews");
    check(!json_get(validated, STR("patch")), "/validate changes nothing");
    if (is_allowed(mutated))
        check_mutated(arena, review, mutated);
    else if (mutated && !refers) /* only /mutate knows templates */
        check(!is_allowed(validated), "/validate refuses what /mutate refuses");
}

static struct str body_of(struct arena *arena, struct str input)
{
    if (input.len == 0 || input.ptr[0] == '{')
        return input;
    bool update = input.ptr[0] == 'U';
    struct str before = STR("null"), object = str_sub(input, 1, input.len);
    if (update)
        str_cut(object, '\n', &before, &object);
    return arena_printf(
        arena,
        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{"
        "\"uid\":\"u-1\",\"kind\":{\"group\":\"hourglass.eigenlayer.io\",\"version\":\"v1alpha1\","
        "\"kind\":\"Performer\"},\"name\":\"p\",\"namespace\":\"n\",\"operation\":\"%s\","
        "\"userInfo\":{\"username\":\"alice\"},\"oldObject\":%" PRIstr ",\"object\":%" PRIstr "}}",
        update ? "UPDATE" : "CREATE", STR_ARG(before), STR_ARG(object));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, mem_system(), 64 * 1024, ARENA_MAX);
    check_body(&arena, body_of(&arena, (struct str){(const char *)data, size}));
    arena_done(&arena);
    return 0;
}
