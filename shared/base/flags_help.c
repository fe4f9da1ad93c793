/* What a table of flags tells people: the help on a terminal, the reference in Markdown. */
#include "base/flags_value.h"
#include "base/utf8.h"

enum { COLUMNS = 100, TEXT_COLUMN = 30 };

/* The name that the help has for the value of a flag; NULL for an enum, which lists its values. */
static const char *value_name_of(const struct flag *flag)
{
    static const char *const names[] = {
        [FLAG_INT] = "N",
        [FLAG_DURATION] = "DURATION",
        [FLAG_SIZE] = "SIZE",
        [FLAG_STRING] = "TEXT",
    };
    if (flag->value_name || flag->type == FLAG_ENUM)
        return flag->value_name;
    return names[flag->type];
}

/* "--output json|text", "-o, --output FILE". */
static void put_label(struct buf *buf, const struct flag *flag, const char *separator_of_values)
{
    if (flag->short_name)
        buf_printf(buf, "-%c, ", flag->short_name);
    buf_printf(buf, "--%s", flag->name);
    if (flag->type == FLAG_BOOL)
        return;
    const char *value_name = value_name_of(flag);
    if (value_name) {
        buf_printf(buf, " %s", value_name);
        return;
    }
    for (size_t i = 0; flag->values[i]; i++)
        buf_printf(buf, "%s%s", i ? separator_of_values : " ", flag->values[i]);
}

/* The text of a flag with what is possible and, on a terminal, its default. */
static void put_meaning(struct buf *buf, const struct flag *flag, bool with_default)
{
    buf_put(buf, str_from_cstr(flag->text));
    const char *separator = " (";
    if (flag->required) {
        buf_printf(buf, "%srequired", separator);
        separator = "; ";
    }
    if (flag_has_range(flag)) {
        char range[FLAG_RANGE_SIZE];
        flag_print_range(flag, range);
        buf_printf(buf, "%s%s", separator, range);
        separator = "; ";
    }
    if (with_default && flag->default_text) {
        buf_printf(buf, "%sdefault %s", separator, flag->default_text);
        separator = "; ";
    }
    if (separator[0] == ';')
        buf_put(buf, STR(")"));
}

/* Words, wrapped; `column` is where the line stands now, `indent` where the next ones begin. */
static void put_wrapped(struct buf *buf, struct str text, size_t column, size_t indent)
{
    bool first_of_line = true;
    while (text.len > 0) {
        struct str word;
        str_cut(text, ' ', &word, &text);
        size_t width = utf8_count(word);
        if (!first_of_line && column + 1 + width > COLUMNS) {
            buf_printf(buf, "\n%*s", (int)indent, "");
            column = indent;
            first_of_line = true;
        }
        buf_printf(buf, "%s%" PRIstr, first_of_line ? "" : " ", STR_ARG(word));
        column += width + !first_of_line;
        first_of_line = false;
    }
    buf_put(buf, STR("\n"));
}

/* A label, and its text in the second column. */
static void put_row(struct buf *buf, struct str label, struct str text)
{
    size_t width = 2 + utf8_count(label);
    buf_printf(buf, "  %" PRIstr, STR_ARG(label));
    if (width + 2 > TEXT_COLUMN)
        buf_printf(buf, "\n%*s", TEXT_COLUMN, "");
    else
        buf_printf(buf, "%*s", (int)(TEXT_COLUMN - width), "");
    put_wrapped(buf, text, TEXT_COLUMN, TEXT_COLUMN);
}

static void put_flag(struct buf *buf, const struct flag *flag)
{
    struct buf label, meaning;
    buf_init(&label, buf->mem, buf->max);
    buf_init(&meaning, buf->mem, buf->max);
    put_label(&label, flag, "|");
    put_meaning(&meaning, flag, true);
    put_row(buf, buf_str(&label), buf_str(&meaning));
    buf->failed = buf->failed || buf_failed(&label) || buf_failed(&meaning);
    buf_done(&label);
    buf_done(&meaning);
}

static void put_usage(struct buf *buf, const struct flag_program *program,
                      const struct flag_command *command, const char *lead)
{
    bool is_default = command == program->commands;
    buf_printf(buf, "%s%s %s%s%s", lead, program->name, is_default ? "[" : "", command->name,
               is_default ? "]" : "");
    if (command->flag_count + program->flag_count > 0)
        buf_put(buf, STR(" [FLAG]…"));
    if (command->max_arguments > 0)
        buf_printf(buf, command->min_arguments > 0 ? " %s%s" : " [%s]%s", command->argument_name,
                   command->max_arguments > 1 ? "…" : "");
}

static void put_command(struct buf *buf, const struct flag_program *program,
                        const struct flag_command *command)
{
    buf_printf(buf, "\n%s%s:\n  ", command->name,
               command == program->commands ? " (the default)" : "");
    put_wrapped(buf, str_from_cstr(command->text), 2, 2);
    for (size_t i = 0; i < command->flag_count; i++)
        put_flag(buf, &command->flags[i]);
}

void flags_write_help(const struct flag_program *program, const struct flag_command *command,
                      struct buf *buf)
{
    const struct flag_command *first = command ? command : program->commands;
    size_t count = command ? 1 : program->command_count;
    put_wrapped(buf, str_from_cstr(program->text), 0, 0);
    buf_put(buf, STR("\n"));
    for (size_t i = 0; i < count; i++) {
        put_usage(buf, program, &first[i], i == 0 ? "Usage: " : "       ");
        buf_put(buf, STR("\n"));
    }
    for (size_t i = 0; i < count; i++)
        put_command(buf, program, &first[i]);
    buf_put(buf, STR("\nEverywhere:\n"));
    for (size_t i = 0; i < program->flag_count; i++)
        put_flag(buf, &program->flags[i]);
    put_row(buf, STR("-h, --help"), STR("Shows this text."));
}

/* Text inside a cell of a table, where a bar would end the cell. */
static void put_cell(struct buf *buf, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '|')
            buf_put_char(buf, '\\');
        buf_put_char(buf, text.ptr[i]);
    }
}

static void put_flag_table(struct buf *buf, const struct flag *flags, size_t count)
{
    if (count > 0)
        buf_put(buf, STR("\n| Flag | Default | Meaning |\n|---|---|---|\n"));
    for (size_t i = 0; i < count; i++) {
        struct buf meaning;
        buf_init(&meaning, buf->mem, buf->max);
        put_meaning(&meaning, &flags[i], false);
        buf_put(buf, STR("| `"));
        put_label(buf, &flags[i], "\\|");
        buf_put(buf, STR("` | "));
        if (flags[i].default_text)
            buf_printf(buf, "`%s`", flags[i].default_text);
        buf_put(buf, STR(" | "));
        put_cell(buf, buf_str(&meaning));
        buf_put(buf, STR(" |\n"));
        buf->failed = buf->failed || buf_failed(&meaning);
        buf_done(&meaning);
    }
}

void flags_write_markdown(const struct flag_program *program, struct buf *buf)
{
    for (size_t i = 0; i < program->command_count; i++) {
        const struct flag_command *command = &program->commands[i];
        put_usage(buf, program, command, i == 0 ? "## `" : "\n## `");
        buf_printf(buf, "`\n\n%s\n", command->text);
        put_flag_table(buf, command->flags, command->flag_count);
    }
    if (program->flag_count > 0)
        buf_printf(buf, "\n## Flags of every command of `%s`\n", program->name);
    put_flag_table(buf, program->flags, program->flag_count);
}
