/* The request that a connection is at. */
#include "http/request.h"

#include "http/server_parts.h"

#include <strings.h>

/* Bytes of a refused body that are read and thrown away. */
enum { DISCARD_MAX = 64 * 1024 * 1024 };

void framing_add_header(struct framing *framing, const char *name, const char *value)
{
    if (strcasecmp(name, "Content-Length") == 0) {
        int64_t length = 0;
        str_to_int64(str_from_cstr(value), &length);
        framing->lengths++;
        framing->length = (uint64_t)length;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        framing->encodings++;
        framing->is_chunked = strcasecmp(value, "chunked") == 0;
    } else if (strcasecmp(name, "Expect") == 0) {
        framing->expects_continue = strcasecmp(value, "100-continue") == 0;
    }
}

void request_reset(struct conn_request *request, uint64_t id, int64_t now_ns)
{
    request->has_begun = false;
    request->has_nul = false;
    request->is_answered = false;
    request->has_waited = false;
    request->wait = NULL;
    request->state = NULL;
    request->drop = NULL;
    request->route = NULL;
    request->refusal.status = 0;
    request->received = 0;
    request->response_size = 0;
    request->id = id;
    request->start_ns = now_ns;
}

/* ---- judging ---- */

/* RFC 9112, section 6.3: what is ambiguous could be a request smuggled past a proxy. */
static void check_framing(struct refusal *refusal, const struct framing *framing, struct str method)
{
    bool has_content =
        str_eq_cstr(method, "POST") || str_eq_cstr(method, "PUT") || str_eq_cstr(method, "PATCH");
    if (framing->lengths + framing->encodings > 1)
        refusal_set(refusal, 400, "more than one header says how long the body is");
    else if (framing->encodings == 1 && !framing->is_chunked)
        refusal_set(refusal, 501, "the only transfer encoding that is known is chunked");
    else if (has_content && framing->lengths + framing->encodings == 0)
        refusal_set(refusal, 411, "a Content-Length or chunked encoding is needed");
    refusal->must_end = refusal->status != 0;
}

static void refuse_large(struct conn_request *request)
{
    refusal_set(&request->refusal, 413, "the body is larger than %zu bytes", request->body_max);
}

static void refuse_no_memory(struct conn_request *request, struct http_server *server)
{
    refusal_set(&request->refusal, 503, "the server has no memory for this request now; try again");
    conn_count_out_of_memory(&server->registry);
}

static void choose_route(struct conn_request *request, struct http_server *server,
                         const struct framing *framing)
{
    const struct http_server_config *config = &server->config;
    request->route =
        route_find(config->routes, config->route_count, request->method, request->path);
    if (!request->route) {
        refusal_no_route(&request->refusal, config->routes, config->route_count, request->path);
        return;
    }
    request->body_max = request->route->max_body ? request->route->max_body : config->max_body;
    if (framing->length > request->body_max) {
        refuse_large(request);
        return;
    }
    size_t body_max = framing->lengths ? (size_t)framing->length : request->body_max;
    request->memory = memory_pool_take(&server->memory, body_max);
    if (!request->memory)
        refuse_no_memory(request, server);
}

bool request_judge(struct conn_request *request, struct http_server *server,
                   const struct framing *framing)
{
    struct refusal *refusal = &request->refusal;
    check_framing(refusal, framing, request->method);
    if (refusal->status == 0 && request->has_nul)
        refusal_set(refusal, 400, "the path or the query has a NUL");
    if (refusal->status == 0)
        choose_route(request, server, framing);
    if (refusal->status == 0)
        return true;
    return !refusal->must_end && !framing->expects_continue && framing->length <= DISCARD_MAX;
}

/* ---- the body ---- */

void request_drop_state(struct conn_request *request)
{
    if (request->drop)
        request->drop(request->state);
    request->drop = NULL;
    request->state = NULL;
}

void request_drop_memory(struct conn_request *request, struct http_server *server)
{
    memory_pool_give(&server->memory, request->memory);
    request->memory = NULL;
}

bool request_receive(struct conn_request *request, struct http_server *server, struct str piece)
{
    request->received += piece.len;
    if (request->refusal.status != 0)
        return request->received <= DISCARD_MAX;
    if (request->received > request->body_max) {
        refuse_large(request);
    } else {
        buf_put(&request->memory->body, piece);
        if (buf_failed(&request->memory->body))
            refuse_no_memory(request, server);
    }
    if (request->refusal.status != 0)
        request_drop_memory(request, server);
    return true;
}

void request_check_time(struct conn_request *request, struct http_server *server, int64_t now_ns)
{
    int64_t timeout_ns = server->registry.timeouts.request_ns;
    if (now_ns - request->start_ns <= timeout_ns)
        return;
    request_drop_memory(request, server);
    refusal_set(&request->refusal, 408, "the request was not complete within %lld ms",
                (long long)(timeout_ns / CLOCK_NS_PER_MS));
    request->refusal.must_end = true;
}
