/* Kubeconfigs, service accounts, credentials that change, plugins. */
#include "unit/support.h"

#include "kube/config.h"
#include "kube/exec.h"
#include "json/base64.h"

#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECRET       "s3cr3t-t0ken"

/* Memory that must not be given back with a secret in it. */
struct checked_mem {
    struct mem mem;
    const struct mem *inner;
    bool leaked;
};

struct fixture {
    struct test_mem counted;
    struct checked_mem mem;
    struct test_clock clock;
    char folder[64];
    const char *kubeconfig_env;
    const char *host_env, *port_env;
    struct kube_config_options options;
    struct kube_config *config;
};

static void *checked_alloc(void *ctx, size_t size)
{
    const struct checked_mem *mem = ctx;
    return mem_alloc(mem->inner, size);
}

static void checked_free(void *ctx, void *ptr, size_t size)
{
    struct checked_mem *mem = ctx;
    if (ptr && memmem(ptr, size, SECRET, strlen(SECRET)))
        mem->leaked = true;
    mem_free(mem->inner, ptr, size);
}

static const char *fake_env(void *ctx, const char *name)
{
    const struct fixture *f = ctx;
    return strcmp(name, "KUBECONFIG") == 0                ? f->kubeconfig_env
           : strcmp(name, "KUBERNETES_SERVICE_HOST") == 0 ? f->host_env
           : strcmp(name, "KUBERNETES_SERVICE_PORT") == 0 ? f->port_env
                                                          : NULL;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    test_mem_init(&f->counted);
    test_clock_init(&f->clock);
    f->mem =
        (struct checked_mem){.mem = {.alloc = checked_alloc, .free = checked_free, .ctx = &f->mem},
                             .inner = &f->counted.mem};
    strcpy(f->folder, "/tmp/callboard-config-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->options = (struct kube_config_options){.mem = &f->mem.mem,
                                              .clock = &f->clock.clock,
                                              .env = fake_env,
                                              .env_ctx = f,
                                              .service_account = f->folder};
    *state = f;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status, (void)type, (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    kube_config_free(f->config);
    assert_false(f->mem.leaked);
    nftw(f->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    test_mem_done(&f->counted);
    free(f);
    return 0;
}

/* ---- Files ---- */

static const char *path_of(const struct fixture *f, const char *name)
{
    static char paths[4][128];
    static size_t next;
    char *path = paths[next++ % COUNT(paths)];
    snprintf(path, sizeof(paths[0]), "%s/%s", f->folder, name);
    return path;
}

static void put_file(struct fixture *f, const char *name, const char *text)
{
    /* In place of the old one, as what rotates credentials does. */
    const char *new = path_of(f, "new");
    FILE *file = fopen(new, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(new, path_of(f, name)), 0);
}

static void put_script(struct fixture *f, const char *name, const char *text)
{
    char script[4096];
    snprintf(script, sizeof(script), "#!/bin/sh\n%s\n", text);
    put_file(f, name, script);
    assert_int_equal(chmod(path_of(f, name), 0700), 0);
}

/* A kubeconfig with these members of its cluster and user. */
static void put_kubeconfig(struct fixture *f, const char *cluster, const char *user)
{
    char text[8192];
    snprintf(text, sizeof(text),
             "current-context: prod\n"
             "contexts:\n- name: prod\n  context: {cluster: c, user: u, namespace: demo}\n"
             "clusters:\n- name: c\n  cluster: {server: 'https://10.0.0.1:6443'%s%s}\n"
             "users:\n- name: u\n  user: {%s}\n",
             cluster[0] ? ", " : "", cluster, user);
    put_file(f, "config", text);
    f->options.kubeconfig = path_of(f, "config");
}

static int load(struct fixture *f, struct err *err)
{
    kube_config_free(f->config);
    f->config = NULL;
    return kube_config_load(&f->options, &f->config, err);
}

static void must_load(struct fixture *f)
{
    struct err err = {0};
    if (load(f, &err) != 1)
        fail_msg("%s", err.message);
}

static enum kube_identity_state get(struct fixture *f, struct kube_identity *ret, struct err *err)
{
    *ret = (struct kube_identity){0};
    return f->config->identity->get(f->config->identity, f->clock.now_ns, ret, err);
}

static struct kube_identity identity(struct fixture *f)
{
    struct kube_identity ret;
    struct err err;
    if (get(f, &ret, &err) != KUBE_IDENTITY_READY)
        fail_msg("the identity is not ready");
    return ret;
}

#define PEM(what)  "-----BEGIN CERTIFICATE-----\n" what "\n-----END CERTIFICATE-----\n"
/* base64 of PEM("x"). */
#define PEM_X_DATA "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCngKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="

/* ---- Kubeconfigs ---- */

static void a_kubeconfig_says_where_and_who(void **state)
{
    struct fixture *f = *state;
    put_kubeconfig(f,
                   "certificate-authority-data: " PEM_X_DATA
                   ", tls-server-name: api.test, proxy-url: 'http://proxy:3128'",
                   "token: " SECRET ", client-certificate-data: " PEM_X_DATA
                   ", client-key-data: " PEM_X_DATA);
    must_load(f);
    assert_str_is(f->config->server, "https://10.0.0.1:6443");
    assert_str_is(f->config->host, "10.0.0.1:6443");
    assert_str_is(f->config->tls_server_name, "api.test");
    assert_str_is(f->config->proxy, "http://proxy:3128");
    assert_str_is(f->config->namespace, "demo");
    assert_false(f->config->is_insecure);
    struct kube_identity id = identity(f);
    assert_str_is(id.ca, PEM("x"));
    assert_str_is(id.cert, PEM("x"));
    assert_str_is(id.key, PEM("x"));
    assert_str_is(id.authorization, "Bearer " SECRET);
    assert_int_equal(identity(f).version, id.version);
    char origin[256];
    snprintf(origin, sizeof(origin), "context prod of %s", f->options.kubeconfig);
    assert_str_is(f->config->origin, origin);
}

static void a_user_may_have_a_password_and_a_cluster_no_authority(void **state)
{
    struct fixture *f = *state;
    put_kubeconfig(f, "insecure-skip-tls-verify: true", "username: admin, password: " SECRET);
    must_load(f);
    assert_true(f->config->is_insecure);
    struct kube_identity id = identity(f);
    assert_false(str_is_set(id.ca));
    assert_false(str_is_set(id.cert));
    assert_str_is(id.authorization, "Basic YWRtaW46czNjcjN0LXQwa2Vu");
}

static void nobody_is_named_to_a_server_without_tls(void **state)
{
    struct fixture *f = *state;
    put_file(f, "config",
             "{\"current-context\":\"x\",\"contexts\":[{\"name\":\"x\",\"context\":"
             "{\"cluster\":\"c\",\"user\":\"u\"}}],\"clusters\":[{\"name\":\"c\",\"cluster\":"
             "{\"server\":\"http://localhost:8080\"}}],\"users\":[{\"name\":\"u\",\"user\":"
             "{\"token\":\"" SECRET "\"}}]}");
    f->options.kubeconfig = path_of(f, "config");
    must_load(f);
    assert_str_is(f->config->host, "localhost:8080");
    assert_false(str_is_set(identity(f).authorization));
}

static void of_several_files_the_first_that_says_something_wins(void **state)
{
    struct fixture *f = *state;
    char list[512];
    assert_int_equal(mkdir(path_of(f, "sub"), 0700), 0);
    put_file(f, "one",
             "contexts: [{name: a, context: {cluster: c, user: first}}]\n"
             "users: [{name: first, user: {tokenFile: token}}]\n");
    put_file(f, "sub/two",
             "current-context: a\n"
             "contexts: [{name: a, context: {cluster: c, user: second}}]\n"
             "clusters: [{name: c, cluster: {server: 'https://two:1', "
             "certificate-authority: ca.crt}}]\n"
             "users: [{name: first, user: {token: wrong}}]\n");
    put_file(f, "empty", "# nothing\n");
    put_file(f, "token", SECRET "\n");
    put_file(f, "sub/ca.crt", PEM("sub"));
    snprintf(list, sizeof(list), "%s:/tmp/callboard-none:%s::%s", path_of(f, "one"),
             path_of(f, "empty"), path_of(f, "sub/two"));
    f->kubeconfig_env = list;
    must_load(f);
    assert_str_is(f->config->server, "https://two:1");
    assert_str_is(identity(f).authorization, "Bearer " SECRET);
    assert_str_is(identity(f).ca, PEM("sub"));
    assert_false(str_is_set(f->config->namespace));
}

static void another_context_may_be_chosen(void **state)
{
    struct fixture *f = *state;
    put_file(f, "config",
             "current-context: a\n"
             "contexts: [{name: a, context: {cluster: c}}, {name: b, context: {cluster: d}}]\n"
             "clusters: [{name: c, cluster: {server: 'https://c'}}, "
             "{name: d, cluster: {server: 'https://d/k8s/x'}}]\n");
    f->options.kubeconfig = path_of(f, "config");
    f->options.context = "b";
    must_load(f);
    assert_str_is(f->config->server, "https://d/k8s/x");
    assert_str_is(f->config->host, "d");
}

static void what_is_wrong_is_named_with_file_and_field(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *cluster, *user, *message;
    } cases[] = {
        {"certificate-authority: none.crt", "",
         "clusters[c].certificate-authority: %/none.crt: No such file"},
        {"certificate-authority-data: '!'", "",
         "clusters[c].certificate-authority-data: is no base64"},
        {"certificate-authority-data: eA==", "",
         "clusters[c].certificate-authority-data: the text there is not PEM"},
        {"certificate-authority: config", "",
         "clusters[c].certificate-authority: %/config is not PEM"},
        {"certificate-authority: 7", "", "clusters[c].certificate-authority: must be a string"},
        {"insecure-skip-tls-verify: true, certificate-authority-data: eA==", "",
         "clusters[c].insecure-skip-tls-verify: true cannot be together"},
        {"", "token: 'a b'", "users[u].token: the text there is no token"},
        {"", "tokenFile: none", "users[u].tokenFile: %/none: No such file"},
        {"", "token: 12345", "users[u].token: must be a string, put it in quotes"},
        {"", "client-certificate-data: " PEM_X_DATA, "users[u].client-key: is missing"},
        {"", "client-key-data: " PEM_X_DATA, "users[u].client-certificate: is missing"},
        {"", "as: root", "users[u].as: impersonation is not supported"},
        {"", "auth-provider: {name: gcp}", "users[u].auth-provider: is not supported"},
        {"", "exec: {apiVersion: client.authentication.k8s.io/v1}",
         "users[u].exec.command: is missing"},
        {"", "exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}",
         "users[u].exec.apiVersion: must be client.authentication.k8s.io/v1"},
        {"",
         "exec: {command: x, apiVersion: client.authentication.k8s.io/v1, "
         "interactiveMode: Always}",
         "users[u].exec.interactiveMode: Always"},
        {"", "exec: {command: x, apiVersion: client.authentication.k8s.io/v1, args: [1]}",
         "users[u].exec.args: must be strings"},
        {"", "exec: {command: x, apiVersion: client.authentication.k8s.io/v1, env: [{}]}",
         "users[u].exec.env: each needs name and value"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {0};
        char expected[512], *to = expected;
        put_kubeconfig(f, cases[i].cluster, cases[i].user);
        assert_int_equal(load(f, &err), -1);
        for (const char *from = cases[i].message; *from; from++)
            to += *from == '%' ? sprintf(to, "%s", f->folder) : sprintf(to, "%c", *from);
        if (!strstr(err.message, expected) || !strstr(err.message, f->options.kubeconfig))
            fail_msg("\"%s\" instead of \"%s\"", err.message, expected);
    }
}

static void kubeconfigs_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "no current-context"},
        {"[]", "it is no kubeconfig but a YAML array"},
        {"a: {", "config: "},
        {"current-context: x", "there is no context \"x\""},
        {"current-context: x\ncontexts: [{name: x}]", "there is no cluster \"\""},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]",
         "contexts[x].cluster: there is no cluster \"c\""},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
         "clusters: [{name: c, cluster: {server: 'https://c'}}]",
         "contexts[x].user: there is no user \"u\""},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
         "clusters: [{name: c, cluster: {server: 'c:6443'}}]",
         "clusters[c].server: must be a URL"},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
         "clusters: [{name: c, cluster: {}}]",
         "clusters[c].server: must be a URL"},
    };
    f->options.kubeconfig = path_of(f, "none");
    struct err err = {0};
    assert_int_equal(load(f, &err), -1);
    assert_non_null(strstr(err.message, "/none: No such file"));
    for (size_t i = 0; i < COUNT(cases); i++) {
        put_file(f, "config", cases[i].text);
        f->options.kubeconfig = path_of(f, "config");
        assert_int_equal(load(f, &err), -1);
        if (!strstr(err.message, cases[i].message))
            fail_msg("\"%s\" instead of \"%s\"", err.message, cases[i].message);
    }
}

/* ---- Pods ---- */

static void a_pod_uses_its_service_account(void **state)
{
    struct fixture *f = *state;
    put_file(f, "token", SECRET);
    put_file(f, "ca.crt", PEM("x"));
    put_file(f, "namespace", "callboard-system");
    f->host_env = "10.96.0.1";
    f->port_env = "443";
    must_load(f);
    assert_str_is(f->config->server, "https://10.96.0.1:443");
    assert_str_is(f->config->host, "10.96.0.1:443");
    assert_str_is(f->config->namespace, "callboard-system");
    assert_str_is(identity(f).ca, PEM("x"));
    assert_str_is(identity(f).authorization, "Bearer " SECRET);
    f->host_env = "fd00::1";
    must_load(f);
    assert_str_is(f->config->server, "https://[fd00::1]:443");
    assert_int_equal(unlink(path_of(f, "token")), 0);
    struct err err;
    assert_int_equal(load(f, &err), -1);
    assert_non_null(strstr(err.message, "the pod's service account: "));
    assert_non_null(strstr(err.message, "/token: No such file"));
}

static void elsewhere_there_is_no_cluster(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(load(f, &err), 0);
    f->kubeconfig_env = "/tmp/callboard-none";
    assert_int_equal(load(f, &err), 0);
    assert_null(f->config);
}

/* ---- Files that change ---- */

static void a_token_is_read_again_after_a_minute_or_when_it_is_refused(void **state)
{
    struct fixture *f = *state;
    put_file(f, "token", "one");
    put_kubeconfig(f, "", "tokenFile: token");
    must_load(f);
    uint64_t first = identity(f).version;
    put_file(f, "token", "two2");
    assert_str_is(identity(f).authorization, "Bearer one");
    test_clock_advance_ms(&f->clock, 59999);
    assert_str_is(identity(f).authorization, "Bearer one");
    test_clock_advance_ms(&f->clock, 1);
    assert_str_is(identity(f).authorization, "Bearer two2");
    assert_int_not_equal(identity(f).version, first);
    put_file(f, "token", "three");
    struct kube_identity_source *source = f->config->identity;
    source->refused(source, first); /* of a request that was under way */
    assert_str_is(identity(f).authorization, "Bearer two2");
    source->refused(source, identity(f).version);
    assert_str_is(identity(f).authorization, "Bearer three");
}

static void a_file_that_is_missing_or_bad_for_a_while_changes_nothing(void **state)
{
    struct fixture *f = *state;
    put_file(f, "token", "one");
    put_kubeconfig(f, "", "tokenFile: token");
    must_load(f);
    uint64_t version = identity(f).version;
    assert_int_equal(unlink(path_of(f, "token")), 0);
    test_clock_advance_ms(&f->clock, 60000);
    assert_str_is(identity(f).authorization, "Bearer one");
    put_file(f, "token", "");
    test_clock_advance_ms(&f->clock, 60000);
    assert_str_is(identity(f).authorization, "Bearer one");
    put_file(f, "token", "one\n"); /* the same token in another file */
    test_clock_advance_ms(&f->clock, 60000);
    assert_str_is(identity(f).authorization, "Bearer one");
    put_file(f, "token", "two");
    test_clock_advance_ms(&f->clock, 60000);
    assert_str_is(identity(f).authorization, "Bearer two");
    assert_int_not_equal(identity(f).version, version);
}

static void certificates_are_read_again_too(void **state)
{
    struct fixture *f = *state;
    put_file(f, "ca.crt", PEM("1"));
    put_file(f, "tls.crt", PEM("2"));
    put_file(f, "tls.key", PEM("3"));
    put_kubeconfig(f, "certificate-authority: ca.crt",
                   "client-certificate: tls.crt, client-key: tls.key");
    must_load(f);
    uint64_t version = identity(f).version;
    put_file(f, "ca.crt", PEM("one"));
    put_file(f, "tls.crt", PEM("two"));
    put_file(f, "tls.key", PEM("three"));
    test_clock_advance_ms(&f->clock, 60000);
    struct kube_identity id = identity(f);
    assert_str_is(id.ca, PEM("one"));
    assert_str_is(id.cert, PEM("two"));
    assert_str_is(id.key, PEM("three"));
    assert_int_not_equal(id.version, version);
}

/* ---- Plugins ---- */

#define V1 "apiVersion: client.authentication.k8s.io/v1"
#define CREDENTIAL(status)                                                             \
    "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\"," \
    "\"status\":{" status "}}"

/* Asks until the plugin has ended. */
static enum kube_identity_state settle(struct fixture *f, struct kube_identity *ret,
                                       struct err *err)
{
    struct kube_identity_source *source = f->config->identity;
    enum kube_identity_state state;
    while ((state = get(f, ret, err)) == KUBE_IDENTITY_PENDING) {
        struct pollfd ready = {.fd = source->fd, .events = POLLIN};
        if (poll(&ready, 1, 20000) != 1)
            fail_msg("the plugin does not end");
        source->handle(source);
    }
    return state;
}

static void a_plugin_gets_its_arguments_and_what_it_prints_is_used(void **state)
{
    struct fixture *f = *state;
    struct kube_identity id;
    struct err err;
    put_file(f, "ca.crt", PEM("x"));
    put_script(f, "plugin",
               "cd \"$(dirname \"$0\")\"\n"
               "echo \"$#:$1:$2:$FLAVOUR\" >seen\n"
               "echo \"$KUBERNETES_EXEC_INFO\" >info\n"
               "echo 'noise' >&2\n"
               "echo '" CREDENTIAL("\"token\":\"" SECRET "\"") "'");
    put_kubeconfig(f,
                   "certificate-authority: ca.crt, extensions: [{name: "
                   "client.authentication.k8s.io/exec, extension: {audience: x}}]",
                   "exec: {" V1 ", command: ./plugin, provideClusterInfo: true, "
                   "args: ['a b', '$HOME'], env: [{name: FLAVOUR, value: sweet}]}");
    must_load(f);
    assert_int_equal(settle(f, &id, &err), KUBE_IDENTITY_READY);
    assert_str_is(id.authorization, "Bearer " SECRET);
    assert_str_is(id.ca, PEM("x"));
    FILE *seen = fopen(path_of(f, "seen"), "r"), *info = fopen(path_of(f, "info"), "r");
    assert_non_null(seen);
    assert_non_null(info);
    char line[1024];
    assert_non_null(fgets(line, sizeof(line), seen));
    assert_string_equal(line, "2:a b:$HOME:sweet\n");
    assert_non_null(fgets(line, sizeof(line), info));
    assert_string_equal(line, "{\"kind\":\"ExecCredential\",\"apiVersion\":"
                              "\"client.authentication.k8s.io/v1\",\"spec\":{\"interactive\":false,"
                              "\"cluster\":{\"server\":\"https://10.0.0.1:6443\","
                              "\"certificate-authority-data\":\"" PEM_X_DATA
                              "\",\"config\":{\"audience\":\"x\"}}}}\n");
    fclose(seen);
    fclose(info);
}

static void a_plugin_may_give_a_certificate(void **state)
{
    struct fixture *f = *state;
    struct kube_identity id;
    struct err err;
    put_script(f, "plugin",
               "echo '" CREDENTIAL("\"clientCertificateData\":\"-----BEGIN C\","
                                   "\"clientKeyData\":\"-----BEGIN K " SECRET "\"") "'");
    put_kubeconfig(f, "", "exec: {" V1 ", command: ./plugin}");
    must_load(f);
    assert_int_equal(settle(f, &id, &err), KUBE_IDENTITY_READY);
    assert_str_is(id.cert, "-----BEGIN C");
    assert_str_is(id.key, "-----BEGIN K " SECRET);
    assert_false(str_is_set(id.authorization));
}

/* Its output has the number of the run. */
static void put_counting_plugin(struct fixture *f, const char *status)
{
    char script[2048];
    snprintf(script, sizeof(script),
             "cd \"$(dirname \"$0\")\"\necho x >>runs\nn=$(wc -l <runs)\n"
             "echo \"{\\\"apiVersion\\\":\\\"client.authentication.k8s.io/v1\\\","
             "\\\"kind\\\":\\\"ExecCredential\\\",\\\"status\\\":{\\\"token\\\":\\\"t$n\\\"%s}}\"",
             status);
    put_script(f, "plugin", script);
    put_kubeconfig(f, "", "exec: {" V1 ", command: ./plugin}");
}

static void a_plugin_is_run_again_before_its_credential_expires(void **state)
{
    struct fixture *f = *state;
    struct kube_identity id;
    struct err err;
    /* The clock of the test starts at 03:04:05. */
    put_counting_plugin(f, ",\\\"expirationTimestamp\\\":\\\"2026-01-02T0$((n+2)):06:05Z\\\"");
    must_load(f);
    assert_int_equal(settle(f, &id, &err), KUBE_IDENTITY_READY);
    assert_str_is(id.authorization, "Bearer t1");
    test_clock_advance_ms(&f->clock, 89999);
    assert_int_equal(get(f, &id, &err), KUBE_IDENTITY_READY);
    test_clock_advance_ms(&f->clock, 1);
    /* Half a minute before: the old one serves until the new one is there. */
    assert_int_equal(get(f, &id, &err), KUBE_IDENTITY_READY);
    assert_str_is(id.authorization, "Bearer t1");
    test_clock_advance_ms(&f->clock, 30000);
    assert_int_equal(get(f, &id, &err), KUBE_IDENTITY_PENDING);
    assert_int_equal(settle(f, &id, &err), KUBE_IDENTITY_READY);
    assert_str_is(id.authorization, "Bearer t2");
}

static void a_plugin_is_run_again_when_its_credential_is_refused_but_not_all_the_time(void **state)
{
    struct fixture *f = *state;
    struct kube_identity id;
    struct err err;
    put_counting_plugin(f, "");
    must_load(f);
    struct kube_identity_source *source = f->config->identity;
    assert_int_equal(settle(f, &id, &err), KUBE_IDENTITY_READY);
    source->refused(source, id.version);
    assert_int_equal(get(f, &id, &err), KUBE_IDENTITY_READY); /* it has just been run */
    assert_str_is(id.authorization, "Bearer t1");
    test_clock_advance_ms(&f->clock, 10000);
    assert_int_equal(get(f, &id, &err), KUBE_IDENTITY_PENDING);
    assert_int_equal(settle(f, &id, &err), KUBE_IDENTITY_READY);
    assert_str_is(id.authorization, "Bearer t2");
    test_clock_advance_ms(&f->clock, 3600 * 1000);
    assert_int_equal(get(f, &id, &err), KUBE_IDENTITY_READY);
    assert_str_is(id.authorization, "Bearer t2");
}

static void a_plugin_that_fails_is_named_and_its_output_is_not(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *script, *message;
    } cases[] = {
        {"echo " SECRET " >&2; exit 3", "/plugin\" exited with 3: run it by hand"},
        {"kill -9 $$", "/plugin\" was ended by signal 9"},
        {"echo " SECRET, "/plugin\" printed something that is no JSON"},
        {"echo '{}'", "/plugin\" printed something that is no ExecCredential"},
        {"echo '{\"kind\":\"ExecCredential\",\"apiVersion\":"
         "\"client.authentication.k8s.io/v1beta1\",\"status\":{\"token\":\"x\"}}'",
         "/plugin\" printed an ExecCredential of another apiVersion"},
        {"echo '" CREDENTIAL("") "'", "/plugin\" printed neither a token nor a certificate"},
        {"echo '" CREDENTIAL("\"clientCertificateData\":\"" SECRET "\"") "'",
         "/plugin\" printed one of certificate and key"},
        {"echo '" CREDENTIAL("\"token\":\"x\",\"expirationTimestamp\":\"soon\"") "'",
         "/plugin\" printed an expirationTimestamp that is no time"},
        {"printf '%s' '" CREDENTIAL("\"token\":\"x\\ny\"") "'",
         "the credential plugin: the text there is no token"},
        {"head -c 1200000 /dev/zero; sleep 100", "/plugin\" printed more than 1 MiB"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct kube_identity id;
        struct err err = {0};
        put_script(f, "plugin", cases[i].script);
        put_kubeconfig(f, "", "exec: {" V1 ", command: ./plugin}");
        must_load(f);
        assert_int_equal(settle(f, &id, &err), KUBE_IDENTITY_FAILED);
        if (!strstr(err.message, cases[i].message) || strstr(err.message, SECRET))
            fail_msg("\"%s\" instead of \"%s\"", err.message, cases[i].message);
    }
    put_kubeconfig(f, "", "exec: {" V1 ", command: callboard-no-such-plugin}");
    must_load(f);
    struct kube_identity id;
    struct err err = {0};
    assert_int_equal(settle(f, &id, &err), KUBE_IDENTITY_FAILED);
    assert_string_equal(err.message, "the credential plugin \"callboard-no-such-plugin\" cannot be "
                                     "run: No such file or directory");
    /* And it is tried again, after a while. */
    test_clock_advance_ms(&f->clock, 10000);
    assert_int_equal(settle(f, &id, &err), KUBE_IDENTITY_FAILED);
}

static void a_plugin_that_takes_too_long_is_killed_with_its_children(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct kube_exec exec;
    put_script(f, "plugin", "sleep 100 &\necho $! >\"$(dirname \"$0\")/child\"\nwait");
    char *argv[] = {(char *)path_of(f, "plugin"), NULL};
    const struct kube_exec_config config = {.mem = &f->mem.mem,
                                            .command = argv[0],
                                            .argv = argv,
                                            .envp = environ,
                                            .api_version = STR("x"),
                                            .timeout_ns = 300 * CLOCK_NS_PER_MS};
    assert_int_equal(kube_exec_init(&exec, &config, &err), 0);
    kube_exec_start(&exec);
    kube_exec_start(&exec); /* it runs once */
    while (exec.state == KUBE_EXEC_RUNNING) {
        struct pollfd ready = {.fd = exec.fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 20000), 1);
        kube_exec_handle(&exec);
    }
    assert_int_equal(exec.state, KUBE_EXEC_FAILED);
    assert_non_null(strstr(exec.err.message, "did not end in time"));
    /* One that still runs is killed at the end. */
    kube_exec_start(&exec);
    assert_int_equal(exec.state, KUBE_EXEC_RUNNING);
    kube_exec_done(&exec);
}

/* ---- Memory ---- */

static bool load_once(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    struct kube_config_options options = f->options;
    struct kube_config *config = NULL;
    struct err err = {0};
    options.mem = mem;
    int found = kube_config_load(&options, &config, &err);
    if (found < 0)
        assert_int_equal(err.code, 507);
    kube_config_free(config);
    return found == 1;
}

static void without_memory_loading_fails(void **state)
{
    struct fixture *f = *state;
    put_file(f, "ca.crt", PEM("x"));
    put_kubeconfig(f, "certificate-authority: ca.crt",
                   "token: " SECRET ", exec: {" V1 ", command: x, args: [a], "
                   "env: [{name: a, value: b}], provideClusterInfo: true}");
    test_every_allocation_failing(load_once, f);
}

/* ---- base64 ---- */

static void base64_is_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text, *data; /* NULL: it is none */
    } cases[] = {
        {"", ""},
        {"eA==", "x"},
        {"eHk=", "xy"},
        {"eHl6", "xyz"},
        {"eHl6eA==", "xyzx"},
        {"eH\nl6\r\n", "xyz"},
        {"+/+/", "\xfb\xff\xbf"},
        {"e", NULL},
        {"eA", NULL},
        {"eA=", NULL},
        {"eA===", NULL},
        {"eHl6=", NULL},
        {"eA==eA==", NULL},
        {"e A=", NULL},
        {"-_-_", NULL},
        {"=", NULL},
        {"====", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf buf;
        buf_init(&buf, mem_system(), 1024);
        bool is_base64 = base64_read(&buf, str_from_cstr(cases[i].text));
        assert_int_equal(is_base64, cases[i].data != NULL);
        if (is_base64)
            assert_str_is(buf_str(&buf), cases[i].data);
        buf_done(&buf);
    }
}

static void what_base64_writes_it_reads(void **state)
{
    (void)state;
    struct random_seeded random;
    random_seeded_init(&random, TEST_SEED);
    for (size_t len = 0; len < 200; len++) {
        char data[200];
        struct buf text, back;
        for (size_t i = 0; i < len; i++)
            data[i] = (char)random_u64(&random.random);
        buf_init(&text, mem_system(), 1024);
        buf_init(&back, mem_system(), 1024);
        base64_write(&text, (struct str){data, len});
        assert_true(base64_read(&back, buf_str(&text)));
        assert_str_equal(buf_str(&back), ((struct str){data, len}));
        buf_done(&text);
        buf_done(&back);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_kubeconfig_says_where_and_who),
        TEST(a_user_may_have_a_password_and_a_cluster_no_authority),
        TEST(nobody_is_named_to_a_server_without_tls),
        TEST(of_several_files_the_first_that_says_something_wins),
        TEST(another_context_may_be_chosen),
        TEST(what_is_wrong_is_named_with_file_and_field),
        TEST(kubeconfigs_that_are_none_are_refused),
        TEST(a_pod_uses_its_service_account),
        TEST(elsewhere_there_is_no_cluster),
        TEST(a_token_is_read_again_after_a_minute_or_when_it_is_refused),
        TEST(a_file_that_is_missing_or_bad_for_a_while_changes_nothing),
        TEST(certificates_are_read_again_too),
        TEST(a_plugin_gets_its_arguments_and_what_it_prints_is_used),
        TEST(a_plugin_may_give_a_certificate),
        TEST(a_plugin_is_run_again_before_its_credential_expires),
        TEST(a_plugin_is_run_again_when_its_credential_is_refused_but_not_all_the_time),
        TEST(a_plugin_that_fails_is_named_and_its_output_is_not),
        TEST(a_plugin_that_takes_too_long_is_killed_with_its_children),
        TEST(without_memory_loading_fails),
        cmocka_unit_test(base64_is_read_strictly),
        cmocka_unit_test(what_base64_writes_it_reads),
    };
    return cmocka_run_group_tests_name("kube_config", tests, NULL, NULL);
}
