/* Reading whole files into capped buffers. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

static int read_all(int fd, const char *path, struct buf *to, struct err *err)
{
    for (;;) {
        size_t room = to->max - to->len;
        /* One byte beyond the maximum tells a file that fits exactly from one that does not. */
        char extra;
        char *at = room ? buf_reserve(to, room < CHUNK ? room : CHUNK) : &extra;
        if (!at)
            return err_no_memory(err, path);
        ssize_t n = read(fd, at, room ? (room < CHUNK ? room : CHUNK) : 1);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, 500, "%s: %s", path, strerror(errno));
        if (room == 0)
            return err_set(err, 413, "%s: larger than %zu bytes", path, to->max);
        to->len += (size_t)n;
    }
}

int file_read(const char *path, struct buf *to, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, "standard input", to, err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, 500, "%s: %s", path, strerror(errno));
    int result = read_all(fd, path, to, err);
    close(fd);
    return result;
}
