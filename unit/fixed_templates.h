/*
 * A template_source over a text, for tests and fuzz targets: what it has is found, what is of the
 * namespace "unknown" is not known yet, "unreachable" cannot be asked. In a header, because fuzz targets
 * are built from one file.
 */
#ifndef UNIT_FIXED_TEMPLATES_H
#define UNIT_FIXED_TEMPLATES_H

#include "policy/template_source.h"
#include "json/yaml.h"

#include <stdlib.h>

/* Of the namespace "ns": parameters with and without default, with enum, used in a condition and in a
 * Job; its own executionPolicy; a step of finally and a claim. */
#define FIXED_TEMPLATE                                                           \
    "apiVersion: workflow.kube-zen.io/v1alpha1\n"                                \
    "kind: JobFlowTemplate\n"                                                    \
    "metadata: {name: etl, namespace: ns, generation: 7}\n"                      \
    "spec:\n"                                                                    \
    "  executionPolicy: {priority: high, backoffLimit: 2, parallelism: 4}\n"     \
    "  parameters:\n"                                                            \
    "  - {name: source, description: Where the data comes from.}\n"              \
    "  - {name: size, default: small, enum: [small, large]}\n"                   \
    "  resourceTemplates:\n"                                                     \
    "    volumeClaimTemplates: [{metadata: {name: data}}]\n"                     \
    "  steps:\n"                                                                 \
    "  - name: load\n"                                                           \
    "    template: {spec: {template: {spec: {restartPolicy: Never, containers: " \
    "[{name: m, image: 'i:1', args: ['{{parameters.source}}']}]}}}}\n"           \
    "  - name: train\n"                                                          \
    "    dependencies: [load]\n"                                                 \
    "    when: parameters.size == 'large'\n"                                     \
    "    template: {spec: {template: {spec: {restartPolicy: Never, containers: " \
    "[{name: m, image: 'i:1'}]}}}}\n"                                            \
    "  finally:\n"                                                               \
    "  - name: tidy\n"                                                           \
    "    template: {spec: {template: {spec: {restartPolicy: Never, containers: " \
    "[{name: m, image: 'i:1'}]}}}}\n"

/* NULL when it cannot be read. */
static inline struct json *fixed_read(struct arena *arena, struct str yaml)
{
    struct yaml_reader reader;
    struct json *value = NULL;
    struct err err;
    yaml_reader_init(&reader, yaml, &json_limits_default);
    if (yaml_reader_next(&reader, arena, &value, &err) != 1)
        value = NULL;
    yaml_reader_done(&reader);
    return value;
}

/* `ctx` is the template, a struct json. */
static inline void fixed_find(void *ctx, struct str namespace, struct str name,
                              struct template_answer *ret)
{
    const struct json *template = ctx;
    struct str own = json_str(json_path(template, "metadata", "name", NULL));
    *ret = (struct template_answer){.state = TEMPLATE_MISSING};
    if (str_eq(namespace, STR("unknown"))) {
        ret->state = TEMPLATE_UNKNOWN;
    } else if (str_eq(namespace, STR("unreachable"))) {
        ret->state = TEMPLATE_UNREACHABLE;
        ret->text = STR("nobody answers");
    } else if (str_eq(name, own)) {
        ret->state = TEMPLATE_FOUND;
        ret->object = template;
    } else {
        ret->near = str_nearest(name, &own, 1);
    }
}

static inline struct template_source fixed_templates(struct json *template)
{
    return (struct template_source){.ctx = template, .find = fixed_find};
}

#endif
