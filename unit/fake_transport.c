/* A transport for tests. Its memory is malloc's: it is not what a test counts. */
#include "unit/fake_transport.h"

#include <stdlib.h>

static struct fake_transport *fake_of(struct kube_transport *transport)
{
    return (struct fake_transport *)transport;
}

static struct str copy(struct str text)
{
    if (!str_is_set(text))
        return text;
    char *ptr = malloc(text.len + 1);
    if (!ptr)
        fail_msg("out of memory");
    if (text.len)
        memcpy(ptr, text.ptr, text.len);
    ptr[text.len] = '\0';
    return (struct str){ptr, text.len};
}

static struct kube_exchange *fake_send(struct kube_transport *transport,
                                       const struct kube_request *request,
                                       const struct kube_receiver *receiver, struct err *err)
{
    struct fake_transport *fake = fake_of(transport);
    if (fake->refuses) {
        err_no_memory(err, "sending");
        return NULL;
    }
    if (fake->on_send)
        fake->on_send(fake->ctx, request);
    if (fake->count == fake->cap) {
        fake->cap = fake->cap ? fake->cap * 2 : 64;
        fake->sent = realloc(fake->sent, fake->cap * sizeof(struct kube_exchange *));
    }
    struct kube_exchange *exchange = malloc(sizeof(*exchange));
    if (!exchange || !fake->sent)
        fail_msg("out of memory");
    *exchange = (struct kube_exchange){*request, *receiver, true, false};
    exchange->request.target = copy(request->target);
    exchange->request.body = copy(request->body);
    fake->sent[fake->count++] = exchange;
    fake->open++;
    return exchange;
}

static void end(struct fake_transport *fake, struct kube_exchange *exchange)
{
    if (!exchange->is_open)
        fail_msg("%" PRIstr " has ended already", STR_ARG(exchange->request.target));
    exchange->is_open = false;
    fake->open--;
}

static void fake_cancel(struct kube_transport *transport, struct kube_exchange *exchange)
{
    end(fake_of(transport), exchange);
    exchange->is_cancelled = true;
}

static void fake_wait(struct kube_transport *transport, int64_t until_ns)
{
    (void)transport;
    (void)until_ns;
}

static void fake_wake(struct kube_transport *transport)
{
    (void)transport;
}

void fake_transport_init(struct fake_transport *fake)
{
    static const struct kube_transport_ops ops = {
        .send = fake_send, .cancel = fake_cancel, .wait = fake_wait, .wake = fake_wake};
    *fake = (struct fake_transport){.transport = {.ops = &ops}};
}

void fake_transport_done(struct fake_transport *fake)
{
    size_t open = fake->open;
    for (size_t i = 0; i < fake->count; i++) {
        free((char *)fake->sent[i]->request.target.ptr);
        free((char *)fake->sent[i]->request.body.ptr);
        free(fake->sent[i]);
    }
    free(fake->sent);
    *fake = (struct fake_transport){0};
    if (open)
        fail_msg("%zu exchanges are still under way", open);
}

static struct kube_exchange *at(const struct fake_transport *fake, size_t index)
{
    if (index >= fake->count)
        fail_msg("only %zu requests were sent", fake->count);
    return fake->sent[index];
}

const struct kube_request *fake_sent(const struct fake_transport *fake, size_t index)
{
    return &at(fake, index)->request;
}

bool fake_is_open(const struct fake_transport *fake, size_t index)
{
    return at(fake, index)->is_open;
}

static void finish(struct fake_transport *fake, size_t index, const struct kube_response *response)
{
    struct kube_exchange *exchange = at(fake, index);
    end(fake, exchange);
    struct kube_response dated = *response;
    if (fake->dates && response->failure == KUBE_ANSWERED)
        dated.date_s = clock_wall_ns(fake->dates) / CLOCK_NS_PER_SEC;
    exchange->receiver.on_done(exchange->receiver.ctx, &dated);
}

void fake_answer(struct fake_transport *fake, size_t index, int status, const char *body)
{
    finish(
        fake, index,
        &(const struct kube_response){
            .status = status, .retry_after_ns = -1, .body = body ? str_from_cstr(body) : STR("")});
}

void fake_answer_later(struct fake_transport *fake, size_t index, int status,
                       int64_t retry_after_ns)
{
    finish(fake, index,
           &(const struct kube_response){
               .status = status, .retry_after_ns = retry_after_ns, .body = STR("")});
}

void fake_fail(struct fake_transport *fake, size_t index, enum kube_failure failure)
{
    finish(fake, index,
           &(const struct kube_response){.failure = failure,
                                         .retry_after_ns = -1,
                                         .body = STR(""),
                                         .text = "the cable was cut"});
}

void fake_end(struct fake_transport *fake, size_t index, enum kube_failure failure)
{
    finish(fake, index,
           &(const struct kube_response){.failure = failure,
                                         .status = 200,
                                         .retry_after_ns = -1,
                                         .body = STR(""),
                                         .text = failure ? "the cable was cut" : NULL});
}

void fake_part(struct fake_transport *fake, size_t index, struct str part)
{
    struct kube_exchange *exchange = at(fake, index);
    if (exchange->receiver.on_data(exchange->receiver.ctx, part) < 0)
        fake_end(fake, index, KUBE_LOST);
}

void fake_data(struct fake_transport *fake, size_t index, const char *part)
{
    fake_part(fake, index, str_from_cstr(part));
}
