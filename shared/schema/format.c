/* Checks of the string formats that Kubernetes objects hold. */
#include "schema/format.h"

#include "json/path.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alnum(char c)
{
    return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_lower_alnum(char c)
{
    return is_digit(c) || is_lower(c);
}

static bool check_any(struct str s)
{
    (void)s;
    return true;
}

static bool check_not_blank(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    }
    return str_trim(s).len > 0;
}

static bool check_dns_label(struct str s)
{
    if (s.len == 0 || s.len > 63 || !is_lower_alnum(s.ptr[0]) || !is_lower_alnum(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_lower_alnum(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    }
    return true;
}

/* A subdomain's labels may be longer than 63: only the whole is limited (validation.go,
 * IsDNS1123Subdomain). */
static bool check_dns_subdomain(struct str s)
{
    char before = '.';
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool edge = before == '.' || i + 1 == s.len || s.ptr[i + 1] == '.';
        if (c == '.' ? before == '.' : !(is_lower_alnum(c) || (c == '-' && !edge)))
            return false;
        before = c;
    }
    return s.len > 0 && before != '.';
}

/* Letters, digits, '-', '_' and '.', the first and the last a letter or a digit. */
static bool is_qualified_word(struct str s)
{
    if (s.len == 0 || s.len > 63 || !is_alnum(s.ptr[0]) || !is_alnum(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_' && s.ptr[i] != '.')
            return false;
    }
    return true;
}

static bool check_label_key(struct str s)
{
    struct str prefix, name;
    if (!str_cut(s, '/', &prefix, &name))
        return is_qualified_word(s);
    return prefix.len <= 253 && check_dns_subdomain(prefix) && is_qualified_word(name);
}

static bool check_label_value(struct str s)
{
    return s.len == 0 || is_qualified_word(s);
}

/* Printable ASCII but '=' (validation.go, IsRelaxedEnvVarName). */
static bool check_env_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e || s.ptr[i] == '=')
            return false;
    }
    return s.len > 0;
}

static bool check_config_key(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_' && s.ptr[i] != '.')
            return false;
    }
    return s.len > 0 && !str_eq(s, STR(".")) && !str_starts_with(s, STR(".."));
}

static bool check_version(struct str s)
{
    struct str major, minor;
    bool dotted = str_cut(s, '.', &major, &minor);
    for (size_t i = 0; i < major.len; i++) {
        if (!is_digit(major.ptr[i]))
            return false;
    }
    for (size_t i = 0; i < minor.len; i++) {
        if (!is_digit(minor.ptr[i]))
            return false;
    }
    return major.len > 0 && major.len <= 4 && (!dotted || (minor.len > 0 && minor.len <= 4));
}

/* ---- Image references ---- */

/* Lower-case letters and digits, with '.', '_', '__' or any number of '-' between them. */
static bool is_path_component(struct str s)
{
    size_t i = 0;
    while (i < s.len) {
        if (!is_lower_alnum(s.ptr[i]))
            return false;
        while (i < s.len && is_lower_alnum(s.ptr[i]))
            i++;
        if (i == s.len)
            return true;
        size_t start = i;
        char separator = s.ptr[i];
        while (i < s.len && s.ptr[i] == separator)
            i++;
        size_t run = i - start;
        bool legal =
            separator == '-' || (separator == '.' && run == 1) || (separator == '_' && run <= 2);
        if (!legal)
            return false;
    }
    return false; /* empty, or ends with a separator */
}

static bool is_repository_path(struct str path)
{
    struct str component;
    do {
        struct str rest;
        str_cut(path, '/', &component, &rest);
        if (!is_path_component(component))
            return false;
        path = rest;
    } while (str_is_set(path));
    return true;
}

static bool is_port(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return false;
    }
    return s.len > 0 && s.len <= 5;
}

/* HOST, HOST:PORT or [IPv6]:PORT; host names may have capitals here. */
static bool is_domain(struct str s)
{
    if (str_starts_with(s, STR("["))) {
        ptrdiff_t end = str_find(s, ']');
        if (end < 3)
            return false;
        for (ptrdiff_t i = 1; i < end; i++) {
            char c = s.ptr[i];
            if (!is_digit(c) && c != ':' && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
                return false;
        }
        struct str rest = str_sub(s, (size_t)end + 1, s.len);
        return rest.len == 0 || (rest.ptr[0] == ':' && is_port(str_sub(rest, 1, rest.len)));
    }
    struct str host, port;
    if (str_cut(s, ':', &host, &port) && !is_port(port))
        return false;
    char before = '.';
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool edge = before == '.' || i + 1 == host.len || host.ptr[i + 1] == '.';
        if (c == '.' ? before == '.' : !(is_alnum(c) || (c == '-' && !edge)))
            return false;
        before = c;
    }
    return host.len > 0 && before != '.';
}

/* The first part is a domain only when it cannot be a path: it has a '.', a ':' or a capital, or is
 * "localhost" (reference/normalize.go, splitDockerDomain). */
static bool looks_like_domain(struct str s)
{
    if (str_eq(s, STR("localhost")))
        return true;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.' || s.ptr[i] == ':' || (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z'))
            return true;
    }
    return false;
}

static bool is_tag(struct str s)
{
    if (s.len == 0 || s.len > 128 || !(is_alnum(s.ptr[0]) || s.ptr[0] == '_'))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '_' && s.ptr[i] != '.' && s.ptr[i] != '-')
            return false;
    }
    return true;
}

static bool is_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]) && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'f'))
            return false;
    }
    return s.len > 0;
}

/* The algorithms that container runtimes know (opencontainers/go-digest algorithm.go). */
static bool is_digest(struct str s)
{
    static const struct {
        struct str algorithm;
        size_t hex_len;
    } known[] = {
        {STR_INIT("sha256:"), 64},
        {STR_INIT("sha384:"), 96},
        {STR_INIT("sha512:"), 128},
    };
    struct str hex = {NULL, 0};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (str_starts_with(s, known[i].algorithm) &&
            s.len == known[i].algorithm.len + known[i].hex_len)
            hex = str_sub(s, known[i].algorithm.len, known[i].hex_len);
    }
    return is_hex(hex);
}

bool image_ref_parse(struct str s, struct image_ref *ret)
{
    struct image_ref ref = {0};
    struct str name;
    if (str_cut(s, '@', &name, &ref.digest) && !is_digest(ref.digest))
        return false;
    ptrdiff_t slash = str_find_last(name, '/'), colon = str_find_last(name, ':');
    if (colon > slash) {
        ref.tag = str_sub(name, (size_t)colon + 1, name.len);
        name = str_sub(name, 0, (size_t)colon);
        if (!is_tag(ref.tag))
            return false;
    }
    struct str head, tail;
    ref.path = name;
    if (str_cut(name, '/', &head, &tail) && looks_like_domain(head)) {
        ref.domain = head;
        ref.path = tail;
        if (!is_domain(head))
            return false;
    }
    if (!is_repository_path(ref.path) || ref.path.len > 255)
        return false;
    /* What looks like an image's ID is no name (reference/normalize.go, ParseNormalizedNamed). */
    if (s.len == 64 && is_hex(s))
        return false;
    *ret = ref;
    return true;
}

static bool check_image(struct str s)
{
    struct image_ref ref;
    return image_ref_parse(s, &ref);
}

/* ---- What flows need ---- */

static const struct {
    struct str name;
    int64_t ns;
} duration_units[] = {
    {STR_INIT("ms"), INT64_C(1000000)}, /* before "m" */
    {STR_INIT("s"), INT64_C(1000000000)},
    {STR_INIT("m"), INT64_C(60000000000)},
    {STR_INIT("h"), INT64_C(3600000000000)},
};

/* "1.5": the digits as a number, and by what to divide it. Their count, or 0 when it is none. */
static size_t read_decimal(struct str *rest, int64_t *ret, int64_t *ret_divisor)
{
    size_t at = 0, digits = 0, point = 0;
    *ret = 0;
    *ret_divisor = 1;
    for (; at < rest->len && (is_digit(rest->ptr[at]) || rest->ptr[at] == '.'); at++) {
        if (rest->ptr[at] == '.') {
            if (digits == 0 || point > 0)
                return 0;
            point = at;
            continue;
        }
        if (++digits > 9)
            return 0;
        *ret = *ret * 10 + (rest->ptr[at] - '0');
        *ret_divisor *= point > 0 ? 10 : 1;
    }
    bool ends_with_point = point > 0 && point + 1 == at;
    *rest = str_sub(*rest, at, rest->len);
    return ends_with_point ? 0 : digits;
}

/* Numbers with units, as Go writes them: 1h30m, 500ms, 1.5s. */
bool format_duration(struct str s, int64_t *ret_ns)
{
    const size_t unit_count = sizeof(duration_units) / sizeof(duration_units[0]);
    __int128 sum = 0;
    struct str rest = s;
    while (rest.len > 0) {
        int64_t number, divisor;
        size_t unit = 0;
        if (read_decimal(&rest, &number, &divisor) == 0)
            return false;
        while (unit < unit_count && !str_starts_with(rest, duration_units[unit].name))
            unit++;
        if (unit == unit_count)
            return false;
        rest = str_sub(rest, duration_units[unit].name.len, rest.len);
        sum += (__int128)number * duration_units[unit].ns / divisor;
    }
    if (s.len == 0)
        return false;
    *ret_ns = sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
    return true;
}

static bool check_duration(struct str s)
{
    int64_t ns;
    return format_duration(s, &ns);
}

static bool check_http_url(struct str s)
{
    struct str rest;
    if (str_starts_with(s, STR("http://")))
        rest = str_sub(s, 7, s.len);
    else if (str_starts_with(s, STR("https://")))
        rest = str_sub(s, 8, s.len);
    else
        return false;
    for (size_t i = 0; i < rest.len; i++) {
        if ((unsigned char)rest.ptr[i] <= 0x20 || rest.ptr[i] == 0x7f)
            return false;
    }
    return rest.len > 0 && rest.ptr[0] != '/';
}

static bool check_http_header(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && !strchr("!#$%&'*+-.^_`|~", s.ptr[i]))
            return false;
    }
    return s.len > 0;
}

static bool check_absolute_path(struct str s)
{
    if (s.len < 2 || s.ptr[0] != '/' || memchr(s.ptr, '\0', s.len))
        return false;
    struct str part, rest = s;
    do {
        str_cut(rest, '/', &part, &rest);
        if (str_eq(part, STR("..")))
            return false;
    } while (str_is_set(rest));
    return true;
}

static bool check_parameter(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_')
            return false;
    }
    return s.len > 0 && !is_digit(s.ptr[0]) && s.ptr[0] != '-';
}

static bool check_step_json_path(struct str s)
{
    struct str step, path = s;
    if (!str_starts_with(s, STR("$"))) {
        if (!str_cut(s, ':', &step, &path) || !check_dns_label(step))
            return false;
    }
    if (!str_starts_with(path, STR("$.")) || path.len == 2)
        return false;
    /* What a placeholder will be is not known yet: the path is read when it is. */
    if (str_find(path, '{') >= 0)
        return true;
    struct err err;
    return json_path_check(path, &err) == 0;
}

/* ---- The table ---- */

#define QUALIFIED_WORD "([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)"
#define LABEL          "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

static const struct format formats[FORMAT_COUNT] = {
    [FORMAT_NONE] = {.name = "", .check = check_any},
    [FORMAT_NOT_BLANK] = {.name = "text",
                          .rule = "must not be blank and must not hold control characters",
                          .check = check_not_blank},
    [FORMAT_DNS_LABEL] = {.name = "DNS label",
                          .max_len = 63,
                          .pattern = "^" LABEL "$",
                          .rule = "must be at most 63 lower-case letters, digits or '-', and "
                                  "start and end with a letter or digit",
                          .check = check_dns_label},
    [FORMAT_DNS_SUBDOMAIN] = {.name = "DNS name",
                              .max_len = 253,
                              .pattern = "^" LABEL "(\\." LABEL ")*$",
                              .rule = "must be lower-case letters, digits, '-' or '.', and "
                                      "each part between dots must start and end with a "
                                      "letter or digit",
                              .check = check_dns_subdomain},
    [FORMAT_LABEL_KEY] = {.name = "label key",
                          .max_len = 317,
                          .pattern = "^(" LABEL "(\\." LABEL ")*/)?" QUALIFIED_WORD "$",
                          .rule = "must be a label key: at most 63 letters, digits, '-', '_' "
                                  "or '.', with an optional DNS name and '/' before them",
                          .check = check_label_key},
    [FORMAT_LABEL_VALUE] = {.name = "label value",
                            .max_len = 63,
                            .pattern = "^" QUALIFIED_WORD "?$",
                            .rule = "must be empty or at most 63 letters, digits, '-', '_' or "
                                    "'.', and start and end with a letter or digit",
                            .check = check_label_value},
    [FORMAT_ENV_NAME] = {.name = "environment variable name",
                         .max_len = 256,
                         .pattern = "^[ -<>-~]+$",
                         .rule = "must be printable ASCII characters without '='",
                         .check = check_env_name},
    [FORMAT_CONFIG_KEY] = {.name = "ConfigMap or Secret key",
                           .max_len = 253,
                           .pattern = "^[.]?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$",
                           .rule = "must be letters, digits, '-', '_' or '.', and not start "
                                   "with '..'",
                           .check = check_config_key},
    [FORMAT_IMAGE] = {.name = "image reference",
                      .max_len = 1024,
                      .rule = "must be an image reference such as "
                              "registry.example/team/app:v1 (the repository in lower case, "
                              "no blanks)",
                      .check = check_image},
    [FORMAT_VERSION] = {.name = "version",
                        .max_len = 9,
                        .pattern = "^[0-9]{1,4}(\\.[0-9]{1,4})?$",
                        .rule = "must be a version such as 12 or 12.4",
                        .check = check_version},
    [FORMAT_DURATION] = {.name = "duration",
                         .max_len = 32,
                         .pattern = "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$",
                         .rule = "must be a duration such as 30s, 1m30s or 500ms",
                         .check = check_duration},
    [FORMAT_HTTP_URL] = {.name = "URL",
                         .max_len = 2048,
                         .pattern = "^https?://[^/[:space:]][^[:space:]]*$",
                         .rule = "must be an address that begins with http:// or https://",
                         .check = check_http_url},
    [FORMAT_HTTP_HEADER] = {.name = "HTTP header name",
                            .max_len = 256,
                            .pattern = "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$",
                            .rule = "must be the name of an HTTP header",
                            .check = check_http_header},
    [FORMAT_ABSOLUTE_PATH] = {.name = "absolute path",
                              .max_len = 1024,
                              .rule = "must be a path that begins with / and has no part \"..\"",
                              .check = check_absolute_path},
    [FORMAT_PARAMETER] = {.name = "parameter name",
                          .max_len = 63,
                          .pattern = "^[A-Za-z_][-A-Za-z0-9_]*$",
                          .rule = "must be letters, digits, '-' or '_', and start with a letter "
                                  "or '_'",
                          .check = check_parameter},
    [FORMAT_STEP_JSON_PATH] = {.name = "JSONPath",
                               .max_len = 1024,
                               .pattern = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?:)?\\$\\..+$",
                               .rule = "must be a path to one value, such as $.status.succeeded, "
                                       "or STEP:$.status.succeeded for another step's Job; [0], "
                                       "['a.b'] and [?(@.type=='Complete')] may be in it",
                               .check = check_step_json_path},
};

const struct format *format_get(enum schema_format format)
{
    return &formats[format];
}

bool format_is_valid(enum schema_format format, struct str s)
{
    const struct format *f = format_get(format);
    return (f->max_len == 0 || s.len <= f->max_len) && f->check(s);
}
