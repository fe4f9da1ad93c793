/* The words that pass between kube-scheduler and its extender. The requests in unit/testdata/extender are
 * recorded from kube-scheduler 1.36.3. */
#include "unit/extender_fixture.h"

#include "extender/wire.h"

#include <stdlib.h>

enum { NODES_MAX = 8 };

static int set_up(void **state)
{
    static struct extender_fixture fixture;
    extender_fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    extender_fixture_done(*state);
    return 0;
}

static struct str read_file(struct extender_fixture *f, const char *name, const char *kind)
{
    struct str path = arena_printf(&f->arena, "extender/%s.%s.json", name, kind);
    return test_read_file(&f->arena, path.ptr);
}

static struct wire_args read_args(struct str body)
{
    struct wire_args args;
    struct err err;
    if (wire_read_args(body, &args, &err) < 0)
        fail_msg("%" PRIstr ": %s", STR_ARG(body), err.message);
    return args;
}

static size_t read_nodes(struct extender_fixture *f, const struct wire_args *args,
                         struct wire_node **nodes)
{
    size_t count;
    struct err err;
    if (wire_read_nodes(args, &f->arena, nodes, &count, &err) < 0)
        fail_msg("%s", err.message);
    return count;
}

static struct pod read_pod(struct extender_fixture *f, const struct wire_args *args)
{
    struct err err;
    const struct json *tree = json_read(&f->arena, args->pod, &json_limits_default, &err);
    assert_non_null(tree);
    struct pod pod;
    pod_read(&pod, tree, f->catalog);
    return pod;
}

/* The nodes of the recorded cluster, from the request that brings them. */
static size_t read_cluster(struct extender_fixture *f, struct node *to)
{
    struct wire_args args = read_args(read_file(f, "share", "nodes.filter"));
    struct err err;
    const struct json *items = json_read(&f->arena, args.nodes, &json_limits_default, &err);
    size_t count = 0;
    JSON_EACH (item, items) {
        struct kube_meta meta;
        kube_meta_read(item, &meta);
        assert_in_range(count, 0, NODES_MAX - 1);
        to[count++].facts = node_facts_new(arena_mem(&f->arena), item, &meta, f->catalog);
    }
    return count;
}

static const struct node *find_node(const struct node *nodes, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(nodes[i].facts->name, name))
            return &nodes[i];
    }
    return NULL;
}

static struct str answer_filter(struct extender_fixture *f, struct str body)
{
    struct wire_args args = read_args(body);
    struct node cluster[NODES_MAX] = {0};
    size_t known = read_cluster(f, cluster);
    struct wire_node *nodes;
    size_t count = read_nodes(f, &args, &nodes);
    struct pod pod = read_pod(f, &args);
    uint8_t verdicts[NODES_MAX];
    for (size_t i = 0; i < count; i++) {
        const struct node *node = find_node(cluster, known, nodes[i].name);
        verdicts[i] = (uint8_t)(node ? filter_judge(&pod, node, -1) : VERDICT_UNKNOWN_NODE);
    }
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1 << 20);
    wire_write_filter(&buf, &args, nodes, verdicts, count);
    return buf_str(&buf);
}

static struct str answer_prioritize(struct extender_fixture *f, struct str body)
{
    struct wire_args args = read_args(body);
    struct node cluster[NODES_MAX] = {0};
    size_t known = read_cluster(f, cluster);
    struct wire_node *nodes;
    size_t count = read_nodes(f, &args, &nodes);
    struct pod pod = read_pod(f, &args);
    struct score_candidate candidates[NODES_MAX];
    for (size_t i = 0; i < count; i++)
        candidates[i] = (struct score_candidate){.node = find_node(cluster, known, nodes[i].name)};
    struct packer *packer = extender_packer(f, PACK_RSP, cluster, known);
    score_rank(packer, &pod, candidates, count);
    packer_free(packer);
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1 << 20);
    wire_write_scores(&buf, nodes, candidates, count);
    return buf_str(&buf);
}

static void recorded_requests_are_answered_as_before(void **state)
{
    struct extender_fixture *f = *state;
    static const struct {
        const char *name, *kind;
        struct str (*answer)(struct extender_fixture *f, struct str body);
    } cases[] = {
        {"share", "names.filter", answer_filter},
        {"share", "nodes.filter", answer_filter},
        {"plain", "names.filter", answer_filter},
        {"share", "names.prioritize", answer_prioritize},
        {"share", "nodes.prioritize", answer_prioritize},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str answer = cases[i].answer(f, read_file(f, cases[i].name, cases[i].kind));
        struct str kind = arena_printf(&f->arena, "%s.answer", cases[i].kind);
        assert_str_equal(answer, read_file(f, cases[i].name, kind.ptr));
    }
}

static void a_recorded_binding_is_read(void **state)
{
    struct extender_fixture *f = *state;
    struct wire_binding binding;
    struct err err;
    assert_int_equal(wire_read_binding(read_file(f, "share", "bind"), &f->arena, &binding, &err),
                     0);
    assert_str_is(binding.namespace, "default");
    assert_str_is(binding.name, "share");
    assert_str_is(binding.uid, "b687fd5f-e551-4bdb-8588-3b43eaa1760b");
    assert_str_is(binding.node, "fake-1");
}

static void the_members_of_the_envelope_may_stand_in_any_order(void **state)
{
    struct extender_fixture *f = *state;
    static const struct {
        const char *body;
        const char *pod;
        size_t count;
        const char *last;
        bool has_names;
    } cases[] = {
        {"{\"NodeNames\":[\"a\",\"b\"],\"Pod\":{}}", "{}", 2, "b", true},
        {" { \"Pod\" : {\"a\":[\"]}\\\"\"]} , \"Nodes\" : null , \"NodeNames\" : [ \"a\" ] } ",
         "{\"a\":[\"]}\\\"\"]}", 1, "a", true},
        {"{\"Pod\":{},\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"n\"}}]},\"NodeNames\":null}",
         "{}", 1, "n", false},
        {"{\"Pod\":{},\"Nodes\":{\"metadata\":{},\"items\":[]}}", "{}", 0, NULL, false},
        {"{\"Pod\":{},\"Nodes\":null,\"NodeNames\":[]}", "{}", 0, NULL, true},
        {"{\"Pod\":{}}", "{}", 0, NULL, false},
        /* The last of two counts, as in Go. */
        {"{\"Pod\":{\"a\":1},\"Pod\":{\"b\":2},\"NodeNames\":[\"a\"]}", "{\"b\":2}", 1, "a", true},
        {"{\"Pod\":{},\"NodeNames\":[\"a\\\\\",\"b\\\"\"]}", "{}", 2, "b\\\"", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_args args = read_args(str_from_cstr(cases[i].body));
        struct wire_node *nodes;
        assert_str_is(args.pod, cases[i].pod);
        assert_int_equal(read_nodes(f, &args, &nodes), cases[i].count);
        assert_int_equal(args.has_names, cases[i].has_names);
        if (cases[i].count > 0)
            assert_str_is(nodes[cases[i].count - 1].name, cases[i].last);
    }
}

static void what_is_no_request_is_refused(void **state)
{
    struct extender_fixture *f = *state;
    static const char *const cases[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"Pod\":null}",
        "{\"Pod\":{}",
        "{\"Pod\":{}} x",
        "{\"Pod\":{\"a\":\"}",
        "{\"Pod\":{},\"NodeNames\":[\"a\"",
        "{\"Pod\":{},\"NodeNames\":[\"a\",]}",
        "{\"Pod\":{},\"NodeNames\":[\"a\" \"b\"]}",
        "{\"Pod\":{},\"NodeNames\":[1]}",
        "{\"Pod\":{},\"NodeNames\":[\"\"]}",
        "{\"Pod\":{},\"Nodes\":[]}",
        "{\"Pod\":{},\"Nodes\":{\"items\":{}}}",
        "{\"Pod\":{},\"Nodes\":{\"items\":[{}]}}",
        "{\"Pod\":{},\"Nodes\":{\"items\":[{\"metadata\":null}]}}",
        "{\"Pod\":{},\"Nodes\":{\"items\":[{\"metadata\":{\"name\":7}}]}}",
        "{\"Pod\" {}}",
        "{Pod:{}}",
        "{\"Pod\":\\",
        "{\"Pod\":{},\"NodeNames\":[\"\\",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_args args;
        struct wire_node *nodes;
        size_t count;
        struct err err = {0};
        int result = wire_read_args(str_from_cstr(cases[i]), &args, &err);
        if (result == 0)
            result = wire_read_nodes(&args, &f->arena, &nodes, &count, &err);
        if (result == 0)
            fail_msg("\"%s\" was taken", cases[i]);
        assert_int_equal(err.code, 400);
    }
    struct wire_binding binding;
    struct err err;
    assert_int_equal(wire_read_binding(STR("{\"PodName\":\"p\",\"PodNamespace\":\"n\","
                                           "\"PodUID\":\"\",\"Node\":\"n\"}"),
                                       &f->arena, &binding, &err),
                     -1);
}

/* Nothing behind the end is looked at, wherever a request is cut. */
static void a_request_that_is_cut_anywhere_is_refused(void **state)
{
    struct extender_fixture *f = *state;
    struct str whole = read_file(f, "share", "nodes.filter");
    for (size_t len = 0; len < whole.len; len++) {
        char *copy = malloc(len ? len : 1); /* its end is watched over by ASan */
        memcpy(copy, whole.ptr, len);
        struct wire_args args;
        struct err err;
        assert_int_equal(wire_read_args((struct str){copy, len}, &args, &err), -1);
        free(copy);
    }
}

static void every_verdict_is_written_where_it_belongs(void **state)
{
    struct extender_fixture *f = *state;
    struct wire_args args = read_args(STR("{\"Pod\":{},\"NodeNames\":[\"a\",\"b\",\"c\",\"d\"]}"));
    struct wire_node *nodes;
    size_t count = read_nodes(f, &args, &nodes);
    static const uint8_t verdicts[] = {VERDICT_NO_GPU, VERDICT_FITS, VERDICT_SHARE_TAKEN,
                                       VERDICT_PRODUCT};
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1 << 16);
    wire_write_filter(&buf, &args, nodes, verdicts, count);
    assert_str_is(buf_str(&buf),
                  "{\"Nodes\":null,\"NodeNames\":[\"b\"],"
                  "\"FailedNodes\":{\"c\":\"GPU: no device has enough left for the share\"},"
                  "\"FailedAndUnresolvableNodes\":{\"a\":\"GPU: the node has none\","
                  "\"d\":\"GPU: of another type\"},\"Error\":\"\"}\n");
}

static void only_what_is_picked_is_named(void **state)
{
    struct extender_fixture *f = *state;
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"{\"Pod\":{},\"NodeNames\":[\"a\",\"b\",\"c\"]}",
         "{\"Nodes\":null,\"NodeNames\":[\"c\",\"a\"],\"FailedNodes\":null,"
         "\"FailedAndUnresolvableNodes\":null,\"Error\":\"\"}\n"},
        {"{\"Pod\":{},\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"a\"}},"
         "{\"metadata\":{\"name\":\"b\"}},{\"metadata\":{\"name\":\"c\"}}]}}",
         "{\"Nodes\":{\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"c\"}},"
         "{\"metadata\":{\"name\":\"a\"}}]},\"NodeNames\":null,\"FailedNodes\":null,"
         "\"FailedAndUnresolvableNodes\":null,\"Error\":\"\"}\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_args args = read_args(str_from_cstr(cases[i].request));
        struct wire_node *nodes;
        struct buf buf;
        assert_int_equal(read_nodes(f, &args, &nodes), 3);
        buf_init(&buf, arena_mem(&f->arena), 1 << 16);
        wire_write_picked(&buf, &args, nodes, (const size_t[]){2, 0}, 2);
        assert_str_is(buf_str(&buf), cases[i].answer);
    }
}

static void errors_are_said_in_the_answer(void **state)
{
    struct extender_fixture *f = *state;
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1 << 16);
    wire_write_filter_error(&buf, STR("not \"active\""));
    assert_str_is(buf_str(&buf),
                  "{\"Nodes\":null,\"NodeNames\":null,\"FailedNodes\":null,"
                  "\"FailedAndUnresolvableNodes\":null,\"Error\":\"not \\\"active\\\"\"}\n");
    buf_clear(&buf);
    wire_write_binding(&buf, (struct str){NULL, 0});
    wire_write_binding(&buf, STR("taken"));
    assert_str_is(buf_str(&buf), "{\"Error\":\"\"}\n{\"Error\":\"taken\"}\n");
}

static void nodes_that_fit_are_told_as_they_came(void **state)
{
    struct extender_fixture *f = *state;
    struct wire_args args =
        read_args(STR("{\"Pod\":{},\"NodeNames\":[\"a\" , \"b\",\"c\",\"d\",\n\"e\"]}"));
    static const struct {
        uint8_t verdicts[5];
        const char *fitting, *failed;
    } cases[] = {
        {{0}, "[\"a\" , \"b\",\"c\",\"d\",\n\"e\"]", "null"},
        {{0, VERDICT_STRAY, 0, 0, VERDICT_STRAY}, "[\"a\",\"c\",\"d\"]", "\"b\",\"e\""},
        {{VERDICT_STRAY, 0, VERDICT_STRAY, VERDICT_STRAY, 0}, "[\"b\",\"e\"]", "\"a\",\"c\",\"d\""},
        {{VERDICT_STRAY, VERDICT_STRAY, VERDICT_STRAY, VERDICT_STRAY, VERDICT_STRAY},
         "[]",
         "\"a\",\"b\",\"c\",\"d\",\"e\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_node *nodes;
        size_t count = read_nodes(f, &args, &nodes);
        struct buf buf;
        buf_init(&buf, arena_mem(&f->arena), 1 << 20);
        wire_write_filter(&buf, &args, nodes, cases[i].verdicts, count);
        struct str start =
            arena_printf(&f->arena, "{\"Nodes\":null,\"NodeNames\":%s,\"Failed", cases[i].fitting);
        assert_true(str_starts_with(buf_str(&buf), start));
        struct err err;
        const struct json *answer = json_read(&f->arena, buf_str(&buf), &json_limits_default, &err);
        assert_non_null(answer);
        struct buf names;
        buf_init(&names, arena_mem(&f->arena), 1 << 10);
        JSON_EACH (member, json_get(answer, STR("FailedNodes"))) {
            assert_str_is(json_str(member), verdict_reason(VERDICT_STRAY).ptr);
            buf_printf(&names, "%s\"%.*s\"", names.len > 0 ? "," : "", (int)member->key_len,
                       member->key);
        }
        assert_str_is(names.len > 0 ? buf_str(&names) : STR("null"), cases[i].failed);
    }
}

/* Nothing is added to the score of a node that is not told, and 5,000 of them take longer to read than to score. */
static void of_many_nodes_those_that_score_nothing_are_not_told(void **state)
{
    struct extender_fixture *f = *state;
    enum { MANY = 65 };
    struct wire_node nodes[MANY];
    struct score_candidate candidates[MANY] = {0};
    for (size_t i = 0; i < MANY; i++) {
        nodes[i].name = arena_printf(&f->arena, "n%zu", i);
        nodes[i].text = nodes[i].name;
    }
    candidates[7].score = SCORE_BEST;
    candidates[64].score = 1;
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1 << 20);
    wire_write_scores(&buf, nodes, candidates, MANY);
    assert_str_is(buf_str(&buf),
                  "[{\"Host\":\"n7\",\"Score\":10},{\"Host\":\"n64\",\"Score\":1}]\n");
    buf_clear(&buf);
    wire_write_scores(&buf, nodes, candidates, 2);
    assert_str_is(buf_str(&buf), "[{\"Host\":\"n0\",\"Score\":0},{\"Host\":\"n1\",\"Score\":0}]\n");
}

static bool read_many(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct arena arena;
    struct wire_args args = read_args(STR("{\"Pod\":{},\"NodeNames\":[\"a\",\"b\",\"c\",\"d\"]}"));
    struct wire_node *nodes;
    size_t count;
    struct err err;
    arena_init(&arena, mem, 64, 1 << 20);
    bool is_read = wire_read_nodes(&args, &arena, &nodes, &count, &err) == 0;
    assert_true(is_read || err.code == 507);
    arena_done(&arena);
    return is_read;
}

static void reading_nodes_needs_memory(void **state)
{
    test_every_allocation_failing(read_many, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_requests_are_answered_as_before),
        cmocka_unit_test(a_recorded_binding_is_read),
        cmocka_unit_test(the_members_of_the_envelope_may_stand_in_any_order),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(a_request_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(every_verdict_is_written_where_it_belongs),
        cmocka_unit_test(nodes_that_fit_are_told_as_they_came),
        cmocka_unit_test(of_many_nodes_those_that_score_nothing_are_not_told),
        cmocka_unit_test(only_what_is_picked_is_named),
        cmocka_unit_test(errors_are_said_in_the_answer),
        cmocka_unit_test(reading_nodes_needs_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
