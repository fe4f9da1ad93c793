/* Reading a command line. */
#include "base/flags.h"

#include "base/flags_value.h"

struct parser {
    const struct flag_program *program;
    const struct flag_command *command;
    char *options;
    char **argv;
    size_t argc;
    size_t next;         /* of argv */
    size_t argument_end; /* the arguments are kept in argv[1] up to here */
    bool given[FLAGS_MAX];
};

static struct str name_of(const struct flag *flag)
{
    return str_from_cstr(flag->name);
}

/* The flags of the command and then those of the program, as one list; NULL behind its end. */
static const struct flag *flag_at(const struct flag_program *program,
                                  const struct flag_command *command, size_t i)
{
    if (i >= FLAGS_MAX)
        return NULL;
    if (i < command->flag_count)
        return &command->flags[i];
    i -= command->flag_count;
    return i < program->flag_count ? &program->flags[i] : NULL;
}

static const struct flag_command *find_command(const struct flag_program *program, const char *name)
{
    for (size_t i = 0; i < program->command_count; i++) {
        if (strcmp(program->commands[i].name, name) == 0)
            return &program->commands[i];
    }
    return NULL;
}

/* The place of a flag in the list of flag_at(); -1 when there is none of that name. */
static ptrdiff_t find_flag(const struct parser *p, struct str name, char short_name)
{
    const struct flag *flag;
    for (size_t i = 0; (flag = flag_at(p->program, p->command, i)); i++) {
        if (short_name ? flag->short_name == short_name : str_eq(name_of(flag), name))
            return (ptrdiff_t)i;
    }
    return -1;
}

static int fail_unknown_flag(const struct parser *p, const char *given, struct err *err)
{
    struct str shown, value, names[FLAGS_MAX];
    str_cut(str_from_cstr(given), '=', &shown, &value);
    struct str bare = str_sub(shown, shown.len > 1 && shown.ptr[1] == '-' ? 2 : 1, shown.len);
    size_t count = 0;
    const struct flag *flag;
    for (size_t i = 0; (flag = flag_at(p->program, p->command, i)); i++)
        names[count++] = name_of(flag);
    struct str nearest = str_nearest(bare, names, count);
    if (str_is_set(nearest))
        return err_set(err, 400, "unknown flag %" PRIstr "; did you mean --%" PRIstr "?",
                       STR_ARG(shown), STR_ARG(nearest));
    for (size_t i = 0; i < p->program->command_count; i++) {
        const struct flag_command *other = &p->program->commands[i];
        for (size_t j = 0; j < other->flag_count; j++) {
            if (str_eq(name_of(&other->flags[j]), bare))
                return err_set(err, 400, "%" PRIstr " is a flag of the command %s, not of %s",
                               STR_ARG(shown), other->name, p->command->name);
        }
    }
    return err_set(err, 400, "unknown flag %" PRIstr " (--help lists all)", STR_ARG(shown));
}

/* Takes the value of a flag that needs one: what follows it in the same word, or the next word. */
static int take_value(struct parser *p, const struct flag *flag, const char *attached,
                      const char **ret_value, struct err *err)
{
    if (attached) {
        *ret_value = attached;
        return 0;
    }
    if (p->next == p->argc || strncmp(p->argv[p->next], "--", 2) == 0)
        return err_set(err, 400, "--%s needs a value (--%s=VALUE when it begins with dashes)",
                       flag->name, flag->name);
    *ret_value = p->argv[p->next++];
    return 0;
}

static int set_flag(struct parser *p, ptrdiff_t index, const char *attached, struct err *err)
{
    const struct flag *flag = flag_at(p->program, p->command, (size_t)index);
    const char *value = attached ? attached : "true";
    if (flag->type != FLAG_BOOL && take_value(p, flag, attached, &value, err) < 0)
        return -1;
    p->given[index] = true;
    return flag_set_value(flag, value, p->options, err);
}

/* "--name", "--name=value". */
static int read_long_flag(struct parser *p, const char *word, struct err *err)
{
    struct str name, value;
    str_cut(str_from_cstr(word + 2), '=', &name, &value);
    ptrdiff_t index = find_flag(p, name, 0);
    if (index < 0)
        return fail_unknown_flag(p, word, err);
    return set_flag(p, index, value.ptr, err);
}

/* "-n", "-nvalue", "-n=value". */
static int read_short_flag(struct parser *p, const char *word, struct err *err)
{
    ptrdiff_t index = find_flag(p, STR(""), word[1]);
    if (index < 0)
        return fail_unknown_flag(p, word, err);
    const char *attached = word[2] == '=' ? word + 3 : word[2] ? word + 2 : NULL;
    return set_flag(p, index, attached, err);
}

static int set_defaults(struct parser *p, struct err *err)
{
    const struct flag *flag;
    for (size_t i = 0; (flag = flag_at(p->program, p->command, i)); i++) {
        if (flag_set_default(flag, p->options, err) < 0)
            return err_wrap(err, "default");
    }
    return 0;
}

/* 1 when the help was asked for. */
static int read_words(struct parser *p, struct err *err)
{
    bool flags_ended = false;
    while (p->next < p->argc) {
        char *word = p->argv[p->next++];
        if (flags_ended || word[0] != '-' || word[1] == '\0') {
            p->argv[p->argument_end++] = word;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return 1;
        if (strcmp(word, "--") == 0) {
            flags_ended = true;
            continue;
        }
        int r = word[1] == '-' ? read_long_flag(p, word, err) : read_short_flag(p, word, err);
        if (r < 0)
            return -1;
    }
    return 0;
}

static int check_words(const struct parser *p, struct err *err)
{
    const struct flag_command *command = p->command;
    size_t arguments = p->argument_end - 1;
    if (arguments > command->max_arguments) {
        const char *surplus = p->argv[1 + command->max_arguments];
        if (find_command(p->program, surplus))
            return err_set(err, 400, "the command %s must come first", surplus);
        return err_set(err, 400, "%s: unexpected argument \"%s\"", command->name, surplus);
    }
    if (arguments < command->min_arguments)
        return err_set(err, 400, "%s: %s is missing", command->name, command->argument_name);
    const struct flag *flag;
    for (size_t i = 0; (flag = flag_at(p->program, command, i)); i++) {
        if (flag->required && !p->given[i])
            return err_set(err, 400, "%s: --%s is required", command->name, flag->name);
    }
    return 0;
}

static int fail_unknown_command(const struct flag_program *program, const char *given,
                                struct err *err)
{
    struct str names[FLAGS_MAX];
    size_t count = 0;
    for (; count < program->command_count && count < FLAGS_MAX; count++)
        names[count] = str_from_cstr(program->commands[count].name);
    struct str nearest = str_nearest(str_from_cstr(given), names, count);
    if (str_is_set(nearest))
        return err_set(err, 400, "unknown command \"%s\"; did you mean %" PRIstr "?", given,
                       STR_ARG(nearest));
    return err_set(err, 400, "unknown command \"%s\" (--help lists all)", given);
}

/* The command of the first word, or the default. 1 when it was given. */
static int choose_command(struct parser *p, struct err *err)
{
    p->command = &p->program->commands[0];
    if (p->argc < 2 || p->argv[1][0] == '-')
        return 0;
    const struct flag_command *command = find_command(p->program, p->argv[1]);
    if (!command)
        return p->command->max_arguments > 0 ? 0
                                             : fail_unknown_command(p->program, p->argv[1], err);
    p->command = command;
    p->next++;
    return 1;
}

int flags_parse(const struct flag_program *program, int argc, char **argv, void *options,
                struct flag_result *ret, struct err *err)
{
    struct parser p = {
        .program = program,
        .options = options,
        .argv = argv,
        .argc = (size_t)argc,
        .next = 1,
        .argument_end = 1,
    };
    int given = choose_command(&p, err);
    if (given < 0 || set_defaults(&p, err) < 0)
        return -1;
    int help = read_words(&p, err);
    if (help < 0 || (help == 0 && check_words(&p, err) < 0))
        return -1;
    *ret = (struct flag_result){
        .command = p.command,
        .command_given = given > 0,
        .help = help > 0,
        .arguments = argv + 1,
        .argument_count = p.argument_end - 1,
    };
    return 0;
}
