/* From a SESSION_INFO_x structure to a Python object: the only place where that is done. */

#ifndef NETSESSION_SESSION_INFO_H
#define NETSESSION_SESSION_INFO_H

#include <Python.h>

#include "session_level.h"
#include "string_cache.h"

/* A new record of `type` (the level's NamedTuple class) from one structure; NULL with an
   exception set on failure. `cache` is NULL, or of the page that the structure is in. */
PyObject *session_info_record(const session_level *level, PyTypeObject *type,
                              const unsigned char *entry, string_cache *cache);

/* The same as a new dict; `names` is a tuple of the level's field names, in order. */
PyObject *session_info_dict(const session_level *level, PyObject *names,
                            const unsigned char *entry, string_cache *cache);

#endif
