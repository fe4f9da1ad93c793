/*
 * The simulated API server over HTTP/1.1, for clients that are programs: the differential test, and the
 * memory of the real controller over many Performers and flows (cycles.h).
 *
 *   apiserver --listen PORT [--no-webhook]        answers until it is ended; PORT 0 takes a free one
 *   apiserver --listen PORT --cycles N            also plays a healthy cluster, and a user who makes N
 *                                                 Performers, waits for each to run, and deletes it
 *   apiserver --listen PORT --flows N             the same with flows, and waits for their end
 *   apiserver --listen PORT --kept N              has N flows that have ended, with their Jobs
 *
 * Prints "listening on PORT", and with --cycles or --flows a line "cycles N" after every N/10 and at the
 * end. One thread, loopback, no TLS. A peer that does not read is dropped when 64 MiB wait for it.
 */
#include "unit/sim/cycles.h"
#include "unit/sim/tree.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    REQUEST_MAX = 8 << 20,
    WAITING_MAX = 64 << 20,
    PUMPED_MAX = 4 << 20, /* of a watch, before more of it is written out */
    HISTORY = 20000,
};

struct connection {
    int fd; /* -1: free */
    struct buf in, out;
    size_t sent; /* of out */
    struct sim_watch *watch;
    int64_t bookmark_ns, expire_ns;
};

struct apiserver {
    struct sim_world world;
    struct sim_actors actors;
    struct connection connections[CONNECTIONS_MAX];
    int listener;
    struct sim_cycles cycles;
};

/* ---- Answers ---- */

static void put_head(struct connection *c, const struct sim_response *response, bool is_stream)
{
    buf_printf(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n", response->status,
               response->status < 300 ? "OK" : "Refused");
    if (response->retry_after_s)
        buf_printf(&c->out, "Retry-After: %d\r\n", response->retry_after_s);
    if (is_stream)
        buf_put(&c->out, STR("Transfer-Encoding: chunked\r\n\r\n"));
    else
        buf_printf(&c->out, "Content-Length: %zu\r\n\r\n", response->body.len);
}

static void put_chunk(struct connection *c, struct str text)
{
    buf_printf(&c->out, "%zx\r\n", text.len);
    buf_put(&c->out, text);
    buf_put(&c->out, STR("\r\n"));
}

static void pump_watch(struct apiserver *server, struct connection *c)
{
    struct buf piece;
    bool has_ended = false;
    int64_t now_ns = server->world.now_ns;
    if (c->out.len - c->sent > PUMPED_MAX)
        return;
    buf_init(&piece, mem_system(), WAITING_MAX);
    while (piece.len < (1 << 20) && sim_watch_next(c->watch, UINT64_MAX, &piece, &has_ended))
        ;
    if (now_ns >= c->bookmark_ns && sim_watch_wants_bookmarks(c->watch)) {
        sim_watch_bookmark(c->watch, &piece);
        c->bookmark_ns = now_ns + 30 * SIM_SEC;
    }
    if (piece.len > 0)
        put_chunk(c, buf_str(&piece));
    if (has_ended || now_ns >= c->expire_ns) {
        buf_put(&c->out, STR("0\r\n\r\n"));
        sim_watch_free(c->watch);
        c->watch = NULL;
    }
    buf_done(&piece);
}

static void start_watch(struct apiserver *server, struct connection *c,
                        const struct sim_response *response)
{
    int64_t timeout_s = sim_watch_timeout_s(c->watch);
    put_head(c, response, true);
    c->bookmark_ns = server->world.now_ns + 30 * SIM_SEC;
    c->expire_ns = timeout_s > 0 ? server->world.now_ns + timeout_s * SIM_SEC : TIMERS_NEVER;
    pump_watch(server, c);
}

static void answer(struct apiserver *server, struct connection *c,
                   const struct sim_request *request)
{
    struct sim_response response = {0};
    buf_init(&response.body, mem_system(), WAITING_MAX);
    if (sim_server_is_watch(request)) {
        c->watch = sim_server_watch(&server->world.server, request, &response);
        if (c->watch)
            start_watch(server, c, &response);
        else
            put_head(c, &response, false);
    } else {
        sim_server_handle(&server->world.server, request, &response);
        put_head(c, &response, false);
    }
    buf_put(&c->out, buf_str(&response.body));
    buf_done(&response.body);
}

/* ---- Requests ---- */

static struct str header(struct str head, const char *name)
{
    struct str line;
    while (str_is_set(head)) {
        struct str key, value;
        str_cut(head, '\n', &line, &head);
        if (str_cut(str_trim(line), ':', &key, &value) && key.len == strlen(name) &&
            strncasecmp(key.ptr, name, key.len) == 0)
            return str_trim(value);
    }
    return (struct str){NULL, 0};
}

/* Answers the first whole request of the input; false when there is none. */
static bool take_request(struct apiserver *server, struct connection *c)
{
    struct str in = buf_str(&c->in);
    const char *end = memmem(in.ptr, in.len, "\r\n\r\n", 4);
    if (!end || c->watch)
        return false;
    struct str head = {in.ptr, (size_t)(end - in.ptr)}, line, rest;
    int64_t length = 0;
    str_to_int64(header(head, "content-length"), &length);
    size_t whole = head.len + 4 + (size_t)length;
    if (length < 0 || length > REQUEST_MAX || in.len < whole)
        return false;
    struct sim_request request = {.body = str_sub(in, head.len + 4, (size_t)length),
                                  .content_type = header(head, "content-type")};
    str_cut(head, '\n', &line, &rest);
    str_cut(line, ' ', &request.method, &rest);
    str_cut(rest, ' ', &request.target, &rest);
    answer(server, c, &request);
    memmove(c->in.ptr, c->in.ptr + whole, c->in.len - whole);
    c->in.len -= whole;
    return true;
}

/* ---- Connections ---- */

static void connection_close(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
    sim_watch_free(c->watch);
    c->watch = NULL;
    buf_done(&c->in);
    buf_done(&c->out);
    c->sent = 0;
}

static void accept_one(struct apiserver *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = &server->connections[i];
        if (c->fd >= 0)
            continue;
        *c = (struct connection){.fd = fd};
        buf_init(&c->in, mem_system(), REQUEST_MAX);
        buf_init(&c->out, mem_system(), WAITING_MAX);
        return;
    }
    close(fd);
}

/* False when the connection is to be closed. */
static bool receive(struct apiserver *server, struct connection *c)
{
    char *room = buf_reserve(&c->in, 1 << 16);
    if (!room)
        return false;
    ssize_t got = recv(c->fd, room, 1 << 16, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        return false;
    c->in.len += got > 0 ? (size_t)got : 0;
    while (take_request(server, c))
        ;
    return true;
}

static bool flush(struct connection *c)
{
    while (c->sent < c->out.len) {
        ssize_t put = send(c->fd, c->out.ptr + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (put < 0)
            return errno == EAGAIN || errno == EINTR;
        c->sent += (size_t)put;
    }
    buf_clear(&c->out);
    c->sent = 0;
    return true;
}

static void serve_connection(struct apiserver *server, struct connection *c, short events)
{
    bool goes_on = true;
    if (events & (POLLIN | POLLHUP | POLLERR))
        goes_on = receive(server, c);
    if (goes_on && c->watch)
        pump_watch(server, c);
    if (!goes_on || buf_failed(&c->out) || !flush(c))
        connection_close(c);
}

/* ---- The loop ---- */

static void run_world(struct apiserver *server)
{
    struct sim_world *world = &server->world;
    world->now_ns = clock_now_ns(clock_system());
    timers_run(&world->timers, world->now_ns);
    if (server->cycles.wanted > 0)
        sim_cycles_act(&server->cycles);
    if (world->server.store.event_count > 2 * HISTORY)
        sim_store_compact(&world->server.store, world->server.store.version - HISTORY);
}

static void loop_once(struct apiserver *server)
{
    struct pollfd polled[CONNECTIONS_MAX + 1];
    size_t count = 0, which[CONNECTIONS_MAX + 1];
    polled[count++] = (struct pollfd){.fd = server->listener, .events = POLLIN};
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        const struct connection *c = &server->connections[i];
        if (c->fd < 0)
            continue;
        which[count] = i;
        polled[count++] = (struct pollfd){
            .fd = c->fd, .events = (short)(c->out.len > c->sent ? POLLIN | POLLOUT : POLLIN)};
    }
    poll(polled, count, 10);
    run_world(server);
    if (polled[0].revents)
        accept_one(server);
    for (size_t i = 1; i < count; i++)
        serve_connection(server, &server->connections[which[i]], polled[i].revents);
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        perror("apiserver: cannot listen");
        exit(1);
    }
    printf("listening on %u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void init(struct apiserver *server)
{
    struct sim_world *world = &server->world;
    sim_world_init(world, 1);
    world->now_ns = clock_now_ns(clock_system());
    world->wall_offset_ns = clock_wall_ns(clock_system()) - world->now_ns;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        server->connections[i].fd = -1;
    sim_actors_init(&server->actors, world, true);
    sim_actors_calm(&server->actors);
    server->actors.hurry = 50;
}

/* Without a cluster that acts, nothing changes by itself. */
static void stop_actors(struct apiserver *server)
{
    sim_actors_done(&server->actors);
    sim_ask(&server->world, "DELETE", STR("/api/v1/nodes/node-a"), "%s", "");
    sim_ask(&server->world, "DELETE", STR("/api/v1/nodes/node-b"), "%s", "");
    sim_ask(&server->world, "DELETE", STR("/api/v1/nodes/node-c"), "%s", "");
}

static void play(struct apiserver *server, const struct sim_cycle *kind, int64_t wanted)
{
    server->cycles =
        (struct sim_cycles){.actors = &server->actors, .kind = kind, .wanted = (uint64_t)wanted};
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"listen", required_argument, NULL, 'l'}, {"cycles", required_argument, NULL, 'c'},
        {"flows", required_argument, NULL, 'f'},  {"kept", required_argument, NULL, 'k'},
        {"no-webhook", no_argument, NULL, 'w'},   {NULL, 0, NULL, 0}};
    struct apiserver *server = calloc(1, sizeof(*server));
    int64_t port = 0, number = 0;
    int option;
    sim_require(server != NULL);
    init(server);
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (optarg)
            str_to_int64(str_from_cstr(optarg), &number);
        if (option == 'l')
            port = number;
        else if (option == 'c')
            play(server, &sim_performer_cycle, number);
        else if (option == 'f')
            play(server, &sim_flow_cycle, number);
        else if (option == 'k')
            sim_make_ended_flows(&server->world, (uint64_t)number);
        else if (option == 'w')
            server->world.server.has_webhook = false;
        else
            return 2;
    }
    if (server->cycles.wanted == 0)
        stop_actors(server);
    server->listener = listen_on((uint16_t)port);
    for (;;)
        loop_once(server);
}
