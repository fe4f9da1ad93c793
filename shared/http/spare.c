/* Pieces of memory that were given back and are kept for who needs some next. */
#include "http/spare.h"

struct spare {
    struct spare *next;
};

void spare_init(struct spare_list *list, const struct mem *source)
{
    *list = (struct spare_list){.source = source, .lock = PTHREAD_MUTEX_INITIALIZER};
}

void spare_done(struct spare_list *list)
{
    spare_drop(list);
    pthread_mutex_destroy(&list->lock);
}

/* The index of the size's list, or SPARE_SIZES when there is none. */
static size_t index_of(size_t size)
{
    if (size < SPARE_LEAST || size > (size_t)SPARE_UNIT * SPARE_SIZES)
        return SPARE_SIZES;
    return (size - 1) / SPARE_UNIT;
}

size_t spare_size(size_t size)
{
    size_t index = index_of(size);
    return index < SPARE_SIZES ? (index + 1) * SPARE_UNIT : size;
}

void *spare_take(struct spare_list *list, size_t size)
{
    size_t index = index_of(size);
    if (index == SPARE_SIZES)
        return NULL;
    pthread_mutex_lock(&list->lock);
    struct spare *spare = list->first[index];
    if (spare) {
        list->first[index] = spare->next;
        list->bytes -= size;
        if (list->bytes < list->least)
            list->least = list->bytes;
    }
    pthread_mutex_unlock(&list->lock);
    return spare;
}

bool spare_give(struct spare_list *list, void *ptr, size_t size)
{
    size_t index = index_of(size);
    if (index == SPARE_SIZES)
        return false;
    pthread_mutex_lock(&list->lock);
    bool is_kept = size <= SPARE_MAX - list->bytes;
    if (is_kept) {
        struct spare *spare = ptr;
        spare->next = list->first[index];
        list->first[index] = spare;
        list->bytes += size;
    }
    pthread_mutex_unlock(&list->lock);
    return is_kept;
}

/* Pieces of the most bytes that are not more than `limit`, the largest ones first, out of the list: each
 * list in `taken` is one of its size. */
static void take_out(struct spare_list *list, size_t limit, struct spare *taken[SPARE_SIZES])
{
    pthread_mutex_lock(&list->lock);
    if (limit > list->least)
        limit = list->least;
    for (size_t i = SPARE_SIZES; i-- > 0;) {
        size_t size = (i + 1) * SPARE_UNIT;
        taken[i] = NULL;
        while (list->first[i] && size <= limit) {
            struct spare *spare = list->first[i];
            list->first[i] = spare->next;
            spare->next = taken[i];
            taken[i] = spare;
            list->bytes -= size;
            limit -= size;
        }
    }
    list->least = list->bytes;
    pthread_mutex_unlock(&list->lock);
}

/* Giving back is the slow part, and nobody waits for it. */
static size_t give_back(struct spare_list *list, struct spare *taken[SPARE_SIZES])
{
    size_t bytes = 0;
    for (size_t i = 0; i < SPARE_SIZES; i++) {
        size_t size = (i + 1) * SPARE_UNIT;
        while (taken[i]) {
            struct spare *spare = taken[i];
            taken[i] = spare->next;
            mem_free(list->source, spare, size);
            bytes += size;
        }
    }
    return bytes;
}

size_t spare_trim(struct spare_list *list)
{
    struct spare *taken[SPARE_SIZES];
    take_out(list, SPARE_MAX, taken);
    return give_back(list, taken);
}

size_t spare_drop(struct spare_list *list)
{
    struct spare *taken[SPARE_SIZES];
    pthread_mutex_lock(&list->lock);
    list->least = list->bytes;
    pthread_mutex_unlock(&list->lock);
    take_out(list, SPARE_MAX, taken);
    return give_back(list, taken);
}
