/* Writing base64. */
#include "json/base64.h"

void base64_write(struct buf *buf, struct str data)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (data.len > SIZE_MAX / 4) {
        buf->failed = true;
        return;
    }
    char *to = buf_reserve(buf, (data.len + 2) / 3 * 4);
    if (!to)
        return;
    for (size_t i = 0; i < data.len; i += 3) {
        unsigned char group[3] = {0};
        size_t have = data.len - i < 3 ? data.len - i : 3;
        memcpy(group, data.ptr + i, have);
        to[0] = letters[group[0] >> 2];
        to[1] = letters[(group[0] & 3) << 4 | group[1] >> 4];
        to[2] = have > 1 ? letters[(group[1] & 15) << 2 | group[2] >> 6] : '=';
        to[3] = have > 2 ? letters[group[2] & 63] : '=';
        to += 4;
        buf->len += 4;
    }
}
