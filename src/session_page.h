/* SessionPage: one reply of NetSessionEnum as an immutable sequence of records. */

#ifndef NETSESSION_SESSION_PAGE_H
#define NETSESSION_SESSION_PAGE_H

#include "module.h"
#include "netapi.h"

/* Nothing in it changes after session_page_new(), so it needs no lock. */
typedef struct {
    PyObject_HEAD
    const session_level *level;
    PyTypeObject *record_type; /* owned */
    unsigned char *entries;    /* owned; NULL when there are none */
    Py_ssize_t length;
    const netapi *api; /* frees the entries; NULL: free() does */
    PyObject *owner;   /* owned: keeps the strings, or the api, alive */
    uint32_t status;
    uint32_t total_entries;
    uint32_t resume_handle;
    bool has_resume_handle;
    bool derived; /* from another page, whose strings it shares */
} SessionPage;

/* Frees a SESSION_INFO_x buffer, which may be NULL, the way it was allocated: through `api`, or
   with free() where that is NULL. */
void session_entries_free(const netapi *api, unsigned char *entries);

/* A new SessionPage of a reply that has a level. It takes over `reply->entries`, whatever happens:
   they are freed exactly once, through `api` or, where that is NULL, with free(). `owner` is what
   must live as long as they do: the bytes that hold the strings, or the capsule of `api`. */
PyObject *session_page_new(module_state *state, const session_enum_reply *reply, const netapi *api,
                           PyObject *owner);

extern PyType_Spec session_page_spec;
extern PyType_Spec session_page_iterator_spec;

#endif
