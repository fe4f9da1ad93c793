/* Artifacts of a step: where they come from, and what they ask of the step's Job. */
#include "policy/flow.h"

static bool is_set(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, str_from_cstr(name));
    return value && value->type != JSON_NULL;
}

static const struct json *find_artifact(const struct flow_step *step, struct str name)
{
    JSON_EACH (artifact, step->outputs.artifacts) {
        if (str_eq(json_str(json_get(artifact, STR("name"))), name))
            return artifact;
    }
    return NULL;
}

/* STEP/ARTIFACT, or STEP for its artifact of the same name. */
static void check_from(const struct flow *flow, uint32_t i, const struct json *artifact,
                       const struct path *path)
{
    const struct json *from = json_get(artifact, STR("from"));
    struct str step, name;
    if (!str_cut(json_str(from), '/', &step, &name))
        name = json_str(json_get(artifact, STR("name")));
    struct path at = path_field(path, STR("from"));
    struct err_list *errors = &flow->findings->errors;
    uint32_t other = flow_find(flow, step);
    if (other == UINT32_MAX) {
        struct str near = flow_nearest_step(flow, step);
        err_list_add(errors, &at, from->line, ERR_NOT_FOUND,
                     "Not found: the flow has no step \"%" PRIstr "\"%s%" PRIstr "%s",
                     STR_ARG(step), near.ptr ? "; did you mean \"" : "", STR_ARG(near),
                     near.ptr ? "\"?" : "");
    } else if (flow_use(flow, i, other) != SCOPE_USABLE) {
        err_list_add(errors, &at, from->line, ERR_INVALID,
                     "Invalid value: the step \"%" PRIstr "\" %s", STR_ARG(step),
                     flow_use_error(flow_use(flow, i, other)));
    } else if (!find_artifact(flow->steps[other], name)) {
        err_list_add(errors, &at, from->line, ERR_NOT_FOUND,
                     "Not found: the step \"%" PRIstr "\" has no artifact \"%" PRIstr
                     "\" in its outputs",
                     STR_ARG(step), STR_ARG(name));
    }
}

static void check_input(const struct flow *flow, uint32_t i, const struct json *artifact,
                        const struct path *path)
{
    if (is_set(artifact, "from") == is_set(artifact, "http"))
        err_list_add(&flow->findings->errors, path, artifact->line, ERR_REQUIRED,
                     "Required value: exactly one of from and http must be set");
    else if (str_is_set(json_str(json_get(artifact, STR("from")))))
        check_from(flow, i, artifact, path);
}

static void check_output(const struct flow *flow, const struct json *artifact,
                         const struct path *path)
{
    const struct json *archive = json_get(artifact, STR("archive"));
    bool zip = str_eq(json_str(json_get(archive, STR("format"))), STR("zip"));
    struct path archive_at = path_field(path, STR("archive"));
    struct path at = path_field(&archive_at, STR("compression"));
    if (zip && str_eq(json_str(json_get(archive, STR("compression"))), STR("gzip")))
        err_list_add(&flow->findings->errors, &at, archive->line, ERR_INVALID,
                     "Invalid value: \"gzip\": a zip archive is compressed by itself; remove it");
    const struct json *store = json_get(artifact, STR("s3"));
    struct path store_at = path_field(path, STR("s3"));
    if (is_set(store, "accessKeyIDSecretRef") != is_set(store, "secretAccessKeySecretRef"))
        err_list_add(&flow->findings->errors, &store_at, store->line, ERR_REQUIRED,
                     "Required value: set both or neither of accessKeyIDSecretRef and "
                     "secretAccessKeySecretRef");
}

/* No two artifacts may be put into the same place. */
static void check_paths(const struct flow *flow, const struct json *artifacts,
                        const struct path *list_at)
{
    size_t index = 0;
    JSON_EACH (artifact, artifacts) {
        struct path here = path_index(list_at, index++), at = path_field(&here, STR("path"));
        struct str path = json_str(json_get(artifact, STR("path")));
        for (const struct json *before = artifacts->first; before != artifact && path.ptr;
             before = before->next) {
            if (!str_eq(path, json_str(json_get(before, STR("path")))))
                continue;
            err_list_add(&flow->findings->errors, &at, artifact->line, ERR_DUPLICATE,
                         "Duplicate value: another artifact is put into the same place");
            break;
        }
    }
}

/*
 * The fetcher and the uploader run in the step's pod, around its one container, which becomes an init
 * container where there are outputs: so that a failed upload fails the Job. Probes and hooks are not
 * allowed there (core/validation, validateInitContainers).
 */
static void check_container(const struct flow *flow, uint32_t i)
{
    const struct flow_step *step = flow->steps[i];
    const struct json *containers =
        json_path(step->template, "spec", "template", "spec", "containers", NULL);
    if (!flow_step_is(step, "Job")) {
        flow_refuse(flow, i, json_first(step->outputs.artifacts) ? "outputs" : "inputs",
                    ERR_FORBIDDEN, "Forbidden: only a step of type Job has artifacts");
        return;
    }
    if (json_is(containers, JSON_ARRAY) && containers->len != 1)
        flow_refuse(
            flow, i, "template", ERR_INVALID,
            "Invalid value: a step with artifacts needs a pod of exactly one container, and "
            "this one has %u",
            containers->len);
    static const char *const hooks[] = {"livenessProbe", "readinessProbe", "startupProbe",
                                        "lifecycle", NULL};
    for (const char *const *hook = hooks; *hook && json_first(step->outputs.artifacts); hook++) {
        if (is_set(json_first(containers), *hook))
            flow_refuse(flow, i, "template", ERR_FORBIDDEN,
                        "Forbidden: a step with outputs.artifacts may have no %s, because its "
                        "container runs before the one that stores them",
                        *hook);
    }
}

void flow_check_io(const struct flow *flow, uint32_t i)
{
    const struct flow_step *step = flow->steps[i];
    if (!step->inputs.artifacts && !step->outputs.artifacts)
        return;
    struct flow_path storage;
    const struct path *at = flow_step_path(flow, i, &storage);
    struct path inputs = path_field(at, STR("inputs")), in = path_field(&inputs, STR("artifacts"));
    struct path outputs = path_field(at, STR("outputs")),
                out = path_field(&outputs, STR("artifacts"));
    size_t index = 0;
    JSON_EACH (artifact, step->inputs.artifacts) {
        struct path here = path_index(&in, index++);
        check_input(flow, i, artifact, &here);
    }
    index = 0;
    JSON_EACH (artifact, step->outputs.artifacts) {
        struct path here = path_index(&out, index++);
        check_output(flow, artifact, &here);
    }
    check_paths(flow, step->inputs.artifacts, &in);
    check_paths(flow, step->outputs.artifacts, &out);
    if (json_first(step->inputs.artifacts) || json_first(step->outputs.artifacts))
        check_container(flow, i);
}
