/*
 * Revision, names and labels: all of them functions of the Performer, so that a write that is repeated
 * meets what the first one made. They are SipHash under a fixed key: what is on a cluster must be found
 * again by every version of this program.
 */
#include "controller/performer_parts.h"

#include "base/hash.h"
#include "schema/format.h"
#include "types/names.h"

#include <inttypes.h>
#include <stdio.h>

static const struct hash_seed fixed_seed = {{UINT64_C(0x63616c6c626f6172), UINT64_C(0x64)}};

/* ---- Hashes ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t both[2] = {a, b};
    return hash_text(&fixed_seed, (struct str){(const char *)both, sizeof(both)});
}

/* A message with each run of digits as one "#": "3 of 50 nodes" and "4 of 50 nodes" tell the same. */
static uint64_t hash_message(struct str message)
{
    char text[1024];
    size_t len = 0;
    for (size_t i = 0; i < message.len && len < sizeof(text); i++) {
        bool is_digit = message.ptr[i] >= '0' && message.ptr[i] <= '9';
        if (!is_digit)
            text[len++] = message.ptr[i];
        else if (len == 0 || text[len - 1] != '#')
            text[len++] = '#';
    }
    return hash_text(&fixed_seed, (struct str){text, len});
}

static uint64_t hash_member(const struct json *member, bool is_loose)
{
    bool is_message =
        is_loose && json_is(member, JSON_STRING) && str_eq(json_key(member), STR("message"));
    uint64_t value = is_message ? hash_message(json_str(member)) : performer_hash(member, is_loose);
    return value ? mix(hash_text(&fixed_seed, json_key(member)), value) : 0;
}

uint64_t performer_hash(const struct json *value, bool is_loose)
{
    uint64_t hash = 0;
    if (!value)
        return 0;
    switch (value->type) {
    case JSON_NULL:
        return 0;
    case JSON_BOOL:
        return value->boolean ? 2 : 1;
    case JSON_NUMBER:
        return mix(JSON_NUMBER, hash_text(&fixed_seed, (struct str){value->text, value->len}));
    case JSON_STRING:
        return mix(JSON_STRING, hash_text(&fixed_seed, json_str(value)));
    case JSON_ARRAY:
        JSON_EACH (element, value)
            hash = mix(hash + JSON_ARRAY, performer_hash(element, is_loose));
        return hash;
    case JSON_OBJECT:
        JSON_EACH (member, value)
            hash += hash_member(member, is_loose);
        return hash;
    }
    return hash;
}

/* ---- Revision ---- */

/* What is no part of the pod. */
static bool is_beside_the_pod(struct str member)
{
    static const struct str names[] = {STR_INIT("avsAddress"), STR_INIT("upgradeStrategy"),
                                       STR_INIT("nodeFailurePolicy"), STR_INIT("backoffLimit")};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq(member, names[i]))
            return true;
    }
    return false;
}

uint64_t performer_revision(const struct json *spec)
{
    uint64_t hash = 0;
    JSON_EACH (member, spec) {
        if (!is_beside_the_pod(json_key(member)))
            hash += hash_member(member, false);
    }
    return hash ? hash : 1;
}

/* ---- Texts ---- */

struct str performer_hex(uint64_t number, char to[HEX_SIZE])
{
    int len = snprintf(to, HEX_SIZE, "%016" PRIx64, number);
    return (struct str){to, (size_t)len};
}

uint64_t performer_hex_read(struct str text)
{
    uint64_t number = 0;
    if (text.len != HEX_SIZE - 1)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c >= '0' && c <= '9')
            number = number << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        else
            return 0;
    }
    return number;
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

struct str performer_label_value(struct str text, char to[LABEL_VALUE_SIZE])
{
    enum { HASH_DIGITS = 8, KEPT_MAX = LABEL_VALUE_SIZE - 1 - HASH_DIGITS - 1 };
    size_t len = 0;
    if (text.len == 0)
        return STR("");
    if (format_is_valid(FORMAT_LABEL_VALUE, text)) {
        memcpy(to, text.ptr, text.len);
        return (struct str){to, text.len};
    }
    for (size_t i = 0; i < text.len && len < KEPT_MAX; i++) {
        if (is_alphanumeric(text.ptr[i]))
            to[len++] = text.ptr[i];
        else if (len > 0 && to[len - 1] != '-')
            to[len++] = '-';
    }
    while (len > 0 && !is_alphanumeric(to[len - 1]))
        len--;
    char hex[HEX_SIZE];
    struct str hash = str_sub(performer_hex(hash_text(&fixed_seed, text), hex), 0, HASH_DIGITS);
    if (len > 0)
        to[len++] = '-';
    memcpy(to + len, hash.ptr, hash.len);
    return (struct str){to, len + hash.len};
}

struct str performer_pod_name(struct arena *arena, struct str name, struct str uid,
                              uint64_t revision, int64_t attempt)
{
    enum { HASH_DIGITS = 10 };
    char hex[HEX_SIZE];
    uint64_t hash = mix(mix(hash_text(&fixed_seed, uid), revision), (uint64_t)attempt);
    struct str digits = str_sub(performer_hex(hash, hex), 0, HASH_DIGITS);
    return arena_printf(arena, "performer-%" PRIstr "-%" PRIstr, STR_ARG(name), STR_ARG(digits));
}

struct str performer_service_name(struct arena *arena, struct str name)
{
    return arena_printf(arena, "performer-%" PRIstr, STR_ARG(name));
}

/* ---- Labels ---- */

uint64_t performer_labels_hash(const struct json *labels)
{
    static const struct str ours[] = {
        STR_INIT(LABEL_APP),         STR_INIT(LABEL_MANAGED_BY), STR_INIT(LABEL_PERFORMER),
        STR_INIT(LABEL_AVS),         STR_INIT(LABEL_REVISION),   STR_INIT(LABEL_ATTEMPT),
        STR_INIT(LABEL_RESERVATION),
    };
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        const struct json *label = json_get(labels, ours[i]);
        if (label)
            hash += hash_member(label, false);
    }
    return hash;
}
