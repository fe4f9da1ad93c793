/* The catalog in use, reloaded when its file changes. */
#include "types/catalog_source.h"

#include "base/file.h"

#include <errno.h>

enum { CATALOG_FILE_MAX = 1024 * 1024 }; /* what a ConfigMap can hold */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The state of the file, all zero when there is none: an optional ConfigMap need not exist. */
static int look(const struct catalog_source *source, struct stat *ret, struct err *err)
{
    *ret = (struct stat){0};
    if (!source->file || stat(source->file, ret) == 0)
        return 0;
    *ret = (struct stat){0};
    if (errno == ENOENT || errno == ENOTDIR)
        return 0;
    return err_set(err, 500, "%s: %s", source->file, strerror(errno));
}

static struct catalog *load(const struct catalog_source *source, const struct stat *state,
                            struct err *err)
{
    if (state->st_ino == 0)
        return catalog_builtin(source->mem, err);
    struct buf text;
    buf_init(&text, source->mem, CATALOG_FILE_MAX);
    struct catalog *catalog = NULL;
    if (file_read(source->file, &text, err) == 0)
        catalog = catalog_read(buf_str(&text), source->mem, err);
    buf_done(&text);
    if (!catalog)
        err_wrap(err, "catalog %s", source->file);
    return catalog;
}

int catalog_source_init(struct catalog_source *source, const char *file, const struct mem *mem,
                        struct err *err)
{
    *source = (struct catalog_source){.mem = mem, .file = file};
    pthread_mutex_init(&source->lock, NULL);
    if (look(source, &source->seen, err) < 0)
        return -1;
    source->current = load(source, &source->seen, err);
    return source->current ? 0 : -1;
}

void catalog_source_done(struct catalog_source *source)
{
    catalog_unref(source->current);
    source->current = NULL;
    pthread_mutex_destroy(&source->lock);
}

struct catalog *catalog_source_get(struct catalog_source *source)
{
    pthread_mutex_lock(&source->lock);
    struct catalog *catalog = catalog_ref(source->current);
    pthread_mutex_unlock(&source->lock);
    return catalog;
}

int catalog_source_refresh(struct catalog_source *source, struct err *err)
{
    struct stat now;
    if (look(source, &now, err) < 0)
        return -1;
    if (same_file(&now, &source->seen))
        return 0;
    source->seen = now;
    struct catalog *fresh = load(source, &now, err);
    if (!fresh)
        return -1;
    pthread_mutex_lock(&source->lock);
    struct catalog *old = source->current;
    source->current = fresh;
    pthread_mutex_unlock(&source->lock);
    catalog_unref(old);
    return 1;
}

bool catalog_source_reload(struct catalog_source *source, struct counter_family *reloads,
                           const struct log *log)
{
    struct err err;
    int changed = catalog_source_refresh(source, &err);
    if (changed == 0)
        return false;
    struct str result = changed > 0 ? STR("ok") : STR("error");
    counter_add(counter_of(reloads, METRICS_VALUES(STR("catalog"), result)), 1);
    if (changed > 0)
        log_info(log, "catalog reloaded", LOG_CSTR("file", source->file));
    else
        log_error(log, "the new catalog does not work; the old one stays in use", LOG_ERR(&err));
    return changed > 0;
}
