/* The state of the module netsession._netsession, one per interpreter that imports it. */

#ifndef NETSESSION_MODULE_H
#define NETSESSION_MODULE_H

#include <Python.h>

#include "interpreter_visit.h"
#include "session_info.h"
#include "srvsvc_ndr.h"

/* Every object of the state, so that it is set, visited and cleared from one list. */
#define MODULE_STATE_OBJECTS(X) \
    X(PyTypeObject, page_type) \
    X(PyTypeObject, page_iterator_type) \
    X(PyTypeObject, cursor_type) \
    X(PyTypeObject, call_lock_type) \
    X(PyTypeObject, filter_type) \
    X(PyObject, error_from_status) \
    X(PyObject, malformed_reply) \
    X(PyObject, no_progress) \
    X(PyObject, unsafe_delete)

typedef struct {
#define MEMBER(type, name) type *name;
    MODULE_STATE_OBJECTS(MEMBER)
#undef MEMBER
    /* By session_level_index(): the record classes, and the names of their fields. */
    PyTypeObject *record_types[SESSION_LEVELS];
    PyObject *field_names[SESSION_LEVELS];
    interpreter_life *interpreter; /* owned: the module's own, for what may outlive it */
} module_state;

/* All our types are final, so an object's type is the one that our module made. */
static inline module_state *
state_of(PyObject *self)
{
    return (module_state *)PyType_GetModuleState(Py_TYPE(self));
}

/* Raise netsession.errors' exception for a status; `function` is the Win32 name, `server` a str
   or None, `step` "call" where it is about what came over SMB, or NULL. They return NULL, as callers
   return it. */
PyObject *raise_status(const module_state *state, uint32_t status, const char *function,
                       PyObject *server, const char *step);
PyObject *raise_refused(const module_state *state, uint32_t status, const char *function,
                        PyObject *server, const char *detail);
PyObject *raise_no_progress(const module_state *state, const char *function, PyObject *server,
                            const char *step, const char *detail);
PyObject *raise_malformed(const module_state *state, const srvsvc_error *error,
                          const char *function, PyObject *server, const char *step);

/* Since 3.13 a free-threaded build may run two threads in one object. */
#ifndef Py_BEGIN_CRITICAL_SECTION
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

#endif
