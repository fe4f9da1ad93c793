/*
 * A transport for tests: it keeps what is sent, and the test answers it.
 *
 *   struct fake_transport fake;
 *   fake_transport_init(&fake);
 *   … the code under test sends …
 *   assert_str_is(fake_sent(&fake, 0)->target, "/api/v1/pods");
 *   fake_answer(&fake, 0, 200, "{}");
 *   fake_transport_done(&fake);      fails the test when an exchange is still under way
 *
 * Exchanges are counted from 0 in the order in which they were sent.
 */
#ifndef UNIT_FAKE_TRANSPORT_H
#define UNIT_FAKE_TRANSPORT_H

#include "unit/support.h"

#include "kube/transport.h"

struct kube_exchange {
    struct kube_request request; /* with copies of the texts */
    struct kube_receiver receiver;
    bool is_open;
    bool is_cancelled;
};

struct fake_transport {
    struct kube_transport transport;
    struct kube_exchange **sent;
    size_t count;
    size_t cap;
    size_t open;
    bool refuses;              /* send() fails, as without memory */
    const struct clock *dates; /* whose time the answers say; NULL: they say none */
    /* Called by each send(), to look at its moment. May be NULL. */
    void (*on_send)(void *ctx, const struct kube_request *request);
    void *ctx;
};

void fake_transport_init(struct fake_transport *fake);
void fake_transport_done(struct fake_transport *fake);

const struct kube_request *fake_sent(const struct fake_transport *fake, size_t index);
bool fake_is_open(const struct fake_transport *fake, size_t index);

/* These end an exchange that is under way. `body` may be NULL. */
void fake_answer(struct fake_transport *fake, size_t index, int status, const char *body);
void fake_answer_later(struct fake_transport *fake, size_t index, int status,
                       int64_t retry_after_ns);
void fake_fail(struct fake_transport *fake, size_t index, enum kube_failure failure);
/* A part of the body of a 2xx answer, for those that asked for it. */
void fake_data(struct fake_transport *fake, size_t index, const char *part);
void fake_part(struct fake_transport *fake, size_t index, struct str part);
/* The end of a 2xx answer that had begun: whole, or for one of the failures. */
void fake_end(struct fake_transport *fake, size_t index, enum kube_failure failure);

#endif
