/* The end of a Performer: first nobody calls it any more, then it is ended, then it is let go. */
#include "controller/performer_parts.h"

#include "types/performer.h"

static void remove_finalizer(struct scene *scene)
{
    struct manifest *m = &scene->make;
    struct err err;
    const struct json *now =
        json_read(m->arena, scene->performer->finalizers, &json_limits_default, &err);
    struct json *patch = manifest_object(m);
    struct json *rest =
        manifest_put_list(m, manifest_put_object(m, patch, "metadata"), "finalizers");
    m->failed = m->failed || !now;
    JSON_EACH (finalizer, now) {
        if (!str_eq_cstr(json_str(finalizer), performer_kind.finalizer))
            manifest_append(m, rest, manifest_copy(m, finalizer));
    }
    performer_patch(scene, &kube_performers, &scene->performer->stored, patch, "remove finalizer");
}

/* A pod whose node does not answer may still run: it is waited for. */
static struct str waiting_for(struct scene *scene)
{
    for (const struct performer_pod *pod = performer_first_pod(scene); pod;
         pod = performer_next_pod(scene, pod)) {
        if (performer_node_state(scene, pod) != NODE_FINE)
            return manifest_printf(&scene->make,
                                   "waiting for pod %" PRIstr ": its node %" PRIstr
                                   " does not answer. If it will not come back, delete the Node or "
                                   "give it the taint node.kubernetes.io/out-of-service",
                                   STR_ARG(pod->stored.name), STR_ARG(pod->node_name));
    }
    return STR("it is being deleted");
}

static void put_status(struct scene *scene, const struct performer_pod *pod)
{
    struct performer_status *status = &scene->status;
    struct str message = waiting_for(scene);
    performer_status_begin(scene);
    status->phase = PHASE_TERMINATING;
    status->stage = scene->service ? STAGE_SERVICE_CLEANUP : STAGE_POD_CLEANUP;
    /* Nobody should begin to call it, though the Service may lead to it for another moment. */
    status->is_ready = false;
    status->pod_name = pod ? pod->stored.name : (struct str){NULL, 0};
    status->node_name = pod ? pod->node_name : (struct str){NULL, 0};
    for (int i = 0; i < CONDITION_COUNT; i++)
        performer_status_set(scene, (enum performer_condition)i, TRUTH_FALSE, REASON_TERMINATING,
                             message);
    performer_status_write(scene);
}

static void delete_pod(struct scene *scene, const struct performer_pod *pod)
{
    bool is_dead = performer_node_state(scene, pod) == NODE_DEAD;
    if (is_dead || !pod->stored.is_deleting)
        performer_delete(scene, &kube_pods, &pod->stored, is_dead, "delete pod");
}

void performer_end(struct scene *scene)
{
    const struct performer_pod *pod = performer_first_pod(scene);
    if (!scene->service && !pod) {
        remove_finalizer(scene);
        return;
    }
    put_status(scene, pod);
    performer_note_gone_nodes(scene);
    if (scene->service && !scene->service->stored.is_deleting)
        performer_delete(scene, &kube_services, &scene->service->stored, false, "delete service");
    for (; pod && !scene->service; pod = performer_next_pod(scene, pod))
        delete_pod(scene, pod);
}
