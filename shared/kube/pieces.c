/* Cutting streamed answers into JSON texts: a state machine over bytes. */
#include "kube/pieces.h"

/* A buffer up to this size is kept from one piece to the next. */
enum { KEEP_MAX = 32 * 1024 };

enum {
    LIST_START,
    LIST_KEY_OR_END,
    LIST_KEY,
    LIST_COLON,
    LIST_VALUE,
    LIST_ITEM_OR_END,
    LIST_IN_SCALAR, /* number, true, false, null: ends before a delimiter */
    LIST_IN_VALUE,  /* string, object, array: ends with its last byte */
    LIST_AFTER_ITEM,
    LIST_AFTER_VALUE,
    LIST_END,
};

void pieces_init(struct pieces *pieces, const struct mem *mem, size_t max,
                 int (*take)(void *ctx, enum piece_kind kind, struct str text), void *ctx)
{
    *pieces = (struct pieces){.take = take, .ctx = ctx};
    buf_init(&pieces->buf, mem, max);
}

void pieces_done(struct pieces *pieces)
{
    buf_done(&pieces->buf);
}

static void forget_piece(struct pieces *pieces)
{
    if (pieces->buf.cap > KEEP_MAX)
        buf_done(&pieces->buf);
    else
        buf_clear(&pieces->buf);
    pieces->is_too_large = false;
}

void pieces_begin(struct pieces *pieces, enum pieces_mode mode)
{
    forget_piece(pieces);
    pieces->mode = mode;
    pieces->state = LIST_START;
    pieces->in_string = pieces->is_escaped = false;
}

bool pieces_is_whole(const struct pieces *pieces)
{
    if (pieces->mode == PIECES_OF_LIST)
        return pieces->state == LIST_END;
    return pieces->buf.len == 0 && !pieces->is_too_large;
}

/* ---- Pieces ---- */

static int keep(struct pieces *pieces, struct str part)
{
    if (pieces->is_too_large || part.len > pieces->buf.max - pieces->buf.len) {
        pieces->is_too_large = true;
        buf_done(&pieces->buf);
        return 0;
    }
    buf_put(&pieces->buf, part);
    return buf_failed(&pieces->buf) ? PIECES_NO_MEMORY : 0;
}

/* The piece ends with `part`. One that came in one part is not copied. */
static int give(struct pieces *pieces, enum piece_kind kind, struct str part)
{
    struct str text = part;
    if (pieces->buf.len > 0 || pieces->is_too_large || part.len > pieces->buf.max) {
        int result = keep(pieces, part);
        if (result < 0)
            return result;
        text = pieces->is_too_large ? (struct str){NULL, 0} : buf_str(&pieces->buf);
    }
    int result = pieces->take(pieces->ctx, kind, text);
    forget_piece(pieces);
    return result < 0 ? result : 0;
}

/* ---- Lines ---- */

static int put_lines(struct pieces *pieces, struct str part)
{
    while (part.len > 0) {
        ptrdiff_t end = str_find(part, '\n');
        if (end < 0)
            return keep(pieces, part);
        struct str line = str_sub(part, 0, (size_t)end);
        bool is_empty = line.len == 0 && pieces->buf.len == 0 && !pieces->is_too_large;
        int result = is_empty ? 0 : give(pieces, PIECE_LINE, line);
        if (result < 0)
            return result;
        part = str_sub(part, (size_t)end + 1, part.len);
    }
    return 0;
}

/* ---- Lists ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_delimiter(char c)
{
    return is_blank(c) || c == ',' || c == ']' || c == '}';
}

/* A byte of a value in brackets or quotes; true when it is the last one. */
static bool pass_byte(struct pieces *pieces, char c)
{
    if (pieces->in_string) {
        if (pieces->is_escaped)
            pieces->is_escaped = false;
        else if (c == '\\')
            pieces->is_escaped = true;
        else if (c == '"')
            pieces->in_string = false;
        return !pieces->in_string && pieces->depth == 0;
    }
    if (c == '"')
        pieces->in_string = true;
    else if (c == '{' || c == '[')
        pieces->depth++;
    else if (c == '}' || c == ']')
        pieces->depth--;
    return !pieces->in_string && pieces->depth == 0;
}

static bool key_is(const struct pieces *pieces, const char *name)
{
    return str_eq_cstr((struct str){pieces->key, pieces->key_len}, name);
}

/* A key with escapes or one that is cut is none of those that are looked for. */
static void pass_key_byte(struct pieces *pieces, char c)
{
    if (!pieces->is_escaped && c == '"') {
        pieces->state = LIST_COLON;
        return;
    }
    pieces->is_escaped = !pieces->is_escaped && c == '\\';
    if (pieces->key_len < sizeof(pieces->key))
        pieces->key[pieces->key_len++] = c;
}

/* `c` is its first byte, which is still to be passed. */
static void begin_value(struct pieces *pieces, char c, bool is_kept, enum piece_kind kind)
{
    pieces->is_kept = is_kept;
    pieces->kind = kind;
    pieces->depth = 0;
    pieces->state = c == '{' || c == '[' || c == '"' ? LIST_IN_VALUE : LIST_IN_SCALAR;
}

static bool is_in_value(const struct pieces *pieces)
{
    return pieces->state == LIST_IN_VALUE || pieces->state == LIST_IN_SCALAR;
}

static void begin_member(struct pieces *pieces, char c)
{
    if (c == '[' && key_is(pieces, "items"))
        pieces->state = LIST_ITEM_OR_END;
    else
        begin_value(pieces, c, c == '{' && key_is(pieces, "metadata"), PIECE_METADATA);
}

/* A byte outside of values, or the first one of a value. False when it may not be there. */
static bool step(struct pieces *pieces, char c)
{
    if (pieces->state == LIST_KEY) {
        pass_key_byte(pieces, c);
        return true;
    }
    if (is_blank(c))
        return true;
    switch (pieces->state) {
    case LIST_START:
        pieces->state = LIST_KEY_OR_END;
        return c == '{';
    case LIST_KEY_OR_END:
        pieces->key_len = 0;
        pieces->state = c == '"' ? LIST_KEY : LIST_END;
        return c == '"' || c == '}';
    case LIST_COLON:
        pieces->state = LIST_VALUE;
        return c == ':';
    case LIST_VALUE:
        begin_member(pieces, c);
        return !is_delimiter(c);
    case LIST_ITEM_OR_END:
        if (c == ']')
            pieces->state = LIST_AFTER_VALUE;
        else
            begin_value(pieces, c, true, PIECE_ITEM);
        return c == ']' || c == '{';
    case LIST_AFTER_ITEM:
        pieces->state = c == ']' ? LIST_AFTER_VALUE : LIST_ITEM_OR_END;
        return c == ']' || c == ',';
    case LIST_AFTER_VALUE:
        pieces->state = c == '}' ? LIST_END : LIST_KEY_OR_END;
        return c == '}' || c == ',';
    default:
        return false;
    }
}

/* Passes bytes of the value that `part` goes on with. Returns how many, with the sign turned for an
 * error. */
static ptrdiff_t pass_value(struct pieces *pieces, struct str part)
{
    bool is_scalar = pieces->state == LIST_IN_SCALAR;
    bool is_over = false;
    size_t i = 0;
    while (i < part.len && !is_over) {
        is_over = is_scalar ? is_delimiter(part.ptr[i]) : pass_byte(pieces, part.ptr[i]);
        i += !(is_scalar && is_over);
    }
    if (is_over)
        pieces->state = pieces->kind == PIECE_ITEM ? LIST_AFTER_ITEM : LIST_AFTER_VALUE;
    if (!pieces->is_kept)
        return (ptrdiff_t)i;
    struct str run = str_sub(part, 0, i);
    int result = is_over ? give(pieces, pieces->kind, run) : keep(pieces, run);
    return result < 0 ? result : (ptrdiff_t)i;
}

static int put_list(struct pieces *pieces, struct str part)
{
    size_t i = 0;
    while (i < part.len) {
        if (!is_in_value(pieces)) {
            if (!step(pieces, part.ptr[i]))
                return PIECES_MALFORMED;
            i += !is_in_value(pieces);
            continue;
        }
        ptrdiff_t passed = pass_value(pieces, str_sub(part, i, part.len));
        if (passed < 0)
            return (int)passed;
        i += (size_t)passed;
    }
    return 0;
}

int pieces_put(struct pieces *pieces, struct str part)
{
    return pieces->mode == PIECES_OF_LIST ? put_list(pieces, part) : put_lines(pieces, part);
}
