/*
 * The listening socket, and the text form of addresses.
 *
 * Addresses are numeric: "0.0.0.0:9443", "[::1]:9443", or ":9443" for all addresses of both
 * families (of IPv4 alone where the kernel has no IPv6). Names are refused: what is bound must not
 * depend on a resolver.
 */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include "base/err.h"

#include <sys/socket.h>

struct listener {
    int fd; /* non-blocking */
    bool is_own;
    uint16_t port;
};

/* Binds and listens. Code of *err: 400 for an address that is none, 500 when the system refuses. */
int listener_open(const char *address, struct listener *ret, struct err *err);
/* A socket that listens already and stays the caller's. */
int listener_adopt(int fd, struct listener *ret, struct err *err);
/* Closes an own socket. May be called twice. */
void listener_close(struct listener *listener);

enum { ADDRESS_TEXT_SIZE = 56 };

/* "10.0.0.7:51234", "[fd00::7]:51234"; IPv4 inside IPv6 as IPv4. "?" for other families. */
struct str address_print(const struct sockaddr *address, char to[ADDRESS_TEXT_SIZE]);

#endif
