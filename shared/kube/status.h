/*
 * What an answer of the API server means: private to this folder.
 *
 * A failure comes as a metav1.Status (apimachinery pkg/apis/meta/v1 types.go): code, reason, message,
 * details.causes.
 */
#ifndef KUBE_STATUS_H
#define KUBE_STATUS_H

#include "kube/client.h"

enum { KUBE_MESSAGE_MAX = 1024 };

struct kube_verdict {
    enum kube_outcome outcome;
    bool may_retry; /* the same attempt may succeed later, and cannot do harm twice */
    char text[KUBE_MESSAGE_MAX];
    struct str message; /* in `text` */
};

/* `response` is one with a whole answer (KUBE_ANSWERED). Memory for reading it comes from `mem`; without
 * it the message says less. */
void kube_judge_answer(const struct kube_response *response, const struct kube_resource *resource,
                       bool is_write, const struct mem *mem, struct kube_verdict *ret);
/* One without. */
void kube_judge_failure(const struct kube_response *response, bool is_write,
                        struct kube_verdict *ret);

#endif
