/* The events of an object that are too many, and those to be combined. */
#include "kube/event_filter.h"

#include <stdbool.h>
#include <string.h>

#define REFILL_NS (300 * CLOCK_NS_PER_SEC)
#define GROUP_NS  (600 * CLOCK_NS_PER_SEC)

enum {
    BURST = 25,
    MESSAGES_MAX = 10,
    SETS = 256, /* a power of two */
    WAYS = 4,
};

struct slot {
    uint64_t key;
    int64_t used_ns;
    bool is_used;
};

/* A bucket of tokens, told as a time: each event moves it on by what one token takes to come back, and it
 * may lie so far in the future as a whole burst. */
struct object {
    struct slot slot;
    int64_t full_again_ns;
};

struct group {
    struct slot slot;
    uint32_t count;
    uint32_t messages[MESSAGES_MAX - 1]; /* hashes */
};

struct event_filter {
    struct object objects[SETS][WAYS];
    struct group groups[SETS][WAYS];
};

struct event_filter *event_filter_new(const struct mem *mem)
{
    struct event_filter *filter = mem_alloc(mem, sizeof(*filter));
    if (filter)
        memset(filter, 0, sizeof(*filter));
    return filter;
}

void event_filter_free(const struct mem *mem, struct event_filter *filter)
{
    mem_free(mem, filter, sizeof(*filter));
}

/* The slot with this key in a set of WAYS, or the one that makes room for it, zeroed. */
static void *find_slot(void *set, size_t size, uint64_t key)
{
    struct slot *oldest = NULL;
    for (size_t i = 0; i < WAYS; i++) {
        struct slot *slot = (struct slot *)((char *)set + i * size);
        if (slot->is_used && slot->key == key)
            return slot;
        if (!oldest || (oldest->is_used && (!slot->is_used || slot->used_ns < oldest->used_ns)))
            oldest = slot;
    }
    memset(oldest, 0, size);
    oldest->key = key;
    oldest->is_used = true;
    return oldest;
}

bool event_filter_admits(struct event_filter *filter, uint64_t object, int64_t now_ns)
{
    struct object *found =
        find_slot(filter->objects[object & (SETS - 1)], sizeof(struct object), object);
    found->slot.used_ns = now_ns;
    int64_t full_again_ns = found->full_again_ns > now_ns ? found->full_again_ns : now_ns;
    if (full_again_ns - now_ns > (BURST - 1) * REFILL_NS)
        return false;
    found->full_again_ns = full_again_ns + REFILL_NS;
    return true;
}

bool event_filter_combines(struct event_filter *filter, uint64_t group, uint64_t message,
                           int64_t now_ns)
{
    struct group *found =
        find_slot(filter->groups[group & (SETS - 1)], sizeof(struct group), group);
    if (now_ns - found->slot.used_ns > GROUP_NS)
        found->count = 0;
    found->slot.used_ns = now_ns;
    for (uint32_t i = 0; i < found->count; i++) {
        if (found->messages[i] == (uint32_t)message)
            return false;
    }
    if (found->count == MESSAGES_MAX - 1)
        return true;
    found->messages[found->count++] = (uint32_t)message;
    return false;
}
