/*
 * The catalog in use, from a file that may change while requests are served (the ConfigMap
 * callboard-catalog, mounted), or built in. A request takes a reference to the current one and keeps
 * it to its end. A file that does not work never replaces a good catalog.
 */
#ifndef TYPES_CATALOG_SOURCE_H
#define TYPES_CATALOG_SOURCE_H

#include "base/log.h"
#include "base/metrics.h"
#include "types/catalog.h"

#include <pthread.h>
#include <sys/stat.h>

struct catalog_source {
    const struct mem *mem;
    const char *file;     /* NULL: always the built-in one */
    struct stat seen;     /* of the file that was last read, or all zero when there was none */
    pthread_mutex_t lock; /* of `current` */
    struct catalog *current;
};

/* Starts with the file's catalog, or the built-in one when there is no such file; fails when the file
 * cannot be used. Must not be moved. */
int catalog_source_init(struct catalog_source *source, const char *file, const struct mem *mem,
                        struct err *err);
void catalog_source_done(struct catalog_source *source);

/* The current catalog with a reference of the caller's. Any thread. */
struct catalog *catalog_source_get(struct catalog_source *source);

/* Looks whether the file has changed, from one thread, about once a second. 1 when a new catalog is in
 * use, 0 when all is as it was, -1 with *err when the new file does not work (reported once). */
int catalog_source_refresh(struct catalog_source *source, struct err *err);
/* The same, counted in a family with the labels file ("catalog") and result ("ok", "error"), and logged.
 * True when a new catalog is in use. */
bool catalog_source_reload(struct catalog_source *source, struct counter_family *reloads,
                           const struct log *log);

#endif
