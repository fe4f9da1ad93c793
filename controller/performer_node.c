/* Pods on nodes that are lost: they leave the Service, and are deleted as far as is safe. */
#include "controller/performer_parts.h"

#include "types/names.h"

/* Since when a node is gone can be seen nowhere: it is noted on the pod. */
static void note_gone(struct scene *scene, const struct performer_pod *pod)
{
    struct manifest *m = &scene->make;
    bool is_gone = performer_node_is_gone(scene, pod);
    if (is_gone == (pod->node_gone_ns != 0) || (!is_gone && pod->stored.is_deleting))
        return;
    char text[CLOCK_TEXT_SIZE];
    struct json *patch = manifest_object(m);
    struct json *annotations =
        manifest_put_object(m, manifest_put_object(m, patch, "metadata"), "annotations");
    struct str time = clock_print(scene->now.wall_ns, CLOCK_SECONDS, text);
    if (is_gone)
        manifest_put_str(m, annotations, ANNOTATION_NODE_GONE_SINCE,
                         manifest_printf(m, "%" PRIstr, STR_ARG(time)));
    else
        manifest_put_null(m, annotations, STR(ANNOTATION_NODE_GONE_SINCE));
    performer_patch(scene, &kube_pods, &pod->stored, patch, "note that the node is gone");
}

/* Should the node come back, the pod must neither get calls nor stay. */
static void detach(struct scene *scene, const struct performer_pod *pod)
{
    struct manifest *m = &scene->make;
    if (pod->performer.len == 0)
        return;
    struct json *patch = manifest_object(m);
    struct json *labels =
        manifest_put_object(m, manifest_put_object(m, patch, "metadata"), "labels");
    manifest_put_null(m, labels, STR(LABEL_PERFORMER));
    performer_patch(scene, &kube_pods, &pod->stored, patch, "detach pod from service");
}

static void let_go(struct scene *scene, const struct performer_pod *pod)
{
    bool is_dead = performer_node_state(scene, pod) == NODE_DEAD;
    if (!is_dead)
        detach(scene, pod);
    if (is_dead || !pod->stored.is_deleting) {
        performer_delete(scene, &kube_pods, &pod->stored, is_dead,
                         is_dead ? "delete pod of dead node" : "delete pod of lost node");
        performer_event(scene, true, REASON_NODE_LOST,
                        manifest_printf(&scene->make, "node %" PRIstr " of pod %" PRIstr " %s",
                                        STR_ARG(pod->node_name), STR_ARG(pod->stored.name),
                                        is_dead ? "is gone or out of service"
                                                : "has not been ready for two minutes"));
    }
}

void performer_note_gone_nodes(struct scene *scene)
{
    for (const struct performer_pod *pod = performer_first_pod(scene); pod;
         pod = performer_next_pod(scene, pod))
        note_gone(scene, pod);
}

void performer_leave_lost_nodes(struct scene *scene)
{
    if (scene->performer->waits_for_node)
        return;
    for (const struct performer_pod *pod = performer_first_pod(scene); pod;
         pod = performer_next_pod(scene, pod)) {
        if (performer_is_lost(scene, pod))
            let_go(scene, pod);
        else
            note_gone(scene, pod);
    }
}
