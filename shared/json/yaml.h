/*
 * YAML to and from JSON values.
 *
 * The reader gives the documents of a text one at a time, as kubectl sees them: a text that begins
 * with '{' is JSON (one value after the other); anything else is YAML whose plain scalars are
 * resolved by the rules of sigs.k8s.io/yaml (go.yaml.in/yaml v2, resolve.go): yes, on and the like
 * are booleans, 010 is 8, numbers lose the form that they were written in (1.50 is 1.5), dates are
 * strings, and keys that are integers or booleans become strings. Documents without content, or
 * with null alone, are passed over.
 *
 * It is stricter than kubectl where kubectl drops something without a word or where a value has no
 * JSON: keys that appear twice, merge keys (<<), tags other than YAML's core ones, keys that are
 * lists, objects, null or fractions, infinity, U+0000, and directives are refused. Aliases are
 * replaced by copies, which count towards the limits.
 *
 * Lines and columns count from 1, columns in characters (in bytes where the text is JSON). Strings
 * are copied into the arena unless the text is JSON.
 *
 *   struct yaml_reader reader;
 *   yaml_reader_init(&reader, text, &json_limits_default);
 *   while ((rc = yaml_reader_next(&reader, &arena, &value, &err)) > 0)
 *       … value->line is its first line …
 *   yaml_reader_done(&reader);
 */
#ifndef JSON_YAML_H
#define JSON_YAML_H

#include "json/json.h"
#include "json/read.h"

enum { YAML_TEXT_MAX = 64 * 1024 * 1024 }; /* bytes */

struct yaml_parser_s; /* libyaml's */

enum yaml_reader_state {
    YAML_READS_NO_MORE = 0,
    YAML_READS_JSON,
    YAML_READS_YAML,
};

struct yaml_reader {
    enum yaml_reader_state state;
    const struct json_limits *limits; /* of each document */
    struct json_source source;        /* JSON: what has not been read yet; YAML: all that is YAML */
    struct yaml_parser_s *parser;     /* from malloc, as all that libyaml needs */
    size_t documents;                 /* begun, empty ones too */
};

/* `text` must outlive the reader and, where it is JSON, the values. Takes no memory. */
void yaml_reader_init(struct yaml_reader *reader, struct str text,
                      const struct json_limits *limits);
/* Accepts a zeroed reader. */
void yaml_reader_done(struct yaml_reader *reader);

/* 1 and *ret is the next document, in `arena`; 0 at the end; -1 with *err filled: 400 with line and
 * column, 413 for what is over a limit, 507 without memory. After an error there are no more
 * documents. The arena may be reset between the documents. */
int yaml_reader_next(struct yaml_reader *reader, struct arena *arena, struct json **ret,
                     struct err *err);

/*
 * Writes a value in block style, as kubectl does: two blanks a level, lists not indented, members
 * in their order, no line broken. Strings get quotes only where they would be read as something
 * else. Ends with a line end. Failure is the buffer's.
 */
void yaml_write(struct buf *buf, const struct json *value);

#endif
