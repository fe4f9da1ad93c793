/* A picture of all nodes: a column per node, a box per device. */
#include "extender/replay_parts.h"

#include <errno.h>

enum { BOX = 6, GAP = 1, PER_ROW = 130, MARGIN = 10, LINE = 16 };

static const char taken_colour[] = "#4477aa", idle_colour[] = "#ccddaa",
                  stranded_colour[] = "#cc3311";

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

static void draw_box(FILE *to, unsigned x, unsigned y, double from, double part, const char *colour)
{
    if (part > 0)
        fprintf(to, "<path fill=\"%s\" d=\"M%u %.3gh%uv%.3gh-%uz\"/>\n", colour, x, y + from * BOX,
                BOX, part * BOX, BOX);
}

/* Returns the milli that are stranded. Boxes next to each other that are full are drawn as one. */
static int64_t draw_node(FILE *to, const struct trace *trace, const struct pack_node *node,
                         unsigned x, unsigned y)
{
    int64_t stranded = 0;
    uint32_t full = 0;
    for (uint32_t i = 0; i <= node->device_count; i++) {
        if (i < node->device_count && node->device_free_milli[i] == 0) {
            full++;
            continue;
        }
        draw_box(to, x, y + (i - full) * BOX, 0, full, taken_colour);
        full = 0;
        if (i == node->device_count)
            break;
        double idle = (double)node->device_free_milli[i] / PACK_WHOLE_MILLI;
        bool usable = is_usable(trace, node, i);
        draw_box(to, x, y + i * BOX, 0, 1 - idle, taken_colour);
        draw_box(to, x, y + i * BOX, 1 - idle, idle, usable ? idle_colour : stranded_colour);
        stranded += usable ? 0 : node->device_free_milli[i];
    }
    return stranded;
}

/* All nodes with so many devices; *y moves below them. */
static int64_t draw_nodes(FILE *to, const struct trace *trace, uint32_t devices, unsigned *y)
{
    int64_t stranded = 0;
    unsigned column = 0;
    for (size_t i = 0; i < trace->node_count; i++) {
        if (trace->nodes[i].device_count != devices)
            continue;
        if (column == PER_ROW) {
            column = 0;
            *y += devices * BOX + 4 * GAP;
        }
        stranded += draw_node(to, trace, &trace->nodes[i], MARGIN + column++ * (BOX + GAP), *y);
    }
    if (column > 0)
        *y += devices * BOX + LINE;
    return stranded;
}

static void draw_legend(FILE *to, const struct replay *replay, int64_t stranded, unsigned y)
{
    double all = (double)replay->trace.gpu_milli / 100;
    double taken = (double)replay->allocated_milli / all, lost = (double)stranded / all;
    fprintf(to,
            "<text x=\"%d\" y=\"%u\"><tspan fill=\"%s\">&#9632;</tspan> taken %.2f %% "
            "<tspan fill=\"%s\">&#9632;</tspan> idle, of use to some pod %.2f %% "
            "<tspan fill=\"%s\">&#9632;</tspan> stranded %.2f %%</text>\n",
            MARGIN, y, taken_colour, taken, idle_colour, 100 - taken - lost, stranded_colour, lost);
}

int replay_draw(struct replay *replay, const char *path, struct err *err)
{
    FILE *to = fopen(path, "we");
    if (!to)
        return err_set(err, 500, "%s: cannot be written: %s", path, strerror(errno));
    unsigned width = 2 * MARGIN + PER_ROW * (BOX + GAP), y = MARGIN;
    int64_t stranded = 0;
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" font-family=\"sans-serif\" "
            "font-size=\"12\" style=\"background:#fff\" height=\"%10s\">\n",
            width, "");
    for (uint32_t devices = PACK_DEVICES_MAX; devices > 0; devices--)
        stranded += draw_nodes(to, &replay->trace, devices, &y);
    draw_legend(to, replay, stranded, y);
    fputs("</svg>\n", to);
    bool failed = ferror(to) != 0;
    failed = fclose(to) != 0 || failed;
    return failed ? err_set(err, 500, "%s: could not be written", path) : 0;
}
