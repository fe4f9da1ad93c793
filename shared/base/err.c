/* Errors: one on the caller's stack, or a bounded list of all that is wrong with an object. */
#include "base/err.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <stdio.h>

const char *err_reason_name(enum err_reason reason)
{
    static const char *const names[] = {
        [ERR_INVALID] = "FieldValueInvalid",     [ERR_REQUIRED] = "FieldValueRequired",
        [ERR_DUPLICATE] = "FieldValueDuplicate", [ERR_NOT_SUPPORTED] = "FieldValueNotSupported",
        [ERR_FORBIDDEN] = "FieldValueForbidden", [ERR_TOO_LONG] = "FieldValueTooLong",
        [ERR_TOO_MANY] = "FieldValueTooMany",    [ERR_TYPE] = "FieldValueTypeInvalid",
        [ERR_NOT_FOUND] = "FieldValueNotFound",
    };
    return names[reason];
}

/* Ends a text that did not fit with an ellipsis, without cutting a UTF-8 character in two. */
static void mark_cut(char *text, size_t size)
{
    static const char ellipsis[] = "…";
    size_t end = size - sizeof(ellipsis);
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    memcpy(text + end, ellipsis, sizeof(ellipsis));
}

__attribute__((format(printf, 3, 0))) static void format_message(char *to, size_t size,
                                                                 const char *fmt, va_list args)
{
    int n = vsnprintf(to, size, fmt, args);
    if (n < 0)
        to[0] = '\0';
    else if ((size_t)n >= size)
        mark_cut(to, size);
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    /* Formatted apart: the arguments may point into the old message. */
    struct err new = {.code = code, .reason = ERR_INVALID};
    va_list args;
    va_start(args, fmt);
    format_message(new.message, sizeof(new.message), fmt, args);
    va_end(args);
    *err = new;
    return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    char inner[ERR_MESSAGE_MAX];
    memcpy(inner, err->message, sizeof(inner));
    char context[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    format_message(context, sizeof(context), fmt, args);
    va_end(args);
    int n = snprintf(err->message, sizeof(err->message), "%s: %s", context, inner);
    if (n >= 0 && (size_t)n >= sizeof(err->message))
        mark_cut(err->message, sizeof(err->message));
    return -1;
}

int err_no_memory(struct err *err, const char *doing)
{
    return err_set(err, 507, "%s: out of memory, or more than the limit for one request", doing);
}

static bool is_plain_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        if (!plain)
            return false;
    }
    return name.len > 0;
}

/* Enough for a level of any depth that the JSON reader lets through, so that a path is lost only when
 * there is no memory. */
enum { KEY_SHOWN_MAX = 320, PATH_MAX_BYTES = 64 * (KEY_SHOWN_MAX + 8) };

static void print_key(struct str key, struct buf *buf)
{
    struct str shown = utf8_cut(key, KEY_SHOWN_MAX);
    const char *cut = shown.len < key.len ? "…" : "";
    if (is_plain_name(key))
        buf_printf(buf, "%s%" PRIstr "%s", buf->len ? "." : "", STR_ARG(shown), cut);
    else
        buf_printf(buf, "[\"%" PRIstr "%s\"]", STR_ARG(shown), cut);
}

static void print_level(const struct path *path, struct buf *buf)
{
    if (path->parent)
        print_level(path->parent, buf);
    if (!str_is_set(path->name))
        buf_printf(buf, "[%zu]", path->index);
    else
        print_key(path->name, buf);
}

/* For whoever prints lines, and for warnings, which the apiserver drops for one such character (HTTP headers). */
static void hide_controls(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7F)
            text[i] = '?';
    }
}

struct str path_print(const struct path *path, struct arena *arena)
{
    if (!path)
        return STR("");
    struct buf buf;
    buf_init(&buf, arena_mem(arena), PATH_MAX_BYTES);
    print_level(path, &buf);
    hide_controls(buf.ptr, buf.len);
    return buf_failed(&buf) ? (struct str){NULL, 0} : buf_str(&buf);
}

void err_list_init(struct err_list *list, struct arena *arena, size_t max)
{
    *list = (struct err_list){.arena = arena, .max = max};
    list->last = &list->first;
}

void err_list_add_text(struct err_list *list, struct str field, uint32_t line,
                       enum err_reason reason, struct str message)
{
    if (err_list_is_full(list)) {
        list->dropped++;
        return;
    }
    struct err_item *item = ARENA_NEW(list->arena, struct err_item);
    if (!item || !str_is_set(field) || !str_is_set(message)) {
        list->out_of_memory = true;
        return;
    }
    *item = (struct err_item){.reason = reason, .line = line, .field = field, .message = message};
    *list->last = item;
    list->last = &item->next;
    list->count++;
}

void err_list_add(struct err_list *list, const struct path *path, uint32_t line,
                  enum err_reason reason, const char *fmt, ...)
{
    if (err_list_is_full(list)) {
        list->dropped++;
        return;
    }
    char message[2048];
    va_list args;
    va_start(args, fmt);
    format_message(message, sizeof(message), fmt, args);
    va_end(args);
    hide_controls(message, strlen(message));
    err_list_add_text(list, path_print(path, list->arena), line, reason,
                      arena_copy(list->arena, str_from_cstr(message)));
}
