/*
 * Cuts what the API server sends into JSON texts while it arrives, so that a list of many megabytes never
 * takes more memory than its largest object: the lines of a watch, or the items of a list.
 * Private to this folder.
 *
 *   {"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[{"metadata":…},{"metadata":…}]}
 *                                ▲ PIECE_METADATA        ▲          ▲ PIECE_ITEM, each ▲
 *
 * Only what is between the pieces is checked here, and a comma too many is let pass; whether a piece is
 * JSON finds out who reads it.
 */
#ifndef KUBE_PIECES_H
#define KUBE_PIECES_H

#include "base/buf.h"

enum piece_kind {
    PIECE_LINE, /* without its end; empty ones are passed over */
    PIECE_ITEM,
    PIECE_METADATA, /* of the list; before or behind the items */
};

enum pieces_mode { PIECES_OF_WATCH, PIECES_OF_LIST };

/* Beside what the callback returned. */
enum { PIECES_MALFORMED = -100, PIECES_NO_MEMORY = -101 };

struct pieces {
    struct buf buf; /* the piece that is not whole yet */
    int (*take)(void *ctx, enum piece_kind kind, struct str text);
    void *ctx;
    enum pieces_mode mode;
    unsigned state; /* of a list: what comes next */
    size_t depth;   /* of brackets in the value that is being passed */
    char key[16];   /* of the member of the list; cut */
    size_t key_len;
    enum piece_kind kind; /* of the piece */
    bool is_kept;         /* the value is a piece */
    bool is_too_large;
    bool in_string;
    bool is_escaped; /* the byte before was a backslash in a string */
};

/* `take` gets each piece, with an absent text when it is larger than `max`; a negative result ends
 * pieces_put(). The text is valid in the call. */
void pieces_init(struct pieces *pieces, const struct mem *mem, size_t max,
                 int (*take)(void *ctx, enum piece_kind kind, struct str text), void *ctx);
/* Accepts a zeroed one. */
void pieces_done(struct pieces *pieces);
/* Before each answer of the server. Memory beyond that of ordinary objects is given back. */
void pieces_begin(struct pieces *pieces, enum pieces_mode mode);
/* The next part of the answer. 0, or the negative result of `take`, PIECES_MALFORMED, PIECES_NO_MEMORY;
 * after that only pieces_begin() is allowed. */
int pieces_put(struct pieces *pieces, struct str part);
/* Nothing is missing at the end. */
bool pieces_is_whole(const struct pieces *pieces);

#endif
