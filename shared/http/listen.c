/* The listening socket, and the text form of addresses. */
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

/* Connections that wait to be accepted; the kernel cuts it at net.core.somaxconn. */
enum { BACKLOG = 4096 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_size(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}

/* The host without brackets, NUL-terminated, and the port. */
static bool split(const char *text, char host[INET6_ADDRSTRLEN], uint16_t *port)
{
    struct str all = str_from_cstr(text);
    ptrdiff_t colon = str_find_last(all, ':');
    int64_t number;
    if (colon < 0 || !str_to_int64(str_sub(all, (size_t)colon + 1, all.len), &number) ||
        number < 0 || number > UINT16_MAX)
        return false;
    struct str name = str_sub(all, 0, (size_t)colon);
    bool has_brackets = str_starts_with(name, STR("[")) && str_ends_with(name, STR("]"));
    if (has_brackets)
        name = str_sub(name, 1, name.len - 2);
    /* Without brackets the last group of an IPv6 address would pass for the port. */
    if ((str_find(name, ':') >= 0) != has_brackets || name.len >= INET6_ADDRSTRLEN)
        return false;
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';
    *port = (uint16_t)number;
    return true;
}

static bool parse(const char *text, union address *ret)
{
    char host[INET6_ADDRSTRLEN];
    uint16_t port;
    *ret = (union address){.v6 = {0}};
    if (!split(text, host, &port))
        return false;
    if (host[0] == '\0' || inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(port);
        return true;
    }
    ret->v4.sin_family = AF_INET;
    ret->v4.sin_port = htons(port);
    return inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1;
}

static uint16_t bound_port(int fd)
{
    union address address = {.v6 = {0}};
    socklen_t size = sizeof(address);
    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* The socket, or -1 with errno. */
static int listen_on(const union address *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    const int on = 1, off = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (address->any.sa_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0) &&
        bind(fd, &address->any, address_size(address)) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int listener_open(const char *text, struct listener *ret, struct err *err)
{
    union address address;
    if (!parse(text, &address))
        return err_set(err, 400,
                       "listen address \"%s\": must be IP:PORT, with brackets around an IPv6 "
                       "address, or :PORT for all addresses",
                       text);
    int fd = listen_on(&address);
    if (fd < 0 && errno == EAFNOSUPPORT && text[0] == ':') {
        in_port_t port = address.v6.sin6_port;
        address = (union address){.v4 = {.sin_family = AF_INET, .sin_port = port}};
        fd = listen_on(&address);
    }
    if (fd < 0)
        return err_set(err, 500, "cannot listen on %s: %s", text, strerror(errno));
    *ret = (struct listener){.fd = fd, .is_own = true, .port = bound_port(fd)};
    return 0;
}

int listener_adopt(int fd, struct listener *ret, struct err *err)
{
    int listens = 0, type = 0;
    socklen_t size = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
        return err_set(err, 400, "file descriptor %d is not a TCP socket that listens", fd);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return err_set(err, 500, "file descriptor %d: %s", fd, strerror(errno));
    *ret = (struct listener){.fd = fd, .is_own = false, .port = bound_port(fd)};
    return 0;
}

void listener_close(struct listener *listener)
{
    if (listener->is_own)
        close(listener->fd);
    listener->is_own = false;
    listener->fd = -1;
}

struct str address_print(const struct sockaddr *address, char to[ADDRESS_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN];
    int n = 0;
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        n = snprintf(to, ADDRESS_TEXT_SIZE, "%s:%u", host, ntohs(v4->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        bool is_v4 = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        inet_ntop(is_v4 ? AF_INET : AF_INET6, v6->sin6_addr.s6_addr + (is_v4 ? 12 : 0), host,
                  sizeof(host));
        n = snprintf(to, ADDRESS_TEXT_SIZE, is_v4 ? "%s:%u" : "[%s]:%u", host,
                     ntohs(v6->sin6_port));
    } else {
        n = snprintf(to, ADDRESS_TEXT_SIZE, "?");
    }
    return (struct str){to, (size_t)n};
}
