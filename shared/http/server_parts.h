/*
 * The parts of a server, for http/server.c, which owns them, and http/mhd.c, whose callbacks work
 * on them.
 */
#ifndef HTTP_SERVER_PARTS_H
#define HTTP_SERVER_PARTS_H

#include "http/accept.h"
#include "http/conn.h"
#include "http/memory.h"
#include "http/worker.h"

struct http_server {
    struct http_server_config config; /* with the defaults filled in */
    struct listener listener;
    struct conn_registry registry;
    struct memory_pool memory;
    struct acceptor acceptor;
    struct worker workers[CONN_WORKERS_MAX];
    uint16_t port;
    atomic_bool is_draining;
    atomic_uint_fast64_t last_id; /* of a request */
    atomic_uint waiting;          /* requests whose answer is put off */
    atomic_size_t waiting_bytes;  /* of their bodies */
};

#endif
