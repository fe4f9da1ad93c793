/*
 * Parts of a Job's table that are in files of their own: private to types/job*.c. Rows whose field is only
 * known, so that a misspelt one is noticed, have no text: nothing is printed of them.
 */
#ifndef TYPES_JOB_PARTS_H
#define TYPES_JOB_PARTS_H

#include "base/str_set.h"
#include "schema/schema.h"

/* Known, and passed on as it is. */
#define KNOWN(field)                         \
    {                                        \
        .name = (field), .type = SCHEMA_ANY, \
    }
#define KNOWN_OF(field, schema_type)         \
    {                                        \
        .name = (field), .type = schema_type \
    }
#define INTEGER_FROM(field, least, most)                                        \
    {                                                                           \
        .name = (field), .type = SCHEMA_INTEGER, .min = (least), .max = (most), \
    }
#define CHOICE(field, choices)                                       \
    {                                                                \
        .name = (field), .type = SCHEMA_STRING, .values = (choices), \
    }

/* Who a process is: of a pod and of a container (securityContext). */
#define JOB_IDENTITY_ROWS                                                              \
    INTEGER_FROM("runAsUser", 0, INT32_MAX), INTEGER_FROM("runAsGroup", 0, INT32_MAX), \
        KNOWN_OF("runAsNonRoot", SCHEMA_BOOLEAN), KNOWN("seLinuxOptions"),             \
        KNOWN("windowsOptions"), KNOWN("appArmorProfile"),                             \
    {                                                                                  \
        .name = "seccompProfile", .type = SCHEMA_OBJECT, .fields = job_profile_fields, \
        .text = "A profile of system calls."                                           \
    }

/* job_pod.c: metadata of Job and pod, and the pod. */
extern const struct schema job_metadata_fields[];
extern const struct schema job_pod_template_fields[];

/* job_container.c */
extern const struct schema job_container_item;
extern const struct schema job_init_container_item;
extern const struct schema job_field_reference_fields[];
extern const struct schema job_resource_field_fields[];
extern const struct schema job_profile_fields[]; /* seccompProfile */
extern const struct schema job_long_text_item;   /* a script may be long */

/* job_volume.c */
extern const struct schema job_volume_item;

/* ---- job_report.c: for checks ---- */

bool job_has(const struct json *object, const char *name);
struct str job_text(const struct json *object, const char *name);
/* The same for what a rule compares: absent also when it holds a placeholder, because what it will be is not
 * known yet. */
struct str job_known_text(const struct json *object, const char *name);

/* An error at a member of the object at `path`, there or not. */
void job_refuse(struct err_list *errors, const struct path *path, const char *field,
                const struct json *value, enum err_reason reason, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* How many members are set that are none of `others` (NULL at its end; may be NULL). */
size_t job_count_set(const struct json *object, const char *const *others);

/* The names of the entries of a list, to look up many. */
struct str_set job_names(const struct json *list, struct err_list *errors);

/* Whether `text`, which may be absent, has been asked about before. */
bool job_seen(struct str_set *seen, struct str text, struct err_list *errors);

/* A path below another: not absolute, and without "..". Reports what is wrong with the member. */
void job_check_relative(const struct json *object, const char *field, const struct path *path,
                        struct err_list *errors);

#endif
