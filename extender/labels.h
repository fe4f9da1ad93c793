/*
 * Labels as hashes, for caches that hold the labels of very many pods only to match selectors against them.
 *
 * Of each label there are two words, the hash of its key and that of key and value. That two labels of a
 * namespace have the same hash happens once in billions; a budget then seems to guard a pod more.
 */
#ifndef EXTENDER_LABELS_H
#define EXTENDER_LABELS_H

#include "json/json.h"

struct label_hash {
    uint32_t key;
    uint32_t pair;
};

struct label_hash label_hash_of(struct str key, struct str value);

/* Appends a struct label_hash for each member of a map of strings; accepts NULL. */
void label_hashes_put(struct buf *to, const struct json *labels);

/* A metav1.LabelSelector, as words. False when it selects nothing: it is absent, or not a good one. An
 * empty one selects everything, as policy/v1 has it. */
bool label_selector_put(struct buf *to, const struct json *selector);
/* What these functions wrote. */
bool label_selector_matches(struct str selector, struct str hashes);

#endif
