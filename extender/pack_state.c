/* States of nodes by number, and what was computed for them. */
#include "extender/pack_parts.h"

#include <assert.h>

enum {
    STATES_MAX = 1 << 15,
    INDEX_SIZE = 2 * STATES_MAX,
    KEYS_SIZE = 2 << 20,
    MEMOS = 1 << 16,
};

static_assert(offsetof(struct pack_state, free_milli) == 18, "a key has no padding");

bool pack_states_init(struct pack *pack)
{
    struct pack_states *states = &pack->states;
    states->items = pack_take_table(pack, STATES_MAX, sizeof(struct pack_known));
    states->index = ARENA_NEW_ARRAY(&pack->arena, uint32_t, INDEX_SIZE);
    states->keys = pack_take_table(pack, KEYS_SIZE, 1);
    states->generation = 1;
    pack->memos = ARENA_NEW_ARRAY(&pack->arena, struct pack_memo, MEMOS);
    return states->items && states->index && states->keys && pack->memos;
}

/* ---- States ---- */

void pack_state_of(const struct pack_node *node, struct pack_state *ret)
{
    ret->cpu_free_milli = node->cpu_free_milli;
    ret->cpu_capacity_milli = node->cpu_capacity_milli;
    ret->model = node->model;
    ret->device_count = node->device_count;
    for (uint32_t i = 0; i < node->device_count; i++) {
        uint16_t milli = node->device_free_milli[i];
        uint32_t at = i;
        for (; at > 0 && ret->free_milli[at - 1] > milli; at--)
            ret->free_milli[at] = ret->free_milli[at - 1];
        ret->free_milli[at] = milli;
    }
}

void pack_state_take(struct pack_state *state, const struct pack_demand *demand, uint32_t device)
{
    uint16_t *milli = state->free_milli;
    state->cpu_free_milli -= demand->cpu_milli;
    if (demand->gpu_count == 0)
        return;
    if (demand->gpu_milli < PACK_WHOLE_MILLI) {
        uint16_t left = (uint16_t)(milli[device] - demand->gpu_milli);
        for (; device > 0 && milli[device - 1] > left; device--)
            milli[device] = milli[device - 1];
        milli[device] = left;
        return;
    }
    /* The last ones are the free ones. */
    memmove(milli + demand->gpu_count, milli,
            (size_t)(state->device_count - demand->gpu_count) * sizeof(*milli));
    memset(milli, 0, demand->gpu_count * sizeof(*milli));
}

static size_t key_len(const struct pack_state *state)
{
    return offsetof(struct pack_state, free_milli) + state->device_count * sizeof(uint16_t);
}

/* ---- The table ---- */

static void states_clear(struct pack_states *states)
{
    memset(states->index, 0, INDEX_SIZE * sizeof(*states->index));
    states->count = 0;
    states->keys_len = 0;
    states->generation++;
}

static uint32_t states_add(struct pack *pack, const struct pack_state *state, uint64_t hash)
{
    struct pack_states *states = &pack->states;
    size_t len = key_len(state);
    if (states->count == STATES_MAX || states->keys_len + len > KEYS_SIZE) {
        states_clear(states);
        pack->price_epoch++; /* the memos are about numbers that are given anew */
    }
    size_t at = hash % INDEX_SIZE;
    while (states->index[at] != 0)
        at = (at + 1) % INDEX_SIZE;
    uint32_t number = states->count++;
    states->index[at] = number + 1;
    states->items[number] = (struct pack_known){.key = states->keys_len};
    memcpy(states->keys + states->keys_len, state, len);
    states->keys_len += len;
    return number;
}

uint32_t pack_state_number(struct pack *pack, const struct pack_state *state)
{
    struct pack_states *states = &pack->states;
    size_t len = key_len(state);
    uint64_t hash = hash_text(&pack->hash_seed, (struct str){(const char *)state, len});
    for (size_t at = hash % INDEX_SIZE; states->index[at] != 0; at = (at + 1) % INDEX_SIZE) {
        uint32_t number = states->index[at] - 1;
        /* The length is part of what is compared first. */
        const char *key = states->keys + states->items[number].key;
        if (memcmp(key, state, offsetof(struct pack_state, free_milli)) == 0 &&
            memcmp(key, state, len) == 0)
            return number;
    }
    return states_add(pack, state, hash);
}

uint32_t pack_node_number(struct pack *pack, struct pack_node *node)
{
    if (node->memo >> 32 == pack->states.generation)
        return (uint32_t)node->memo;
    struct pack_state state;
    pack_state_of(node, &state);
    uint32_t number = pack_state_number(pack, &state);
    node->memo = (uint64_t)pack->states.generation << 32 | number;
    return number;
}

void pack_state_get(const struct pack *pack, uint32_t number, struct pack_state *ret)
{
    const char *key = pack->states.keys + pack->states.items[number].key;
    memcpy(ret, key, offsetof(struct pack_state, free_milli));
    memcpy(ret, key, key_len(ret));
}

const struct pack_known *pack_state_known(struct pack *pack, uint32_t number)
{
    struct pack_known *known = &pack->states.items[number];
    if (known->value_epoch == pack->value_epoch && known->price_epoch == pack->price_epoch)
        return known;
    struct pack_state state;
    pack_state_get(pack, number, &state);
    bool rolls = pack->config.kind == PACK_RSP;
    if (known->value_epoch != pack->value_epoch) {
        known->rollout = rolls ? pack_rollout(pack, &state) : 0;
        known->fragments = pack_fragments(pack, &state);
        known->value_epoch = pack->value_epoch;
    }
    if (rolls)
        known->potential =
            known->rollout +
            pack->config.fragment_weight * pack->release_quarters * known->fragments -
            pack_slot_worth(pack, &state);
    known->price_epoch = pack->price_epoch;
    return known;
}

struct pack_memo *pack_memo_at(struct pack *pack, uint32_t state, uint32_t class)
{
    uint64_t mixed = ((uint64_t)state << 16 | class) * UINT64_C(0x9e3779b97f4a7c15);
    return &pack->memos[mixed >> 48];
}
