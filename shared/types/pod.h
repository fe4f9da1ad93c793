/*
 * Parts of the pod's API (k8s.io/api/core/v1) that our kinds pass on to the pods that they make. They
 * are checked at admission, as the apiserver would check them in the pod, because later nobody but the
 * controller would see the refusal.
 */
#ifndef TYPES_POD_H
#define TYPES_POD_H

#include "schema/schema.h"

/* A container's resources; to be used with its check. */
extern const struct schema resource_requirements_fields[];
schema_check resource_requirements_check;

extern const struct schema affinity_fields[];
extern const struct schema key_reference_fields[]; /* a key of a Secret or ConfigMap */
extern const struct schema toleration_item;        /* one toleration, with its check */
extern const struct schema env_from_source_item;   /* name, valueFrom */
extern const struct schema local_reference_item;   /* name of an object in the namespace */
extern const struct schema label_map_item;         /* a label's value */
extern const struct schema string_item;            /* any text */

#endif
