/* The parser of conditions: one token ahead, one function per rule of the grammar in when.h. */
#include "policy/when_lex.h"
#include "policy/when_tree.h"

#include "base/utf8.h"

struct parser {
    struct when_lexer lexer;
    struct when_token token; /* the next one */
    const struct scope *scope;
    unsigned depth; /* of open parentheses */
};

static struct when *parse_chain(struct parser *parser, enum when_kind kind);

/* ---- Tokens ---- */

static bool advance(struct parser *parser)
{
    return when_lex(&parser->lexer, &parser->token) == 0;
}

static bool is_word(const struct parser *parser, const char *word)
{
    return parser->token.kind == WHEN_TOKEN_WORD && str_eq_cstr(parser->token.text, word);
}

static bool is_comparison(const struct parser *parser)
{
    return parser->token.kind >= WHEN_TOKEN_EQ;
}

/* ---- Errors ---- */

/* NULL, after raising an error at the next token. */
#define FAIL(parser, ...) (when_fail(&(parser)->lexer, (parser)->token.at, __VA_ARGS__), NULL)

enum { SHOWN_MAX = 63 };

static void *fail_expected(struct parser *parser, const char *expected)
{
    struct str text = parser->token.text;
    if (parser->token.kind == WHEN_TOKEN_END)
        return FAIL(parser, "expected %s, but the condition ends here", expected);
    const char *hint = "";
    if (is_word(parser, "and") || is_word(parser, "AND"))
        hint = "; \"and\" is &&";
    if (is_word(parser, "or") || is_word(parser, "OR"))
        hint = "; \"or\" is ||";
    if (is_comparison(parser))
        hint = "; comparisons in a row need && or parentheses";
    return FAIL(parser, "expected %s, not \"%" PRIstr "%s\"%s", expected,
                STR_ARG(utf8_cut(text, SHOWN_MAX)), text.len > SHOWN_MAX ? "…" : "", hint);
}

/* A word that is not of the language: a slip, or a text without quotes. */
static void *fail_word(struct parser *parser)
{
    static const struct str known[] = {
        STR_INIT("steps"), STR_INIT("parameters"), STR_INIT("true"),
        STR_INIT("false"), STR_INIT("always"),     STR_INIT("never"),
    };
    struct str word = parser->token.text, shown = utf8_cut(word, SHOWN_MAX), first, rest;
    if (is_word(parser, "not"))
        return FAIL(parser, "\"not\" has no meaning here; it is written !");
    for (size_t i = 0; i < scope_phase_count; i++) {
        if (str_eq(word, scope_phases[i]))
            return FAIL(parser, "\"%" PRIstr "\" is text and needs quotes: '%" PRIstr "'",
                        STR_ARG(word), STR_ARG(word));
    }
    if (word.ptr[0] == '.')
        word = str_sub(word, 1, word.len);
    str_cut(word, '.', &first, &rest);
    struct str near = str_nearest(first, known, sizeof(known) / sizeof(known[0]));
    if (near.ptr)
        return FAIL(
            parser,
            "\"%" PRIstr "\" has no meaning here; did you mean \"%" PRIstr "%s%" PRIstr "\"?",
            STR_ARG(shown), STR_ARG(near), rest.ptr ? "." : "", STR_ARG(utf8_cut(rest, SHOWN_MAX)));
    return FAIL(parser,
                "\"%" PRIstr "\" has no meaning here; text needs quotes ('prod'), and values are "
                "parameters.NAME, steps.STEP.phase and steps.STEP.outputs.NAME",
                STR_ARG(shown));
}

static void *fail_template(struct parser *parser)
{
    return FAIL(parser, "this template is not supported; conditions are written such as "
                        "steps.STEP.phase == 'Succeeded' or parameters.NAME == 'x'");
}

/* An operand that is no boolean where a condition belongs. */
static void *fail_bare(struct parser *parser, const struct when *operand)
{
    const char *what =
        "a parameter or output is text and no condition by itself; compare it, such as "
        "parameters.NAME == 'true'";
    if (operand->kind == WHEN_NUMBER)
        what = "a number is no condition by itself; compare it with something";
    else if (operand->kind == WHEN_STRING)
        what = "a string is no condition by itself; compare it with something";
    else if (operand->ref.kind == SCOPE_PHASE)
        what = "a phase is no condition by itself; compare it, such as steps.STEP.phase == "
               "'Succeeded'";
    when_fail(&parser->lexer, operand->at, "%s", what);
    return NULL;
}

/* ---- Nodes ---- */

static struct when *new_node(struct parser *parser, enum when_kind kind, uint32_t at)
{
    struct when *node = ARENA_NEW(parser->lexer.arena, struct when);
    if (!node) {
        err_no_memory(parser->lexer.err, "reading a condition");
        return NULL;
    }
    node->kind = kind;
    node->at = at;
    return node;
}

/* A comparison whose operands have been read. */
static struct when *new_comparison(struct parser *parser, enum when_kind kind, uint32_t at,
                                   struct when *left, struct when *right)
{
    struct when *node = new_node(parser, kind, at);
    if (!node)
        return NULL;
    node->first = left;
    left->next = right;
    uint32_t wrong_at;
    const char *wrong = when_check(node, &wrong_at);
    if (wrong) {
        when_fail(&parser->lexer, wrong_at, "%s", wrong);
        return NULL;
    }
    return node;
}

/* ---- Operands ---- */

/* The reference that the next token is, from `text` on, which is its end. */
static struct when *parse_ref(struct parser *parser, struct str text)
{
    struct when_lexer *lexer = &parser->lexer;
    struct scope_ref ref;
    struct str wrong;
    if (scope_read(text, parser->scope, &ref, &wrong, lexer->err) < 0 ||
        scope_check(parser->scope, &ref, &wrong, lexer->err) < 0) {
        when_fail(lexer, (size_t)(wrong.ptr - lexer->text.ptr), "%s", lexer->err->message);
        return NULL;
    }
    struct when *node = new_node(parser, WHEN_REF, parser->token.at);
    if (!node || !advance(parser))
        return NULL;
    node->ref = ref;
    return node;
}

static bool is_ref(struct str word)
{
    return str_starts_with(word, STR("steps.")) || str_starts_with(word, STR("parameters.")) ||
           str_eq(word, STR("steps")) || str_eq(word, STR("parameters"));
}

static struct when *parse_word(struct parser *parser)
{
    bool is_true = is_word(parser, "true") || is_word(parser, "always");
    if (is_true || is_word(parser, "false") || is_word(parser, "never")) {
        struct when *node = new_node(parser, WHEN_BOOLEAN, parser->token.at);
        if (!node || !advance(parser))
            return NULL;
        node->boolean = is_true;
        return node;
    }
    if (is_ref(parser->token.text))
        return parse_ref(parser, parser->token.text);
    return fail_word(parser);
}

static struct when *parse_literal(struct parser *parser)
{
    bool is_string = parser->token.kind == WHEN_TOKEN_STRING;
    struct when *node = new_node(parser, is_string ? WHEN_STRING : WHEN_NUMBER, parser->token.at);
    if (!node)
        return NULL;
    node->text = is_string ? parser->token.value : parser->token.text;
    return advance(parser) ? node : NULL;
}

static struct when *parse_parentheses(struct parser *parser)
{
    if (parser->depth == WHEN_DEPTH_MAX)
        return FAIL(parser, "more than %d parentheses inside of each other", WHEN_DEPTH_MAX);
    parser->depth++;
    if (!advance(parser))
        return NULL;
    struct when *node = parse_chain(parser, WHEN_OR);
    if (!node)
        return NULL;
    if (parser->token.kind != WHEN_TOKEN_RIGHT)
        return fail_expected(parser, "\"&&\", \"||\" or \")\"");
    parser->depth--;
    return advance(parser) ? node : NULL;
}

/* ---- Templates ---- */

static bool skip_sign(struct parser *parser, enum when_token_kind sign)
{
    if (parser->token.kind == sign)
        return advance(parser);
    fail_template(parser);
    return false;
}

static bool skip_word(struct parser *parser, const char *word)
{
    if (is_word(parser, word))
        return advance(parser);
    fail_template(parser);
    return false;
}

/* (index .StepStatus "S").Phase */
static struct when *parse_old_phase(struct parser *parser)
{
    struct scope_ref ref = {.kind = SCOPE_PHASE};
    struct str wrong;
    if (!skip_sign(parser, WHEN_TOKEN_LEFT) || !skip_word(parser, "index") ||
        !skip_word(parser, ".StepStatus"))
        return NULL;
    if (parser->token.kind != WHEN_TOKEN_STRING)
        return fail_template(parser);
    ref.step_name = parser->token.value;
    if (scope_check(parser->scope, &ref, &wrong, parser->lexer.err) < 0) {
        when_fail(&parser->lexer, parser->token.at + 1, "%s", parser->lexer.err->message);
        return NULL;
    }
    struct when *node = new_node(parser, WHEN_REF, parser->token.at);
    if (!node || !advance(parser))
        return NULL;
    /* With a blank between the two it would be another argument. */
    if (parser->token.kind == WHEN_TOKEN_RIGHT &&
        str_sub(parser->lexer.text, parser->lexer.at, 1).len > 0 &&
        parser->lexer.text.ptr[parser->lexer.at] != '.')
        return fail_template(parser);
    if (!skip_sign(parser, WHEN_TOKEN_RIGHT) || !skip_word(parser, ".Phase"))
        return NULL;
    node->ref = ref;
    return node;
}

/* {{ eq (index .StepStatus "S").Phase "X" }}, from eq on. */
static struct when *parse_old_comparison(struct parser *parser)
{
    enum when_kind kind = is_word(parser, "eq") ? WHEN_EQ : WHEN_NE;
    uint32_t at = parser->token.at;
    if (!advance(parser))
        return NULL;
    struct when *left = parse_old_phase(parser);
    if (!left)
        return NULL;
    if (parser->token.kind != WHEN_TOKEN_STRING)
        return fail_template(parser);
    struct when *right = parse_literal(parser);
    if (!right || !skip_sign(parser, WHEN_TOKEN_TEMPLATE_END))
        return NULL;
    return new_comparison(parser, kind, at, left, right);
}

static struct when *parse_template(struct parser *parser)
{
    if (!advance(parser))
        return NULL;
    if (is_word(parser, "eq") || is_word(parser, "ne"))
        return parse_old_comparison(parser);
    struct str word = parser->token.text;
    if (str_starts_with(word, STR(".")))
        word = str_sub(word, 1, word.len);
    if (parser->token.kind != WHEN_TOKEN_WORD || !is_ref(word))
        return fail_template(parser);
    uint32_t at = parser->token.at;
    struct when *node = parse_ref(parser, word);
    if (!node)
        return NULL;
    if (node->ref.kind == SCOPE_PHASE) {
        when_fail(&parser->lexer, at, "write a phase without braces: %" PRIstr, STR_ARG(word));
        return NULL;
    }
    return skip_sign(parser, WHEN_TOKEN_TEMPLATE_END) ? node : NULL;
}

static struct when *parse_operand(struct parser *parser)
{
    switch (parser->token.kind) {
    case WHEN_TOKEN_WORD:
        return parse_word(parser);
    case WHEN_TOKEN_NUMBER:
    case WHEN_TOKEN_STRING:
        return parse_literal(parser);
    case WHEN_TOKEN_LEFT:
        return parse_parentheses(parser);
    case WHEN_TOKEN_TEMPLATE:
        return parse_template(parser);
    default:
        return fail_expected(parser, "a value");
    }
}

/* ---- Expressions ---- */

static struct when *parse_comparison(struct parser *parser)
{
    struct when *left = parse_operand(parser);
    if (!left)
        return NULL;
    if (is_comparison(parser)) {
        enum when_kind kind = WHEN_EQ + (parser->token.kind - WHEN_TOKEN_EQ);
        uint32_t at = parser->token.at;
        struct when *right = advance(parser) ? parse_operand(parser) : NULL;
        return right ? new_comparison(parser, kind, at, left, right) : NULL;
    }
    return when_is_boolean(left) ? left : fail_bare(parser, left);
}

static struct when *parse_not(struct parser *parser)
{
    if (parser->token.kind != WHEN_TOKEN_NOT)
        return parse_comparison(parser);
    struct when *node = new_node(parser, WHEN_NOT, parser->token.at);
    if (!node || !advance(parser))
        return NULL;
    node->first = parse_comparison(parser);
    return node->first ? node : NULL;
}

/* Parts with || (kind WHEN_OR) or && (WHEN_AND) between them; a single part is itself. */
static struct when *parse_chain(struct parser *parser, enum when_kind kind)
{
    bool is_or = kind == WHEN_OR;
    struct when *part = is_or ? parse_chain(parser, WHEN_AND) : parse_not(parser);
    enum when_token_kind sign = is_or ? WHEN_TOKEN_OR : WHEN_TOKEN_AND;
    if (!part || parser->token.kind != sign)
        return part;
    struct when *chain = new_node(parser, kind, part->at);
    if (!chain)
        return NULL;
    chain->first = part;
    while (parser->token.kind == sign) {
        if (!advance(parser))
            return NULL;
        part->next = is_or ? parse_chain(parser, WHEN_AND) : parse_not(parser);
        if (!part->next)
            return NULL;
        part = part->next;
    }
    return chain;
}

/* ---- Entry ---- */

static struct str first_word(struct str text)
{
    struct str word = str_trim(text);
    size_t len = 0;
    while (len < word.len && scope_is_name_char(word.ptr[len]))
        len++;
    return str_sub(word, 0, len);
}

/* For an expression that is in {{ … }} as a whole: what is between, else all of `text`. The first
 * "}}" outside of strings must be at the end: {{parameters.a}} == {{parameters.b}} is two
 * operands. */
static struct str strip_braces(struct str text)
{
    struct str all = str_trim(text);
    if (!str_starts_with(all, STR("{{")))
        return text;
    char quote = '\0';
    size_t at = 2;
    for (; at < all.len; at++) {
        char c = all.ptr[at];
        if (quote && c == '\\')
            at++;
        else if (quote)
            quote = c == quote ? '\0' : quote;
        else if (c == '\'' || c == '"')
            quote = c;
        else if (str_starts_with(str_sub(all, at, 2), STR("}}")))
            break;
    }
    if (at + 2 != all.len)
        return text;
    struct str inside = str_sub(all, 2, at - 2), word = first_word(inside);
    /* These are templates with a grammar of their own: parse_template() reads them. */
    if (str_eq(word, STR("eq")) || str_eq(word, STR("ne")))
        return text;
    return inside;
}

const struct when *when_parse(struct arena *arena, struct str text, const struct scope *scope,
                              struct err *err)
{
    if (text.len > WHEN_TEXT_MAX) {
        err_set(err, 422, "the condition has %zu bytes; at most %d are possible", text.len,
                WHEN_TEXT_MAX);
        err->reason = ERR_TOO_LONG;
        return NULL;
    }
    struct str inside = strip_braces(text);
    struct parser parser = {
        .lexer = {.text = text, .arena = arena, .err = err},
        .scope = scope,
    };
    if (str_trim(text).len == 0) {
        struct when *always = new_node(&parser, WHEN_BOOLEAN, 0);
        if (always)
            always->boolean = true;
        return always;
    }
    /* Columns count from the begin of the text, so only its end is moved. */
    if (inside.len < text.len) {
        parser.lexer.at = (size_t)(inside.ptr - text.ptr);
        parser.lexer.text.len = parser.lexer.at + inside.len;
    }
    if (!advance(&parser))
        return NULL;
    struct when *node = parse_chain(&parser, WHEN_OR);
    if (node && parser.token.kind != WHEN_TOKEN_END)
        return fail_expected(&parser, "\"&&\", \"||\" or the end");
    return node;
}
