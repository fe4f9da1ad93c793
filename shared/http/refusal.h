/*
 * What the server answers when it refuses a request itself: a Kubernetes Status object
 * (k8s.io/apimachinery pkg/apis/meta/v1 types.go), whose message kube-apiserver shows to the user.
 *
 * It needs no memory but its own, since lack of memory is one of the reasons.
 */
#ifndef HTTP_REFUSAL_H
#define HTTP_REFUSAL_H

#include "http/server.h"

enum { REFUSAL_BODY_MAX = 512, REFUSAL_ALLOW_MAX = 64 };

struct refusal {
    int status;    /* 0: none */
    bool must_end; /* the connection cannot be used any more */
    size_t size;
    char body[REFUSAL_BODY_MAX];
    char allow[REFUSAL_ALLOW_MAX]; /* the header Allow of 405, or "" */
};

/* The message must need no escape in JSON; what does not fit is cut. */
void refusal_set(struct refusal *refusal, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* 404 or 405, with what there is instead. */
void refusal_no_route(struct refusal *refusal, const struct http_route *routes, size_t count,
                      struct str path);

/* The route for a request, or NULL. */
const struct http_route *route_find(const struct http_route *routes, size_t count,
                                    struct str method, struct str path);

#endif
