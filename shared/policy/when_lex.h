/* Words, numbers, strings and signs of a condition: private to the files when*.c. */
#ifndef POLICY_WHEN_LEX_H
#define POLICY_WHEN_LEX_H

#include "policy/when.h"

enum when_token_kind {
    WHEN_TOKEN_END,
    WHEN_TOKEN_WORD, /* name characters, not beginning with a digit: a keyword or a reference */
    WHEN_TOKEN_NUMBER,
    WHEN_TOKEN_STRING,
    WHEN_TOKEN_LEFT,     /* ( */
    WHEN_TOKEN_RIGHT,    /* ) */
    WHEN_TOKEN_TEMPLATE, /* {{ */
    WHEN_TOKEN_TEMPLATE_END,
    WHEN_TOKEN_AND,
    WHEN_TOKEN_OR,
    WHEN_TOKEN_NOT,
    WHEN_TOKEN_EQ, /* comparisons: in the order of enum when_kind */
    WHEN_TOKEN_NE,
    WHEN_TOKEN_LT,
    WHEN_TOKEN_LE,
    WHEN_TOKEN_GT,
    WHEN_TOKEN_GE,
};

struct when_token {
    enum when_token_kind kind;
    uint32_t at;      /* offset in the text */
    struct str text;  /* as written */
    struct str value; /* of a string: without quotes and escapes */
};

struct when_lexer {
    struct str text;
    size_t at; /* where the next token is looked for */
    struct arena *arena;
    struct err *err;
};

/* 0, or -1 with the error raised. */
int when_lex(struct when_lexer *lexer, struct when_token *ret);

/* Raises an error (422) that begins with the column of the offset `at`. Returns -1. */
int when_fail(const struct when_lexer *lexer, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

#endif
