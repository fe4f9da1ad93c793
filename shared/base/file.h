/* Reading whole files into capped buffers. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends all of a file, or of standard input when `path` is "-". 413 when it is larger than the
 * buffer's maximum, 500 when it cannot be read. */
int file_read(const char *path, struct buf *to, struct err *err);

#endif
