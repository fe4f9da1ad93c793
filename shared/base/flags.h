/*
 * Command-line flags from a table, which also gives the help and the reference.
 *
 *   struct options { const char *listen; int64_t timeout_ms; enum log_level level; bool manage_certs; };
 *
 *   static const struct flag serve_flags[] = {
 *       {.name = "listen", FLAG_AS_STRING(struct options, listen), .value_name = "ADDRESS",
 *        .default_text = "0.0.0.0:9443", .text = "Where to serve admission reviews."},
 *       {.name = "timeout", FLAG_AS_DURATION(struct options, timeout_ms), .min = 100, .max = 30000,
 *        .default_text = "5s", .text = "How long a review may take."},
 *       …
 *
 * On the command line: PROGRAM [COMMAND] [--name value | --name=value | -n value | argument]…, in any
 * order; "--" ends the flags. Without a command, it is the first of the table. A flag that is given
 * twice counts as given last, so that a script may append to what is there. Every text kept points into
 * argv or into the table.
 */
#ifndef BASE_FLAGS_H
#define BASE_FLAGS_H

#include "base/buf.h"
#include "base/err.h"

enum flag_type {
    FLAG_BOOL,     /* bool: --name, --name=true, --name=false */
    FLAG_INT,      /* int64_t */
    FLAG_DURATION, /* int64_t, milliseconds: 500ms, 10s, 2m, 1h30m, 0 */
    FLAG_SIZE,     /* int64_t, bytes: 512, 64Ki, 7Mi, 1Gi, 10M */
    FLAG_ENUM,     /* an enum or int: the place of the text in `values` */
    FLAG_STRING,   /* const char * */
};

struct flag {
    const char *name;          /* without dashes */
    const char *text;          /* sentences for the help */
    const char *value_name;    /* in the help, such as "FILE"; NULL for a name made from the type */
    const char *default_text;  /* as one would write it; NULL for false, 0, NULL */
    const char *const *values; /* FLAG_ENUM: ends with NULL */
    int64_t min, max;          /* FLAG_INT, FLAG_DURATION, FLAG_SIZE; both 0 for no limits */
    size_t offset;
    enum flag_type type;
    char short_name; /* 'o' for -o; 0 for none */
    bool required;
};

/* The type and the place of a flag's value; a member of another C type does not compile. */
#define FLAG_AS_BOOL(type, member)     FLAG_AS_(FLAG_BOOL, type, member, bool)
#define FLAG_AS_INT(type, member)      FLAG_AS_(FLAG_INT, type, member, int64_t)
#define FLAG_AS_DURATION(type, member) FLAG_AS_(FLAG_DURATION, type, member, int64_t)
#define FLAG_AS_SIZE(type, member)     FLAG_AS_(FLAG_SIZE, type, member, int64_t)
#define FLAG_AS_STRING(type, member)   FLAG_AS_(FLAG_STRING, type, member, const char *)
#define FLAG_AS_ENUM(struct_, member) \
    .type = FLAG_ENUM,                \
    .offset = FLAG_OFFSET_(struct_, member, sizeof(((struct_ *)0)->member) == sizeof(int))

#define FLAG_AS_(flag_type_, struct_, member, c_type) \
    .type = flag_type_,                               \
    .offset = FLAG_OFFSET_(                           \
        struct_, member, __builtin_types_compatible_p(__typeof__(((struct_ *)0)->member), c_type))
#define FLAG_OFFSET_(struct_, member, right_type) \
    (offsetof(struct_, member) + 0 * sizeof(char[(right_type) ? 1 : -1]))

struct flag_command {
    const char *name;
    const char *text; /* sentences for the help */
    const struct flag *flags;
    size_t flag_count;
    const char *argument_name; /* in the help, such as "FILE"; NULL when it takes no arguments */
    size_t min_arguments;
    size_t max_arguments;
};

struct flag_program {
    const char *name;
    const char *text;
    const struct flag_command *commands; /* the first one is the default */
    size_t command_count;
    const struct flag *flags; /* of every command */
    size_t flag_count;
};

/* More flags than this, common ones and those of a command together, are not considered. */
enum { FLAGS_MAX = 128 };

struct flag_result {
    const struct flag_command *command;
    bool command_given; /* not the default */
    bool help;          /* --help or -h was given: nothing else was checked */
    char **arguments;   /* what is neither command nor flag, in argv, which is reordered */
    size_t argument_count;
};

/*
 * Reads the command line into *options, which needs no initialisation: each flag of the command and of
 * the program is set, to its default when it was not given. -1 when something is wrong; the message
 * names it, what is possible, and the nearest right name.
 */
int flags_parse(const struct flag_program *program, int argc, char **argv, void *options,
                struct flag_result *ret, struct err *err);

/* Text of at most 100 columns for --help: of one command, or of all when it is NULL. */
void flags_write_help(const struct flag_program *program, const struct flag_command *command,
                      struct buf *buf);

/* A Markdown section for each command, with a table of its flags. */
void flags_write_markdown(const struct flag_program *program, struct buf *buf);

#endif
