/* A set of texts. */
#include "base/str_set.h"

void str_set_init(struct str_set *set, struct arena *arena)
{
    *set = (struct str_set){.arena = arena};
}

/* The place of the text: taken by it, or empty. */
static struct str *find_slot(const struct str_set *set, struct str text)
{
    size_t mask = set->slot_count - 1;
    size_t i = (size_t)hash_text(&set->seed, text) & mask;
    while (str_is_set(set->slots[i]) && !str_eq(set->slots[i], text))
        i = (i + 1) & mask;
    return &set->slots[i];
}

static bool find_few(const struct str_set *set, struct str text)
{
    for (size_t i = 0; i < set->count; i++) {
        if (str_eq(set->few[i], text))
            return true;
    }
    return false;
}

/* Moves the texts to a table of four times as many places as there are texts. */
static bool grow(struct str_set *set)
{
    bool is_first = !set->slots;
    const struct str *old = is_first ? set->few : set->slots;
    size_t old_count = is_first ? set->count : set->slot_count;
    size_t slot_count = 4 * set->count;
    struct str *slots = ARENA_NEW_ARRAY(set->arena, struct str, slot_count);
    if (!slots)
        return false;
    if (is_first)
        set->seed = hash_seed_from(random_system());
    set->slots = slots;
    set->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++) {
        if (str_is_set(old[i]))
            *find_slot(set, old[i]) = old[i];
    }
    return true;
}

int str_set_add(struct str_set *set, struct str text)
{
    if (!set->slots) {
        if (find_few(set, text))
            return 1;
        if (set->count < STR_SET_FEW) {
            set->few[set->count++] = text;
            return 0;
        }
    }
    if (2 * set->count >= set->slot_count && !grow(set))
        return -1;
    struct str *slot = find_slot(set, text);
    if (str_is_set(*slot))
        return 1;
    *slot = text;
    set->count++;
    return 0;
}

bool str_set_has(const struct str_set *set, struct str text)
{
    return set->slots ? str_is_set(*find_slot(set, text)) : find_few(set, text);
}
