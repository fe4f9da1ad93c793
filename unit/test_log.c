/* Log lines. */
#include "unit/support.h"

#include "base/log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A sink that keeps the last line. */
struct kept {
    struct log_sink sink;
    struct log log;
    struct test_clock clock;
    bool broken; /* refuses to write */
    int lines;
    size_t len;
    char line[LOG_LINE_MAX + 1];
};

static bool keep_line(void *ctx, struct str line)
{
    struct kept *kept = ctx;
    if (kept->broken)
        return false;
    assert_true(line.len <= LOG_LINE_MAX);
    memcpy(kept->line, line.ptr, line.len);
    kept->line[line.len] = '\0';
    kept->len = line.len;
    kept->lines++;
    return true;
}

static void kept_init(struct kept *kept, enum log_format format, enum log_level level)
{
    memset(kept, 0, sizeof(*kept));
    test_clock_init(&kept->clock);
    test_clock_advance_ms(&kept->clock, 678);
    log_sink_init(&kept->sink, keep_line, kept, format, level, &kept->clock.clock);
    kept->log = (struct log){.sink = &kept->sink};
}

/* The line must be one JSON object without raw controls, with a line end; the caller frees it. */
static cJSON *parse_line(const struct kept *kept)
{
    assert_true(kept->len > 0);
    assert_int_equal(kept->line[kept->len - 1], '\n');
    for (size_t i = 0; i + 1 < kept->len; i++)
        assert_true((unsigned char)kept->line[i] >= 0x20);
    const char *end = NULL;
    cJSON *object = cJSON_ParseWithLengthOpts(kept->line, kept->len, &end, false);
    if (!object)
        fail_msg("no JSON: %s", kept->line);
    assert_ptr_equal(end, kept->line + kept->len - 1);
    return object;
}

static void json_lines_have_time_level_message_and_typed_fields(void **state)
{
    (void)state;
    struct kept kept;
    kept_init(&kept, LOG_JSON, LOG_LEVEL_DEBUG);
    log_info(&kept.log, "started");
    assert_string_equal(kept.line, "{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\","
                                   "\"msg\":\"started\"}\n");

    log_warn(&kept.log, "all", LOG_STR("s", STR("x")), LOG_CSTR("c", "y"), LOG_INT("i", -5),
             LOG_UINT("u", UINT64_MAX), LOG_BOOL("yes", true), LOG_BOOL("no", false),
             LOG_DOUBLE("d", 0.25), LOG_MS("ms", INT64_C(1234567)));
    assert_string_equal(kept.line,
                        "{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"warn\",\"msg\":\"all\","
                        "\"s\":\"x\",\"c\":\"y\",\"i\":-5,\"u\":18446744073709551615,"
                        "\"yes\":true,\"no\":false,\"d\":0.25,\"ms\":1.234567}\n");
    log_debug(&kept.log, "x");
    assert_non_null(strstr(kept.line, "\"level\":\"debug\""));
    log_error(&kept.log, "x");
    assert_non_null(strstr(kept.line, "\"level\":\"error\""));
    assert_int_equal(kept.lines, 4);
}

static void text_lines_are_aligned_and_quote_only_what_needs_it(void **state)
{
    (void)state;
    struct kept kept;
    kept_init(&kept, LOG_TEXT, LOG_LEVEL_DEBUG);
    log_info(&kept.log, "started up");
    assert_string_equal(kept.line, "2026-01-02T03:04:05.678Z INFO  started up\n");
    log_error(&kept.log, "m", LOG_CSTR("plain", "a/b:c,d"), LOG_CSTR("blank", "a b"),
              LOG_CSTR("equals", "a=b"), LOG_CSTR("quote", "a\"b"), LOG_CSTR("slash", "a\\b"),
              LOG_CSTR("empty", ""), LOG_CSTR("absent", NULL), LOG_CSTR("utf8", "é"),
              LOG_INT("n", 7), LOG_BOOL("b", true));
    assert_string_equal(kept.line,
                        "2026-01-02T03:04:05.678Z ERROR m plain=a/b:c,d blank=\"a b\" "
                        "equals=\"a=b\" quote=\"a\\\"b\" slash=\"a\\\\b\" empty=\"\" absent= "
                        "utf8=\"é\" n=7 b=true\n");
    log_warn(&kept.log, "m");
    assert_string_equal(kept.line, "2026-01-02T03:04:05.678Z WARN  m\n");
    log_debug(&kept.log, "m");
    assert_string_equal(kept.line, "2026-01-02T03:04:05.678Z DEBUG m\n");
}

static int evaluate_and_count(int *count)
{
    return ++*count;
}

static void lines_below_the_level_are_neither_written_nor_evaluated(void **state)
{
    (void)state;
    struct kept kept;
    kept_init(&kept, LOG_JSON, LOG_LEVEL_WARN);
    int count = 0;
    log_debug(&kept.log, "m", LOG_INT("n", evaluate_and_count(&count)));
    log_info(&kept.log, "m", LOG_INT("n", evaluate_and_count(&count)));
    assert_int_equal(kept.lines, 0);
    assert_int_equal(count, 0);
    log_warn(&kept.log, "m", LOG_INT("n", evaluate_and_count(&count)));
    log_error(&kept.log, "m", LOG_INT("n", evaluate_and_count(&count)));
    assert_int_equal(kept.lines, 2);
    assert_int_equal(count, 2);
}

static void without_a_log_nothing_happens(void **state)
{
    (void)state;
    const struct log *none = NULL;
    int count = 0;
    log_error(none, "m", LOG_INT("n", evaluate_and_count(&count)));
    struct log child = log_child(none, STR("id"), NULL, 0);
    log_error(&child, "m", LOG_INT("n", evaluate_and_count(&count)));
    assert_int_equal(count, 0);
}

static void a_child_carries_its_id_and_the_fields_of_all_above_it(void **state)
{
    (void)state;
    struct kept kept;
    kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
    const struct log_field program[] = {LOG_CSTR("component", "controller")};
    struct log component = log_child(&kept.log, (struct str){NULL, 0}, program, 1);
    const struct log_field object[] = {LOG_CSTR("namespace", "a"), LOG_CSTR("name", "b")};
    struct log request = log_child(&component, STR("4d5e"), object, 2);
    struct log deeper = log_child(&request, (struct str){NULL, 0}, NULL, 0);

    const char *expected = "{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"msg\":\"m\","
                           "\"correlationID\":\"4d5e\",\"component\":\"controller\","
                           "\"namespace\":\"a\",\"name\":\"b\",\"n\":1}\n";
    log_info(&request, "m", LOG_INT("n", 1));
    assert_string_equal(kept.line, expected);
    log_info(&deeper, "m", LOG_INT("n", 1));
    assert_string_equal(kept.line, expected);
    log_info(&component, "m");
    assert_null(strstr(kept.line, "correlationID"));

    kept.sink.format = LOG_TEXT;
    log_info(&request, "m");
    assert_string_equal(kept.line, "2026-01-02T03:04:05.678Z INFO  m correlationID=4d5e "
                                   "component=controller namespace=a name=b\n");
}

static void an_error_is_logged_with_its_field(void **state)
{
    (void)state;
    struct kept kept;
    kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
    struct err err;
    err_set(&err, 422, "must be at least %d", 1);
    log_info(&kept.log, "m", LOG_ERR(&err));
    assert_non_null(strstr(kept.line, ",\"error\":\"must be at least 1\"}"));
    strcpy(err.field, "spec.replicas");
    log_info(&kept.log, "m", LOG_ERR(&err));
    assert_non_null(strstr(kept.line, ",\"error\":\"spec.replicas: must be at least 1\"}"));
}

static void text_cannot_forge_lines_or_drive_a_terminal(void **state)
{
    (void)state;
    static const struct {
        struct str value;
        const char *json;
        const char *text;
    } rows[] = {
        {STR_INIT("a\nb"), "\"a\\nb\"", "\"a\\nb\""},
        {STR_INIT("a\r\tb"), "\"a\\r\\tb\"", "\"a\\r\\tb\""},
        {STR_INIT("a\"}b"), "\"a\\\"}b\"", "\"a\\\"}b\""},
        {STR_INIT("a\\b"), "\"a\\\\b\"", "\"a\\\\b\""},
        {STR_INIT("a\0b"), "\"a\\u0000b\"", "\"a\\u0000b\""},
        {STR_INIT("\x1b[31m"), "\"\\u001b[31m\"", "\"\\u001b[31m\""},
        {STR_INIT("\x7f"), "\"\\u007f\"", "\"\\u007f\""},
        {STR_INIT("\xC2\x9B"), "\"\\u009b\"", "\"\\u009b\""},
        {STR_INIT("\xE2\x80\xA8"), "\"\\u2028\"", "\"\\u2028\""},
        {STR_INIT("\xE2\x80\xAE"), "\"\\u202e\"", "\"\\u202e\""},
        {STR_INIT("\xE2\x81\xA6"), "\"\\u2066\"", "\"\\u2066\""},
        {STR_INIT("\xE2\x81\xA9"), "\"\\u2069\"", "\"\\u2069\""},
        /* their neighbours stay */
        {STR_INIT("\xC2\xA0"), "\"\xC2\xA0\"", "\"\xC2\xA0\""},
        {STR_INIT("\xE2\x80\xA7\xE2\x80\xAF"), "\"\xE2\x80\xA7\xE2\x80\xAF\"",
         "\"\xE2\x80\xA7\xE2\x80\xAF\""},
        {STR_INIT("\xE2\x81\xA5\xE2\x81\xAA"), "\"\xE2\x81\xA5\xE2\x81\xAA\"",
         "\"\xE2\x81\xA5\xE2\x81\xAA\""},
        {STR_INIT("a/b"), "\"a/b\"", "a/b"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kept kept;
        char expected[128];
        kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
        log_info(&kept.log, "m", LOG_STR("v", rows[i].value));
        snprintf(expected, sizeof(expected), "\"msg\":\"m\",\"v\":%s}\n", rows[i].json);
        assert_string_equal(strstr(kept.line, "\"msg\""), expected);
        kept_init(&kept, LOG_TEXT, LOG_LEVEL_INFO);
        log_info(&kept.log, "m", LOG_STR("v", rows[i].value));
        snprintf(expected, sizeof(expected), "INFO  m v=%s\n", rows[i].text);
        assert_string_equal(strstr(kept.line, "INFO"), expected);
    }
}

static void messages_and_names_are_escaped_too(void **state)
{
    (void)state;
    struct kept kept;
    kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
    log_info(&kept.log, "a\"b\n", LOG_INT("n\"\n", 1));
    assert_string_equal(strstr(kept.line, "\"msg\""), "\"msg\":\"a\\\"b\\n\",\"n\\\"\\n\":1}\n");
    kept_init(&kept, LOG_TEXT, LOG_LEVEL_INFO);
    log_info(&kept.log, "a\"b\n\\", LOG_INT("n\n", 1));
    assert_string_equal(strstr(kept.line, "INFO"), "INFO  a\"b\\n\\ n\\n=1\n");
}

static void bytes_that_are_no_utf8_become_the_replacement_character(void **state)
{
    (void)state;
#define R "\xEF\xBF\xBD"
    static const struct {
        struct str value;
        const char *shown;
    } rows[] = {
        {STR_INIT("\xC3\xA9"), "\xC3\xA9"},
        {STR_INIT("\xE2\x82\xAC"), "\xE2\x82\xAC"},
        {STR_INIT("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80"},
        {STR_INIT("\xF4\x8F\xBF\xBF"), "\xF4\x8F\xBF\xBF"}, /* U+10FFFF */
        {STR_INIT("\xED\x9F\xBF\xEE\x80\x80"), "\xED\x9F\xBF\xEE\x80\x80"},
        {STR_INIT("a\xFFz"), "a" R "z"},
        {STR_INIT("\x80"), R},
        {STR_INIT("\xBF"), R},
        {STR_INIT("\xC3"), R}, /* ends too early */
        {STR_INIT("\xE2\x82"), R R},
        {STR_INIT("\xF0\x9F\x98"), R R R},
        {STR_INIT("\xC3z"), R "z"}, /* no continuation */
        {STR_INIT("\xE2\x82z"), R R "z"},
        {STR_INIT("\xC0\x80"), R R}, /* overlong */
        {STR_INIT("\xC1\xBF"), R R},
        {STR_INIT("\xE0\x9F\xBF"), R R R},
        {STR_INIT("\xF0\x8F\xBF\xBF"), R R R R},
        {STR_INIT("\xED\xA0\x80"), R R R}, /* surrogates */
        {STR_INIT("\xED\xBF\xBF"), R R R},
        {STR_INIT("\xF4\x90\x80\x80"), R R R R}, /* above U+10FFFF */
        {STR_INIT("\xF8\x88\x80\x80\x80"), R R R R R},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kept kept;
        kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
        log_info(&kept.log, "m", LOG_STR("v", rows[i].value));
        char expected[128];
        snprintf(expected, sizeof(expected), ",\"v\":\"%s\"}\n", rows[i].shown);
        assert_string_equal(strstr(kept.line, ",\"v\""), expected);
    }
}

static void numbers_that_json_lacks_are_strings(void **state)
{
    (void)state;
    struct kept kept;
    kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
    log_info(&kept.log, "m", LOG_DOUBLE("a", INFINITY), LOG_DOUBLE("b", -INFINITY),
             LOG_DOUBLE("c", (double)NAN), LOG_INT("d", INT64_MIN), LOG_CSTR("e", NULL));
    assert_string_equal(strstr(kept.line, "\"a\""),
                        "\"a\":\"inf\",\"b\":\"-inf\",\"c\":\"nan\",\"d\":-9223372036854775808,"
                        "\"e\":null}\n");
}

static void a_long_value_is_cut_and_the_fields_behind_it_stay(void **state)
{
    (void)state;
    char text[3000];
    memset(text, 'x', sizeof(text));
    struct kept kept;
    kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
    log_info(&kept.log, "m", LOG_STR("long", ((struct str){text, sizeof(text)})),
             LOG_INT("after", 1));
    cJSON *object = parse_line(&kept);
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItem(object, "long"));
    assert_int_equal(strlen(value), LOG_VALUE_MAX + 3);
    assert_string_equal(value + LOG_VALUE_MAX, "…");
    assert_int_equal(cJSON_GetObjectItem(object, "after")->valueint, 1);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(object, "truncated")));
    cJSON_Delete(object);

    kept_init(&kept, LOG_TEXT, LOG_LEVEL_INFO);
    log_info(&kept.log, "m", LOG_STR("long", ((struct str){text, sizeof(text)})),
             LOG_INT("after", 1));
    assert_string_equal(kept.line + kept.len - 14, "x…\" after=1\n");

    /* One that just fits is whole. */
    kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
    log_info(&kept.log, "m", LOG_STR("long", ((struct str){text, LOG_VALUE_MAX})));
    assert_null(strstr(kept.line, "truncated"));
    assert_null(strstr(kept.line, "…"));
}

/* A line with many fields of `len` bytes each, so that it is cut at ever different places. */
static void log_many_fields(struct kept *kept, struct str piece, size_t len)
{
    char text[LOG_VALUE_MAX * 2];
    for (size_t i = 0; i < len; i++)
        text[i] = piece.ptr[i % piece.len];
    struct str value = {text, len};
    struct log_field fields[64];
    for (size_t i = 0; i < 64; i++)
        fields[i] = i % 3 ? LOG_STR("name", value) : LOG_INT("number", INT64_MIN);
    struct log log = log_child(&kept->log, value, fields, 32);
    log_write(&log, LOG_LEVEL_INFO, "message", fields + 32, 32);
}

static void a_line_cut_anywhere_is_valid_and_says_so(void **state)
{
    (void)state;
    static const struct str pieces[] = {STR_INIT("x"), STR_INIT("\n"), STR_INIT("\x01"),
                                        STR_INIT("\"é\xFF\xF0\x9F\x98\x80\\"),
                                        STR_INIT("\xE2\x80\xA8 ")};
    static struct kept kept;
    for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
        for (size_t len = 80; len < 700; len++) {
            kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
            log_many_fields(&kept, pieces[p], len);
            assert_true(kept.len > LOG_LINE_MAX * 3 / 4);
            cJSON *object = parse_line(&kept);
            assert_true(cJSON_IsTrue(cJSON_GetObjectItem(object, "truncated")));
            cJSON_Delete(object);

            kept_init(&kept, LOG_TEXT, LOG_LEVEL_INFO);
            log_many_fields(&kept, pieces[p], len);
            assert_string_equal(kept.line + kept.len - 5, " …\n");
            assert_ptr_equal(strchr(kept.line, '\n'), kept.line + kept.len - 1);
        }
    }
}

static void a_message_or_a_name_cannot_fill_more_than_a_line(void **state)
{
    (void)state;
    static char name[LOG_LINE_MAX * 2];
    memset(name, 'n', sizeof(name) - 1);
    struct kept kept;
    for (int format = LOG_JSON; format <= LOG_TEXT; format++) {
        kept_init(&kept, (enum log_format)format, LOG_LEVEL_INFO);
        log_write(&kept.log, LOG_LEVEL_INFO, name, NULL, 0);
        assert_in_range(kept.len, LOG_VALUE_MAX, LOG_VALUE_MAX + 200);
        log_info(&kept.log, "m", LOG_INT(name, 1));
        assert_true(kept.len < LOG_VALUE_MAX * 2);
    }
    kept_init(&kept, LOG_TEXT, LOG_LEVEL_INFO);
    struct log_field fields[5];
    for (size_t i = 0; i < 5; i++)
        fields[i] = LOG_INT(name, 1);
    log_write(&kept.log, LOG_LEVEL_INFO, "m", fields, 5);
    assert_string_equal(kept.line + kept.len - 5, " …\n");
}

static void a_line_that_cannot_be_written_is_counted(void **state)
{
    (void)state;
    struct kept kept;
    kept_init(&kept, LOG_JSON, LOG_LEVEL_INFO);
    kept.broken = true;
    log_info(&kept.log, "m");
    log_info(&kept.log, "m");
    kept.broken = false;
    log_info(&kept.log, "m");
    assert_int_equal(kept.sink.lost, 2);
    assert_int_equal(kept.lines, 1);
}

static void a_file_descriptor_gets_the_line(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct test_clock clock;
    test_clock_init(&clock);
    struct log_sink sink;
    log_sink_init_fd(&sink, fds[1], LOG_TEXT, LOG_LEVEL_INFO, &clock.clock);
    struct log log = {.sink = &sink};
    log_info(&log, "hello");
    char got[100] = {0};
    ssize_t n = read(fds[0], got, sizeof(got) - 1);
    assert_int_equal(n, strlen(got));
    assert_string_equal(got, "2026-01-02T03:04:05.000Z INFO  hello\n");
    assert_int_equal(sink.lost, 0);
    close(fds[0]);
    close(fds[1]);
    /* Now nobody can get it: a closed descriptor, and a full disk. */
    log_info(&log, "hello");
    assert_int_equal(sink.lost, 1);
    sink.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(sink.fd >= 0);
    log_info(&log, "hello");
    assert_int_equal(sink.lost, 2);
    close(sink.fd);
}

enum { THREADS = 4, LINES_PER_THREAD = 300, PAYLOAD = 900 };

struct writer {
    const struct log *log;
    char letter;
};

static void *write_lines(void *ctx)
{
    const struct writer *writer = ctx;
    char text[PAYLOAD];
    memset(text, writer->letter, sizeof(text));
    struct str value = {text, sizeof(text)};
    for (int i = 0; i < LINES_PER_THREAD; i++)
        log_info(writer->log, "m", LOG_STR("a", value), LOG_STR("b", value), LOG_STR("c", value),
                 LOG_STR("d", value));
    return NULL;
}

/* Each line must be whole and of one letter. */
static void check_lines(FILE *file)
{
    static const size_t whole =
        sizeof("2026-01-02T03:04:05.000Z INFO  m\n") - 1 + 4 * (3 + PAYLOAD);
    static char line[LOG_LINE_MAX + 1];
    int lines = 0;
    while (fgets(line, sizeof(line), file)) {
        assert_int_equal(strlen(line), whole);
        assert_int_equal(line[whole - 1], '\n');
        size_t same = 0;
        for (size_t i = 0; i < whole; i++)
            same += line[i] == line[whole - 2];
        assert_int_equal(same, 4 * PAYLOAD);
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES_PER_THREAD);
}

static void lines_of_several_threads_never_mix_on_a_pipe(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct test_clock clock;
    test_clock_init(&clock);
    struct log_sink sink;
    log_sink_init_fd(&sink, fds[1], LOG_TEXT, LOG_LEVEL_INFO, &clock.clock);
    struct log log = {.sink = &sink};
    pthread_t threads[THREADS];
    struct writer writers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.log = &log, .letter = (char)('P' + i)};
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &writers[i]), 0);
    }
    /* The pipe is smaller than what is written, so that the writers block and take turns. */
    static char all[THREADS * LINES_PER_THREAD * LOG_LINE_MAX];
    size_t len = 0;
    int newlines = 0;
    while (newlines < THREADS * LINES_PER_THREAD) {
        ssize_t n = read(fds[0], all + len, 5000);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            newlines += all[len + (size_t)i] == '\n';
        len += (size_t)n;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sink.lost, 0);
    FILE *file = fmemopen(all, len, "r");
    check_lines(file);
    fclose(file);
    close(fds[0]);
    close(fds[1]);
}

static void the_names_for_flags_match_the_enums(void **state)
{
    (void)state;
    assert_string_equal(log_level_names[LOG_LEVEL_DEBUG], "debug");
    assert_string_equal(log_level_names[LOG_LEVEL_INFO], "info");
    assert_string_equal(log_level_names[LOG_LEVEL_WARN], "warn");
    assert_string_equal(log_level_names[LOG_LEVEL_ERROR], "error");
    assert_null(log_level_names[LOG_LEVEL_ERROR + 1]);
    assert_string_equal(log_format_names[LOG_JSON], "json");
    assert_string_equal(log_format_names[LOG_TEXT], "text");
    assert_null(log_format_names[LOG_TEXT + 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_have_time_level_message_and_typed_fields),
        cmocka_unit_test(text_lines_are_aligned_and_quote_only_what_needs_it),
        cmocka_unit_test(lines_below_the_level_are_neither_written_nor_evaluated),
        cmocka_unit_test(without_a_log_nothing_happens),
        cmocka_unit_test(a_child_carries_its_id_and_the_fields_of_all_above_it),
        cmocka_unit_test(an_error_is_logged_with_its_field),
        cmocka_unit_test(text_cannot_forge_lines_or_drive_a_terminal),
        cmocka_unit_test(messages_and_names_are_escaped_too),
        cmocka_unit_test(bytes_that_are_no_utf8_become_the_replacement_character),
        cmocka_unit_test(numbers_that_json_lacks_are_strings),
        cmocka_unit_test(a_long_value_is_cut_and_the_fields_behind_it_stay),
        cmocka_unit_test(a_line_cut_anywhere_is_valid_and_says_so),
        cmocka_unit_test(a_message_or_a_name_cannot_fill_more_than_a_line),
        cmocka_unit_test(a_line_that_cannot_be_written_is_counted),
        cmocka_unit_test(a_file_descriptor_gets_the_line),
        cmocka_unit_test(lines_of_several_threads_never_mix_on_a_pipe),
        cmocka_unit_test(the_names_for_flags_match_the_enums),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
