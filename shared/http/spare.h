/*
 * Pieces of memory that were given back and are kept for who needs some next.
 *
 * A large review takes megabytes for some milliseconds. Going to the allocator for them each time would
 * cost more than judging the review: it returns such pieces to the kernel, which fills them with zeros
 * page by page when they are taken again. Here they stay for as long as they are needed: spare_trim(),
 * called once in a while, gives back what nobody has needed since the last time.
 *
 * Only pieces from SPARE_LEAST bytes on, of at most SPARE_MAX bytes together. May be used by several
 * threads.
 */
#ifndef HTTP_SPARE_H
#define HTTP_SPARE_H

#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>

enum {
    SPARE_UNIT = 64 * 1024, /* sizes are multiples of it, so that pieces of similar sizes fit */
    SPARE_LEAST = SPARE_UNIT / 2 + 1,
    SPARE_SIZES = 16,
    SPARE_MAX = 12 * 1024 * 1024,
};

struct spare;

struct spare_list {
    const struct mem *source;
    pthread_mutex_t lock; /* of what follows */
    struct spare *first[SPARE_SIZES];
    size_t bytes;
    size_t least; /* bytes since the last spare_trim() */
};

/* Must not be moved. */
void spare_init(struct spare_list *list, const struct mem *source);
void spare_done(struct spare_list *list);

/* How large a piece for `size` bytes is: that is what has to be taken from the source for it, and what
 * it is given back with. */
size_t spare_size(size_t size);

/* A piece of a size that spare_size() gave, or NULL. */
void *spare_take(struct spare_list *list, size_t size);
/* False when it is not kept: the caller gives it back to the source. */
bool spare_give(struct spare_list *list, void *ptr, size_t size);

/* Gives back to the source what has not been needed since the last call, or all there is; bytes. */
size_t spare_trim(struct spare_list *list);
size_t spare_drop(struct spare_list *list);

#endif
