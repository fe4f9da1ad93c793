/*
 * What every object says about itself, read from a JSON tree (metav1.ObjectMeta), and typed access by
 * path to objects of others, which are never re-serialised from a model.
 */
#ifndef KUBE_OBJECT_H
#define KUBE_OBJECT_H

#include "json/json.h"

/* Views into the tree. */
struct kube_meta {
    struct str namespace;
    struct str name;
    struct str uid;
    struct str resource_version;
    struct str deletion_timestamp; /* absent: it is not being deleted */
    int64_t generation;
    struct str owner_kind; /* of the controller reference, all absent without one */
    struct str owner_name;
    struct str owner_uid;
    const struct json *labels;      /* or NULL */
    const struct json *annotations; /* or NULL */
    const struct json *finalizers;  /* or NULL */
};

/* What is missing, or of another type, is absent. */
void kube_meta_read(const struct json *object, struct kube_meta *ret);

/* A resourceVersion as a number: comparable within a resource since Kubernetes 1.35 (KEP 5504, apimachinery
 * pkg/util/resourceversion). 0 when it is none. */
uint64_t kube_version_number(struct str resource_version);

/* Walks members by name: kube_at(pod, "status", "phase", NULL). NULL when something is missing or of
 * another type. */
const struct json *kube_at(const struct json *object, ...) __attribute__((sentinel));
/* The same for a string; absent when it is none. */
struct str kube_text_at(const struct json *object, ...) __attribute__((sentinel));
int64_t kube_int_at(const struct json *object, int64_t otherwise, ...) __attribute__((sentinel));
bool kube_bool_at(const struct json *object, ...) __attribute__((sentinel));
/* The member "NAME" of a map of strings, or absent. Accepts NULL. */
struct str kube_map_get(const struct json *map, struct str name);
/* The condition of `type` in status.conditions, or NULL. */
const struct json *kube_condition(const struct json *object, const char *type);

#endif
