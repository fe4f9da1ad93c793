/*
 * What lint reads: the given files, and the JobFlowTemplates in them, which flows before them, or in
 * other files, may refer to. They are looked for when the first flow asks, so that nothing is read twice
 * for nothing.
 */
#ifndef WEBHOOK_LINT_SOURCE_H
#define WEBHOOK_LINT_SOURCE_H

#include "policy/template_source.h"
#include "webhook/lint.h"

struct lint_source {
    const struct lint_options *options;
    const struct json_limits *limits;
    struct buf standard_input; /* it can be read only once */
    bool has_standard_input;
    bool has_templates;
    struct arena arena;     /* of the templates */
    struct json *templates; /* a list of objects; NULL without memory */
};

/* The greatest number of levels of lists of objects; kubectl makes one. */
enum { LINT_LIST_DEPTH_MAX = 4 };

void lint_source_init(struct lint_source *source, const struct lint_options *options,
                      const struct json_limits *limits);
void lint_source_done(struct lint_source *source);

/* The text of a file ("-": standard input), in *file, which the caller gives up, or in the source. */
int lint_source_read(struct lint_source *source, const char *name, struct buf *file,
                     struct str *ret, struct err *err);

/* Whether it is a list of objects, as `kubectl get -o yaml` prints them. */
bool lint_is_list(const struct json *object, unsigned depth);
/* An object's namespace, or that of kubectl. */
struct str lint_namespace(const struct json *object);

/* Of the given files. A file that cannot be read or parsed is passed over: lint says so in its turn. */
struct template_source lint_source_templates(struct lint_source *source);

#endif
