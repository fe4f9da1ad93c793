/* Reading kubeconfigs, and the service account of the own pod. */
#include "kube/config.h"

#include "base/file.h"
#include "kube/credentials.h"
#include "kube/object.h"
#include "json/base64.h"
#include "json/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FILES_MAX = 16,
    FILE_MAX = 4 * 1024 * 1024,
    ARENA_BLOCK = 8 * 1024,
    ARENA_MAX = 32 * 1024 * 1024,
    ARGS_MAX = 256,
};

static const char service_account_folder[] = "/var/run/secrets/kubernetes.io/serviceaccount";

/* A kubeconfig that was read. */
struct file {
    struct str path;
    struct str folder; /* to which its relative paths are relative */
    const struct json *json;
};

/* A named part: "users[alice]" of a file. */
struct part {
    const struct file *file;
    const char *list;
    struct str name;
    const struct json *json;
};

struct loaded {
    struct kube_config config; /* first */
    struct kube_credentials credentials;
    struct mem wiping;
    const struct mem *mem;
    struct arena arena;
    const struct kube_config_options *options; /* while it is loaded */
    struct file files[FILES_MAX];
    size_t file_count;
    struct part cluster; /* of the context */
    struct part user;    /* json NULL: none */
};

/* ---- Memory that is wiped ---- */

static void *wiping_alloc(void *ctx, size_t size)
{
    return mem_alloc(ctx, size);
}

static void wiping_free(void *ctx, void *ptr, size_t size)
{
    if (ptr)
        explicit_bzero(ptr, size);
    mem_free(ctx, ptr, size);
}

/* ---- Texts ---- */

static const char *env(const struct loaded *l, const char *name)
{
    const struct kube_config_options *options = l->options;
    const char *value = options->env ? options->env(options->env_ctx, name) : secure_getenv(name);
    return value && value[0] ? value : NULL;
}

static int no_memory(struct err *err)
{
    return err_no_memory(err, "reading the kubeconfig");
}

/* "FILE: users[alice].exec: WHAT". */
__attribute__((format(printf, 4, 5))) static int refuse(const struct part *part, const char *field,
                                                        struct err *err, const char *fmt, ...)
{
    char what[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    return err_set(err, 400, "kubeconfig %" PRIstr ": %s[%" PRIstr "].%s: %s",
                   STR_ARG(part->file->path), part->list, STR_ARG(part->name), field, what);
}

/* A text of a part, absent when there is none or it is empty; -1 when it is no text. */
static int get_text(const struct part *part, const struct json *object, const char *field,
                    struct str *ret, struct err *err)
{
    const struct json *value = json_get(object, str_from_cstr(field));
    *ret = (struct str){NULL, 0};
    if (!value || json_is(value, JSON_NULL))
        return 0;
    if (!json_is(value, JSON_STRING))
        return refuse(part, field, err, "must be a string, put it in quotes");
    if (value->len > 0)
        *ret = json_str(value);
    return 0;
}

static bool get_bool(const struct part *part, const char *field)
{
    return json_bool(json_get(part->json, str_from_cstr(field)), false);
}

/* Relative to the folder of the file that names it. */
static struct str resolve_path(struct loaded *l, const struct part *part, struct str path)
{
    if (path.ptr[0] == '/')
        return arena_copy(&l->arena, path);
    return arena_printf(&l->arena, "%" PRIstr "/%" PRIstr, STR_ARG(part->file->folder),
                        STR_ARG(path));
}

static const char *field_name(struct loaded *l, const struct part *part, const char *field)
{
    return arena_printf(&l->arena, "kubeconfig %" PRIstr ": %s[%" PRIstr "].%s",
                        STR_ARG(part->file->path), part->list, STR_ARG(part->name), field)
        .ptr;
}

/* ---- Files ---- */

static int parse(struct loaded *l, struct file *file, struct str text, struct err *err)
{
    struct yaml_reader reader;
    struct json *json = NULL;
    yaml_reader_init(&reader, text, &json_limits_default);
    int rc = yaml_reader_next(&reader, &l->arena, &json, err);
    yaml_reader_done(&reader);
    if (rc < 0)
        return err_wrap(err, "kubeconfig %" PRIstr, STR_ARG(file->path));
    if (rc > 0 && !json_is(json, JSON_OBJECT))
        return err_set(err, 400, "kubeconfig %" PRIstr ": it is no kubeconfig but a YAML %s",
                       STR_ARG(file->path), json_type_name(json->type));
    file->json = rc > 0 ? json : NULL;
    return 0;
}

static int read_kubeconfig(struct loaded *l, struct str path, bool must_exist, struct err *err)
{
    struct file *file = &l->files[l->file_count];
    if (l->file_count == FILES_MAX)
        return err_set(err, 400, "KUBECONFIG names more than %d files", FILES_MAX);
    *file = (struct file){.path = arena_copy(&l->arena, path)};
    if (!file->path.ptr)
        return no_memory(err);
    if (!must_exist && access(file->path.ptr, F_OK) < 0 && errno == ENOENT)
        return 0;
    ptrdiff_t slash = str_find_last(file->path, '/');
    file->folder = slash > 0    ? str_sub(file->path, 0, (size_t)slash)
                   : slash == 0 ? STR("/.")
                                : STR(".");
    struct buf text;
    buf_init(&text, arena_mem(&l->arena), FILE_MAX);
    if (file_read(file->path.ptr, &text, err) < 0)
        return err_wrap(err, "kubeconfig");
    if (parse(l, file, buf_str(&text), err) < 0)
        return -1;
    l->file_count++;
    return 0;
}

/* 1 when there are kubeconfigs. */
static int read_kubeconfigs(struct loaded *l, struct err *err)
{
    if (l->options->kubeconfig)
        return read_kubeconfig(l, str_from_cstr(l->options->kubeconfig), true, err) < 0 ? -1 : 1;
    struct str list = str_from_cstr(env(l, "KUBECONFIG")), path;
    while (str_is_set(list)) {
        str_cut(list, ':', &path, &list);
        if (path.len > 0 && read_kubeconfig(l, path, false, err) < 0)
            return -1;
    }
    return l->file_count > 0;
}

/* The entry of that name in the first file that has one. */
static bool find_part(struct loaded *l, const char *list, const char *member, struct str name,
                      struct part *ret)
{
    for (size_t i = 0; i < l->file_count; i++) {
        JSON_EACH (entry, kube_at(l->files[i].json, list, NULL)) {
            if (!str_eq(kube_text_at(entry, "name", NULL), name))
                continue;
            *ret = (struct part){.file = &l->files[i],
                                 .list = list,
                                 .name = name,
                                 .json = json_get(entry, str_from_cstr(member))};
            return true;
        }
    }
    return false;
}

static struct str all_paths(struct loaded *l)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&l->arena), FILE_MAX);
    for (size_t i = 0; i < l->file_count; i++)
        buf_printf(&buf, "%s%" PRIstr, i ? ":" : "", STR_ARG(l->files[i].path));
    return buf_str(&buf);
}

/* ---- Texts and files of certificates and tokens ---- */

/* From FIELD-data, or from the file that FIELD names. */
static int set_material(struct loaded *l, size_t which, const struct part *part, const char *field,
                        const char *data_field, struct err *err)
{
    struct kube_material *material = &l->credentials.materials[which];
    struct str data, path;
    if (get_text(part, part->json, data_field, &data, err) < 0 ||
        get_text(part, part->json, field, &path, err) < 0)
        return -1;
    material->field = field_name(l, part, data.len ? data_field : field);
    if (data.len > 0 && !base64_read(&material->text, data))
        return refuse(part, data_field, err, "is no base64");
    if (data.len == 0 && path.len > 0) {
        material->path = resolve_path(l, part, path).ptr;
        if (!material->path)
            return no_memory(err);
    }
    return material->field && !buf_failed(&material->text) ? 0 : no_memory(err);
}

static int set_token(struct loaded *l, const struct part *user, struct err *err)
{
    struct kube_material *material = &l->credentials.materials[MATERIAL_TOKEN];
    struct str token, path;
    if (get_text(user, user->json, "token", &token, err) < 0 ||
        get_text(user, user->json, "tokenFile", &path, err) < 0)
        return -1;
    material->field = field_name(l, user, path.len ? "tokenFile" : "token");
    if (path.len > 0) {
        material->path = resolve_path(l, user, path).ptr;
        if (!material->path)
            return no_memory(err);
    } else if (token.len > 0) {
        buf_put(&material->text, token);
    }
    return material->field && !buf_failed(&material->text) ? 0 : no_memory(err);
}

static int set_basic(struct loaded *l, const struct part *user, struct err *err)
{
    struct str name, password;
    if (get_text(user, user->json, "username", &name, err) < 0 ||
        get_text(user, user->json, "password", &password, err) < 0)
        return -1;
    if (name.len == 0)
        return 0;
    struct str pair =
        arena_printf(&l->arena, "%" PRIstr ":%" PRIstr, STR_ARG(name), STR_ARG(password));
    struct buf basic;
    buf_init(&basic, arena_mem(&l->arena), FILE_MAX);
    buf_put(&basic, STR("Basic "));
    base64_write(&basic, pair);
    if (!pair.ptr || buf_failed(&basic))
        return no_memory(err);
    l->credentials.basic = buf_str(&basic);
    return 0;
}

/* ---- The plugin ---- */

/* KUBERNETES_EXEC_INFO: what a plugin may know about the cluster. */
static struct str exec_info(struct loaded *l, struct str api_version, const struct part *cluster)
{
    struct arena *arena = &l->arena;
    struct json *info = json_new(arena, JSON_OBJECT), *spec = json_new(arena, JSON_OBJECT);
    json_set(info, STR("kind"), json_new_str(arena, STR("ExecCredential")));
    json_set(info, STR("apiVersion"), json_new_str(arena, api_version));
    json_set(spec, STR("interactive"), json_new_bool(arena, false));
    struct json *to = cluster ? json_new(arena, JSON_OBJECT) : NULL;
    if (to) {
        static const char *const fields[] = {"server", "tls-server-name",
                                             "insecure-skip-tls-verify", "proxy-url"};
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
            const struct json *value = json_get(cluster->json, str_from_cstr(fields[i]));
            if (value)
                json_set(to, str_from_cstr(fields[i]), json_copy(arena, value));
        }
        struct buf ca;
        buf_init(&ca, arena_mem(arena), FILE_MAX);
        base64_write(&ca, buf_str(&l->credentials.materials[MATERIAL_CA].text));
        if (ca.len > 0)
            json_set(to, STR("certificate-authority-data"), json_new_str(arena, buf_str(&ca)));
        JSON_EACH (extension, json_get(cluster->json, STR("extensions"))) {
            if (str_eq(kube_text_at(extension, "name", NULL),
                       STR("client.authentication.k8s.io/exec")))
                json_set(to, STR("config"),
                         json_copy(arena, json_get(extension, STR("extension"))));
        }
        json_set(spec, STR("cluster"), to);
    }
    json_set(info, STR("spec"), spec);
    struct buf text;
    buf_init(&text, arena_mem(arena), FILE_MAX);
    buf_put(&text, STR("KUBERNETES_EXEC_INFO="));
    json_write(&text, info);
    buf_put_char(&text, '\0');
    return buf_failed(&text) ? (struct str){NULL, 0} : buf_str(&text);
}

static int make_argv(struct loaded *l, const struct part *user, const struct json *exec,
                     const char *command, char ***ret, struct err *err)
{
    const struct json *args = json_get(exec, STR("args"));
    size_t count = json_is(args, JSON_ARRAY) ? args->len : 0, n = 0;
    if (count > ARGS_MAX)
        return refuse(user, "exec.args", err, "more than %d", ARGS_MAX);
    char **argv = ARENA_NEW_ARRAY(&l->arena, char *, count + 2);
    if (!argv)
        return no_memory(err);
    argv[n++] = (char *)command;
    JSON_EACH (arg, args) {
        if (!json_is(arg, JSON_STRING))
            return refuse(user, "exec.args", err, "must be strings, put them in quotes");
        argv[n] = (char *)arena_copy(&l->arena, json_str(arg)).ptr;
        if (!argv[n++])
            return no_memory(err);
    }
    *ret = argv;
    return 0;
}

static bool has_name(const char *variable, struct str name)
{
    return strncmp(variable, name.ptr, name.len) == 0 && variable[name.len] == '=';
}

/* This process's environment with the plugin's own variables in place of those of the same name. */
static int make_envp(struct loaded *l, const struct part *user, const struct json *exec,
                     struct str info, char ***ret, struct err *err)
{
    const struct json *more = json_get(exec, STR("env"));
    size_t count = 0, n = 0;
    while (environ[count])
        count++;
    size_t more_count = json_is(more, JSON_ARRAY) ? more->len : 0;
    if (more_count > ARGS_MAX)
        return refuse(user, "exec.env", err, "more than %d", ARGS_MAX);
    char **envp = ARENA_NEW_ARRAY(&l->arena, char *, count + more_count + 2);
    if (!envp || !info.ptr)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        bool is_replaced = has_name(environ[i], STR("KUBERNETES_EXEC_INFO"));
        JSON_EACH (variable, more) {
            struct str name = kube_text_at(variable, "name", NULL);
            is_replaced |= name.len > 0 && has_name(environ[i], name);
        }
        if (!is_replaced)
            envp[n++] = environ[i];
    }
    JSON_EACH (variable, more) {
        struct str name = kube_text_at(variable, "name", NULL);
        struct str value = kube_text_at(variable, "value", NULL);
        if (name.len == 0)
            return refuse(user, "exec.env", err, "each needs name and value, both strings");
        envp[n] =
            (char *)arena_printf(&l->arena, "%" PRIstr "=%" PRIstr, STR_ARG(name), STR_ARG(value))
                .ptr;
        if (!envp[n++])
            return no_memory(err);
    }
    envp[n] = (char *)info.ptr;
    *ret = envp;
    return 0;
}

static int check_exec(const struct part *user, const struct json *exec, struct str *ret_command,
                      struct str *ret_version, struct err *err)
{
    *ret_command = kube_text_at(exec, "command", NULL);
    *ret_version = kube_text_at(exec, "apiVersion", NULL);
    if (ret_command->len == 0)
        return refuse(user, "exec.command", err, "is missing");
    if (!str_eq(*ret_version, STR("client.authentication.k8s.io/v1")) &&
        !str_eq(*ret_version, STR("client.authentication.k8s.io/v1beta1")))
        return refuse(user, "exec.apiVersion", err,
                      "must be client.authentication.k8s.io/v1 or …/v1beta1");
    if (str_eq(kube_text_at(exec, "interactiveMode", NULL), STR("Always")))
        return refuse(user, "exec.interactiveMode", err,
                      "Always: this program has no terminal to ask on");
    return 0;
}

/* After the files were read: the plugin may be told what is in them. */
static int set_exec(struct loaded *l, struct err *err)
{
    const struct part *user = &l->user;
    const struct json *exec = json_get(user->json, STR("exec"));
    struct kube_exec_config config = {.mem = &l->wiping};
    struct str command;
    char **argv = NULL, **envp = NULL;
    if (!exec || json_is(exec, JSON_NULL))
        return 0;
    if (check_exec(user, exec, &command, &config.api_version, err) < 0)
        return -1;
    bool is_path = str_find(command, '/') >= 0;
    command = is_path ? resolve_path(l, user, command) : arena_copy(&l->arena, command);
    if (!command.ptr)
        return no_memory(err);
    bool tells_cluster = kube_bool_at(exec, "provideClusterInfo", NULL);
    struct str info = exec_info(l, config.api_version, tells_cluster ? &l->cluster : NULL);
    if (make_argv(l, user, exec, command.ptr, &argv, err) < 0 ||
        make_envp(l, user, exec, info, &envp, err) < 0)
        return -1;
    config.command = command.ptr;
    config.argv = argv;
    config.envp = envp;
    return kube_credentials_use_exec(&l->credentials, &config, err);
}

/* ---- Cluster, user, context ---- */

/* HOST:PORT out of a URL. */
static struct str host_of(struct str server)
{
    struct str scheme, rest, host, path;
    str_cut(server, ':', &scheme, &rest);
    if (str_starts_with(rest, STR("//")))
        rest = str_sub(rest, 2, rest.len);
    str_cut(rest, '/', &host, &path);
    return host;
}

static int set_cluster(struct loaded *l, const struct part *cluster, struct err *err)
{
    struct kube_config *config = &l->config;
    if (get_text(cluster, cluster->json, "server", &config->server, err) < 0 ||
        get_text(cluster, cluster->json, "tls-server-name", &config->tls_server_name, err) < 0 ||
        get_text(cluster, cluster->json, "proxy-url", &config->proxy, err) < 0 ||
        set_material(l, MATERIAL_CA, cluster, "certificate-authority", "certificate-authority-data",
                     err) < 0)
        return -1;
    const struct kube_material *ca = &l->credentials.materials[MATERIAL_CA];
    config->is_insecure = get_bool(cluster, "insecure-skip-tls-verify");
    config->host = host_of(config->server);
    if (!str_starts_with(config->server, STR("https://")) &&
        !str_starts_with(config->server, STR("http://")))
        return refuse(cluster, "server", err, "must be a URL such as https://10.0.0.1:6443");
    if (config->is_insecure && (ca->path || ca->text.len > 0))
        return refuse(cluster, "insecure-skip-tls-verify", err,
                      "true cannot be together with a certificate authority: remove one");
    return 0;
}

static int refuse_unknown_ways(const struct part *user, struct err *err)
{
    static const char *const impersonation[] = {"as", "as-uid", "as-groups", "as-user-extra"};
    for (size_t i = 0; i < sizeof(impersonation) / sizeof(impersonation[0]); i++) {
        if (json_get(user->json, str_from_cstr(impersonation[i])))
            return refuse(user, impersonation[i], err,
                          "impersonation is not supported: use a user of its own");
    }
    if (json_get(user->json, STR("auth-provider")))
        return refuse(user, "auth-provider", err,
                      "is not supported, as in Kubernetes since 1.26: use exec");
    return 0;
}

static int set_user(struct loaded *l, const struct part *user, struct err *err)
{
    if (refuse_unknown_ways(user, err) < 0 ||
        set_material(l, MATERIAL_CERT, user, "client-certificate", "client-certificate-data", err) <
            0 ||
        set_material(l, MATERIAL_KEY, user, "client-key", "client-key-data", err) < 0 ||
        set_token(l, user, err) < 0 || set_basic(l, user, err) < 0)
        return -1;
    const struct kube_material *cert = &l->credentials.materials[MATERIAL_CERT];
    const struct kube_material *key = &l->credentials.materials[MATERIAL_KEY];
    bool has_cert = cert->path || cert->text.len > 0, has_key = key->path || key->text.len > 0;
    if (has_cert != has_key)
        return refuse(user, has_cert ? "client-key" : "client-certificate", err,
                      "is missing: certificate and key come together");
    return 0;
}

static struct str current_context(const struct loaded *l)
{
    struct str name = str_from_cstr(l->options->context);
    for (size_t i = 0; i < l->file_count && name.len == 0; i++)
        name = kube_text_at(l->files[i].json, "current-context", NULL);
    return name;
}

static int set_context(struct loaded *l, struct err *err)
{
    struct part context;
    struct str name = current_context(l), paths = all_paths(l), cluster_name, user_name;
    if (name.len == 0)
        return err_set(err, 400,
                       "kubeconfig %" PRIstr ": no current-context: set it with kubectl config "
                       "use-context NAME",
                       STR_ARG(paths));
    if (!find_part(l, "contexts", "context", name, &context))
        return err_set(err, 400,
                       "kubeconfig %" PRIstr ": there is no context \"%" PRIstr
                       "\": kubectl config get-contexts lists them",
                       STR_ARG(paths), STR_ARG(name));
    if (get_text(&context, context.json, "cluster", &cluster_name, err) < 0 ||
        get_text(&context, context.json, "user", &user_name, err) < 0 ||
        get_text(&context, context.json, "namespace", &l->config.namespace, err) < 0)
        return -1;
    if (!find_part(l, "clusters", "cluster", cluster_name, &l->cluster))
        return refuse(&context, "cluster", err, "there is no cluster \"%" PRIstr "\" in clusters",
                      STR_ARG(cluster_name));
    l->config.origin = arena_printf(&l->arena, "context %" PRIstr " of %" PRIstr, STR_ARG(name),
                                    STR_ARG(context.file->path));
    if (!l->config.origin.ptr)
        return no_memory(err);
    if (set_cluster(l, &l->cluster, err) < 0)
        return -1;
    /* Nobody's password goes over a connection that anybody can read: client-go does not either. */
    if (user_name.len == 0 || !str_starts_with(l->config.server, STR("https://")))
        return 0;
    if (!find_part(l, "users", "user", user_name, &l->user))
        return refuse(&context, "user", err, "there is no user \"%" PRIstr "\" in users",
                      STR_ARG(user_name));
    return set_user(l, &l->user, err);
}

/* ---- In a pod ---- */

static void read_namespace(struct loaded *l, const char *folder)
{
    struct err ignored; /* it is only a default */
    struct buf text;
    struct str path = arena_printf(&l->arena, "%s/namespace", folder);
    buf_init(&text, arena_mem(&l->arena), FILE_MAX);
    if (path.ptr && file_read(path.ptr, &text, &ignored) == 0 && text.len > 0)
        l->config.namespace = str_trim(buf_str(&text));
}

/* 0 when this is no pod. */
static int set_pod(struct loaded *l, struct err *err)
{
    const char *host = env(l, "KUBERNETES_SERVICE_HOST");
    const char *port = env(l, "KUBERNETES_SERVICE_PORT");
    const char *folder =
        l->options->service_account ? l->options->service_account : service_account_folder;
    if (!host || !port)
        return 0;
    struct kube_material *ca = &l->credentials.materials[MATERIAL_CA];
    struct kube_material *token = &l->credentials.materials[MATERIAL_TOKEN];
    bool is_v6 = strchr(host, ':') != NULL;
    l->config.host = arena_printf(&l->arena, is_v6 ? "[%s]:%s" : "%s:%s", host, port);
    l->config.server = arena_printf(&l->arena, "https://%" PRIstr, STR_ARG(l->config.host));
    l->config.origin = STR("the pod's service account");
    ca->field = token->field = "the pod's service account";
    ca->path = arena_printf(&l->arena, "%s/ca.crt", folder).ptr;
    token->path = arena_printf(&l->arena, "%s/token", folder).ptr;
    read_namespace(l, folder);
    if (!l->config.server.ptr || !l->config.host.ptr || !ca->path || !token->path)
        return no_memory(err);
    return 1;
}

/* ---- Both ---- */

static int load(struct loaded *l, struct err *err)
{
    int found = read_kubeconfigs(l, err);
    if (found > 0)
        found = set_context(l, err) < 0 ? -1 : 1;
    else if (found == 0)
        found = set_pod(l, err);
    if (found > 0 && (kube_credentials_begin(&l->credentials, err) < 0 || set_exec(l, err) < 0))
        return -1;
    return found;
}

int kube_config_load(const struct kube_config_options *options, struct kube_config **ret,
                     struct err *err)
{
    struct loaded *l = mem_alloc(options->mem, sizeof(*l));
    if (!l)
        return no_memory(err);
    *l = (struct loaded){
        .wiping = {.alloc = wiping_alloc, .free = wiping_free, .ctx = (void *)options->mem},
        .mem = options->mem,
        .options = options,
    };
    arena_init(&l->arena, &l->wiping, ARENA_BLOCK, ARENA_MAX);
    kube_credentials_init(&l->credentials, &l->wiping, options->clock);
    l->config.identity = &l->credentials.source;
    int found = load(l, err);
    l->options = NULL;
    if (found > 0)
        *ret = &l->config;
    else
        kube_config_free(&l->config);
    return found;
}

void kube_config_free(struct kube_config *config)
{
    struct loaded *l = (struct loaded *)config;
    if (!l)
        return;
    kube_credentials_done(&l->credentials);
    arena_done(&l->arena);
    mem_free(l->mem, l, sizeof(*l));
}
