/* Command-line flags. */
#include "unit/support.h"

#include "base/flags.h"
#include "base/log.h"
#include "base/utf8.h"

#include <stdio.h>

struct options {
    const char *listen;
    const char *cert_dir;
    const char *nodes;
    int64_t max_steps;
    int64_t count;
    int64_t timeout_ms;
    int64_t delay_ms;
    int64_t body_bytes;
    int64_t any_bytes;
    enum log_level level;
    int output;
    bool manage_certs;
    bool cache;
};

static const char *const outputs[] = {"text", "json", NULL};

static const struct flag serve_flags[] = {
    {.name = "listen",
     FLAG_AS_STRING(struct options, listen),
     .value_name = "ADDRESS",
     .default_text = "0.0.0.0:9443",
     .text = "Where to serve admission reviews."},
    {.name = "cert-dir",
     FLAG_AS_STRING(struct options, cert_dir),
     .text = "Folder with tls.crt and tls.key, which are read again when they change."},
    {.name = "manage-certs",
     FLAG_AS_BOOL(struct options, manage_certs),
     .text = "Makes and renews its own certificates."},
    {.name = "cache",
     FLAG_AS_BOOL(struct options, cache),
     .default_text = "true",
     .text = "Keeps what was read."},
    {.name = "timeout",
     FLAG_AS_DURATION(struct options, timeout_ms),
     .default_text = "5s",
     .min = 100,
     .max = 90000,
     .text = "How long a review may take."},
    {.name = "delay", FLAG_AS_DURATION(struct options, delay_ms), .text = "How long to wait."},
    {.name = "max-body",
     FLAG_AS_SIZE(struct options, body_bytes),
     .default_text = "7Mi",
     .min = 1024,
     .max = 64 << 20,
     .text = "The largest body."},
    {.name = "any-size", FLAG_AS_SIZE(struct options, any_bytes), .text = "Any size."},
};

static const struct flag lint_flags[] = {
    {.name = "output",
     FLAG_AS_ENUM(struct options, output),
     .short_name = 'o',
     .default_text = "text",
     .values = outputs,
     .text = "The form of the findings."},
    {.name = "max-steps",
     FLAG_AS_INT(struct options, max_steps),
     .short_name = 'm',
     .default_text = "1000",
     .min = 1,
     .max = 10000,
     .text = "The most steps that a flow may have."},
    {.name = "count",
     FLAG_AS_INT(struct options, count),
     .min = 1,
     .max = INT64_MAX,
     .default_text = "1",
     .text = "Any number that is not negative, and a text that is long enough to be wrapped on a "
             "terminal that has one hundred columns."},
};

static const struct flag replay_flags[] = {
    {.name = "nodes",
     FLAG_AS_STRING(struct options, nodes),
     .value_name = "CSV",
     .required = true,
     .text = "The nodes."},
};

static const struct flag common_flags[] = {
    {.name = "log-level",
     FLAG_AS_ENUM(struct options, level),
     .values = log_level_names,
     .default_text = "info",
     .text = "The least important lines that are logged."},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct flag_command commands[] = {
    {.name = "serve",
     .text = "Answers the apiserver.",
     .flags = serve_flags,
     .flag_count = COUNT(serve_flags)},
    {.name = "lint",
     .text = "Checks files.",
     .flags = lint_flags,
     .flag_count = COUNT(lint_flags),
     .argument_name = "FILE",
     .min_arguments = 1,
     .max_arguments = 3},
    {.name = "replay",
     .text = "Replays lists.",
     .flags = replay_flags,
     .flag_count = COUNT(replay_flags),
     .argument_name = "OUT",
     .max_arguments = 1},
    {.name = "version", .text = "Prints the version."},
};

static const struct flag_program program = {
    .name = "callboard-test",
    .text = "A program for tests.",
    .commands = commands,
    .command_count = COUNT(commands),
    .flags = common_flags,
    .flag_count = COUNT(common_flags),
};

enum { WORDS_MAX = 12 };

/* Parses a line whose words are separated by one blank, or by | when they have blanks themselves. */
struct parsed {
    char text[256];
    char *argv[WORDS_MAX + 2];
    int argc;
    struct options options;
    struct flag_result result;
    struct err err;
};

static int parse(struct parsed *p, const struct flag_program *of, const char *line)
{
    memset(p, 0xEE, sizeof(*p)); /* what is not set would show */
    p->argc = 0;
    snprintf(p->text, sizeof(p->text), "callboard-test %s", line);
    const char *separators = strchr(line, '|') ? "|" : " ";
    char *rest = strchr(p->text, ' ') + 1;
    p->argv[p->argc++] = p->text;
    while (*line && rest) {
        assert_true(p->argc <= WORDS_MAX);
        p->argv[p->argc++] = strsep(&rest, separators);
    }
    p->argv[p->argc] = NULL;
    return flags_parse(of, p->argc, p->argv, &p->options, &p->result, &p->err);
}

static void parse_well(struct parsed *p, const char *line)
{
    if (parse(p, &program, line) < 0)
        fail_msg("%s: %s", line, p->err.message);
}

static void without_words_the_default_command_has_its_defaults(void **state)
{
    (void)state;
    struct parsed p;
    parse_well(&p, "");
    assert_string_equal(p.result.command->name, "serve");
    assert_false(p.result.command_given);
    assert_false(p.result.help);
    assert_int_equal(p.result.argument_count, 0);
    assert_string_equal(p.options.listen, "0.0.0.0:9443");
    assert_null(p.options.cert_dir);
    assert_false(p.options.manage_certs);
    assert_true(p.options.cache);
    assert_int_equal(p.options.timeout_ms, 5000);
    assert_int_equal(p.options.delay_ms, 0);
    assert_int_equal(p.options.body_bytes, 7 << 20);
    assert_int_equal(p.options.any_bytes, 0);
    assert_int_equal(p.options.level, LOG_LEVEL_INFO);
    /* Not even the name of the program. */
    struct err err;
    struct flag_result result;
    char *none[] = {NULL};
    assert_int_equal(flags_parse(&program, 0, none, &p.options, &result, &err), 0);
    assert_string_equal(result.command->name, "serve");
}

static void values_are_attached_or_follow(void **state)
{
    (void)state;
    struct parsed p;
    parse_well(&p, "serve --listen 1.2.3.4:5 --cert-dir=/a=b --manage-certs --log-level debug");
    assert_true(p.result.command_given);
    assert_string_equal(p.options.listen, "1.2.3.4:5");
    assert_string_equal(p.options.cert_dir, "/a=b");
    assert_true(p.options.manage_certs);
    assert_int_equal(p.options.level, LOG_LEVEL_DEBUG);

    static const char *const rows[] = {"lint -o json f",       "lint -ojson f",
                                       "lint -o=json f",       "lint --output json f",
                                       "lint --output=json f", "lint f -o json"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        parse_well(&p, rows[i]);
        assert_string_equal(p.result.command->name, "lint");
        assert_int_equal(p.options.output, 1);
        assert_int_equal(p.result.argument_count, 1);
        assert_string_equal(p.result.arguments[0], "f");
    }
    parse_well(&p, "--cert-dir=");
    assert_string_equal(p.options.cert_dir, "");
    parse_well(&p, "--cert-dir -");
    assert_string_equal(p.options.cert_dir, "-");
    parse_well(&p, "--cert-dir -x --listen=--y");
    assert_string_equal(p.options.cert_dir, "-x");
    assert_string_equal(p.options.listen, "--y");
    parse_well(&p, "--listen|a b|--cert-dir=c d");
    assert_string_equal(p.options.listen, "a b");
    assert_string_equal(p.options.cert_dir, "c d");
}

static void a_flag_given_twice_counts_as_given_last(void **state)
{
    (void)state;
    struct parsed p;
    parse_well(&p, "--listen a --manage-certs --listen=b --manage-certs=false");
    assert_string_equal(p.options.listen, "b");
    assert_false(p.options.manage_certs);
}

static void switches_are_true_false_or_bare(void **state)
{
    (void)state;
    struct parsed p;
    parse_well(&p, "--manage-certs --cache=false");
    assert_true(p.options.manage_certs);
    assert_false(p.options.cache);
    parse_well(&p, "--manage-certs=true");
    assert_true(p.options.manage_certs);
    parse_well(&p, "--manage-certs=false --cache");
    assert_false(p.options.manage_certs);
    assert_true(p.options.cache);
}

static void arguments_stand_anywhere_and_keep_their_order(void **state)
{
    (void)state;
    struct parsed p;
    parse_well(&p, "lint a.yaml -o json - --max-steps 5 b.yaml");
    assert_int_equal(p.result.argument_count, 3);
    assert_string_equal(p.result.arguments[0], "a.yaml");
    assert_string_equal(p.result.arguments[1], "-");
    assert_string_equal(p.result.arguments[2], "b.yaml");
    assert_int_equal(p.options.max_steps, 5);
    /* Two dashes end the flags. */
    parse_well(&p, "lint -m 7 -- -o --max-steps --");
    assert_int_equal(p.result.argument_count, 3);
    assert_string_equal(p.result.arguments[0], "-o");
    assert_string_equal(p.result.arguments[1], "--max-steps");
    assert_string_equal(p.result.arguments[2], "--");
    assert_int_equal(p.options.max_steps, 7);
    assert_int_equal(p.options.output, 0);
}

static void durations_have_units_that_fall(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"0", 0},
        {"0s", 0},
        {"500ms", 500},
        {"10s", 10000},
        {"2m", 120000},
        {"1h", 3600000},
        {"1h30m", 5400000},
        {"1m1ms", 60001},
        {"90m", 5400000},
        {"1h2m3s4ms", 3723004},
        {"9223372036854775807ms", INT64_MAX},
        {"2562047788015h12m55s807ms", INT64_MAX},
    };
    struct parsed p;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[64];
        snprintf(line, sizeof(line), "--delay %s", rows[i].text);
        parse_well(&p, line);
        assert_int_equal(p.options.delay_ms, rows[i].ms);
    }
    static const char *const wrong[] = {
        "",
        "10",
        "s",
        "-1s",
        "1.5s",
        "1 s",
        "1d",
        "1S",
        "1sm",
        "1s1m",
        "1s1s",
        "1h30",
        "00",
        "+1s",
        "9223372036854775808ms",
        "9223372036854776s",
        "2562047788015h12m55s808ms",
        "1ms1",
        "h1",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char line[64], message[160];
        snprintf(line, sizeof(line), "--delay=%s|--cache", wrong[i]);
        if (parse(&p, &program, line) == 0)
            fail_msg("%s was read as %lld", line, (long long)p.options.delay_ms);
        snprintf(message, sizeof(message),
                 "--delay: \"%s\" is no duration (such as 500ms, 10s, 2m, 1h30m)", wrong[i]);
        assert_string_equal(p.err.message, message);
    }
}

static void sizes_have_binary_and_decimal_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } rows[] = {
        {"0", 0},
        {"512", 512},
        {"64Ki", 65536},
        {"7Mi", 7340032},
        {"1Gi", 1 << 30},
        {"2Ti", INT64_C(2) << 40},
        {"3k", 3000},
        {"10M", 10000000},
        {"1G", 1000000000},
        {"1T", INT64_C(1000000000000)},
        {"9223372036854775807", INT64_MAX},
        {"8388607Ti", INT64_C(8388607) << 40},
    };
    struct parsed p;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[64];
        snprintf(line, sizeof(line), "--any-size %s", rows[i].text);
        parse_well(&p, line);
        assert_int_equal(p.options.any_bytes, rows[i].bytes);
    }
    static const char *const wrong[] = {"",
                                        "Mi",
                                        "-1",
                                        "1.5Mi",
                                        "7 Mi",
                                        "7MB",
                                        "7mi",
                                        "7K",
                                        "7B",
                                        "7Mi1",
                                        "7M1",
                                        "1Mi1Ki",
                                        "9223372036854775808",
                                        "8388608Ti",
                                        "0x10"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char line[64], message[160];
        snprintf(line, sizeof(line), "--any-size=%s|--cache", wrong[i]);
        if (parse(&p, &program, line) == 0)
            fail_msg("%s was read as %lld", line, (long long)p.options.any_bytes);
        snprintf(message, sizeof(message),
                 "--any-size: \"%s\" is no size (such as 512, 64Ki, 7Mi, 1Gi)", wrong[i]);
        assert_string_equal(p.err.message, message);
    }
}

static void limits_are_included(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "lint -m 1 f",      "lint -m 10000 f",
        "--timeout 100ms",  "--timeout 90s",
        "--max-body 1Ki",   "--max-body 64Mi",
        "lint --count 1 f", "lint --count 9223372036854775807 f",
    };
    struct parsed p;
    for (size_t i = 0; i < COUNT(rows); i++)
        parse_well(&p, rows[i]);
}

static void what_is_wrong_is_told_with_what_is_possible(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } rows[] = {
        {"--lissten x", "unknown flag --lissten; did you mean --listen?"},
        {"--lissten=x", "unknown flag --lissten; did you mean --listen?"},
        {"--LISTEN=x", "unknown flag --LISTEN; did you mean --listen?"},
        {"-listen x", "unknown flag -listen; did you mean --listen?"},
        {"--loglevel debug", "unknown flag --loglevel; did you mean --log-level?"},
        {"--frobnicate", "unknown flag --frobnicate (--help lists all)"},
        {"-x", "unknown flag -x (--help lists all)"},
        {"--=x", "unknown flag -- (--help lists all)"},
        {"---listen x", "unknown flag ---listen; did you mean --listen?"},
        {"--max-steps 5", "--max-steps is a flag of the command lint, not of serve"},
        {"lint f --listen x", "--listen is a flag of the command serve, not of lint"},
        {"lnt f", "unknown command \"lnt\"; did you mean lint?"},
        {"frobnicate", "unknown command \"frobnicate\" (--help lists all)"},
        {"|", "unknown command \"\" (--help lists all)"},
        {"--log-level debug lint f", "the command lint must come first"},
        {"serve x", "serve: unexpected argument \"x\""},
        {"version x", "version: unexpected argument \"x\""},
        {"lint a b c d", "lint: unexpected argument \"d\""},
        {"lint", "lint: FILE is missing"},
        {"lint -o json", "lint: FILE is missing"},
        {"replay", "replay: --nodes is required"},
        {"--listen", "--listen needs a value (--listen=VALUE when it begins with dashes)"},
        {"lint f -o", "--output needs a value (--output=VALUE when it begins with dashes)"},
        {"--cert-dir --manage-certs",
         "--cert-dir needs a value (--cert-dir=VALUE when it begins with dashes)"},
        {"--manage-certs=yes", "--manage-certs: \"yes\" is neither true nor false"},
        {"--manage-certs=", "--manage-certs: \"\" is neither true nor false"},
        {"--manage-certs true", "serve: unexpected argument \"true\""},
        {"lint -m 0 f", "--max-steps: 0 is out of range, which is 1 to 10000"},
        {"lint -m 10001 f", "--max-steps: 10001 is out of range, which is 1 to 10000"},
        {"lint -m -5 f", "--max-steps: -5 is out of range, which is 1 to 10000"},
        {"lint -m ten f", "--max-steps: \"ten\" is no integer"},
        {"lint -m= f", "--max-steps: \"\" is no integer"},
        {"lint --count 0 f", "--count: 0 is out of range, which is at least 1"},
        {"--timeout 99ms", "--timeout: 99ms is out of range, which is 100ms to 90s"},
        {"--timeout 2m", "--timeout: 2m is out of range, which is 100ms to 90s"},
        {"--max-body 1000", "--max-body: 1000 is out of range, which is 1Ki to 64Mi"},
        {"--log-level wrn",
         "--log-level: \"wrn\" is not one of debug, info, warn, error; did you mean warn?"},
        {"--log-level chatty", "--log-level: \"chatty\" is not one of debug, info, warn, error"},
        {"lint f -o yaml", "--output: \"yaml\" is not one of text, json"},
        {"lint f -o JSON", "--output: \"JSON\" is not one of text, json; did you mean json?"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct parsed p;
        int r = parse(&p, &program, rows[i].line);
        if (r != -1)
            fail_msg("%s was accepted", rows[i].line);
        assert_string_equal(p.err.message, rows[i].message);
        assert_int_equal(p.err.code, 400);
        assert_int_equal((unsigned char)*(char *)&p.result, 0xEE); /* untouched */
    }
}

static void help_is_given_whatever_else_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *line, *command;
        bool given;
    } rows[] = {
        {"--help", "serve", false},
        {"-h", "serve", false},
        {"lint --help", "lint", true},
        {"replay -h", "replay", true},
        {"lint a b c d e --help", "lint", true},
        {"--listen x --help --frobnicate", "serve", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct parsed p;
        parse_well(&p, rows[i].line);
        assert_true(p.result.help);
        assert_string_equal(p.result.command->name, rows[i].command);
        assert_int_equal(p.result.command_given, rows[i].given);
    }
    struct parsed p;
    parse_well(&p, "lint -- --help");
    assert_false(p.result.help);
    parse_well(&p, "--listen=--help");
    assert_false(p.result.help);
}

static void a_required_flag_or_an_optional_argument_may_be_given(void **state)
{
    (void)state;
    struct parsed p;
    parse_well(&p, "replay --nodes a.csv");
    assert_string_equal(p.options.nodes, "a.csv");
    parse_well(&p, "replay out --nodes=a.csv");
    assert_int_equal(p.result.argument_count, 1);
}

static void a_default_command_may_take_arguments(void **state)
{
    (void)state;
    struct flag_program of = program;
    of.commands = &commands[1];
    of.command_count = 2;
    struct parsed p;
    assert_int_equal(parse(&p, &of, "a.yaml -o json"), 0);
    assert_string_equal(p.result.command->name, "lint");
    assert_false(p.result.command_given);
    assert_string_equal(p.result.arguments[0], "a.yaml");
    assert_int_equal(parse(&p, &of, "replay --nodes n"), 0);
    assert_string_equal(p.result.command->name, "replay");
}

static void a_wrong_default_in_the_table_is_found_at_once(void **state)
{
    (void)state;
    static const struct flag flags[] = {
        {.name = "n",
         FLAG_AS_INT(struct options, count),
         .min = 5,
         .max = 6,
         .default_text = "4",
         .text = "N."},
    };
    static const struct flag_command command = {
        .name = "c", .text = "C.", .flags = flags, .flag_count = 1};
    const struct flag_program of = {
        .name = "p", .text = "P.", .commands = &command, .command_count = 1};
    struct parsed p;
    assert_int_equal(parse(&p, &of, ""), -1);
    assert_string_equal(p.err.message, "default: --n: 4 is out of range, which is 5 to 6");
}

static void flags_beyond_the_limit_do_not_exist(void **state)
{
    (void)state;
    static struct flag flags[FLAGS_MAX + 5];
    static char names[FLAGS_MAX + 5][8];
    for (size_t i = 0; i < COUNT(flags); i++) {
        snprintf(names[i], sizeof(names[i]), "f%03zu", i);
        flags[i] =
            (struct flag){.name = names[i], FLAG_AS_BOOL(struct options, cache), .text = "F."};
    }
    const struct flag_command command = {
        .name = "c", .text = "C.", .flags = flags, .flag_count = COUNT(flags)};
    const struct flag_program of = {
        .name = "p", .text = "P.", .commands = &command, .command_count = 1};
    struct parsed p;
    assert_int_equal(parse(&p, &of, "--f127"), 0);
    assert_int_equal(parse(&p, &of, "--f128"), -1);
}

static void a_long_list_of_values_is_cut_in_the_message(void **state)
{
    (void)state;
    static char texts[40][16];
    static const char *values[41];
    for (size_t i = 0; i < 40; i++) {
        snprintf(texts[i], sizeof(texts[i]), "value-%02zu", i);
        values[i] = texts[i];
    }
    static const struct flag flags[] = {
        {.name = "v", FLAG_AS_ENUM(struct options, output), .values = values, .text = "V."}};
    static const struct flag_command command = {
        .name = "c", .text = "C.", .flags = flags, .flag_count = 1};
    const struct flag_program of = {
        .name = "p", .text = "P.", .commands = &command, .command_count = 1};
    struct parsed p;
    assert_int_equal(parse(&p, &of, "--v value-39"), 0);
    assert_int_equal(p.options.output, 39);
    assert_int_equal(parse(&p, &of, "--v nothing-like-it"), -1);
    assert_true(str_starts_with(str_from_cstr(p.err.message),
                                STR("--v: \"nothing-like-it\" is not one of value-00, value-01")));
}

static void the_help_of_all_shows_every_flag(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, mem_system(), 65536);
    flags_write_help(&program, NULL, &buf);
    assert_false(buf_failed(&buf));
    assert_str_is(
        buf_str(&buf),
        "A program for tests.\n"
        "\n"
        "Usage: callboard-test [serve] [FLAG]…\n"
        "       callboard-test lint [FLAG]… FILE…\n"
        "       callboard-test replay [FLAG]… [OUT]\n"
        "       callboard-test version [FLAG]…\n"
        "\n"
        "serve (the default):\n"
        "  Answers the apiserver.\n"
        "  --listen ADDRESS            Where to serve admission reviews. (default 0.0.0.0:9443)\n"
        "  --cert-dir TEXT             Folder with tls.crt and tls.key, which are read again when "
        "they\n"
        "                              change.\n"
        "  --manage-certs              Makes and renews its own certificates.\n"
        "  --cache                     Keeps what was read. (default true)\n"
        "  --timeout DURATION          How long a review may take. (100ms to 90s; default 5s)\n"
        "  --delay DURATION            How long to wait.\n"
        "  --max-body SIZE             The largest body. (1Ki to 64Mi; default 7Mi)\n"
        "  --any-size SIZE             Any size.\n"
        "\n"
        "lint:\n"
        "  Checks files.\n"
        "  -o, --output text|json      The form of the findings. (default text)\n"
        "  -m, --max-steps N           The most steps that a flow may have. (1 to 10000; default "
        "1000)\n"
        "  --count N                   Any number that is not negative, and a text that is long "
        "enough to be\n"
        "                              wrapped on a terminal that has one hundred columns. (at "
        "least 1;\n"
        "                              default 1)\n"
        "\n"
        "replay:\n"
        "  Replays lists.\n"
        "  --nodes CSV                 The nodes. (required)\n"
        "\n"
        "version:\n"
        "  Prints the version.\n"
        "\n"
        "Everywhere:\n"
        "  --log-level debug|info|warn|error\n"
        "                              The least important lines that are logged. (default info)\n"
        "  -h, --help                  Shows this text.\n");
    buf_done(&buf);
}

static void the_help_of_one_command_shows_only_its_flags(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, mem_system(), 65536);
    flags_write_help(&program, &commands[2], &buf);
    assert_str_is(
        buf_str(&buf),
        "A program for tests.\n"
        "\n"
        "Usage: callboard-test replay [FLAG]… [OUT]\n"
        "\n"
        "replay:\n"
        "  Replays lists.\n"
        "  --nodes CSV                 The nodes. (required)\n"
        "\n"
        "Everywhere:\n"
        "  --log-level debug|info|warn|error\n"
        "                              The least important lines that are logged. (default info)\n"
        "  -h, --help                  Shows this text.\n");
    buf_done(&buf);
}

/* A program with a text of `len` characters, in words of `word`. */
static void write_help_of_text(struct buf *buf, const char *word, size_t len)
{
    static char text[2000];
    text[0] = '\0';
    while (strlen(text) < len)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", text[0] ? " " : "",
                 word);
    static struct flag flags[1];
    flags[0] = (struct flag){.name = "flag", FLAG_AS_BOOL(struct options, cache), .text = text};
    const struct flag_command command = {
        .name = "c", .text = text, .flags = flags, .flag_count = 1};
    const struct flag_program of = {
        .name = "p", .text = text, .commands = &command, .command_count = 1};
    flags_write_help(&of, NULL, buf);
}

static void no_line_of_the_help_is_longer_than_a_hundred_columns(void **state)
{
    (void)state;
    static const char *const words[] = {"a", "word", "wörter", "extraordinarily-long-words"};
    for (size_t w = 0; w < COUNT(words); w++) {
        for (size_t len = 50; len < 400; len += 7) {
            struct buf buf;
            buf_init(&buf, mem_system(), 65536);
            write_help_of_text(&buf, words[w], len);
            struct str rest = buf_str(&buf), line;
            size_t longest = 0;
            while (rest.len > 0) {
                str_cut(rest, '\n', &line, &rest);
                size_t width = utf8_count(line);
                assert_true(width <= 100);
                longest = width > longest ? width : longest;
                assert_false(str_ends_with(line, STR(" ")));
            }
            if (len > 250)
                assert_true(longest > 100 - 27); /* and it is used */
            buf_done(&buf);
        }
    }
}

static void the_reference_is_markdown(void **state)
{
    (void)state;
    static const struct flag flags[] = {
        {.name = "mode",
         FLAG_AS_ENUM(struct options, output),
         .values = outputs,
         .default_text = "text",
         .text = "Either a|b."},
        {.name = "n", FLAG_AS_INT(struct options, count), .min = 1, .max = 9, .text = "N."},
        {.name = "in", FLAG_AS_STRING(struct options, nodes), .required = true, .text = "In."},
    };
    static const struct flag_command both[] = {
        {.name = "run", .text = "Runs.", .flags = flags, .flag_count = 3},
        {.name = "version", .text = "Prints the version."},
    };
    struct flag_program of = {.name = "p", .text = "P.", .commands = both, .command_count = 2};
    struct buf buf;
    buf_init(&buf, mem_system(), 65536);
    flags_write_markdown(&of, &buf);
    assert_str_is(buf_str(&buf), "## `p [run] [FLAG]…`\n"
                                 "\n"
                                 "Runs.\n"
                                 "\n"
                                 "| Flag | Default | Meaning |\n"
                                 "|---|---|---|\n"
                                 "| `--mode text\\|json` | `text` | Either a\\|b. |\n"
                                 "| `--n N` |  | N. (1 to 9) |\n"
                                 "| `--in TEXT` |  | In. (required) |\n"
                                 "\n"
                                 "## `p version`\n"
                                 "\n"
                                 "Prints the version.\n");
    buf_clear(&buf);
    of.flags = common_flags;
    of.flag_count = 1;
    flags_write_markdown(&of, &buf);
    assert_true(str_ends_with(
        buf_str(&buf), STR("## `p version [FLAG]…`\n"
                           "\n"
                           "Prints the version.\n"
                           "\n"
                           "## Flags of every command of `p`\n"
                           "\n"
                           "| Flag | Default | Meaning |\n"
                           "|---|---|---|\n"
                           "| `--log-level debug\\|info\\|warn\\|error` | `info` | The least "
                           "important lines that are logged. |\n")));
    buf_done(&buf);
}

static bool write_texts(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct buf buf;
    buf_init(&buf, mem, 65536);
    flags_write_help(&program, NULL, &buf);
    flags_write_markdown(&program, &buf);
    bool failed = buf_failed(&buf);
    buf_done(&buf);
    return !failed;
}

static void a_text_without_memory_is_a_failure(void **state)
{
    (void)state;
    test_every_allocation_failing(write_texts, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_words_the_default_command_has_its_defaults),
        cmocka_unit_test(values_are_attached_or_follow),
        cmocka_unit_test(a_flag_given_twice_counts_as_given_last),
        cmocka_unit_test(switches_are_true_false_or_bare),
        cmocka_unit_test(arguments_stand_anywhere_and_keep_their_order),
        cmocka_unit_test(durations_have_units_that_fall),
        cmocka_unit_test(sizes_have_binary_and_decimal_units),
        cmocka_unit_test(limits_are_included),
        cmocka_unit_test(what_is_wrong_is_told_with_what_is_possible),
        cmocka_unit_test(help_is_given_whatever_else_is_missing),
        cmocka_unit_test(a_required_flag_or_an_optional_argument_may_be_given),
        cmocka_unit_test(a_default_command_may_take_arguments),
        cmocka_unit_test(a_wrong_default_in_the_table_is_found_at_once),
        cmocka_unit_test(flags_beyond_the_limit_do_not_exist),
        cmocka_unit_test(a_long_list_of_values_is_cut_in_the_message),
        cmocka_unit_test(the_help_of_all_shows_every_flag),
        cmocka_unit_test(the_help_of_one_command_shows_only_its_flags),
        cmocka_unit_test(no_line_of_the_help_is_longer_than_a_hundred_columns),
        cmocka_unit_test(the_reference_is_markdown),
        cmocka_unit_test(a_text_without_memory_is_a_failure),
    };
    return cmocka_run_group_tests_name("flags", tests, NULL, NULL);
}
