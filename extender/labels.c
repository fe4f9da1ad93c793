/* Hashing labels, and matching selectors against the hashes. */
#include "extender/labels.h"

#include "base/hash.h"

#include <string.h>

/* Of a selector: the operator, the hash of the key, how many values there are, and the hash of the key with
 * each of them. */
enum { OP_IN, OP_NOT_IN, OP_EXISTS, OP_DOES_NOT_EXIST };

/* What somebody makes to collide would count for the own namespace alone: no secret is needed. */
static const struct hash_seed seed = {{UINT64_C(0x6c6162656c73), 1}};

struct label_hash label_hash_of(struct str key, struct str value)
{
    return (struct label_hash){.key = (uint32_t)hash_text(&seed, key),
                               .pair = (uint32_t)hash_pair(&seed, key, value)};
}

void label_hashes_put(struct buf *to, const struct json *labels)
{
    JSON_EACH (label, labels) {
        struct label_hash hash = label_hash_of(json_key(label), json_str(label));
        buf_put(to, (struct str){(const char *)&hash, sizeof(hash)});
    }
}

/* ---- Selectors ---- */

static void put_word(struct buf *to, uint32_t word)
{
    buf_put(to, (struct str){(const char *)&word, sizeof(word)});
}

static bool put_expression(struct buf *to, const struct json *expression)
{
    static const struct str names[] = {
        [OP_IN] = STR_INIT("In"),
        [OP_NOT_IN] = STR_INIT("NotIn"),
        [OP_EXISTS] = STR_INIT("Exists"),
        [OP_DOES_NOT_EXIST] = STR_INIT("DoesNotExist"),
    };
    struct str key = json_str(json_get(expression, STR("key")));
    struct str name = json_str(json_get(expression, STR("operator")));
    const struct json *values = json_get(expression, STR("values"));
    uint32_t op = 0, count = 0;
    while (op < sizeof(names) / sizeof(names[0]) && !str_eq(names[op], name))
        op++;
    if (op == sizeof(names) / sizeof(names[0]) || key.len == 0)
        return false;
    JSON_EACH (value, values)
        count += value != NULL;
    put_word(to, op);
    put_word(to, label_hash_of(key, STR("")).key);
    put_word(to, count);
    JSON_EACH (one, values)
        put_word(to, label_hash_of(key, json_str(one)).pair);
    return (op == OP_IN || op == OP_NOT_IN) == (count > 0);
}

bool label_selector_put(struct buf *to, const struct json *selector)
{
    bool is_good = json_is(selector, JSON_OBJECT);
    JSON_EACH (label, json_get(selector, STR("matchLabels"))) {
        struct label_hash hash = label_hash_of(json_key(label), json_str(label));
        put_word(to, OP_IN);
        put_word(to, hash.key);
        put_word(to, 1);
        put_word(to, hash.pair);
    }
    JSON_EACH (expression, json_get(selector, STR("matchExpressions")))
        is_good = put_expression(to, expression) && is_good;
    return is_good && !buf_failed(to);
}

/* ---- Matching ---- */

/* The texts of a cache are not aligned. */
static uint32_t word_at(struct str words, size_t i)
{
    uint32_t word;
    memcpy(&word, words.ptr + i * sizeof(word), sizeof(word));
    return word;
}

static bool has_key(struct str hashes, uint32_t key)
{
    for (size_t i = 0; i < hashes.len / sizeof(uint32_t); i += 2) {
        if (word_at(hashes, i) == key)
            return true;
    }
    return false;
}

static bool has_pair(struct str hashes, uint32_t pair)
{
    for (size_t i = 1; i < hashes.len / sizeof(uint32_t); i += 2) {
        if (word_at(hashes, i) == pair)
            return true;
    }
    return false;
}

static bool has_one_of(struct str hashes, struct str selector, size_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (has_pair(hashes, word_at(selector, first + i)))
            return true;
    }
    return false;
}

bool label_selector_matches(struct str selector, struct str hashes)
{
    enum { HEAD = 3 };
    size_t words = selector.len / sizeof(uint32_t);
    for (size_t at = 0; at + HEAD <= words;) {
        uint32_t op = word_at(selector, at), key = word_at(selector, at + 1);
        uint32_t count = word_at(selector, at + 2);
        bool has = op == OP_IN || op == OP_NOT_IN ? has_one_of(hashes, selector, at + HEAD, count)
                                                  : has_key(hashes, key);
        if (has != (op == OP_IN || op == OP_EXISTS))
            return false;
        at += HEAD + count;
    }
    return true;
}
