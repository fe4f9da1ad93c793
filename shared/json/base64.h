/*
 * Base64 with padding (RFC 4648, section 4), as `[]byte` fields of Kubernetes objects have it.
 */
#ifndef JSON_BASE64_H
#define JSON_BASE64_H

#include "base/buf.h"

/* Failure is the buffer's. `data` must not be the buffer's own content. */
void base64_write(struct buf *buf, struct str data);

/* Appends what `text` stands for; line ends in it are passed over, as Go's decoder does. False when it is
 * no base64; *buf then holds a part. Failure of memory is the buffer's. */
bool base64_read(struct buf *buf, struct str text);

#endif
