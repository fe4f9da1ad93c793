/*
 * From a call to the text of its request: private to this folder.
 */
#ifndef KUBE_CALL_H
#define KUBE_CALL_H

#include "kube/client.h"

static inline bool kube_verb_is_write(enum kube_verb verb)
{
    return verb != KUBE_GET && verb != KUBE_LIST;
}

/* "POST"; of the metrics too. */
const char *kube_verb_method(enum kube_verb verb);
/* "application/json"; NULL for a verb without a body. */
const char *kube_verb_content_type(enum kube_verb verb);

/* -1 with *err when something that the verb needs is missing, or a name cannot be part of a path. */
int kube_call_check(const struct kube_call *call, struct err *err);
/* Appends path and query, or the body. Failure is the buffer's. */
void kube_call_put_target(struct buf *buf, const struct kube_call *call);
void kube_call_put_body(struct buf *buf, const struct kube_call *call);

#endif
