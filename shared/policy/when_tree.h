/*
 * The parsed form of a condition: private to the files when*.c and their tests.
 *
 *     a == 'x' && !b || c          or ── first ──▶ and ── next ──▶ c
 *                                                   │ first
 *                                                   ▼
 *                                                  == ── next ──▶ not ── first ──▶ b
 *                                                   │ first
 *                                                   ▼
 *                                                   a ── next ──▶ 'x'
 *
 * A level of parentheses adds at most four to the depth: && and || hold any number of parts.
 */
#ifndef POLICY_WHEN_TREE_H
#define POLICY_WHEN_TREE_H

#include "policy/when.h"

enum when_kind {
    WHEN_OR, /* two or more parts from `first` on */
    WHEN_AND,
    WHEN_NOT, /* one part */
    WHEN_EQ,  /* comparisons: two operands */
    WHEN_NE,
    WHEN_LT,
    WHEN_LE,
    WHEN_GT,
    WHEN_GE,
    WHEN_BOOLEAN,
    WHEN_NUMBER,
    WHEN_STRING,
    WHEN_REF,
};

struct when {
    enum when_kind kind;
    uint32_t at; /* offset in the text: of an operand its begin, of a comparison its operator */
    struct when *next;
    union {
        struct when *first;
        bool boolean;
        struct str text; /* a number as written, a string without quotes and escapes */
        struct scope_ref ref;
    };
};

static inline bool when_is_comparison(enum when_kind kind)
{
    return kind >= WHEN_EQ && kind <= WHEN_GE;
}

/* <, <=, > and >=. */
static inline bool when_is_ordering(enum when_kind kind)
{
    return kind >= WHEN_LT && kind <= WHEN_GE;
}

/* True for a node that is a boolean: all but numbers, strings and references. */
static inline bool when_is_boolean(const struct when *node)
{
    return node->kind <= WHEN_BOOLEAN;
}

/* Whether the two operands of a comparison may be compared so: NULL, or what is wrong in words that
 * follow a column; *ret_at is then the offset that is meant. */
const char *when_check(const struct when *comparison, uint32_t *ret_at);

#endif
