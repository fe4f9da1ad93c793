/* Finding many members of one object. */
#include "json/finder.h"

#include <stdlib.h>

/* The steps of searching one by one that cost less than sorting. */
enum { STEPS_MAX = 4096 };

static int compare_keys(const void *a, const void *b)
{
    return str_cmp(json_key(((const struct json_entry *)a)->member),
                   json_key(((const struct json_entry *)b)->member));
}

void json_finder_init(struct json_finder *finder, const struct json *object, const struct mem *mem)
{
    *finder = (struct json_finder){.object = object, .mem = mem, .expected = json_first(object)};
}

void json_finder_done(struct json_finder *finder)
{
    if (finder->sorted)
        mem_free(finder->mem, finder->sorted, finder->object->len * sizeof(*finder->sorted));
    finder->sorted = NULL;
}

static void make_index(struct json_finder *finder)
{
    size_t count = finder->object->len;
    finder->sorted = mem_alloc(finder->mem, count * sizeof(*finder->sorted));
    if (!finder->sorted)
        return;
    size_t i = 0;
    JSON_EACH (member, finder->object)
        finder->sorted[i++].member = member;
    qsort(finder->sorted, count, sizeof(*finder->sorted), compare_keys);
}

static const struct json *search(struct json_finder *finder, struct str key)
{
    if (!json_is(finder->object, JSON_OBJECT))
        return NULL;
    if (finder->steps > STEPS_MAX && !finder->sorted)
        make_index(finder);
    if (!finder->sorted) {
        finder->steps += finder->object->len;
        return json_get(finder->object, key);
    }
    const struct json like = {.key = key.ptr, .key_len = (uint32_t)key.len};
    const struct json_entry wanted = {&like};
    const struct json_entry *entry = bsearch(&wanted, finder->sorted, finder->object->len,
                                             sizeof(*finder->sorted), compare_keys);
    return entry ? entry->member : NULL;
}

const struct json *json_finder_find(struct json_finder *finder, struct str key)
{
    const struct json *found = finder->expected;
    if (!found || !str_eq(json_key(found), key))
        found = search(finder, key);
    /* A key that is missing here says nothing about where the next one is. */
    if (found)
        finder->expected = found->next;
    return found;
}
