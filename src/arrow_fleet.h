/* Parts of a fleet's listing: which server said a page, and when. */

#ifndef NETSESSION_ARROW_FLEET_H
#define NETSESSION_ARROW_FLEET_H

#include "session_page.h"

typedef struct {
    PyObject *page;       /* owned: a SessionPage; NULL: there is no part */
    PyObject *server;     /* owned: its name in UTF-16, as bytes */
    int64_t collected_at; /* microseconds since 1970, UTC */
} fleet_part;

/* Reads (server, collected_at, page): a str, an int and a SessionPage, of the type that is given.
   -1 with an exception set, and then the part stays as it was. */
int fleet_part_read(PyObject *item, PyTypeObject *page_type, fleet_part *part);

void fleet_part_clear(fleet_part *part);

#endif
