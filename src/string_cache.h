/* Strings that repeat within a page, made once: transports and client types are a handful of
   values, and users and clients come back too. A repeated string then costs neither time nor
   memory. */

#ifndef NETSESSION_STRING_CACHE_H
#define NETSESSION_STRING_CACHE_H

#include <Python.h>

#include "session_level.h"

typedef struct string_cache string_cache;

/* For a page of so many entries; NULL, without an exception, where it would not pay or memory is
   short: everything works without. */
string_cache *string_cache_new(Py_ssize_t entries);
void string_cache_free(string_cache *cache);

/* A reference to the str of a field's units, as utf16_to_str() makes it; NULL with an exception
   set on failure. `cache` may be NULL. The units must outlive the cache. */
PyObject *string_cache_get(string_cache *cache, field_id field, const utf16_unit *units);

#endif
