/* A picture of all nodes: a column per node, a box per device. */
#include "extender/replay_parts.h"

#include <errno.h>

enum { BOX = 6, GAP = 1, PER_ROW = 130, MARGIN = 10, LINE = 16 };

enum part { TAKEN, IDLE, STRANDED, PARTS };

static const char *const colours[PARTS] = {
    [TAKEN] = "#4477aa", [IDLE] = "#ccddaa", [STRANDED] = "#cc3311"};

/* All boxes of a colour are one path, which keeps the file small: the nodes are gone through once for each. */
struct picture {
    FILE *to;
    const struct trace *trace;
    enum part part;
    unsigned y;
    int64_t stranded_milli;
};

/* Whether any pod of the list could still get the device. */
static bool is_usable(const struct trace *trace, const struct pack_node *node, uint32_t device)
{
    for (size_t i = 0; i < trace->pod_count; i++) {
        const struct pack_demand *demand = &trace->pods[i].demand;
        if (demand->gpu_count > 0 && node->device_free_milli[device] >= demand->gpu_milli &&
            pack_fits(node, demand))
            return true;
    }
    return false;
}

static void draw_box(const struct picture *p, enum part part, unsigned x, unsigned y, double from,
                     double share)
{
    if (part == p->part && share > 0)
        fprintf(p->to, "M%u %.4gh%uv%.4gh-%uz\n", x, y + from * BOX, BOX, share * BOX, BOX);
}

/* Boxes next to each other that are full are drawn as one. */
static void draw_node(struct picture *p, const struct pack_node *node, unsigned x)
{
    uint32_t full = 0;
    for (uint32_t i = 0; i <= node->device_count; i++) {
        if (i < node->device_count && node->device_free_milli[i] == 0) {
            full++;
            continue;
        }
        draw_box(p, TAKEN, x, p->y + (i - full) * BOX, 0, full);
        full = 0;
        if (i == node->device_count)
            break;
        double idle = (double)node->device_free_milli[i] / PACK_WHOLE_MILLI;
        enum part part = is_usable(p->trace, node, i) ? IDLE : STRANDED;
        draw_box(p, TAKEN, x, p->y + i * BOX, 0, 1 - idle);
        draw_box(p, part, x, p->y + i * BOX, 1 - idle, idle);
        if (part == STRANDED && p->part == STRANDED)
            p->stranded_milli += node->device_free_milli[i];
    }
}

/* All nodes with so many devices, in rows. */
static void draw_nodes(struct picture *p, uint32_t devices)
{
    unsigned column = 0;
    for (size_t i = 0; i < p->trace->node_count; i++) {
        if (p->trace->nodes[i].device_count != devices)
            continue;
        if (column == PER_ROW) {
            column = 0;
            p->y += devices * BOX + 4 * GAP;
        }
        draw_node(p, &p->trace->nodes[i], MARGIN + column++ * (BOX + GAP));
    }
    if (column > 0)
        p->y += devices * BOX + LINE;
}

static void draw_part(struct picture *p, enum part part)
{
    p->part = part;
    p->y = MARGIN;
    fprintf(p->to, "<path fill=\"%s\" d=\"", colours[part]);
    for (uint32_t devices = PACK_DEVICES_MAX; devices > 0; devices--)
        draw_nodes(p, devices);
    fputs("\"/>\n", p->to);
}

static void draw_legend(const struct picture *p, const struct replay *replay)
{
    double all = (double)p->trace->gpu_milli / 100;
    double taken = (double)replay->allocated_milli / all, lost = (double)p->stranded_milli / all;
    fprintf(p->to,
            "<text x=\"%d\" y=\"%u\"><tspan fill=\"%s\">&#9632;</tspan> taken %.2f %% "
            "<tspan fill=\"%s\">&#9632;</tspan> idle, of use to some pod %.2f %% "
            "<tspan fill=\"%s\">&#9632;</tspan> stranded %.2f %%</text>\n",
            MARGIN, p->y + LINE / 2, colours[TAKEN], taken, colours[IDLE], 100 - taken - lost,
            colours[STRANDED], lost);
}

/* So that the size can stand in the first line. */
static unsigned height_of(const struct trace *trace)
{
    unsigned height = MARGIN + 2 * LINE;
    for (uint32_t devices = 1; devices <= PACK_DEVICES_MAX; devices++) {
        unsigned count = 0;
        for (size_t i = 0; i < trace->node_count; i++)
            count += trace->nodes[i].device_count == devices;
        unsigned rows = (count + PER_ROW - 1) / PER_ROW;
        if (rows > 0)
            height += rows * (devices * BOX + 4 * GAP) + LINE;
    }
    return height;
}

int replay_draw(struct replay *replay, const char *path, struct err *err)
{
    FILE *to = fopen(path, "we");
    if (!to)
        return err_set(err, 500, "%s: cannot be written: %s", path, strerror(errno));
    struct picture picture = {.to = to, .trace = &replay->trace};
    unsigned width = 2 * MARGIN + PER_ROW * (BOX + GAP), height = height_of(&replay->trace);
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" "
            "height=\"%u\" font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            width, height, width, height);
    for (enum part part = TAKEN; part < PARTS; part++)
        draw_part(&picture, part);
    draw_legend(&picture, replay);
    fputs("</svg>\n", to);
    bool failed = ferror(to) != 0;
    failed = fclose(to) != 0 || failed;
    return failed ? err_set(err, 500, "%s: could not be written", path) : 0;
}
