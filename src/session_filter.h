/* SessionFilter: conditions on sessions, compiled, so that a page is filtered without a Python call
   a record. What netsession/_where.py's Matcher says of a record in Python, it says of a page. */

#ifndef NETSESSION_SESSION_FILTER_H
#define NETSESSION_SESSION_FILTER_H

#include "module.h"

/* Copies those of `length` structures that fit to `kept`, which has room for all of them, and
   returns how many; -1 with an exception set, which a look-up may raise. */
Py_ssize_t session_filter_keep(PyObject *filter, const session_level *level,
                               const unsigned char *entries, Py_ssize_t length,
                               unsigned char *kept);

extern PyType_Spec session_filter_spec;

#endif
